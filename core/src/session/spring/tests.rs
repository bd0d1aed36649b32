//! The machine without a Redis: what it does when nothing, or nonsense, comes back.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::work::Stage;
use super::*;
use crate::session::Op;

const TIMES: Times = Times { timeout_ms: 60_000, reply_ms: 2_000, sweep_interval_ms: 60_000 };
const LIMITS: Limits = Limits { inflight: 16, bulk: 1_024, array: 64, touch_rate: 5_000 };

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn check(id: &str) -> Op {
    Op::Check { id: id.into() }
}

fn touch(id: &str) -> Op {
    Op::Touch { id: id.into(), age_ms: 0 }
}

fn load(id: &str) -> Op {
    Op::Load { id: id.into() }
}

/// A machine whose connections are up and whose first commands are out.
fn machine(config: Config) -> Spring {
    let mut spring = Spring::new(config, TIMES, LIMITS, [1; 16], at(0));
    spring.connected(at(0), Connection::Commands);
    spring.connected(at(0), Connection::Notices);
    spring
}

fn indexed() -> Config {
    Config { layout: Layout::Indexed, ..Config::default() }
}

/// What came out, sorted by kind.
#[derive(Debug, Default)]
struct Out {
    commands: Vec<(Option<CallId>, Connection, Vec<String>)>,
    answers: Vec<(u64, Answer)>,
    notices: Vec<bool>,
    alarms: Vec<AlarmKind>,
}

fn take(spring: &mut Spring) -> Out {
    let mut out = Out::default();
    while let Some(output) = spring.poll() {
        match output {
            Output::Command { call, connection, command } => {
                let args = command.args().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
                out.commands.push((call, connection, args));
            }
            Output::Answer { token, answer } => out.answers.push((token, answer)),
            Output::Notices(on) => out.notices.push(on),
            Output::Alarm(alarm) => out.alarms.push(alarm.kind),
        }
    }
    out
}

/// Answers all that is asked for at the start, so that notices stand.
fn stand(spring: &mut Spring) {
    for _ in 0..4 {
        let out = take(spring);
        for (call, _, args) in out.commands {
            let Some(call) = call else { continue };
            match args[0].as_str() {
                "CONFIG" => spring.reply(at(0), call, Reply::List(&[Item::Bulk(b"x"), Item::Bulk(b"AKE")])),
                "PUBLISH" => {
                    spring.reply(at(0), call, Reply::Int(1));
                    let channel = spring.keys.echo.clone();
                    spring.notification(at(0), 0, channel.as_bytes(), args[2].as_bytes());
                }
                _ => spring.reply(at(0), call, Reply::Bulk(b"OK")),
            }
        }
    }
    assert!(spring.link.due() > Some(at(1_000)), "nothing but the next look is awaited");
}

fn ready(config: Config) -> Spring {
    let mut spring = machine(config);
    stand(&mut spring);
    assert_eq!(spring.calls.len(), 0);
    spring
}

#[test]
fn r19_channels_are_fixed_and_none_is_a_pattern() {
    let mut spring = machine(indexed());
    let out = take(&mut spring);
    let (_, _, args) =
        out.commands.iter().find(|(_, connection, _)| *connection == Connection::Notices).expect("a subscription");
    assert_eq!(args[0], "SUBSCRIBE");
    assert_eq!(
        args[1..6],
        ["expired", "del", "evicted", "rename_from", "rename_to"].map(|event| alloc::format!("__keyevent@0__:{event}"))
    );
    assert!(args[6].starts_with("spring:session:tethered:echo:") && args.len() == 7);
}

#[test]
fn c01_an_id_that_can_be_none_never_becomes_a_command() {
    let mut spring = ready(indexed());
    for (i, hostile) in
        ["", "a:b", "*", "a b", "a\r\nb", "a\0", "../a", "\u{e4}", &"a".repeat(129), &"a".repeat(65_536)]
            .iter()
            .enumerate()
    {
        for op in [
            load(hostile),
            check(hostile),
            touch(hostile),
            Op::End { id: (*hostile).into() },
            Op::Rename { from: "a".into(), to: (*hostile).into(), principal: None, attributes: vec![] },
            Op::Rename { from: (*hostile).into(), to: "a".into(), principal: None, attributes: vec![] },
        ] {
            spring.ask(at(1), Some(i as u64), op);
            let out = take(&mut spring);
            assert_eq!((out.answers, out.commands.len()), (vec![(i as u64, Answer::Gone)], 0), "{hostile:?}");
        }
        spring.ask(at(1), Some(0), Op::Create { id: (*hostile).into(), principal: None, attributes: vec![] });
        let out = take(&mut spring);
        assert_eq!((out.answers, out.commands.len()), (vec![(0, Answer::Lost)], 0));
    }
}

