//! A session gets another id, or another user, by somebody else's doing: C06 and C07.

mod harness;

use harness::store::{alive, answer_touches, asked, assert_ended, base64, bound, external, question, reply};
use harness::{Server, handshake};
use tethered_core::hub::{Action, Event, Notice};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Cause, Op};

fn renamed(server: &mut Server, from: &str, to: &str) {
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: from, notice: Notice::Renamed { to } });
    server.work();
}

/// Shakes hands with this cookie; what the store is asked about it.
fn claims(server: &mut Server, id: &str) -> (SocketId, CallId) {
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64(id))).as_bytes());
    let (call, op) = question(server);
    assert_eq!(op, Op::Load { id: id.into() });
    (socket, call)
}

/// The store vouches for the session under this id, until it is asked nothing more.
fn vouch(server: &mut Server, id: &str, principal: &str) {
    loop {
        let asked = asked(server);
        if asked.is_empty() {
            break;
        }
        for (call, op) in asked {
            let answer = match op {
                Op::Load { id: of } if *of == *id => alive(id, Some(principal), Some(60_000)),
                Op::Touch { id: of, .. } if *of == *id => Answer::Alive { ttl_ms: Some(60_000), record: None },
                op => panic!("{op:?}"),
            };
            reply(server, call.expect("an answer is wanted"), answer);
        }
    }
}

/// Somebody who knows the id from before the login shakes hands just as the session is given another one: that one is not
/// his.
#[test]
fn c06_an_id_that_was_changed_is_not_followed_by_who_has_only_claimed_it() {
    let mut server = external();
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("fixed"))).as_bytes());
    let (call, _) = question(&mut server);
    renamed(&mut server, "fixed", "secret");
    assert_eq!(server.answer(socket).status, 401);
    reply(&mut server, call, alive("fixed", Some("rob"), Some(60_000)));
    assert_eq!(asked(&mut server), []);
    assert_eq!(server.output(socket), b"");
}

#[test]
fn c07_who_is_bound_follows_a_new_id() {
    let mut server = external();
    let socket = bound(&mut server, "a", Some(60_000));
    renamed(&mut server, "a", "b");
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "b".into() });
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    // Once more a moment later: who it is may have been written after the new id.
    server.wait(1_016);
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "b".into() });
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    server.wait(3_000);
    assert_eq!(asked(&mut server), []);
    server.say(socket, "SEND", &[("destination", "/app/a")], "x");
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Touch { id: "b".into(), age_ms: 0 });
    assert_eq!(server.delivered().len(), 1);
    reply(&mut server, call, Answer::Gone);
    assert_ended(&mut server, &[socket]);
}

#[test]
fn c07_somebody_else_logs_in_over_a_session() {
    // He is written at once, or a moment after the new id.
    for at_once in [true, false] {
        let mut server = external();
        let socket = bound(&mut server, "a", Some(60_000));
        renamed(&mut server, "a", "b");
        let (call, _) = question(&mut server);
        reply(&mut server, call, alive("b", Some(if at_once { "luke" } else { "rob" }), Some(60_000)));
        if !at_once {
            server.wait(1_016);
            let (call, _) = question(&mut server);
            reply(&mut server, call, alive("b", Some("luke"), Some(60_000)));
        }
        assert_eq!(server.left(), [Cause::Rotated]);
        assert_ended(&mut server, &[socket]);
    }
}

/// His own handshake finds it out, and is let in nevertheless: its cookie is good.
#[test]
fn c07_the_handshake_of_somebody_else_is_let_in_and_the_others_are_closed() {
    let mut server = external();
    let socket = bound(&mut server, "a", Some(60_000));
    let second = server.open();
    server.send(second, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("a"))).as_bytes());
    let (call, _) = question(&mut server);
    reply(&mut server, call, alive("a", Some("luke"), Some(60_000)));
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "a".into() });
    reply(&mut server, call, alive("a", Some("luke"), Some(60_000)));
    assert_eq!(server.answer(second).status, 101);
    assert_ended(&mut server, &[socket]);
}

