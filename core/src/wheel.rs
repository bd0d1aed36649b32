//! Timers of a million clients: a hierarchical wheel that does a bounded amount of work per call.
//!
//! A tick is 16 ms. Ten levels of 64 slots span all ticks there are, so no time is too far away. An entry sits on the
//! level of the highest group of six bits in which its tick differs from the current one. When time enters a slot of a
//! higher level, the entries of that slot are sorted into lower levels one by one ([`Wheel::pop`] pays for each), and
//! whatever is armed for that span meanwhile queues behind them: that keeps the order.
//!
//! It is lazy: an entry cannot be cancelled. Its owner looks at its own state when it fires, and arms again or not.

use alloc::boxed::Box;

use crate::slab::{NONE, Pages};
use crate::time::Instant;

/// Fires never early and less than one tick (16 ms) late, in the order of ticks and, within a tick, of arming.
#[derive(Debug)]
pub(crate) struct Wheel {
    levels: Box<[Level]>,
    nodes: Pages<Node>,
    free: u32,
    len: usize,
    /// How far time has come. Entries of this tick are on level 0 or being sorted.
    current: u64,
    /// The level whose slot at `current` is being sorted; 0: none. INVARIANT: no other slot above level 0 at `current`
    /// has entries, since time stops at each slot that does and goes on once it is sorted.
    sorting: usize,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            levels: (0..LEVELS).map(|_| Level::EMPTY).collect(),
            nodes: Pages::new(),
            free: NONE,
            len: 0,
            current: tick_until(now),
            sorting: 0,
        }
    }

    #[cfg(test)]
    /// Entries that have not fired.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Has [`pop`](Self::pop) answer `key` once `due` has come. A due that has passed counts as the current tick, one
    /// in the last 15 ms before 2^64 as the last tick; [`Instant::NEVER`] is not armed.
    pub(crate) fn arm(&mut self, key: u64, due: Instant) {
        if due == Instant::NEVER {
            return;
        }
        let node = Node { key, tick: tick_from(due).max(self.current), next: NONE };
        let at = match self.nodes.get_mut(self.free) {
            Some(free) => {
                let at = self.free;
                self.free = free.next;
                *free = node;
                at
            }
            None => self.nodes.push(node),
        };
        self.len += 1;
        self.place(at, self.level_of(node.tick).max(self.sorting));
    }

    /// The next key that is due by `now`. Each answer and each entry sorted takes 1 from `budget`; at 0 it answers
    /// `None` although something may be left. A `now` earlier than one before is harmless: time stands still.
    pub(crate) fn pop(&mut self, now: Instant, budget: &mut usize) -> Option<u64> {
        let target = tick_until(now);
        while let Some(left) = budget.checked_sub(1) {
            if self.sorting > 0 {
                *budget = left;
                self.sort_one();
            } else if let Some((at, node)) = self.take_first(0) {
                *budget = left;
                self.len -= 1;
                if let Some(freed) = self.nodes.get_mut(at) {
                    freed.next = self.free;
                    self.free = at;
                }
                return Some(node.key);
            } else if target <= self.current {
                // Whatever there is comes later. Most calls end here: time is asked for more often than it ticks.
                return None;
            } else {
                match self.next_slot() {
                    Some((level, tick)) if tick <= target => {
                        self.current = tick;
                        self.sorting = level;
                    }
                    _ => {
                        self.current = self.current.max(target);
                        return None;
                    }
                }
            }
        }
        None
    }

    /// When to call [`pop`](Self::pop) next: not later than the next entry's tick. It may be earlier by the span of a
    /// higher level's slot; pop then has entries to sort. In the past while something is left over; `None` if empty.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
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

    /// Appends an entry to the slot of its tick on a level.
    fn place(&mut self, at: u32, level: usize) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.next = NONE;
        let slot = slot_of(node.tick, level);
        let Some(Level { occupied, slots }) = self.levels.get_mut(level) else { return };
        let Some(list) = slots.get_mut(slot) else { return };
        *occupied |= 1 << slot;
        let before = list.last;
        list.last = at;
        match self.nodes.get_mut(before) {
            Some(before) => before.next = at,
            None => list.first = at,
        }
    }

    /// Takes the first entry of the slot that time is in.
    fn take_first(&mut self, level: usize) -> Option<(u32, Node)> {
        let slot = slot_of(self.current, level);
        let Level { occupied, slots } = self.levels.get_mut(level)?;
        let list = slots.get_mut(slot)?;
        let at = list.first;
        let node = *self.nodes.get(at)?;
        list.first = node.next;
        if node.next == NONE {
            list.last = NONE;
            *occupied &= !(1 << slot);
        }
        Some((at, node))
    }

    fn sort_one(&mut self) {
        let Some((at, node)) = self.take_first(self.sorting) else { return };
        if node.next == NONE {
            self.sorting = 0;
        }
        self.place(at, self.level_of(node.tick));
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

/// Packed, since one is kept for every client: 20 bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct Node {
    key: u64,
    tick: u64,
    /// The next one in its slot, or the next free one.
    next: u32,
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BinaryHeap;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cmp::Reverse;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn pop_all(wheel: &mut Wheel, now: Instant) -> Vec<u64> {
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
            wheel.arm(*due, at(*due));
        }
        let mut budget = 1_000 * 6;
        let fired: Vec<u64> = core::iter::from_fn(|| wheel.pop(at(259_200_000), &mut budget)).collect();
        assert_eq!(fired, (0..1_000).map(|n| n * 259_200).collect::<Vec<_>>());
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
        assert_eq!(wheel.nodes.len(), 100_000);
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
    fn an_entry_costs_20_bytes() {
        assert_eq!(size_of::<Node>(), 20);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Arm(u64),
        Wait(u64, usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let span = || prop_oneof![0..40_u64, 0..2_000_u64, 0..5_000_000_u64, 0..1_u64 << 40, any::<u64>()];
        let budget = prop_oneof![0..5_usize, Just(usize::MAX)];
        let op = prop_oneof![3 => span().prop_map(Op::Arm), 2 => (span(), budget).prop_map(|(ms, n)| Op::Wait(ms, n))];
        proptest::collection::vec(op, 0..120)
    }

    proptest! {
        #[test]
        fn a_wheel_is_a_priority_queue(start in prop_oneof![Just(0_u64), any::<u64>()], ops in ops()) {
            let mut now = at(start);
            let mut wheel = Wheel::new(now);
            let mut model = BinaryHeap::new();
            let (mut armed, mut spent) = (0, 0);
            for op in ops {
                match op {
                    Op::Arm(ms) if now.after(ms) != Instant::NEVER => {
                        wheel.arm(armed, now.after(ms));
                        model.push(Reverse((tick_from(now.after(ms)).max(wheel.current), armed)));
                        armed += 1;
                    }
                    Op::Arm(ms) => wheel.arm(armed, now.after(ms)),
                    Op::Wait(ms, allowed) => {
                        now = now.after(ms);
                        let mut budget = allowed;
                        while let Some(key) = wheel.pop(now, &mut budget) {
                            let Reverse((tick, expected)) = model.pop().expect("the model has as many");
                            prop_assert_eq!(key, expected);
                            prop_assert!(tick <= tick_until(now));
                        }
                        spent += allowed - budget;
                        let left = model.peek().is_some_and(|Reverse((tick, _))| *tick <= tick_until(now));
                        prop_assert!(!left || budget == 0);
                        prop_assert!(budget == 0 || wheel.next_deadline().is_none_or(|deadline| deadline > now));
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.next_deadline().is_some(), !model.is_empty());
                if let Some(Reverse((tick, _))) = model.peek() {
                    prop_assert!(wheel.next_deadline() <= Some(at(tick * TICK_MS)));
                }
                prop_assert!(spent <= armed as usize * LEVELS);
            }
        }

        #[test]
        fn any_cut_of_the_work_gives_the_same_order(
            dues in proptest::collection::vec(0..200_000_u64, 1..200),
            budgets in proptest::collection::vec(1..7_usize, 1..20),
        ) {
            let (mut whole, mut cut) = (Wheel::new(at(0)), Wheel::new(at(0)));
            for (key, due) in dues.iter().enumerate() {
                whole.arm(key as u64, at(*due));
                cut.arm(key as u64, at(*due));
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