#[test]
fn r10_without_a_connection_all_is_lost_at_once() {
    let mut spring = Spring::new(indexed(), TIMES, LIMITS, [1; 16], at(0));
    spring.ask(at(0), Some(1), load("a"));
    assert_eq!(take(&mut spring).answers, [(1, Answer::Lost)]);
    let mut spring = ready(indexed());
    spring.ask(at(0), Some(1), load("a"));
    spring.ask(at(0), Some(2), touch("b"));
    spring.disconnected(at(1), Connection::Commands);
    spring.ask(at(1), Some(3), check("c"));
    let mut answers = take(&mut spring).answers;
    answers.sort_by_key(|(token, _)| *token);
    assert_eq!(answers, [(1, Answer::Lost), (2, Answer::Lost), (3, Answer::Lost)]);
    assert_eq!((spring.pending(), spring.calls.len()), (0, 0));
}

#[test]
fn r09_a_reply_that_comes_too_late_reaches_nobody() {
    let mut spring = ready(indexed());
    spring.ask(at(0), Some(1), check("a"));
    let out = take(&mut spring);
    let call = out.commands[0].0.expect("a call");
    assert!(spring.next_deadline().is_some_and(|due| due <= at(2_000)));
    spring.tick(at(1_999));
    assert_eq!(take(&mut spring).answers, []);
    spring.tick(at(2_016));
    let out = take(&mut spring);
    assert_eq!((out.answers, out.alarms), (vec![(1, Answer::Lost)], vec![AlarmKind::Silent]));
    let gone = [Item::Int(5), Item::Bulk(b"none"), Item::Int(-2), Item::Int(-2)];
    spring.reply(at(2_100), call, Reply::List(&gone));
    spring.reply(at(2_100), call, Reply::List(&gone));
    let out = take(&mut spring);
    assert_eq!((out.answers.len(), out.commands.len(), spring.calls.len()), (0, 0, 0));
}

#[test]
fn r12_what_is_under_way_is_bounded_and_the_rest_waits() {
    let mut spring = ready(indexed());
    for i in 0..16 * 32 {
        spring.ask(at(0), Some(i), check(&alloc::format!("s{i}")));
    }
    let out = take(&mut spring);
    assert_eq!((out.commands.len(), out.answers.len()), (16, 0));
    // One beyond what is kept.
    spring.ask(at(0), Some(9_999), check("more"));
    let out = take(&mut spring);
    assert_eq!((out.answers, out.alarms), (vec![(9_999, Answer::Lost)], vec![AlarmKind::Overload]));
    // A handshake goes before them once there is room.
    spring.disconnected(at(0), Connection::Notices);
    let mut spring = ready(indexed());
    for i in 0..20 {
        spring.ask(at(0), Some(i), check(&alloc::format!("s{i}")));
    }
    spring.ask(at(0), Some(100), load("urgent"));
    let out = take(&mut spring);
    let call = out.commands[0].0.expect("a call");
    let over = [Item::Int(5), Item::Bulk(b"string"), Item::Int(-1), Item::Int(-2)];
    spring.reply(at(1), call, Reply::List(&over));
    let out = take(&mut spring);
    assert_eq!(out.answers, [(0, Answer::Gone)]);
    assert!(out.commands.len() == 1 && out.commands[0].2.iter().any(|arg| arg.ends_with("sessions:urgent")));
}

