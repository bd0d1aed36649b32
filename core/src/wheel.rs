//! Timers of a million clients: a hierarchical wheel that does a bounded amount of work per call.
//!
//! A tick is 16 ms. Ten levels of 64 slots span all ticks there are, so no time is too far away. An entry sits on the
//! level of the highest group of six bits in which its tick differs from the current one. When time enters a slot of a
//! higher level, the entries of that slot are sorted into lower levels one by one ([`Wheel::pop`] pays for each), and
//! whatever is armed for that span meanwhile queues behind them: that keeps the order.
//!
//! Whose timer it is has one entry: arming it again moves that to an earlier time, never to a later one. An entry is not
//! taken out when its owner goes. Its owner, or who has its slot by then, looks at its own state when it fires, and arms
//! again or not.

use alloc::boxed::Box;

use crate::slab::{NONE, Pages};
use crate::time::Instant;

/// Timers by slot: of a [`Slab`](crate::slab::Slab), say. Each fires never early and less than one tick (16 ms) late, in
/// the order of ticks and, within a tick, of arming.
#[derive(Debug)]
pub(crate) struct Wheel {
    levels: Box<[Level]>,
    /// The entry of each slot, armed or not.
    nodes: Pages<Node>,
    len: usize,
    /// How far time has come. Entries of this tick are on level 0 or being sorted.
    current: u64,
    /// The level whose slot at `current` is being sorted; 0: none. INVARIANT: no other slot above level 0 at `current`
    /// has entries, since time stops at each slot that does and goes on once it is sorted.
    sorting: usize,
    /// Before this tick there is nothing to do.
    quiet_until: u64,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            levels: (0..LEVELS).map(|_| Level::EMPTY).collect(),
            nodes: Pages::new(),
            len: 0,
            current: tick_until(now),
            sorting: 0,
            quiet_until: u64::MAX,
        }
    }

    /// Entries that have not fired.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Has [`pop`](Self::pop) answer `slot` once `due` has come, unless it is going to before that. A due that has passed
    /// counts as the current tick, one in the last 15 ms before 2^64 as the last tick; [`Instant::NEVER`] is not armed.
    pub(crate) fn arm(&mut self, slot: u32, due: Instant) {
        // For one that is not armed too, so that no later call has to make entries for many.
        while self.nodes.len() <= slot {
            self.nodes.push(Node::IDLE);
        }
        if due == Instant::NEVER {
            return;
        }
        let tick = tick_from(due).max(self.current);
        let Some(node) = self.nodes.get(slot) else { return };
        if node.is_armed() {
            if node.tick() <= tick {
                return;
            }
            self.unlink(slot);
        } else {
            self.len += 1;
        }
        self.link(slot, tick, self.level_of(tick).max(self.sorting));
    }

    /// When this slot's entry fires; [`Instant::NEVER`] if it has none.
    #[cfg(test)]
    pub(crate) fn armed(&self, slot: u32) -> Instant {
        let node = self.nodes.get(slot).filter(|node| node.is_armed());
        node.map_or(Instant::NEVER, |node| Instant::from_millis(node.tick() * TICK_MS))
    }

    /// Whether this slot's entry fires as soon as it would if it were armed for `due`.
    pub(crate) fn is_armed_by(&self, slot: u32, due: Instant) -> bool {
        self.nodes.get(slot).is_some_and(|node| node.is_armed() && node.tick() <= tick_from(due))
    }

    /// The next slot that is due by `now`. Each answer and each entry sorted takes 1 from `budget`; at 0 it answers
    /// `None` although something may be left. A `now` earlier than one before is harmless: time stands still.
    #[inline]
    pub(crate) fn pop(&mut self, now: Instant, budget: &mut usize) -> Option<u32> {
        let target = tick_until(now).max(self.current);
        if target < self.quiet_until {
            self.current = target;
            return None;
        }
        self.pop_due(target, budget)
    }

    #[cold]
    fn pop_due(&mut self, target: u64, budget: &mut usize) -> Option<u32> {
        while let Some(left) = budget.checked_sub(1) {
            if let Some(slot) = self.take_first(self.sorting) {
                *budget = left;
                if self.sorting > 0 {
                    self.sort(slot);
                    continue;
                }
                if let Some(node) = self.nodes.get_mut(slot) {
                    *node = Node::IDLE;
                }
                self.len -= 1;
                return Some(slot);
            }
            if self.sorting > 0 {
                self.sorting = 0;
                continue;
            }
            let next = self.next_slot();
            match next {
                Some((level, tick)) if tick <= target => {
                    self.current = tick;
                    self.sorting = level;
                }
                _ => {
                    self.current = target;
                    self.quiet_until = next.map_or(u64::MAX, |(_, tick)| tick);
                    return None;
                }
            }
        }
        None
    }

    /// The time of what [`pop`](Self::pop) answered last: not before the due it was armed for.
    pub(crate) fn reached(&self) -> Instant {
        Instant::from_millis(self.current * TICK_MS)
    }

    /// When to call [`pop`](Self::pop) next: not later than the next entry's tick. It may be earlier by the span of a
    /// higher level's slot; pop then has entries to sort. In the past while something is left over; `None` if empty.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        let tick = if self.sorting > 0 || self.levels.first()?.slots.get(slot_of(self.current, 0))?.first != NONE {
            self.current
        } else {
            self.next_slot()?.1
        };
        Some(Instant::from_millis(tick * TICK_MS))
    }

    /// The first slot with entries after the current ones: its level and its first tick. What is on a lower level comes
    /// before all of a higher one.
    fn next_slot(&self) -> Option<(usize, u64)> {
        self.levels.iter().enumerate().find_map(|(level, Level { occupied, .. })| {
            let shift = BITS * level as u32;
            let later = occupied & (u64::MAX << slot_of(self.current, level)) << 1;
            let slot = (later != 0).then(|| u64::from(later.trailing_zeros()))?;
            Some((level, (self.current >> shift & !SLOT_MASK | slot) << shift))
        })
    }

    fn level_of(&self, tick: u64) -> usize {
        ((tick ^ self.current) | 1).ilog2() as usize / BITS as usize
    }

    /// Takes the first entry out of the list of the slot that time is in on this level.
    fn take_first(&mut self, level: usize) -> Option<u32> {
        let first = self.levels.get(level)?.slots.get(slot_of(self.current, level))?.first;
        self.nodes.get(first)?;
        self.unlink(first);
        Some(first)
    }

    /// Puts an entry that was taken from the slot that is being sorted where it belongs.
    fn sort(&mut self, at: u32) {
        let Some(tick) = self.nodes.get(at).map(|node| node.tick()) else { return };
        self.link(at, tick, self.level_of(tick));
    }

    /// Appends an entry to the slot of its tick on a level.
    fn link(&mut self, at: u32, tick: u64, level: usize) {
        let slot = slot_of(tick, level);
        let Some(Level { occupied, slots }) = self.levels.get_mut(level) else { return };
        let Some(list) = slots.get_mut(slot) else { return };
        *occupied |= 1 << slot;
        let before = core::mem::replace(&mut list.last, at);
        match self.nodes.get_mut(before) {
            Some(before) => before.next = at,
            None => list.first = at,
        }
        if let Some(node) = self.nodes.get_mut(at) {
            *node = Node::armed(tick, level, before);
        }
        let shift = BITS * level as u32;
        self.quiet_until = self.quiet_until.min(tick >> shift << shift);
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, at: u32) {
        let Some(&node) = self.nodes.get(at) else { return };
        let slot = slot_of(node.tick(), node.level());
        let Some(Level { occupied, slots }) = self.levels.get_mut(node.level()) else { return };
        let Some(list) = slots.get_mut(slot) else { return };
        match self.nodes.get_mut(node.previous) {
            Some(previous) => previous.next = node.next,
            None => list.first = node.next,
        }
        match self.nodes.get_mut(node.next) {
            Some(next) => next.previous = node.previous,
            None => list.last = node.previous,
        }
        if list.first == NONE {
            *occupied &= !(1 << slot);
        }
    }
}