/// Who is bound follows to an id that somebody is still being asked about, and the store does not answer: he is held, it
/// is asked again at leisure, and he is given up when it is away for too long.
#[test]
fn who_follows_to_an_id_that_nobody_vouches_for_waits_for_the_store_like_anybody() {
    let mut server = external();
    let first = bound(&mut server, "a", Some(600_000));
    let (second, call) = claims(&mut server, "b");
    renamed(&mut server, "a", "b");
    reply(&mut server, call, Answer::Lost);
    assert_eq!(server.answer(second).status, 503);
    assert_eq!(asked(&mut server), [], "the store is asked again in the same moment");
    let (now, (next, _)) = (server.now().mono, server.hub.next_deadline().expect("it is asked again"));
    assert!(next > now, "due at {next:?}, at {now:?}");
    let mut questions = 0;
    let from = server.passed_ms();
    let mut left = Vec::new();
    while left.is_empty() {
        server.wait(100);
        for action in server.seen() {
            match action {
                Action::Session { call: Some(call), .. } => {
                    questions += 1;
                    reply(&mut server, call, Answer::Lost);
                }
                Action::Left { cause, .. } => left.push(cause),
                _ => {}
            }
        }
        assert!(server.passed_ms() - from < 302_000, "nobody gives it up");
    }
    assert!((250..=320).contains(&questions), "asked {questions} times in 300 s");
    assert_eq!(left, [Cause::StoreLost]);
    assert!(server.output(first).ends_with(b"\x03\xf5The session store cannot be reached"));
}

/// What he said is not lost when the store is back.
#[test]
fn who_follows_to_an_id_that_nobody_vouches_for_is_heard_when_the_store_is_back() {
    let mut server = external();
    let first = bound(&mut server, "a", Some(600_000));
    let (_, call) = claims(&mut server, "b");
    renamed(&mut server, "a", "b");
    server.say(first, "SEND", &[("destination", "/app/a")], "x");
    assert_eq!(server.delivered(), [], "nobody has vouched for it");
    reply(&mut server, call, Answer::Lost);
    server.wait(1_100);
    vouch(&mut server, "b", "rob");
    assert_eq!(server.delivered().len(), 1);
}

/// A login at Spring: the answer with the new cookie is there before the notice of the rename.
#[test]
fn c07_a_second_tab_with_the_new_cookie_closes_nobody() {
    // The tab is let in before the notice comes, or waits for the store when it does.
    for waits in [false, true] {
        let mut server = external();
        let first = bound(&mut server, "a", Some(60_000));
        let (second, call) = claims(&mut server, "b");
        if !waits {
            reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
        }
        renamed(&mut server, "a", "b");
        if waits {
            reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
        }
        vouch(&mut server, "b", "rob");
        assert_eq!(server.answer(second).status, 101, "{waits}");
        server.answer_pings(second);
        assert_eq!(server.ended(), [], "{waits}");
        assert_eq!(server.hub.stats().sessions, 1);
        // Both are under the new id: what the first says renews it, and its end is the end of both.
        server.wait(2_200);
        vouch(&mut server, "b", "rob");
        server.wait(1_100);
        server.say(first, "SEND", &[("destination", "/app/a")], "x");
        let (call, op) = question(&mut server);
        assert_eq!(op, Op::Touch { id: "b".into(), age_ms: 0 });
        assert_eq!(server.delivered().len(), 1, "{waits}");
        reply(&mut server, call, Answer::Gone);
        assert_ended(&mut server, &[first, second]);
    }
}