#[test]
fn r09_a_reply_that_is_read_too_late_is_lost_whether_or_not_its_timer_has_fired() {
    let now = 1_795_359_300_000;
    let (long, max) = (values::write_long(values::Form::Java, now), values::write_integer(values::Form::Java, 60));
    let alive = Answer::Alive { ttl_ms: Some(60_000), record: None };
    for (late_ms, expected) in [(TIMES.reply_ms - 1, alive), (TIMES.reply_ms, Answer::Lost)] {
        let mut spring = ready(indexed());
        spring.ask(at(10), Some(1), check("a"));
        let call = take(&mut spring).commands[0].0.expect("a call");
        let [long, max] = [Item::Bulk(&long), Item::Bulk(&max)];
        let items = [Item::Int(now), Item::Bulk(b"hash"), Item::Int(360_000), Item::Int(60_000), long, long, max];
        spring.reply(at(10 + late_ms), call, Reply::List(&items));
        assert_eq!(take(&mut spring).answers, [(1, expected)], "{late_ms} ms after the question");
    }
}

/// A touch whose look is answered late tells of the activity all the same: Redis took the time when it looked.
#[test]
fn t06_a_touch_is_not_older_for_replies_that_take_long() {
    let now = 1_795_359_300_000;
    let max = values::write_integer(values::Form::Java, 60);
    let last = values::write_long(values::Form::Java, now - 500);
    let facts = |last: &'static [u8], max: &'static [u8]| {
        [
            Item::Int(now),
            Item::Bulk(b"hash"),
            Item::Int(360_000),
            Item::Int(-3),
            Item::Bulk(last),
            Item::Bulk(last),
            Item::Bulk(max),
        ]
    };
    let (last, max): (&'static [u8], &'static [u8]) = (last.leak(), max.leak());
    // On a Cluster, key by key.
    let mut spring = ready(Config { cluster: true, ..indexed() });
    spring.ask(at(10), Some(1), touch("a"));
    for (call, _, args) in take(&mut spring).commands {
        let call = call.expect("each is answered");
        match &*args[0] {
            "PTTL" => spring.reply(at(1_510), call, Reply::Int(59_500)),
            "ZRANGE" => spring.reply(at(1_510), call, Reply::List(&[])),
            _ => spring.reply(at(1_510), call, Reply::List(&facts(last, max))),
        }
    }
    let out = take(&mut spring);
    assert_eq!((out.answers, out.commands.len()), (vec![], 1));
    assert!(out.commands[0].2.iter().any(|arg| arg == "58500"), "it lives until 60 s after the activity");
    // In a transaction.
    let mut spring = ready(Config { scripts: false, ..indexed() });
    spring.connected(at(0), Connection::Transactions);
    take(&mut spring);
    spring.ask(at(10), Some(1), touch("a"));
    for (call, _, args) in take(&mut spring).commands {
        let Some(call) = call else { continue };
        match &*args[0] {
            "TIME" => spring.reply(at(1_510), call, Reply::List(&[Item::Int(now / 1_000), Item::Int(0)])),
            "TYPE" => spring.reply(at(1_510), call, Reply::Bulk(b"hash")),
            "HMGET" => {
                spring.reply(at(1_510), call, Reply::List(&[Item::Bulk(last), Item::Bulk(last), Item::Bulk(max)]));
            }
            "PTTL" => spring.reply(at(1_510), call, Reply::Int(59_500)),
            "ZRANGE" => spring.reply(at(1_510), call, Reply::List(&[])),
            _ => spring.reply(at(1_510), call, Reply::Bulk(b"OK")),
        }
    }
    let out = take(&mut spring);
    let set = out.commands.iter().find(|(_, _, args)| args[0] == "HSET").expect("it is told of");
    let told = values::write_long(values::Form::Java, now);
    assert_eq!(set.2[3], String::from_utf8_lossy(&told));
    let lives = out.commands.iter().find(|(_, _, args)| args[0] == "PEXPIRE" && args[1].contains(":expires:"));
    assert_eq!(lives.expect("it lives as long as it says").2[2], "59500", "never less than it had");
}