#[derive(Debug)]
struct Level {
    /// A bit for each slot with entries.
    occupied: u64,
    slots: [List; SLOTS],
}

impl Level {
    const EMPTY: Self = Self { occupied: 0, slots: [List { first: NONE, last: NONE }; SLOTS] };
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

/// One is kept for every client, so what is in here is packed.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Tick and, in the lowest four bits, level; [`IDLE`](Self::IDLE) if it is not armed.
    when: u64,
    /// Its neighbours in the list of its slot.
    next: u32,
    previous: u32,
}

impl Node {
    /// Not armed. No entry has a level as high as that says.
    const IDLE: Self = Self { when: u64::MAX, next: NONE, previous: NONE };

    fn armed(tick: u64, level: usize, previous: u32) -> Self {
        Self { when: tick << LEVEL_BITS | level as u64, next: NONE, previous }
    }

    fn is_armed(&self) -> bool {
        self.when != Self::IDLE.when
    }

    fn tick(&self) -> u64 {
        self.when >> LEVEL_BITS
    }

    fn level(&self) -> usize {
        (self.when & ((1 << LEVEL_BITS) - 1)) as usize
    }
}

/// The tick that has begun at `now`.
fn tick_until(now: Instant) -> u64 {
    now.as_millis() / TICK_MS
}

