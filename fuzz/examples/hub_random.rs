//! Random conversations instead of random bytes; shrinks what fails. `cargo run --release --example hub_random FROM TO`.
use std::panic::{AssertUnwindSafe, catch_unwind};
use tethered_fuzz::hub_ops::{Bytes, Op, Setup, Stomp, encode, run};

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
    fn u8(&mut self) -> u8 {
        self.next() as u8
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn one(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    fn few(&mut self) -> u8 {
        if self.one(4) { self.u8() } else { self.below(4) as u8 }
    }
    fn bytes(&mut self) -> Bytes {
        let n = self.below(20);
        Bytes((0..n).map(|_| self.u8()).collect())
    }
    fn cut(&mut self) -> u8 {
        match self.below(8) {
            0 => 1,
            1 => self.u8() & 0x7f,
            2 => 0x80,
            3 => 0x81,
            _ => 0,
        }
    }
    fn ms(&mut self) -> u16 {
        match self.below(6) {
            0 => 0,
            1 => self.below(20) as u16,
            2 => self.below(400) as u16,
            3 => self.below(5000) as u16,
            4 => 1000,
            _ => self.below(300) as u16,
        }
    }
}

fn stomp(r: &mut Rng) -> Stomp {
    match r.below(14) {
        0..3 => Stomp::Connect { version: r.below(4) as u8, beat: r.below(4) as u8 },
        3..6 => Stomp::Send { destination: r.few(), blocks: r.below(30) as u8, receipt: r.below(3) as u8 },
        6..9 => Stomp::Subscribe { id: r.below(6) as u8, destination: r.few(), receipt: r.below(3) as u8 },
        9 => Stomp::Unsubscribe { id: r.below(40) as u8, receipt: r.below(3) as u8 },
        10 => Stomp::Disconnect { receipt: r.below(3) as u8 },
        11 => Stomp::HeartBeat {},
        12 => Stomp::Odd { command: r.u8(), header: Bytes(b"destination:/topic/a".to_vec()), body: r.bytes() },
        _ => {
            let all = b"SEND\ndestination:/topic/a\n\nxx\0CONNECT\naccept-version:1.2\n\n\0";
            let a = r.below(all.len() as u64) as usize;
            let b = r.below(all.len() as u64) as usize;
            Stomp::Part { bytes: Bytes(all[a.min(b)..a.max(b)].to_vec()) }
        }
    }
}

fn op(r: &mut Rng) -> Vec<Op> {
    let socket = r.u8();
    vec![match r.below(60) {
        0 => Op::Open { address: r.few(), secure: r.one(4) },
        1 => Op::Login { user: r.few() },
        2..5 => {
            return vec![
                Op::Enter { address: r.u8(), endpoint: [0, 0, 3, 3, 1, 2, 4][r.below(7) as usize], session: r.few() },
                Op::Say {
                    socket: 255,
                    frame: Stomp::Connect { version: r.below(4) as u8, beat: r.below(4) as u8 },
                    cut: r.cut(),
                },
            ];
        }
        5 => {
            return vec![
                Op::Say {
                    socket,
                    frame: Stomp::Subscribe {
                        id: r.below(6) as u8,
                        destination: [0, 0, 2, 3, 4][r.below(5) as usize],
                        receipt: 0,
                    },
                    cut: 0,
                },
                Op::Publish { destination: 0, blocks: r.u8(), binary: false },
            ];
        }
        6 => Op::Handshake { socket, endpoint: r.few(), session: r.few(), flaw: r.u8(), cut: r.cut() },
        7..9 => Op::Request {
            socket,
            page: r.u8(),
            session: r.few(),
            body: if r.one(2) { 0 } else { r.u8() },
            cut: r.cut(),
        },
        9..20 => Op::Say { socket, frame: stomp(r), cut: r.cut() },
        20 => Op::Frame {
            socket,
            first: [0x81, 1, 0, 0x80, 2, 0x82, 0x88, 0x89, 0x8a, r.u8()][r.below(10) as usize],
            payload: r.bytes(),
            cut: r.cut(),
        },
        21 => Op::Bulk { socket, blocks: r.below(70) as u8, binary: r.one(2), cut: r.cut() },
        22 => Op::Raw { socket, bytes: r.bytes(), cut: r.cut() },
        23..25 => Op::Stall { socket, blocks: r.below(8) as u8 },
        25..27 => Op::Unstall { socket },
        27 => Op::Exaggerate { socket },
        28 => Op::HangUp { socket },
        29..32 => Op::Wait { ms: r.ms() },
        32..34 => Op::Jump { ms: r.ms() },
        34 => Op::GoBack { ms: r.ms() },
        35 => Op::Busy { on: true },
        36..38 => Op::Busy { on: false },
        38 => Op::Poll { count: r.below(4) as u8 },
        39 => Op::Slow { on: r.one(2) },
        40..43 => Op::Answer { call: r.u8(), how: r.u8() },
        43 => Op::Stale { raw: r.u8(), how: r.u8() },
        44 => Op::Befall { session: r.few(), what: r.u8(), notice: r.one(2) },
        45 => Op::Notice { session: r.few(), kind: r.u8(), to: r.u8() },
        46 => Op::Notices { on: r.one(2) },
        47..51 => {
            Op::Publish { destination: [0, 0, 4, r.few()][r.below(4) as usize], blocks: r.u8(), binary: r.one(3) }
        }
        51..53 => Op::PublishUser { user: r.few(), destination: r.few(), blocks: r.u8() },
        53 => Op::Reply { client: r.u8(), destination: r.few(), blocks: r.u8() },
        54 => Op::Send { client: r.u8(), blocks: r.u8(), binary: r.one(2) },
        55 => Op::Activity { client: r.u8() },
        56..58 => Op::Respond { socket, status: 67 + r.few(), change: r.u8(), user: r.few() },
        58 => {
            if r.one(3) {
                Op::End { who: r.u8(), index: r.few(), cause: r.u8() }
            } else {
                Op::Unstall { socket }
            }
        }
        _ => {
            if r.one(10) {
                Op::Drain {}
            } else {
                Op::Wait { ms: r.ms() }
            }
        }
    }]
}

fn fails(setup: &Setup, ops: &[Op]) -> bool {
    let bytes = encode(setup, ops);
    catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err()
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().unwrap());
    let (from, to) = (args.next().unwrap(), args.next().unwrap());
    let save = std::env::var("SAVE").ok();
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = std::collections::BTreeMap::new();
    for seed in from..to {
        let mut r = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            r.next();
        }
        let setup = Setup {
            external: r.one(2),
            rated: r.one(6),
            beats: r.one(4),
            touchy: r.one(3),
            paced: r.one(6),
            sample: r.one(4),
            proxied: r.one(4),
            renews: r.one(4),
            total: if r.one(4) { r.u8() % 16 } else { 9 },
        };
        let n = r.below(200);
        let mut ops = vec![Op::Login { user: 0 }, Op::Login { user: 1 }];
        let calm = r.one(2);
        for _ in 0..n {
            let next = op(&mut r);
            let wild = next.iter().any(|op| match op {
                Op::Say { frame: Stomp::Odd { .. } | Stomp::Part { .. } | Stomp::Disconnect { .. }, .. } => true,
                Op::Say { frame: Stomp::Subscribe { id, destination, .. }, .. } => *id > 2 || *destination > 4,
                Op::Say { frame: Stomp::Send { destination, .. }, .. } => *destination > 4,
                Op::Frame { .. }
                | Op::Raw { .. }
                | Op::Bulk { .. }
                | Op::Handshake { .. }
                | Op::Drain {}
                | Op::Request { .. }
                | Op::HangUp { .. }
                | Op::End { .. } => true,
                Op::Wait { ms } | Op::Jump { ms } => *ms > 400,
                _ => false,
            });
            if calm && wild && !r.one(8) {
                continue;
            }
            ops.extend(next);
        }
        if let Some(dir) = &save {
            std::fs::write(format!("{dir}/r{seed}"), encode(&setup, &ops)).unwrap();
        }
        if !fails(&setup, &ops) {
            continue;
        }
        let mut at = ops.len();
        while at > 0 {
            at -= 1;
            let mut less = ops.clone();
            less.remove(at);
            if fails(&setup, &less) {
                ops = less;
            }
        }
        let hook = std::panic::take_hook();
        use std::sync::{Arc, Mutex};
        let said = Arc::new(Mutex::new(String::new()));
        let to = said.clone();
        std::panic::set_hook(Box::new(move |info| {
            *to.lock().unwrap() = info.to_string();
        }));
        fails(&setup, &ops);
        std::panic::set_hook(hook);
        let said = said.lock().unwrap().clone();
        let key: String = said.chars().take(70).collect();
        let count = found.entry(key).or_insert(0);
        *count += 1;
        if *count <= 2 {
            println!("seed {seed}: {said}\n{setup:?}");
            std::fs::write(format!("/tmp/fail-{seed}"), encode(&setup, &ops)).unwrap();
            for op in &ops {
                println!("    {op:?}");
            }
        }
    }
    println!("{found:?}");
}
