//! From a name to the slot of who bears it: [`Index`], and names kept once each: [`Interner`].
//!
//! Hashing is SipHash-1-3 keyed with the seed the hub was given: nobody who does not know it can choose names that
//! collide (E07), and the same seed gives the same run. No iteration is offered, so nothing can depend on an order.

use alloc::boxed::Box;
use core::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use crate::slab::Arena;

/// Slots by name. The names stay with the owner of the slots, so an entry costs 4 bytes and 1 of the table's own, over
/// a load of 63 %: 8 bytes, however many there are.
#[derive(Debug)]
pub(crate) struct Index {
    hasher: SipHasher13,
    /// Apart, so that growing moves a share of the entries at a time.
    tables: Box<[HashTable<u32>]>,
    len: usize,
}

impl Index {
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { hasher: SipHasher13::new_with_key(seed), tables, len: 0 }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn hash(&self, name: &[u8]) -> u64 {
        hash(self.hasher, &[name])
    }

    /// The hash of a name that is these parts in a row.
    pub(crate) fn hash_parts(&self, parts: &[&[u8]]) -> u64 {
        hash(self.hasher, parts)
    }

    /// The slot for which `eq` is true, among those whose names may have this hash.
    pub(crate) fn find(&self, hash: u64, mut eq: impl FnMut(u32) -> bool) -> Option<u32> {
        self.tables.get(table_of(hash))?.find(hash, |slot| eq(*slot)).copied()
    }

    /// Adds a slot whose name has this hash and is not in here yet. `parts_of` answers the names of slots that are, each
    /// in parts, and is asked for those of one table when that grows.
    pub(crate) fn insert<'n, const N: usize>(&mut self, hash: u64, slot: u32, parts_of: impl Fn(u32) -> [&'n [u8]; N]) {
        let hasher = self.hasher;
        if let Some(table) = self.tables.get_mut(table_of(hash)) {
            table.insert_unique(hash, slot, |slot| self::hash(hasher, &parts_of(*slot)));
            self.len += 1;
        }
    }

    /// Removes a slot that was added with this hash; whether it was in here.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) -> bool {
        let Some(table) = self.tables.get_mut(table_of(hash)) else { return false };
        let Ok(entry) = table.find_entry(hash, |other| *other == slot) else { return false };
        entry.remove();
        self.len -= 1;
        true
    }
}

/// Names kept once each, with a count of who refers to them.
#[derive(Debug)]
pub(crate) struct Interner {
    index: Index,
    names: Arena<Name>,
}

impl Interner {
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        Self { index: Index::new(seed), names: Arena::new() }
    }

    /// Distinct names.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The key of a name that is known, without referring to it.
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        self.index.find(self.index.hash(name), |key| self.get(key) == name)
    }

    /// The key of a name, with one more reference to it.
    pub(crate) fn intern(&mut self, name: &[u8]) -> u32 {
        let hash = self.index.hash(name);
        if let Some(key) = self.index.find(hash, |key| self.get(key) == name) {
            self.retain(key);
            return key;
        }
        let key = self.names.insert(Name { bytes: name.into(), count: 1 });
        let names = &self.names;
        self.index.insert(hash, key, |key| [names.get(key).map_or(&[], |name| &*name.bytes)]);
        key
    }

    /// One more reference.
    pub(crate) fn retain(&mut self, key: u32) {
        if let Some(name) = self.names.get_mut(key) {
            name.count = name.count.saturating_add(1);
        }
    }

    /// One reference less; answers how many are left. With the last one the name goes, and its key may come to stand
    /// for another.
    pub(crate) fn release(&mut self, key: u32) -> u32 {
        let Some(name) = self.names.get_mut(key) else { return 0 };
        if name.count == u32::MAX {
            // Saturated: nobody knows how many there are, so it stays.
            return u32::MAX;
        }
        name.count -= 1;
        let left = name.count;
        if left == 0 {
            let hash = self.index.hash(&name.bytes);
            self.index.remove(hash, key);
            self.names.remove(key);
        }
        left
    }

    /// How many references there are.
    pub(crate) fn count(&self, key: u32) -> u32 {
        self.names.get(key).map_or(0, |name| name.count)
    }

    /// The name; empty if the key stands for none.
    pub(crate) fn get(&self, key: u32) -> &[u8] {
        self.names.get(key).map_or(&[], |name| &name.bytes)
    }
}

