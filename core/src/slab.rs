//! Arrays that grow without copying what they hold, and slots in them that can be freed and used again.
//!
//! [`Slab`] gives out handles that an embedder keeps, so each slot has a generation. [`Arena`] is for links inside one
//! book, where whoever frees a slot also removes the links to it. Both are built on [`Pages`]. Memory is kept for the
//! next use, never given back: a hub is as large as it was at its fullest.

use alloc::vec::Vec;
use core::mem;

/// No slot: the end of a list, or nobody. None of the containers here ever hands it out.
pub(crate) const NONE: u32 = u32::MAX;

/// An array in pages of [`PAGE`] entries. Growing copies the table of pages only: 8 KiB of it for a million entries.
/// The first page grows by doubling, so that a small array costs little.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        match self.pages.last() {
            Some(last) => ((self.pages.len() - 1) * PAGE + last.len()) as u32,
            None => 0,
        }
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.pages.get(at as usize / PAGE)?.get(at as usize % PAGE)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.pages.get_mut(at as usize / PAGE)?.get_mut(at as usize % PAGE)
    }

    /// Appends; answers where.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let at = self.len();
        assert!(at < NONE, "INVARIANT: the limits of the hub keep every book below 2^32 - 1 entries");
        match self.pages.last_mut() {
            Some(page) if page.len() < PAGE => page.push(value),
            last => {
                let mut page = Vec::with_capacity(if last.is_some() { PAGE } else { 0 });
                page.push(value);
                self.pages.push(page);
            }
        }
        at
    }

    /// Takes the last one. A page that it empties is freed.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let page = self.pages.last_mut()?;
        let value = page.pop();
        if page.is_empty() {
            self.pages.pop();
        }
        value
    }
}

/// Slots without generations, for links inside one book.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    cells: Pages<Cell<T>>,
    free: u32,
    len: u32,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { cells: Pages::new(), free: NONE, len: 0 }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        match self.cells.get_mut(self.free) {
            Some(cell) => {
                let slot = self.free;
                self.free = cell.fill(value);
                slot
            }
            None => self.cells.push(Cell::Full(value)),
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.cells.get(slot)?.value()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.cells.get_mut(slot)?.value_mut()
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.cells.get_mut(slot)?.vacate(self.free)?;
        self.free = slot;
        self.len -= 1;
        Some(value)
    }
}

/// Slots with generations: a handle of something that was removed is noticed and never followed.
///
/// Generations lie apart from the values, in an array of their own, and beside each a small `H`: what the most frequent
/// path needs of a slot costs one look into that array, and none into the value.
#[derive(Debug)]
pub(crate) struct Slab<T, H = ()> {
    heads: Pages<Head<H>>,
    cells: Pages<Cell<T>>,
    free: u32,
    len: u32,
}

impl<T, H: Copy + Default> Slab<T, H> {
    pub(crate) const fn new() -> Self {
        Self { heads: Pages::new(), cells: Pages::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Slots ever made. Going through `slot(0..capacity())` visits all that live, and can be broken off and resumed.
    pub(crate) fn capacity(&self) -> u32 {
        self.cells.len()
    }

    /// Answers slot and generation. A generation is never 0, so neither is an id's raw value.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        self.insert_with(|_, _| value)
    }

    /// For a value that holds its own slot and generation.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(u32, u32) -> T) -> (u32, u32) {
        self.len += 1;
        if let (Some(cell), Some(head)) = (self.cells.get_mut(self.free), self.heads.get(self.free)) {
            let slot = self.free;
            self.free = cell.fill(make(slot, head.generation));
            return (slot, head.generation);
        }
        let slot = self.cells.len();
        self.cells.push(Cell::Full(make(slot, 1)));
        self.heads.push(Head { generation: 1, hot: H::default() });
        (slot, 1)
    }

