//! `hub_ops` with conversations that mostly make sense, which bytes seldom do. What fails is told as short as it fails.
//!
//! `CONVERSATIONS=from..to cargo test --release --test conversations -- --nocapture` runs others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tethered_fuzz::hub_ops::{Bytes, Op, Setup, Stomp, encode, run};

#[test]
fn conversations() {
    for seed in range() {
        let (setup, ops) = Talk::new(seed).conversation();
        if fails(&setup, &ops) {
            let ops = shorter(&setup, ops);
            for op in &ops {
                println!("{op:?}");
            }
            println!("conversation {seed}, {setup:?}");
            run(&encode(&setup, &ops));
        }
    }
}

fn range() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("CONVERSATIONS") else { return 0..200 };
    let (from, to) = text.split_once("..").expect("CONVERSATIONS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn fails(setup: &Setup, ops: &[Op]) -> bool {
    let bytes = encode(setup, ops);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failed = catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err();
    std::panic::set_hook(hook);
    failed
}

/// Leaves out whatever is not needed to fail.
fn shorter(setup: &Setup, mut ops: Vec<Op>) -> Vec<Op> {
    for at in (0..ops.len()).rev() {
        let mut less = ops.clone();
        less.remove(at);
        if fails(setup, &less) {
            ops = less;
        }
    }
    ops
}

/// Makes conversations; the same for the same seed.
struct Talk(u64);