#[derive(Debug)]
struct Name {
    bytes: Box<[u8]>,
    count: u32,
}

fn hash(mut hasher: SipHasher13, parts: &[&[u8]]) -> u64 {
    for part in parts {
        hasher.write(part);
    }
    hasher.finish()
}

/// hashbrown places an entry by the lowest bits and recognises it by the topmost seven, so the table is chosen by
/// bits that are neither.
fn table_of(hash: u64) -> usize {
    let class = BOUNDS.iter().filter(|bound| (hash >> 40) as u16 >= **bound).count();
    class * CLASS + (hash >> 35) as usize % CLASS
}

/// A million names are 2,800 to 5,200 in each: growing one takes about a millisecond.
const TABLES: usize = CLASSES * CLASS;
/// Tables double when they grow. The shares of these classes of tables are from 1 to 2 apart, in equal ratios, so that
/// they do not all grow at one time: however many names there are, a table is about two thirds full on average.
const CLASSES: usize = 8;
/// Tables of each class.
const CLASS: usize = 32;
/// Where the classes after the first begin, in 2^16ths: the sums of 2^(n/8), over the sum of all eight.
const BOUNDS: [u16; CLASSES - 1] = [5_931, 12_399, 19_453, 27_145, 35_534, 44_682, 54_657];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SEED: [u8; 16] = *b"sixteen byte key";

    #[test]
    fn a_name_is_found_until_it_is_removed() {
        let names: Vec<_> = (0..20_000).map(|n| format!("name-{n}")).collect();
        let name_of = |slot: u32| names[slot as usize].as_bytes();
        let mut index = Index::new(&SEED);
        for (slot, name) in names.iter().enumerate() {
            index.insert(index.hash(name.as_bytes()), slot as u32, |slot| [name_of(slot)]);
        }
        assert_eq!(index.len(), names.len());
        for (slot, name) in names.iter().enumerate() {
            let hash = index.hash(name.as_bytes());
            assert_eq!(index.find(hash, |slot| name_of(slot) == name.as_bytes()), Some(slot as u32));
            assert!(index.remove(hash, slot as u32));
            assert!(!index.remove(hash, slot as u32));
            assert_eq!(index.find(hash, |slot| name_of(slot) == name.as_bytes()), None);
        }
        assert!(index.is_empty());
    }

    #[test]
    fn parts_hash_as_the_whole() {
        let index = Index::new(&SEED);
        let whole = index.hash(b"/user/rob/queue/messages");
        assert_eq!(index.hash_parts(&[b"/user/", b"rob", b"", b"/queue/messages"]), whole);
        assert_eq!(index.hash_parts(&[]), index.hash(b""));
    }

    #[test]
    fn e07_the_seed_decides_the_hash() {
        let (one, other) = (Index::new(&SEED), Index::new(&[0; 16]));
        assert_ne!(one.hash(b"name"), other.hash(b"name"));
        assert_eq!(one.hash(b"name"), Index::new(&SEED).hash(b"name"));
        // The key 00..0f over 00..07, by another implementation that also meets the authors' vectors for SipHash-2-4.
        let key = core::array::from_fn(|n| n as u8);
        assert_eq!(Index::new(&key).hash(&[0, 1, 2, 3, 4, 5, 6, 7]), 0x3690_9511_8d29_9a8e);
    }

    #[test]
    fn entries_spread_over_the_tables() {
        let names: Vec<_> = (0..256_000).map(|n| format!("{n}")).collect();
        let mut index = Index::new(&SEED);
        for (slot, name) in names.iter().enumerate() {
            index.insert(index.hash(name.as_bytes()), slot as u32, |slot| [names[slot as usize].as_bytes()]);
        }
        let sums: Vec<usize> = index.tables.chunks(CLASS).map(|c| c.iter().map(HashTable::len).sum()).collect();
        let all: f64 = (0..CLASSES).map(|n| 2_f64.powf(n as f64 / 8.0)).sum();
        for (class, sum) in sums.into_iter().enumerate() {
            let share = 256_000.0 * 2_f64.powf(class as f64 / 8.0) / all;
            assert!((sum as f64 / share - 1.0).abs() < 0.02, "class {class}: {sum} of {share}");
        }
        assert!(index.tables.iter().all(|table| (600..1_500).contains(&table.len())));
    }

    #[test]
    fn an_entry_costs_about_8_bytes_however_many_there_are() {
        let mut index = Index::new(&SEED);
        let names: Vec<_> = (0..200_000).map(|n| format!("{n}")).collect();
        for (slot, name) in names.iter().enumerate() {
            index.insert(index.hash(name.as_bytes()), slot as u32, |slot| [names[slot as usize].as_bytes()]);
            let len = slot + 1;
            if len >= 50_000 && len % 10_000 == 0 {
                // A table that holds 7/8 of a power of two has that many buckets, of 5 bytes each.
                let buckets: usize = index.tables.iter().map(|t| (t.capacity() * 8 / 7).next_power_of_two()).sum();
                let each = 5.0 * buckets as f64 / len as f64;
                assert!((7.4..9.0).contains(&each), "{each} bytes each for {len}");
            }
        }
    }

    #[test]
    fn a_name_lives_as_long_as_somebody_refers_to_it() {
        let mut interner = Interner::new(&SEED);
        let rob = interner.intern(b"rob");
        assert_eq!(interner.intern(b"rob"), rob);
        let empty = interner.intern(b"");
        assert_ne!(empty, rob);
        assert_eq!((interner.len(), interner.count(rob)), (2, 2));
        interner.retain(rob);
        assert_eq!(interner.release(rob), 2);
        assert_eq!(interner.release(rob), 1);
        assert_eq!((interner.get(rob), interner.find(b"rob")), (&b"rob"[..], Some(rob)));
        assert_eq!(interner.release(rob), 0);
        assert_eq!((interner.get(rob), interner.find(b"rob"), interner.count(rob)), (&b""[..], None, 0));
        assert_eq!(interner.release(rob), 0);
        interner.retain(rob);
        assert_eq!(interner.intern(b"luke"), rob);
        assert_eq!(interner.find(b""), Some(empty));
    }

    #[test]
    fn a_count_that_saturates_keeps_its_name() {
        let mut interner = Interner::new(&SEED);
        let key = interner.intern(b"rob");
        interner.names.get_mut(key).expect("interned above").count = u32::MAX - 1;
        interner.retain(key);
        interner.retain(key);
        assert_eq!(interner.release(key), u32::MAX);
        assert_eq!(interner.get(key), b"rob");
    }

    #[test]
    fn a_name_costs_24_bytes_beside_its_own() {
        assert_eq!(size_of::<Option<Name>>(), 24);
    }

    proptest! {
        #[test]
        fn an_interner_is_a_multiset(ops in proptest::collection::vec((any::<bool>(), 0_u8..12), 0..300)) {
            let mut interner = Interner::new(&SEED);
            let mut model = BTreeMap::<Vec<u8>, u32>::new();
            for (add, name) in ops {
                let name = alloc::vec![b'n'; name as usize];
                let count = model.entry(name.clone()).or_default();
                if add {
                    let key = interner.intern(&name);
                    *count += 1;
                    prop_assert_eq!(interner.get(key), &name[..]);
                } else if *count > 0 {
                    *count -= 1;
                    let key = interner.find(&name).expect("the model refers to it");
                    prop_assert_eq!(interner.release(key), *count);
                }
                let count = *count;
                prop_assert_eq!(interner.find(&name).map_or(0, |key| interner.count(key)), count);
            }
            prop_assert_eq!(interner.len(), model.values().filter(|count| **count > 0).count());
        }
    }
}