    /// `None` if the handle is stale or invented.
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        self.hot_of(slot, generation)?;
        self.slot(slot)
    }

    /// `None` if the handle is stale or invented.
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        self.hot_of(slot, generation)?;
        self.slot_mut(slot)
    }

    /// What lies beside the generation. `None` if the handle is stale; the default if it was invented for a slot that is
    /// free.
    pub(crate) fn hot_of(&self, slot: u32, generation: u32) -> Option<H> {
        self.heads.get(slot).filter(|head| head.generation == generation).map(|head| head.hot)
    }

    /// What lies beside the generation: the default if nothing lives there.
    pub(crate) fn hot(&self, slot: u32) -> H {
        self.heads.get(slot).map(|head| head.hot).unwrap_or_default()
    }

    /// Likewise, of something that lives.
    pub(crate) fn hot_mut(&mut self, slot: u32) -> Option<&mut H> {
        self.heads.get_mut(slot).map(|head| &mut head.hot)
    }

    /// Whatever lives there: for links that are removed together with it.
    pub(crate) fn slot(&self, slot: u32) -> Option<&T> {
        self.cells.get(slot)?.value()
    }

    /// Whatever lives there: for links that are removed together with it.
    pub(crate) fn slot_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.cells.get_mut(slot)?.value_mut()
    }

    /// Whatever lives there, with what lies beside its generation.
    pub(crate) fn whole_mut(&mut self, slot: u32) -> Option<(&mut T, &mut H)> {
        Some((self.cells.get_mut(slot)?.value_mut()?, &mut self.heads.get_mut(slot)?.hot))
    }

    /// The generation of what lives there.
    pub(crate) fn generation(&self, slot: u32) -> Option<u32> {
        self.slot(slot)?;
        self.heads.get(slot).map(|head| head.generation)
    }

    /// What lives there stays, but every handle of it is stale from now on. False, and nothing changes, if the slot has
    /// no generation left for that.
    pub(crate) fn renew(&mut self, slot: u32) -> bool {
        let next = self.generation(slot).and_then(|generation| generation.checked_add(1));
        if let (Some(next), Some(head)) = (next, self.heads.get_mut(slot)) {
            head.generation = next;
        }
        next.is_some()
    }

    /// `None` if the handle is stale or invented.
    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        self.hot_of(slot, generation)?;
        self.remove_slot(slot)
    }

    /// Removes whatever lives there.
    pub(crate) fn remove_slot(&mut self, slot: u32) -> Option<T> {
        let (cell, head) = (self.cells.get_mut(slot)?, self.heads.get_mut(slot)?);
        let value = cell.vacate(self.free)?;
        self.len -= 1;
        head.hot = H::default();
        match head.generation.checked_add(1) {
            Some(next) => {
                head.generation = next;
                self.free = slot;
            }
            // Used up: left out of the free list, since any generation would be one that somebody may still hold.
            None => *cell = Cell::Free(NONE),
        }
        Some(value)
    }
}

#[derive(Debug, Clone, Copy)]
struct Head<H> {
    generation: u32,
    hot: H,
}

/// As large as `T` if that has a niche such as a pointer.
#[derive(Debug)]
enum Cell<T> {
    /// With the next free one.
    Free(u32),
    Full(T),
}

impl<T> Cell<T> {
    fn value(&self) -> Option<&T> {
        match self {
            Self::Full(value) => Some(value),
            Self::Free(_) => None,
        }
    }

    fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Full(value) => Some(value),
            Self::Free(_) => None,
        }
    }

    /// Answers what was the next free one.
    fn fill(&mut self, value: T) -> u32 {
        match mem::replace(self, Self::Full(value)) {
            Self::Free(next) => next,
            Self::Full(_) => unreachable!("INVARIANT: the free list holds free cells only"),
        }
    }

    fn vacate(&mut self, next: u32) -> Option<T> {
        if matches!(self, Self::Free(_)) {
            return None;
        }
        match mem::replace(self, Self::Free(next)) {
            Self::Full(value) => Some(value),
            Self::Free(_) => None,
        }
    }
}