/// The first tick that begins no earlier than `due`.
fn tick_from(due: Instant) -> u64 {
    due.as_millis().div_ceil(TICK_MS).min(LAST_TICK)
}

fn slot_of(tick: u64, level: usize) -> usize {
    (tick >> (BITS * level as u32) & SLOT_MASK) as usize
}

const TICK_MS: u64 = 16;
const LAST_TICK: u64 = u64::MAX / TICK_MS;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const SLOT_MASK: u64 = SLOTS as u64 - 1;
/// 60 bits: all ticks of 16 ms in 64 bits of milliseconds.
const LEVELS: usize = 10;
/// Room for a level beside a tick, which has 60 bits.
const LEVEL_BITS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn pop_all(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut budget = usize::MAX;
        core::iter::from_fn(|| wheel.pop(now, &mut budget)).collect()
    }

    #[test]
    fn an_entry_fires_never_early_and_less_than_a_tick_late() {
        for due in [1, 15, 16, 17, 1_023, 1_024, 1_025, 65_536, 1_800_000, 86_400_001] {
            for step in [1, 7, 16, 250] {
                let mut wheel = Wheel::new(at(0));
                wheel.arm(7, at(due));
                let mut now = due.saturating_sub(3_000);
                while pop_all(&mut wheel, at(now)).is_empty() {
                    now += step;
                }
                assert!(now >= due, "{due} fired at {now}");
                assert!(now < due + TICK_MS + step - 1, "{due} fired at {now}");
                assert_eq!(wheel.next_deadline(), None);
            }
        }
    }

    #[test]
    fn sleeping_until_each_deadline_fires_in_time() {
        let mut wheel = Wheel::new(at(5));
        wheel.arm(1, at(1_800_000));
        let mut wakes = 0;
        let fired = loop {
            let deadline = wheel.next_deadline().expect("one is armed");
            wakes += 1;
            if !pop_all(&mut wheel, deadline).is_empty() {
                break deadline;
            }
        };
        assert_eq!(fired, at(1_800_000));
        assert!(wakes <= 3, "{wakes}");
    }

    #[test]
    fn time_goes_on_while_nothing_is_due() {
        let mut wheel = Wheel::new(at(0));
        assert_eq!(pop_all(&mut wheel, at(1_000_000)), []);
        wheel.arm(1, at(1_000_020));
        assert_eq!(wheel.next_deadline(), Some(at(1_000_032)));
        wheel.arm(2, at(3));
        assert_eq!(wheel.next_deadline(), Some(at(1_000_000)));
    }

    #[test]
    fn t03_a_jump_of_days_fires_all_in_order_at_the_price_of_the_entries() {
        let mut wheel = Wheel::new(at(0));
        let dues: Vec<u64> = (0..1_000).map(|n| n * 7_919 % 1_000 * 259_200).collect();
        for due in &dues {
            wheel.arm((due / 259_200) as u32, at(*due));
        }
        let mut budget = 1_000 * 6;
        let fired: Vec<u32> = core::iter::from_fn(|| wheel.pop(at(259_200_000), &mut budget)).collect();
        assert_eq!(fired, (0..1_000).collect::<Vec<_>>());
        assert!(budget > 0);
    }

    #[test]
    fn t03_time_that_goes_back_stands_still() {
        let mut wheel = Wheel::new(at(1_000));
        wheel.arm(1, at(2_000));
        assert_eq!(pop_all(&mut wheel, at(1_900)), []);
        assert_eq!(pop_all(&mut wheel, at(0)), []);
        wheel.arm(2, at(0));
        wheel.arm(3, at(1_950));
        assert_eq!(pop_all(&mut wheel, at(0)), [2]);
        assert_eq!(pop_all(&mut wheel, at(1_999)), [3]);
        assert_eq!(pop_all(&mut wheel, at(2_000)), [1]);
        assert_eq!(pop_all(&mut wheel, at(2_000)), []);
    }

    #[test]
    fn t04_the_end_of_time_saturates() {
        let mut wheel = Wheel::new(at(0));
        wheel.arm(1, Instant::NEVER);
        assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
        wheel.arm(2, at(u64::MAX - 1));
        wheel.arm(3, at(u64::MAX - 15));
        wheel.arm(4, at(u64::MAX - 16));
        assert_eq!(pop_all(&mut wheel, at(u64::MAX - 17)), []);
        assert!(wheel.next_deadline().is_some_and(|deadline| deadline <= at(u64::MAX - 15)));
        assert_eq!(pop_all(&mut wheel, Instant::NEVER), [2, 3, 4]);
        wheel.arm(5, at(3));
        assert_eq!(pop_all(&mut wheel, Instant::NEVER), [5]);
    }

    #[test]
    fn t06_the_work_of_a_call_is_bounded_and_what_is_left_is_due_now() {
        let mut wheel = Wheel::new(at(0));
        for key in 0..100_000 {
            wheel.arm(key, at(1_800_000));
        }
        let (mut expected, mut turns) = (0, 0);
        while wheel.next_deadline().is_some_and(|deadline| deadline <= at(1_800_000)) {
            let mut budget = 1_000;
            while let Some(key) = wheel.pop(at(1_800_000), &mut budget) {
                assert_eq!(key, expected);
                expected += 1;
            }
            assert_eq!(budget, 0);
            turns += 1;
        }
        assert_eq!(expected, 100_000);
        assert!(turns <= 300, "{turns}");
        assert_eq!(wheel.nodes.len(), 100_000);
        wheel.arm(0, at(0));
        assert_eq!((wheel.nodes.len(), wheel.len()), (100_000, 1));
    }

    #[test]
    fn what_is_armed_while_its_slot_is_being_sorted_queues_behind() {
        let mut wheel = Wheel::new(at(0));
        for key in 0..4 {
            wheel.arm(key, at(1_120));
        }
        let mut budget = 2;
        assert_eq!(wheel.pop(at(1_200), &mut budget), None);
        assert_eq!(wheel.sorting, 1);
        wheel.arm(4, at(1_120));
        wheel.arm(5, at(0));
        assert_eq!(pop_all(&mut wheel, at(1_200)), [5, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_entry_moves_to_an_earlier_time_only() {
        let mut wheel = Wheel::new(at(0));
        assert_eq!(wheel.armed(1), Instant::NEVER);
        wheel.arm(1, at(1_800_000));
        for (slot, due) in [(0, 1_000), (1, 1_000), (2, 1_000), (1, 995), (1, 1_700_000), (0, 48), (2, 1_000)] {
            wheel.arm(slot, at(due));
        }
        wheel.arm(0, Instant::NEVER);
        assert_eq!((wheel.armed(0), wheel.armed(1), wheel.armed(3)), (at(48), at(1_008), Instant::NEVER));
        assert_eq!((wheel.len(), pop_all(&mut wheel, at(900))), (3, vec![0]));
        assert_eq!((wheel.reached(), wheel.armed(0)), (at(896), Instant::NEVER));
        assert_eq!(pop_all(&mut wheel, at(1_800_000)), [1, 2]);
        assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
    }

    #[test]
    fn an_entry_may_leave_the_slot_that_is_being_sorted() {
        for leaving in 0..4 {
            let mut wheel = Wheel::new(at(0));
            for slot in 0..4 {
                wheel.arm(slot, at(1_120));
            }
            let mut budget = 2;
            assert_eq!((wheel.pop(at(1_030), &mut budget), wheel.sorting), (None, 1));
            wheel.arm(leaving, at(0));
            let mut left: Vec<u32> = (0..4).filter(|slot| *slot != leaving).collect();
            assert_eq!(pop_all(&mut wheel, at(1_030)), [leaving]);
            assert_eq!(wheel.reached(), at(1_024));
            wheel.arm(leaving, at(1_120));
            left.push(leaving);
            assert_eq!(pop_all(&mut wheel, at(1_200)), left);
        }
    }

    #[test]
    fn one_that_is_never_due_has_its_entry_made_all_the_same() {
        let mut wheel = Wheel::new(at(0));
        wheel.arm(2_000, Instant::NEVER);
        assert_eq!((wheel.nodes.len(), wheel.len(), wheel.next_deadline()), (2_001, 0, None));
    }

    #[test]
    fn an_entry_costs_16_bytes() {
        assert_eq!(size_of::<Node>(), 16);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Arm(u32, u64),
        Wait(u64, usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let span = || prop_oneof![0..40_u64, 0..2_000_u64, 0..5_000_000_u64, 0..1_u64 << 40, any::<u64>()];
        let budget = prop_oneof![0..5_usize, Just(usize::MAX)];
        let arm = (0..12_u32, span()).prop_map(|(slot, ms)| Op::Arm(slot, ms));
        let op = prop_oneof![3 => arm, 2 => (span(), budget).prop_map(|(ms, n)| Op::Wait(ms, n))];
        proptest::collection::vec(op, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn a_wheel_is_a_priority_queue(start in prop_oneof![Just(0_u64), any::<u64>()], ops in ops()) {
            let mut now = at(start);
            let mut wheel = Wheel::new(now);
            // In order: tick, when it was armed for that, slot.
            let mut model = BTreeSet::<(u64, usize, u32)>::new();
            let (mut armed, mut spent) = (0, 0);
            for (step, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Arm(slot, ms) => {
                        let due = now.after(ms);
                        wheel.arm(slot, due);
                        let tick = tick_from(due).max(wheel.current);
                        let known = model.iter().find(|(_, _, known)| *known == slot).copied();
                        if due != Instant::NEVER && known.is_none_or(|(known, _, _)| tick < known) {
                            known.map(|known| model.remove(&known));
                            model.insert((tick, step, slot));
                            armed += 1;
                        }
                    }
                    Op::Wait(ms, allowed) => {
                        now = now.after(ms);
                        let mut budget = allowed;
                        while let Some(slot) = wheel.pop(now, &mut budget) {
                            let (tick, _, expected) = model.pop_first().expect("the model has as many");
                            prop_assert_eq!(slot, expected);
                            prop_assert!(tick <= tick_until(now) && tick <= wheel.current);
                        }
                        spent += allowed - budget;
                        let left = model.first().is_some_and(|(tick, _, _)| *tick <= tick_until(now));
                        prop_assert!(!left || budget == 0);
                        prop_assert!(budget == 0 || wheel.next_deadline().is_none_or(|deadline| deadline > now));
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.next_deadline().is_some(), !model.is_empty());
                for (tick, _, slot) in &model {
                    prop_assert_eq!(wheel.armed(*slot), at(tick * TICK_MS));
                }
                if let Some((tick, _, _)) = model.first() {
                    prop_assert!(wheel.next_deadline() <= Some(at(tick * TICK_MS)));
                }
                prop_assert!(spent <= armed * LEVELS);
            }
        }

        #[test]
        fn any_cut_of_the_work_gives_the_same_order(
            dues in proptest::collection::vec(0..200_000_u64, 1..200),
            budgets in proptest::collection::vec(1..7_usize, 1..20),
        ) {
            let (mut whole, mut cut) = (Wheel::new(at(0)), Wheel::new(at(0)));
            for (key, due) in dues.iter().enumerate() {
                whole.arm(key as u32, at(*due));
                cut.arm(key as u32, at(*due));
            }
            let mut fired = vec![];
            for budget in budgets.iter().cycle() {
                let mut budget = *budget;
                while let Some(key) = cut.pop(at(200_000), &mut budget) {
                    fired.push(key);
                }
                if cut.len() == 0 {
                    break;
                }
            }
            prop_assert_eq!(fired, pop_all(&mut whole, at(200_000)));
        }
    }
}