#[test]
fn c07_a_login_that_is_heard_of_while_the_first_tab_is_in_doubt_frees_it() {
    let mut server = external();
    let first = bound(&mut server, "a", Some(60_000));
    let (second, call) = claims(&mut server, "b");
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    vouch(&mut server, "b", "rob");
    assert_eq!(server.answer(second).status, 101);
    // Redis tells of the old name first: the session is asked for, and is not there.
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: "a", notice: Notice::Deleted });
    server.work();
    let (gone, _) = question(&mut server);
    server.say(first, "SEND", &[("destination", "/app/a")], "x");
    assert_eq!(server.delivered(), []);
    assert!(!server.is_closed(first));
    renamed(&mut server, "a", "b");
    reply(&mut server, gone, Answer::Gone);
    vouch(&mut server, "b", "rob");
    assert_eq!(server.delivered().len(), 1, "what was held is handled");
}

/// What the first tab said before the login is told under the new id.
#[test]
fn c07_activity_is_not_lost_when_two_become_one() {
    let mut server = external();
    let first = bound(&mut server, "a", Some(60_000));
    server.wait(1_100);
    server.say(first, "SEND", &[("destination", "/app/a")], "x");
    let (touch, op) = question(&mut server);
    assert_eq!(op, Op::Touch { id: "a".into(), age_ms: 0 });
    let (_, call) = claims(&mut server, "b");
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    let (renewal, _) = question(&mut server);
    reply(&mut server, renewal, Answer::Alive { ttl_ms: Some(60_000), record: None });
    server.wait(300);
    server.say(first, "SEND", &[("destination", "/app/a")], "x");
    renamed(&mut server, "a", "b");
    reply(&mut server, touch, Answer::Gone);
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "b".into() });
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    server.wait(800);
    let touched: Vec<Op> = asked(&mut server).into_iter().map(|(_, op)| op).collect();
    assert!(matches!(&touched[..], [Op::Touch { id, age_ms: 700..=720 }] if **id == *"b"), "{touched:?}");
}

#[test]
fn c07_only_who_belongs_to_somebody_else_is_closed() {
    // Somebody else is known under the new id already, or turns out to be.
    for known in [true, false] {
        let mut server = external();
        let first = bound(&mut server, "a", Some(60_000));
        let (second, call) = claims(&mut server, "b");
        if known {
            reply(&mut server, call, alive("b", Some("luke"), Some(60_000)));
            vouch(&mut server, "b", "luke");
        }
        renamed(&mut server, "a", "b");
        if !known {
            reply(&mut server, call, alive("b", Some("luke"), Some(60_000)));
        }
        vouch(&mut server, "b", "luke");
        assert_eq!(server.answer(second).status, 101, "{known}");
        assert_eq!(
            server.ended().iter().map(|end| (end.cause, end.sockets)).collect::<Vec<_>>(),
            [(Cause::Rotated, 1)]
        );
        assert_ended(&mut server, &[first]);
        assert!(!server.is_closed(second));
        answer_touches(&mut server, Some(60_000));
    }
}

/// Who knows the id that a victim's login replaced waits under it as that login happens: he is not let in as the victim.
#[test]
fn c06_who_has_claimed_the_old_id_does_not_become_who_logs_in_over_it() {
    for second_tab in [false, true] {
        let mut server = external();
        let attacker = bound(&mut server, "fixed", Some(60_000));
        let (waits, call) = claims(&mut server, "fixed");
        let victim = second_tab.then(|| claims(&mut server, "secret"));
        renamed(&mut server, "fixed", "secret");
        reply(&mut server, call, alive("fixed", Some("rob"), Some(60_000)));
        if let Some((_, call)) = victim {
            reply(&mut server, call, alive("secret", Some("luke"), Some(60_000)));
        }
        vouch(&mut server, "secret", "luke");
        assert_eq!(server.answer(waits).status, 401, "{second_tab}");
        assert_ended(&mut server, &[attacker]);
        if let Some((victim, _)) = victim {
            assert_eq!(server.answer(victim).status, 101);
        }
    }
}