/// Entries in a page.
const PAGE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SocketId;
    use alloc::boxed::Box;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[test]
    fn a_niche_makes_free_cells_cost_nothing() {
        assert_eq!(size_of::<Cell<Box<[u8]>>>(), size_of::<Box<[u8]>>());
        assert_eq!(size_of::<Cell<(Box<u8>, u32, u32)>>(), 16);
        assert_eq!((size_of::<Head<()>>(), size_of::<Head<u32>>()), (4, 8));
    }

    #[test]
    fn pages_grow_and_shrink_across_their_borders() {
        let mut pages = Pages::new();
        assert_eq!((pages.len(), pages.pop(), pages.get(0)), (0, None, None));
        for at in 0..2 * PAGE as u32 + 1 {
            assert_eq!(pages.push(at), at);
        }
        assert_eq!(pages.pages.len(), 3);
        assert!(pages.pages.iter().all(|page| page.capacity() == PAGE));
        assert_eq!(pages.pop(), Some(2 * PAGE as u32));
        assert_eq!(pages.pages.len(), 2);
        assert_eq!(pages.len(), 2 * PAGE as u32);
        *pages.get_mut(1_024).expect("within") = 7;
        assert_eq!(pages.get(1_024), Some(&7));
        assert_eq!(pages.get(2_048), None);
        assert_eq!(pages.get(NONE), None);
    }

    #[test]
    fn a_small_array_allocates_little() {
        let mut pages = Pages::new();
        pages.push(0_u8);
        assert!(pages.pages[0].capacity() < 64);
    }

    #[test]
    fn a02_a03_a_stale_or_invented_handle_finds_nothing() {
        let mut slab = Slab::<_>::new();
        let (slot, generation) = slab.insert("first");
        let id = SocketId::new(slot, generation);
        assert_ne!(id.to_raw(), 0);
        assert_eq!(slab.remove(slot, generation), Some("first"));
        assert_eq!(slab.remove(slot, generation), None);
        let (again, younger) = slab.insert("second");
        assert_eq!((again, younger), (slot, generation + 1));
        for (slot, generation) in [(slot, generation), (slot, 0), (slot, u32::MAX), (1, 1), (NONE, 1), (NONE, 0)] {
            assert_eq!(slab.get(slot, generation), None);
            assert_eq!(slab.get_mut(slot, generation), None);
            assert_eq!(slab.remove(slot, generation), None);
        }
        assert_eq!(slab.get(again, younger), Some(&"second"));
        assert_eq!(slab.generation(slot), Some(younger));
        assert_eq!((slab.generation(1), slab.slot(1)), (None, None));
        assert_eq!(slab.remove_slot(1), None);
    }

    #[test]
    fn a_free_slot_matches_no_handle_even_with_its_next_generation() {
        let mut slab = Slab::<_>::new();
        let (slot, generation) = slab.insert(());
        slab.remove_slot(slot);
        assert_eq!(slab.get(slot, generation + 1), None);
        assert_eq!(slab.generation(slot), None);
        assert!(slab.is_empty());
    }

    #[test]
    fn what_is_renewed_is_found_by_its_slot_alone() {
        let mut slab = Slab::<_>::new();
        let (slot, generation) = slab.insert(7);
        assert!(slab.renew(slot));
        assert_eq!(slab.get(slot, generation), None);
        assert_eq!(slab.remove(slot, generation), None);
        assert_eq!((slab.slot(slot), slab.generation(slot), slab.len()), (Some(&7), Some(generation + 1), 1));
        slab.heads.get_mut(slot).expect("made above").generation = u32::MAX;
        assert!(!slab.renew(slot), "no generation is left");
        assert_eq!(slab.remove(slot, u32::MAX), Some(7));
        assert!(!slab.renew(slot) && !slab.renew(1), "nothing is there");
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut slab = Slab::<_>::new();
        let (slot, _) = slab.insert(1);
        slab.heads.get_mut(slot).expect("made above").generation = u32::MAX - 1;
        assert_eq!(slab.remove(slot, u32::MAX - 1), Some(1));
        assert_eq!(slab.insert(2), (slot, u32::MAX));
        assert_eq!(slab.remove(slot, u32::MAX), Some(2));
        assert_eq!(slab.insert(3), (slot + 1, 1));
        assert_eq!((slab.get(slot, u32::MAX), slab.get(slot, 0), slab.get(slot, 1)), (None, None, None));
    }

    #[test]
    fn what_lies_beside_goes_with_its_slot() {
        let mut slab = Slab::<_, u32>::new();
        let (slot, generation) = slab.insert("first");
        *slab.hot_mut(slot).expect("it lives") = 7;
        assert_eq!((slab.hot(slot), slab.hot_of(slot, generation)), (7, Some(7)));
        assert_eq!(slab.whole_mut(slot), Some((&mut "first", &mut 7)));
        assert_eq!((slab.hot_of(slot, generation + 1), slab.hot_of(slot, 0), slab.hot_of(1, 1)), (None, None, None));
        slab.remove_slot(slot);
        assert_eq!((slab.hot(slot), slab.hot_of(slot, generation), slab.whole_mut(slot)), (0, None, None));
        // Nobody was given this handle yet: it finds what nothing has left there.
        assert_eq!((slab.hot_of(slot, generation + 1), slab.get(slot, generation + 1)), (Some(0), None));
        let (again, _) = slab.insert("second");
        assert_eq!((again, slab.hot(again), slab.hot(1)), (slot, 0, 0));
    }

    #[test]
    fn a_value_may_hold_its_own_id() {
        let mut slab = Slab::<_>::new();
        slab.insert((9, 9));
        let (slot, generation) = slab.insert_with(|slot, generation| (slot, generation));
        assert_eq!(slab.slot(slot), Some(&(slot, generation)));
        slab.remove_slot(slot);
        assert_eq!(slab.insert_with(|slot, generation| (slot, generation)), (slot, generation + 1));
        assert_eq!(slab.slot(slot), Some(&(slot, generation + 1)));
    }

    proptest! {
        #[test]
        fn a_slab_is_a_map_from_handles(ops in proptest::collection::vec((any::<bool>(), any::<usize>()), 0..400)) {
            let mut slab = Slab::<_>::new();
            let mut arena = Arena::new();
            let mut model = BTreeMap::new();
            let mut gone = Vec::new();
            for (step, (add, pick)) in ops.into_iter().enumerate() {
                if add || model.is_empty() {
                    let (slot, generation) = slab.insert(step);
                    prop_assert_eq!(arena.insert(step), slot);
                    prop_assert!(model.insert((slot, generation), step).is_none());
                } else {
                    let (&(slot, generation), &value) = model.iter().nth(pick % model.len()).expect("not empty");
                    prop_assert_eq!(slab.remove(slot, generation), Some(value));
                    prop_assert_eq!(arena.remove(slot), Some(value));
                    prop_assert_eq!(arena.remove(slot), None);
                    model.remove(&(slot, generation));
                    gone.push((slot, generation));
                }
                prop_assert_eq!((slab.len(), arena.len()), (model.len(), model.len()));
            }
            for ((slot, generation), value) in &model {
                prop_assert_eq!(slab.get(*slot, *generation), Some(value));
                prop_assert_eq!(arena.get(*slot), Some(value));
            }
            for (slot, generation) in gone {
                prop_assert_eq!(slab.get(slot, generation), None);
            }
            let alive = (0..slab.capacity()).filter(|slot| slab.slot(*slot).is_some()).count();
            prop_assert_eq!(alive, model.len());
        }
    }
}
