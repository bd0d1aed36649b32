//! The seeds of `hub_ops`, as what they are: `SEEDS=write cargo test --test seeds` writes them anew after a change.

use std::fs;
use std::path::Path;

use tethered_fuzz::hub_ops::{Bytes, Op, Setup, Stomp, encode};

#[test]
fn seeds_are_what_they_are_called() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/hub_ops");
    for (name, setup, ops) in seeds() {
        let (path, bytes) = (folder.join(name), encode(&setup, &ops));
        if std::env::var_os("SEEDS").is_some() {
            fs::write(&path, &bytes).expect("a folder that can be written to");
        }
        assert_eq!(fs::read(&path).ok(), Some(bytes), "{name}: write it with SEEDS=write");
    }
}

type Seed = (&'static str, Setup, Vec<Op>);

fn seeds() -> Vec<Seed> {
    let mut seeds = conversations();
    seeds.extend(faults());
    seeds
}

/// What a hub is for.
fn conversations() -> Vec<Seed> {
    vec![
        (
            "chat",
            MEMORY,
            [chat(), vec![say(send(0, 5)), publish(0, 3), say(Stomp::Disconnect { receipt: 1 })]].concat(),
        ),
        ("chat_with_the_store_outside", OUTSIDE, [chat(), vec![say(send(0, 5)), publish(0, 3), wait(900)]].concat()),
        (
            "the_session_runs_out",
            MEMORY,
            [chat(), vec![wait(3_900), publish(0, 1), wait(200), say(send(0, 1))]].concat(),
        ),
        ("messages_renew", MEMORY, [chat(), (0..5).flat_map(|_| [wait(2_000), say(send(1, 1))]).collect()].concat()),
        ("a_logout_ends_all_sockets", MEMORY, [chat(), vec![OPEN, request(0), respond(67, 2), publish(0, 1)]].concat()),
        (
            "a_login_renames_the_session",
            MEMORY,
            [chat(), vec![OPEN, request(0), respond(68, 3), publish(0, 1)]].concat(),
        ),
        ("a_slow_reader", MEMORY, [chat(), vec![stall(3), publish(0, 60), publish(0, 70), wait(2_500)]].concat()),
        ("receipts_wait_for_the_application", MEMORY, receipts()),
        ("heart_beats", Setup { beats: true, ..MEMORY }, vec![LOGIN, enter(0), connect(3), wait(1_900), wait(900)]),
        ("frames_in_pieces", MEMORY, pieces()),
        ("requests_behind_each_other", MEMORY, vec![OPEN, request(20), request(0), respond(67, 0), respond(68, 0)]),
        ("drain", MEMORY, [chat(), vec![OPEN, stall(1), publish(0, 9), Op::Drain {}, OPEN, wait(3_000)]].concat()),
        ("notices_are_lost_and_come_back", OUTSIDE, notices()),
        ("wrong_and_stale_answers", OUTSIDE, wrong_answers()),
        ("patterns_and_users", Setup { sample: true, ..MEMORY }, patterns()),
    ]
}

/// What once went wrong.
fn faults() -> Vec<Seed> {
    let (beats, paced) = (Setup { beats: true, touchy: true, ..MEMORY }, Setup { paced: true, ..MEMORY });
    vec![
        ("the_101_before_a_violation", MEMORY, vec![busy(true), enter(1), bulk(255), busy(false)]),
        ("a_write_told_before_the_doubt", OUTSIDE, doubt()),
        ("a_write_told_before_the_drop", paced, dropped()),
        ("a_heart_beat_after_the_deadline", beats, vec![LOGIN, enter(0), connect(1), Op::Jump { ms: 4_682 }]),
        ("one_close_a_second", paced, vec![LOGIN, enter(0), enter(2), enter(2), wait(9_000)]),
        ("what_is_kept_after_the_drop", Setup { paced: true, ..OUTSIDE }, kept()),
    ]
}

fn chat() -> Vec<Op> {
    let subscribe = |destination| say(Stomp::Subscribe { id: destination, destination, receipt: 1 });
    vec![LOGIN, enter(0), connect(0), subscribe(0), subscribe(2)]
}

fn receipts() -> Vec<Op> {
    let application = |receipt| say(Stomp::Send { destination: 1, blocks: 1, receipt });
    let reply = Op::Reply { client: 0, destination: 1, blocks: 2 };
    let subscribe = say(Stomp::Subscribe { id: 1, destination: 1, receipt: 9 });
    let poll = Op::Poll { count: 1 };
    let mut ops = chat();
    ops.extend([busy(true), application(1), application(2), subscribe, say(send(0, 1))]);
    ops.extend([poll.clone(), publish(0, 1), poll.clone(), reply, poll, busy(false)]);
    ops
}

fn pieces() -> Vec<Op> {
    let frame = |first, payload: &[u8]| Op::Frame { socket: 255, first, payload: Bytes(payload.to_vec()), cut: 1 };
    let part = |bytes: &[u8]| say(Stomp::Part { bytes: Bytes(bytes.to_vec()) });
    let mut ops = chat();
    ops.extend([part(b"SEND\ndestination:/topic"), part(b"/a\n\nhal"), part(b"f\0SEND\n")]);
    ops.extend([frame(0x01, b"destination:/topic/a\n"), frame(0x89, b"ping"), frame(0x80, b"\nx\0")]);
    ops.extend([frame(0x8a, b""), frame(0x88, b"\x03\xe8bye")]);
    ops
}

fn notices() -> Vec<Op> {
    let notices = |on| Op::Notices { on };
    let mut ops = chat();
    ops.extend([notices(false), wait(1_500), befall(0, false), wait(900), notices(true), wait(1_500)]);
    ops.extend([LOGIN, enter(0), connect(0), befall(2, true), say(send(0, 1)), befall(0, true), wait(300)]);
    ops
}

fn wrong_answers() -> Vec<Op> {
    let mut ops = chat();
    ops.extend([Op::Slow { on: true }, wait(400), say(send(0, 1)), Op::Notice { session: 0, kind: 0, to: 1 }]);
    ops.extend([say(send(0, 1)), answer(7), answer(5), answer(6), Op::Stale { raw: 0, how: 4 }]);
    ops.extend([enter(0), Op::Poll { count: 9 }, answer(4), wait(6_000)]);
    ops
}

fn patterns() -> Vec<Op> {
    let subscribe = |id, destination| say(Stomp::Subscribe { id, destination, receipt: 0 });
    let mut ops = chat();
    ops.extend([subscribe(3, 8), publish(8, 1), say(Stomp::Unsubscribe { id: 0, receipt: 3 }), publish(0, 1)]);
    ops.extend([Op::PublishUser { user: 0, destination: 0, blocks: 3 }, subscribe(4, 7)]);
    ops
}

/// The answer to a handshake is announced, and nobody comes for it until the session is in doubt.
fn doubt() -> Vec<Op> {
    let mut ops = vec![LOGIN, Op::Slow { on: true }, busy(true), enter(0), Op::Poll { count: 3 }];
    ops.extend([answer(0), befall(0, true), wait(1_000), busy(false)]);
    ops
}

/// Output is announced, and dropped before somebody comes for it; the Close waits for its turn.
fn dropped() -> Vec<Op> {
    let send = |client| Op::Send { client, blocks: 60, binary: true };
    let end = |index| Op::End { who: 0, index, cause: 1 };
    vec![enter(1), enter(1), busy(true), send(0), send(1), end(0), end(1), busy(false)]
}

/// The answer to a handshake is kept when the session ends, and the Close waits for its turn.
fn kept() -> Vec<Op> {
    let enter = |endpoint, session| Op::Enter { address: 0, endpoint, session };
    let befall = |session| Op::Befall { session, what: 0, notice: true };
    let answer = |call, how| Op::Answer { call, how };
    let mut ops = vec![LOGIN, Op::Login { user: 1 }, Op::Slow { on: true }, enter(0, 3), enter(2, 3)];
    ops.extend([answer(4, 7), answer(149, 0), answer(113, 4), befall(0), enter(0, 2), enter(2, 0)]);
    ops.extend([Op::Login { user: 2 }, answer(58, 0), busy(true), answer(190, 0), befall(2), busy(false)]);
    ops
}

fn say(frame: Stomp) -> Op {
    Op::Say { socket: 255, frame, cut: 0 }
}

fn send(destination: u8, blocks: u8) -> Stomp {
    Stomp::Send { destination, blocks, receipt: 0 }
}

fn connect(beat: u8) -> Op {
    say(Stomp::Connect { version: 0, beat })
}

fn enter(endpoint: u8) -> Op {
    Op::Enter { address: 0, endpoint, session: 0 }
}

fn publish(destination: u8, blocks: u8) -> Op {
    Op::Publish { destination, blocks, binary: false }
}

fn request(page: u8) -> Op {
    Op::Request { socket: 255, page, session: 0, body: 0, cut: 0 }
}

/// The status is three times the number.
fn respond(status: u8, change: u8) -> Op {
    Op::Respond { socket: 255, status, change, user: 1 }
}

fn bulk(blocks: u8) -> Op {
    Op::Bulk { socket: 255, blocks, binary: true, cut: 0 }
}

fn stall(blocks: u8) -> Op {
    Op::Stall { socket: 255, blocks }
}

fn befall(what: u8, notice: bool) -> Op {
    Op::Befall { session: 0, what, notice }
}

/// The answer to the oldest question: see `wrong` for what is wrong with those from 4 on.
fn answer(how: u8) -> Op {
    Op::Answer { call: 0, how }
}

fn wait(ms: u16) -> Op {
    Op::Wait { ms }
}

fn busy(on: bool) -> Op {
    Op::Busy { on }
}

const LOGIN: Op = Op::Login { user: 0 };
const OPEN: Op = Op::Open { address: 1, secure: false };
const MEMORY: Setup = Setup {
    external: false,
    rated: false,
    beats: false,
    touchy: false,
    paced: false,
    sample: false,
    proxied: false,
    renews: false,
    total: 9,
};
const OUTSIDE: Setup = Setup { external: true, ..MEMORY };