impl Talk {
    fn new(seed: u64) -> Self {
        let mut talk = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            talk.next();
        }
        talk
    }

    fn conversation(&mut self) -> (Setup, Vec<Op>) {
        let setup = Setup {
            external: self.one_in(2),
            rated: self.one_in(6),
            beats: self.one_in(4),
            touchy: self.one_in(3),
            paced: self.one_in(6),
            sample: self.one_in(4),
            proxied: self.one_in(4),
            renews: self.one_in(4),
            total: if self.one_in(4) { self.below(16) } else { 9 },
        };
        let (calm, count) = (self.one_in(2), self.below(200));
        let mut ops = vec![Op::Login { user: 0 }, Op::Login { user: 1 }];
        for _ in 0..count {
            let next = self.ops();
            if !(calm && next.iter().any(is_wild)) || self.one_in(8) {
                ops.extend(next);
            }
        }
        (setup, ops)
    }

    fn ops(&mut self) -> Vec<Op> {
        let (socket, cut) = (self.any(), self.cut());
        let op = match self.below(60) {
            0 => Op::Open { address: self.few(), secure: self.one_in(4) },
            1 => Op::Login { user: self.few() },
            2..5 => return self.enter(),
            5 => return self.subscribe(socket),
            6 => Op::Handshake { socket, endpoint: self.few(), session: self.few(), flaw: self.any(), cut },
            7..9 => {
                let body = if self.one_in(2) { 0 } else { self.any() };
                Op::Request { socket, page: self.any(), session: self.few(), body, cut }
            }
            9..20 => Op::Say { socket, frame: self.stomp(), cut },
            20 => {
                let first = self.among(&[0x81, 1, 0, 0x80, 2, 0x82, 0x88, 0x89, 0x8a, 0xc1]);
                Op::Frame { socket, first, payload: self.bytes(), cut }
            }
            21 => Op::Bulk { socket, blocks: self.below(70), binary: self.one_in(2), cut },
            22 => Op::Raw { socket, bytes: self.bytes(), cut },
            23..25 => Op::Stall { socket, blocks: self.below(8) },
            25..27 => Op::Unstall { socket },
            27 => Op::Exaggerate { socket },
            28 => Op::HangUp { socket },
            29..32 => Op::Wait { ms: self.ms() },
            32..34 => Op::Jump { ms: self.ms() },
            34 => Op::GoBack { ms: self.ms() },
            35..38 => Op::Busy { on: self.one_in(3) },
            38 => Op::Poll { count: self.below(4) },
            _ => self.answer(socket),
        };
        vec![op]
    }

    /// What store and application do.
    fn answer(&mut self, socket: u8) -> Op {
        match self.below(21) {
            0 => Op::Slow { on: self.one_in(2) },
            1..4 => Op::Answer { call: self.any(), how: self.any() },
            4 => Op::Stale { raw: self.any(), how: self.any() },
            5 => Op::Befall { session: self.few(), what: self.any(), notice: self.one_in(2) },
            6 => Op::Notice { session: self.few(), kind: self.any(), to: self.any() },
            7 => Op::Notices { on: self.one_in(2) },
            8..12 => Op::Publish { destination: self.destination(), blocks: self.any(), binary: self.one_in(3) },
            12..14 => Op::PublishUser { user: self.few(), destination: self.few(), blocks: self.any() },
            14 => Op::Reply { client: self.any(), destination: self.few(), blocks: self.any() },
            15 => Op::Send { client: self.any(), blocks: self.any(), binary: self.one_in(2) },
            16 => Op::Activity { client: self.any() },
            17..19 => Op::Respond { socket, status: 67 + self.below(4), change: self.any(), user: self.few() },
            19 if self.one_in(3) => Op::End { who: self.any(), index: self.few(), cause: self.any() },
            20 if self.one_in(10) => Op::Drain {},
            _ => Op::Wait { ms: self.ms() },
        }
    }

    fn enter(&mut self) -> Vec<Op> {
        let endpoint = self.among(&[0, 0, 3, 3, 1, 2, 4]);
        let enter = Op::Enter { address: self.any(), endpoint, session: self.few() };
        let frame = Stomp::Connect { version: self.below(4), beat: self.below(4) };
        vec![enter, Op::Say { socket: 255, frame, cut: self.cut() }]
    }

    fn subscribe(&mut self, socket: u8) -> Vec<Op> {
        let frame = Stomp::Subscribe { id: self.below(6), destination: self.among(&[0, 0, 2, 3, 4]), receipt: 0 };
        let subscribe = Op::Say { socket, frame, cut: 0 };
        let publish = if self.one_in(2) {
            Op::Publish { destination: 0, blocks: self.any(), binary: false }
        } else {
            Op::PublishUser { user: self.below(2), destination: 0, blocks: self.any() }
        };
        vec![subscribe, publish]
    }

    fn stomp(&mut self) -> Stomp {
        let receipt = self.below(3);
        match self.below(14) {
            0..3 => Stomp::Connect { version: self.below(4), beat: self.below(4) },
            3..6 => Stomp::Send { destination: self.few(), blocks: self.below(30), receipt },
            6..9 => Stomp::Subscribe { id: self.below(6), destination: self.few(), receipt },
            9 => Stomp::Unsubscribe { id: self.below(40), receipt },
            10 => Stomp::Disconnect { receipt },
            11 => Stomp::HeartBeat {},
            12 => {
                let header = Bytes(b"destination:/topic/a".to_vec());
                Stomp::Odd { command: self.any(), header, body: self.bytes() }
            }
            _ => {
                let whole = b"SEND\ndestination:/topic/a\n\nxx\0CONNECT\naccept-version:1.2\n\n\0";
                let (one, other) = (self.below(whole.len() as u8), self.below(whole.len() as u8));
                let part = usize::from(one.min(other))..usize::from(one.max(other));
                Stomp::Part { bytes: Bytes(whole[part].to_vec()) }
            }
        }
    }

    fn destination(&mut self) -> u8 {
        let any = self.few();
        self.among(&[0, 0, 4, any])
    }

    fn cut(&mut self) -> u8 {
        let any = self.any() & 0x7f;
        self.among(&[0, 0, 0, 0, 1, any, 0x80, 0x81])
    }

    fn ms(&mut self) -> u16 {
        let below = self.among(&[1, 20, 300, 400, 1_000, 5_000]);
        (self.next() % below) as u16
    }

    fn bytes(&mut self) -> Bytes {
        Bytes((0..self.below(20)).map(|_| self.any()).collect())
    }

    /// Mostly one of the first.
    fn few(&mut self) -> u8 {
        if self.one_in(4) { self.any() } else { self.below(4) }
    }

    fn any(&mut self) -> u8 {
        self.next() as u8
    }

    fn below(&mut self, limit: u8) -> u8 {
        (self.next() % u64::from(limit)) as u8
    }

    fn one_in(&mut self, count: u8) -> bool {
        self.below(count) == 0
    }

    fn among<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() as usize % all.len()]
    }

    /// Marsaglia's xorshift, multiplied.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }
}

/// What soon ends a conversation, or the patience of a peer.
fn is_wild(op: &Op) -> bool {
    match op {
        Op::Say { frame, .. } => match frame {
            Stomp::Odd { .. } | Stomp::Part { .. } | Stomp::Disconnect { .. } => true,
            Stomp::Subscribe { id, destination, .. } => *id > 2 || *destination > 4,
            Stomp::Send { destination, .. } => *destination > 4,
            _ => false,
        },
        Op::Frame { .. } | Op::Raw { .. } | Op::Bulk { .. } | Op::Handshake { .. } | Op::Request { .. } => true,
        Op::HangUp { .. } | Op::End { .. } | Op::Drain {} => true,
        Op::Wait { ms } | Op::Jump { ms } => *ms > 400,
        _ => false,
    }
}
