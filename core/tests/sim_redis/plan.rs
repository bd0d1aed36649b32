//! What a run of the world is like, by its seed.

use tethered_core::session::spring::Layout;

use crate::rng::Rng;
use crate::values::Form;

/// How sessions are kept, and by which means.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) hubs: usize,
    pub(crate) springs: usize,
    pub(crate) sessions: usize,
    pub(crate) clients: usize,
    pub(crate) length_ms: u64,
    /// What Spring keeps: [`Layout::Indexed`] or [`Layout::Plain`].
    pub(crate) layout: Layout,
    /// Whether the hubs are told, or find out.
    pub(crate) told: bool,
    /// Whether there are logins at the hubs. Where nothing tells yet that the layout is the plain one, they assume the other.
    pub(crate) pages: bool,
    /// Due times in one sorted set.
    pub(crate) sorted: bool,
    pub(crate) form: Form,
    pub(crate) cluster: bool,
    pub(crate) scripts: Scripts,
    /// What `notify-keyspace-events` is when Redis starts.
    pub(crate) flags: &'static [u8],
    pub(crate) may_config: bool,
    pub(crate) cleanup: bool,
    /// Seconds that a session of Spring lives without activity.
    pub(crate) timeout_s: u64,
    pub(crate) touch_interval_ms: u64,
    pub(crate) check_interval_ms: u64,
    pub(crate) sweep_interval_ms: u64,
    pub(crate) reply_ms: u64,
    /// How long anything takes to or from Redis, at most.
    pub(crate) latency_ms: u64,
    /// How long after its time Redis expires a key by itself, at most.
    pub(crate) expiry_ms: u64,
    /// The application publishes this often.
    pub(crate) chatter_ms: u64,
    pub(crate) faults: Faults,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    Allowed,
    /// The hubs do not use them.
    Off,
    /// Redis does not allow them, and the hubs have to find out.
    Forbidden,
}

/// What goes wrong. Numbers are in a hundred, or how often in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Replies that take up to twice REPLY, or never come.
    pub(crate) slow_replies: u64,
    pub(crate) lost_replies: u64,
    /// Notices of living sessions, and notices once more.
    pub(crate) forged: u64,
    /// A connection for notices is slow for a while.
    pub(crate) late_notices: u64,
    /// Connections are lost.
    pub(crate) drops: u64,
    /// A connection is dead, and nobody says so for a while.
    pub(crate) silences: u64,
    /// Redis is away.
    pub(crate) outages: u64,
    /// Redis does nothing for a while.
    pub(crate) pauses: u64,
    /// A replica takes over that does not know the last writes.
    pub(crate) failovers: u64,
    /// Redis starts anew with nothing in it.
    pub(crate) empties: u64,
    /// Keys are deleted, renamed, shortened, overwritten or thrown out by hand.
    pub(crate) hands: u64,
    /// Somebody turns the notices off.
    pub(crate) flags: u64,
    /// The clock of Redis jumps.
    pub(crate) jumps: u64,
    /// A Spring node halts amid what it does, or for good.
    pub(crate) stalls: u64,
    /// Clocks of Spring nodes are wrong by up to so many milliseconds.
    pub(crate) skew_ms: u64,
    /// SCRIPT FLUSH.
    pub(crate) forgotten: u64,
    /// The process of a hub does nothing for a while.
    pub(crate) sleeps: u64,
    /// Nobody may subscribe for a while.
    pub(crate) deaf: u64,
}

impl Faults {
    /// Whether each reply comes as soon as the wires allow, or its connection is lost.
    pub(crate) fn leaves_replies_alone(&self) -> bool {
        let Self { slow_replies, lost_replies, silences, pauses, outages, failovers, empties, sleeps, .. } = *self;
        slow_replies + lost_replies + silences + pauses + outages + failovers + empties + sleeps == 0
    }

    /// Whether a session ends when its time is over and not otherwise, by one clock, and nobody forgets what was written.
    pub(crate) fn leaves_ends_alone(&self) -> bool {
        let Self { failovers, empties, hands, jumps, stalls, skew_ms, outages, .. } = *self;
        failovers + empties + hands + jumps + stalls + skew_ms + outages == 0
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x005e_551d);
        let mut pick = |choices: &[u64]| choices[rng.range(0, choices.len() as u64 - 1) as usize];
        let cluster = pick(&[0, 0, 0, 0, 0, 1]) == 1;
        let plain = pick(&[0, 0, 0, 1]) == 1;
        let scripts = match pick(&[0, 0, 0, 1, 2]) {
            1 if !cluster => Scripts::Off,
            2 if !cluster => Scripts::Forbidden,
            _ => Scripts::Allowed,
        };
        let touch_interval_ms = pick(&[0, 200, 1_000, 1_000, 3_000]);
        let mut plan = Self {
            hubs: pick(&[1, 1, 2, 3]) as usize,
            springs: pick(&[1, 2]) as usize,
            sessions: rng.range(1, 4) as usize,
            clients: rng.range(2, 6) as usize,
            length_ms: rng.range(15_000, 40_000),
            layout: if plain { Layout::Plain } else { Layout::Indexed },
            told: rng.chance(50),
            pages: true,
            sorted: !plain && rng.chance(25),
            form: if rng.chance(60) { Form::Java } else { Form::Json },
            cluster,
            scripts,
            flags: [&b""[..], b"gxE", b"AKE"][rng.range(0, 2) as usize],
            may_config: true,
            cleanup: rng.chance(3),
            timeout_s: rng.range(2, 12),
            touch_interval_ms,
            check_interval_ms: rng.range(500, 3_000),
            sweep_interval_ms: rng.range(3_000, 10_000),
            reply_ms: rng.range(300, 2_000),
            latency_ms: rng.range(0, 20),
            expiry_ms: 100,
            chatter_ms: rng.range(200, 3_000),
            faults: Faults::default(),
        };
        plan.pages = plan.told || !plain;
        if rng.chance(25) {
            return plan;
        }
        plan.may_config = rng.chance(85);
        plan.expiry_ms = [100, 100, 2_000, 1_000_000][rng.range(0, 3) as usize];
        let mut some = |chance: u64, most: u64| if rng.chance(chance) { rng.range(1, most) } else { 0 };
        plan.faults = Faults {
            slow_replies: some(20, 20),
            lost_replies: some(15, 10),
            forged: some(30, 6),
            late_notices: some(20, 3),
            drops: some(25, 3),
            silences: some(15, 2),
            outages: some(15, 2),
            pauses: some(15, 2),
            failovers: some(10, 1),
            empties: some(5, 1),
            hands: some(35, 4),
            flags: some(8, 2),
            jumps: some(10, 2),
            stalls: some(15, 10),
            skew_ms: some(15, 20_000),
            forgotten: some(10, 2),
            sleeps: some(12, 3),
            deaf: some(15, 2),
        };
        let Faults { skew_ms, hands, stalls, .. } = plan.faults;
        if skew_ms + hands + stalls > 0 {
            // Before any session has told which layout it is, an ended one is known by its times alone, and those may be
            // wrong, or half of them be written.
            plan.told = true;
        }
        plan
    }
}