#[test]
fn r17_replies_over_a_limit_or_of_another_shape_are_lost_and_never_an_end() {
    let long = vec![b'x'; 1_025];
    let many = [Item::Nil; 65];
    let fine = [Item::Int(5), Item::Bulk(b"none"), Item::Int(-2), Item::Int(-2)];
    for (reply, kind) in [
        (Reply::Bulk(&long), AlarmKind::Shape),
        (Reply::List(&[Item::Bulk(&long)]), AlarmKind::Shape),
        (Reply::List(&many), AlarmKind::Shape),
        (Reply::Nil, AlarmKind::Shape),
        (Reply::Int(0), AlarmKind::Shape),
        (Reply::Bulk(b"none"), AlarmKind::Shape),
        (Reply::List(&[]), AlarmKind::Shape),
        (Reply::List(&fine[..3]), AlarmKind::Shape),
        (Reply::List(&[Item::Bulk(b"x"), Item::Bulk(b"hash"), Item::Int(1), Item::Int(1)]), AlarmKind::Shape),
        (Reply::Error(b"WRONGTYPE Operation against a key"), AlarmKind::WrongType),
        (Reply::Error(b"LOADING Redis is loading"), AlarmKind::NotReady),
        (Reply::Error(b"MOVED 1 127.0.0.1:1"), AlarmKind::Moved),
        (Reply::Error(b""), AlarmKind::Refused),
    ] {
        for op in [check("a"), load("a"), touch("a"), Op::End { id: "a".into() }] {
            let mut spring = ready(indexed());
            spring.ask(at(1), Some(1), op);
            let call = take(&mut spring).commands[0].0.expect("a call");
            spring.reply(at(2), call, reply);
            let out = take(&mut spring);
            assert_eq!((out.answers, out.alarms), (vec![(1, Answer::Lost)], vec![kind]), "{reply:?}");
        }
    }
    // At the limit.
    let mut spring = ready(Config { attributes: vec![], ..indexed() });
    spring.ask(at(1), Some(1), load("a"));
    let call = take(&mut spring).commands[0].0.expect("a call");
    let (now, value) =
        (values::write_long(values::Form::Java, 5), values::write_text(values::Form::Java, &"x".repeat(1_017)));
    let max = values::write_integer(values::Form::Java, 60);
    let head = [Item::Int(5), Item::Bulk(b"hash"), Item::Int(360_000), Item::Int(7)];
    let rest = [Item::Bulk(&now), Item::Bulk(&now), Item::Bulk(&max), Item::Bulk(&value), Item::Nil];
    spring.reply(at(2), call, Reply::List(&[&head[..], &rest].concat()));
    let out = take(&mut spring);
    let Answer::Alive { ttl_ms: Some(7), record: Some(record) } = &out.answers[0].1 else { panic!("{out:?}") };
    assert_eq!(record.principal.as_ref().map(|name| name.len()), Some(1_017));
}

#[test]
fn what_waits_for_an_echo_that_never_comes_is_answered_and_the_notices_count_as_lost() {
    let mut spring = ready(indexed());
    spring.ask(at(1), Some(1), check("a"));
    let call = take(&mut spring).commands[0].0.expect("a call");
    let gone = [Item::Int(5), Item::Bulk(b"none"), Item::Int(-2), Item::Int(-2)];
    spring.reply(at(2), call, Reply::List(&gone));
    let out = take(&mut spring);
    assert_eq!((out.answers.len(), out.commands[0].2[0].as_str()), (0, "PUBLISH"));
    // Somebody else's message, and an old one.
    let channel = spring.keys.echo.clone();
    spring.notification(at(3), 0, channel.as_bytes(), b"1");
    spring.notification(at(3), 0, b"elsewhere", out.commands[0].2[2].as_bytes());
    assert_eq!(take(&mut spring).answers, []);
    spring.tick(at(2_003));
    let out = take(&mut spring);
    assert_eq!((out.answers, out.notices), (vec![(1, Answer::Vanished)], vec![false]));
    assert!(out.alarms.contains(&AlarmKind::NoEcho) && out.commands.iter().any(|(_, _, args)| args[0] == "PUBLISH"));
    // It delivers again.
    let number = spring.link_echo_number();
    spring.notification(at(2_010), 0, channel.as_bytes(), number.as_bytes());
    assert_eq!(take(&mut spring).notices, [true]);
}

#[test]
fn a_notice_of_somebody_else_costs_nothing() {
    let mut spring = ready(indexed());
    for i in 0..1_000 {
        let key = alloc::format!("spring:session:sessions:expires:{i}");
        let heard = spring.notification(at(1), 0, b"__keyevent@0__:expired", key.as_bytes());
        assert_eq!(heard, Some(Heard::Expired(&i.to_string())));
    }
    assert!(spring.poll().is_none() && spring.pending() == 0);
}

#[test]
fn both_halves_of_a_rename_have_to_follow_each_other_on_one_node() {
    let mut spring = ready(indexed());
    let mut hear = |node, event: &str, key: &str| {
        let channel = alloc::format!("__keyevent@0__:{event}");
        let key = alloc::format!("spring:session:sessions:{key}");
        match spring.notification(at(1), node, channel.as_bytes(), key.as_bytes()) {
            Some(Heard::Renamed { from, to }) => alloc::format!("{from} {to}"),
            Some(Heard::Deleted(id)) => alloc::format!("deleted {id}"),
            Some(Heard::Expired(id)) => alloc::format!("expired {id}"),
            None => String::new(),
        }
    };
    assert_eq!(hear(0, "rename_from", "a"), "deleted a");
    assert_eq!(hear(0, "rename_to", "b"), "a b");
    assert_eq!(hear(0, "rename_to", "c"), "");
    hear(0, "rename_from", "a");
    assert_eq!(hear(0, "expired", "expires:x"), "expired x");
    assert_eq!(hear(0, "rename_to", "b"), "");
    hear(1, "rename_from", "a");
    assert_eq!(hear(2, "rename_to", "b"), "");
    hear(0, "rename_from", "expires:a");
    assert_eq!(hear(0, "rename_to", "expires:b"), "");
}

#[test]
fn an_attribute_that_is_no_text_is_not_written() {
    let mut spring = ready(indexed());
    let attributes = vec![("x".into(), Bytes::from_static(b"\xff"))];
    spring.ask(at(1), Some(1), Op::Create { id: "a".into(), principal: None, attributes });
    let call = take(&mut spring).commands[0].0.expect("the clock");
    spring.reply(at(2), call, Reply::List(&[Item::Bulk(b"1795359300"), Item::Bulk(b"5")]));
    let out = take(&mut spring);
    assert_eq!((out.answers, out.alarms), (vec![(1, Answer::Lost)], vec![AlarmKind::Unwritable]));
}

/// A transaction that is given up never mixes with the next one.
#[test]
fn transactions_take_turns() {
    let mut spring = ready(Config { scripts: false, ..indexed() });
    spring.ask(at(0), Some(1), touch("a"));
    spring.ask(at(0), Some(2), touch("b"));
    let out = take(&mut spring);
    assert!(out.commands.iter().all(|(_, connection, _)| *connection == Connection::Transactions));
    assert!(!out.commands.iter().any(|(_, _, args)| args.iter().any(|arg| arg.ends_with(":b"))));
    // The first one is not answered in time: it lets go.
    spring.tick(at(2_016));
    let out = take(&mut spring);
    let names: Vec<&str> = out.commands.iter().map(|(_, _, args)| args[0].as_str()).collect();
    assert_eq!(names[..2], ["UNWATCH", "WATCH"]);
    assert_eq!(out.answers[0], (1, Answer::Lost));
}

/// Who waits while others are being answered has no word against the store.
#[test]
fn r09_only_time_on_the_wire_counts_as_silence() {
    let mut spring = ready(Config { scripts: false, ..indexed() });
    for token in 0..20 {
        spring.ask(at(0), Some(token), touch(&alloc::format!("s{token}")));
    }
    spring.ask(at(0), Some(100), Op::End { id: "urgent".into() });
    let mut out = take(&mut spring);
    // Each takes 1.9 s; a page is not behind the renewals.
    for (turn, token) in [0, 100, 1, 2, 3, 4].into_iter().enumerate() {
        let now = at(1_900 * (turn as u64 + 1));
        spring.tick(now);
        answer_transaction(&mut spring, now, &out);
        out = take(&mut spring);
        if token == 100 {
            // It had something to write: MULTI and EXEC.
            answer_transaction(&mut spring, now, &out);
            let more = take(&mut spring);
            assert_eq!(more.answers, [(100, Answer::Gone)]);
            out = more;
        }
        assert_eq!(out.alarms, [], "{token}");
        assert!(
            (0..spring.works.capacity())
                .filter_map(|slot| spring.works.slot(slot))
                .all(|work| work.stage != Stage::Turn || work.due == at(30_000))
        );
    }
    // That has a bound of its own.
    spring.disconnected(at(29_000), Connection::Transactions);
    let lost = take(&mut spring).answers.len();
    spring.tick(at(30_016));
    let out = take(&mut spring);
    assert!(out.alarms.contains(&AlarmKind::Overload), "{out:?}");
    assert!(out.answers.iter().all(|(_, answer)| *answer == Answer::Lost) && lost + out.answers.len() > 10);
}

/// Each session has ended.
fn answer_transaction(spring: &mut Spring, now: Instant, out: &Out) {
    for (call, _, args) in &out.commands {
        let Some(call) = *call else { continue };
        match args[0].as_str() {
            "TIME" => spring.reply(now, call, Reply::List(&[Item::Bulk(b"1795359300"), Item::Bulk(b"1")])),
            "TYPE" => spring.reply(now, call, Reply::Bulk(b"hash")),
            "HMGET" => {
                let mut items = vec![Item::Nil; args.len() - 2];
                items[..3].copy_from_slice(&[Item::Bulk(b"1"), Item::Bulk(b"1"), Item::Bulk(b"0")]);
                spring.reply(now, call, Reply::List(&items));
            }
            "PTTL" => spring.reply(now, call, Reply::Int(-2)),
            "ZRANGE" => spring.reply(now, call, Reply::List(&[])),
            "EXEC" => spring.reply(now, call, Reply::List(&[Item::Int(0)])),
            "MULTI" | "ZREM" | "SREM" | "DEL" => spring.reply(now, call, Reply::Bulk(b"QUEUED")),
            other => panic!("{other}"),
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let id = "[abc]";
    prop_oneof![
        id.prop_map(|id| load(&id)),
        id.prop_map(|id| check(&id)),
        id.prop_map(|id| touch(&id)),
        id.prop_map(|id| Op::End { id: id.into() }),
        id.prop_map(|id| Op::Create { id: id.into(), principal: Some("rob".into()), attributes: vec![] }),
        id.prop_map(|id| Op::Rename { from: id.into(), to: "z".into(), principal: None, attributes: vec![] }),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Ask(Op),
    Reply(u8, u8),
    Hear(u8, String),
    Up(u8, bool),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => op().prop_map(Step::Ask),
        20 => (any::<u8>(), any::<u8>()).prop_map(|(which, what)| Step::Reply(which, what)),
        2 => (0..6_u8, "(expires:)?[abc:]{0,2}").prop_map(|(event, key)| Step::Hear(event, key)),
        1 => (0..3_u8, any::<bool>()).prop_map(|(connection, up)| Step::Up(connection, up)),
        3 => (0..3_000_u16).prop_map(Step::Wait),
    ]
}

/// Replies right and wrong, for whatever was asked.
fn replies() -> Vec<Vec<Item<'static>>> {
    const JAVA: &[u8] = b"1795359300000";
    let facts = |kind: &'static [u8], hash, shadow| {
        vec![Item::Int(1_795_359_300_500), Item::Bulk(kind), Item::Int(hash), Item::Int(shadow)]
    };
    let values = |max: &'static [u8]| vec![Item::Bulk(JAVA), Item::Bulk(JAVA), Item::Bulk(max)];
    let with = |mut list: Vec<Item<'static>>, more: &[Item<'static>]| {
        list.extend_from_slice(more);
        list
    };
    let whole =
        |max, hash, shadow, more: &[Item<'static>]| with(with(facts(b"hash", hash, shadow), &values(max)), more);
    vec![
        facts(b"none", -2, -2),
        facts(b"string", -1, -2),
        whole(b"60", 360_000, 60_000, &[]),
        whole(b"60", 360_000, -2, &[]),
        whole(b"60", 59_500, -2, &[]),
        whole(b"60", 360_000, 60_000, &[Item::Int(60_000)]),
        whole(b"-1", -1, -2, &[Item::Int(-1)]),
        whole(b"60", 360_000, 60_000, &[Item::Nil, Item::Nil, Item::Nil]),
        whole(b"0", 300_000, -2, &[Item::Bulk(b"\"rob\""), Item::Int(9_999), Item::Nil]),
        with(values(b"60"), &[Item::Nil, Item::Nil, Item::Nil]),
        values(b"60"),
        vec![Item::Bulk(b"1795359300"), Item::Bulk(b"1")],
        vec![Item::Bulk(b"x"), Item::Bulk(b"gxE")],
        vec![Item::Bulk(b"expires:a"), Item::Bulk(b"\xff")],
        vec![Item::Int(1), Item::Int(0)],
        vec![],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes back, in whatever order: no panic, each question is answered exactly once, and nothing is left.
    #[test]
    fn every_question_is_answered_once(
        steps in proptest::collection::vec(step(), 0..120),
        layout in prop_oneof![Just(Layout::Detect), Just(Layout::Indexed), Just(Layout::Plain)],
        (scripts, cluster, cleanup, fence) in any::<(bool, bool, bool, bool)>(),
    ) {
        let config = Config { layout, scripts, cluster, cleanup, ..Config::default() };
        let mut spring = machine(config);
        if fence {
            stand_somehow(&mut spring);
        }
        let lists = replies();
        let errors: [&[u8]; 5] = [b"NOSCRIPT x", b"NOPERM no 'evalsha'", b"LOADING x", b"WRONGTYPE x", b"ERR x"];
        let (mut now, mut token) = (0, 0);
        let mut open: Vec<CallId> = Vec::new();
        let mut answered: BTreeMap<u64, u32> = BTreeMap::new();
        let connections = [Connection::Commands, Connection::Notices, Connection::Transactions];
        for step in steps {
            match step {
                Step::Ask(op) => {
                    token += 1;
                    spring.ask(at(now), Some(token), op);
                }
                Step::Reply(which, what) if !open.is_empty() => {
                    let call = open.remove(usize::from(which) % open.len());
                    let what = usize::from(what);
                    let reply = match what % 24 {
                        list @ 0..16 => Reply::List(&lists[list]),
                        16 => Reply::Nil,
                        17 => Reply::Int((what / 24) as i64 - 2),
                        18 => Reply::Bulk(b"hash"),
                        19 => Reply::Bulk(b"none"),
                        20 => Reply::Bulk(b"OK"),
                        21 => Reply::Lost,
                        _ => Reply::Error(errors[what % errors.len()]),
                    };
                    spring.reply(at(now), call, reply);
                }
                Step::Reply(..) => {}
                Step::Hear(event, key) => {
                    let key = alloc::format!("spring:session:sessions:{key}");
                    let (channel, payload) = match Keyevent::ALL.get(usize::from(event)) {
                        Some(event) => (crate::redis::keyevent_channel(0, *event), key),
                        None => (spring.keys.echo.clone(), spring.link_echo_number()),
                    };
                    spring.notification(at(now), 0, channel.as_bytes(), payload.as_bytes());
                }
                Step::Up(connection, up) => {
                    let connection = connections[usize::from(connection)];
                    if up { spring.connected(at(now), connection) } else { spring.disconnected(at(now), connection) }
                }
                Step::Wait(ms) => {
                    now += u64::from(ms);
                    spring.tick(at(now));
                }
            }
            let out = take(&mut spring);
            open.extend(out.commands.iter().filter_map(|(call, _, _)| *call));
            for (token, _) in out.answers {
                *answered.entry(token).or_default() += 1;
            }
            prop_assert!(spring.calls.len() < 16 + 32 + Script::ALL.len() * 40);
        }
        for connection in connections {
            spring.disconnected(at(now), connection);
        }
        for (token, _) in take(&mut spring).answers {
            *answered.entry(token).or_default() += 1;
        }
        prop_assert_eq!(answered.len() as u64, token);
        prop_assert!(answered.values().all(|times| *times == 1), "{:?}", answered);
        prop_assert_eq!((spring.pending(), spring.calls.len()), (0, 0));
    }
}

/// As far as what was asked for lets it.
fn stand_somehow(spring: &mut Spring) {
    for _ in 0..4 {
        for (call, _, args) in take(spring).commands {
            let Some(call) = call else { continue };
            match args[0].as_str() {
                "CONFIG" => spring.reply(at(0), call, Reply::List(&[Item::Bulk(b"x"), Item::Bulk(b"AKE")])),
                "PUBLISH" => {
                    let channel = spring.keys.echo.clone();
                    spring.notification(at(0), 0, channel.as_bytes(), args[2].as_bytes());
                }
                "SUBSCRIBE" => spring.reply(at(0), call, Reply::Bulk(b"OK")),
                _ => {}
            }
        }
    }
}

impl Spring {
    /// What the echo that is awaited says.
    fn link_echo_number(&self) -> String {
        self.link.echo_number().to_string()
    }
}
