//! Who is there, at this node and at the others.
//!
//! A node tells the others each coming and going at once, and every [`BEAT_MS`] all who are there, which makes up for
//! what was lost on the way. A node that is not heard for [`GONE_MS`] is taken for gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tethered_core::hub::To;
use tethered_core::time::Instant;

use super::chat::{json, message};
use super::outlet::Outlet;

/// Who has a STOMP connection open, and how many.
#[derive(Debug, Default)]
pub(super) struct Present {
    here: BTreeMap<Arc<str>, u32>,
    elsewhere: BTreeMap<Box<str>, Node>,
}

/// Another node.
#[derive(Debug)]
struct Node {
    users: BTreeMap<String, u32>,
    heard: Instant,
}

/// What nodes tell each other.
#[derive(Serialize, Deserialize)]
struct Note<U> {
    /// These are all; otherwise those that have changed.
    all: bool,
    /// How many connections each has there.
    users: U,
}

impl Present {
    /// Announces a coming. The header `connections` says how many the user has now.
    pub(super) fn came(&mut self, outlet: &mut impl Outlet, name: &Arc<str>) {
        let count = self.here.entry(name.clone()).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        self.changed(outlet, "/topic/friends/signin", name, count);
    }

    /// Announces a going.
    pub(super) fn went(&mut self, outlet: &mut impl Outlet, name: &Arc<str>) {
        let Some(count) = self.here.get_mut(name) else { return };
        *count = count.saturating_sub(1);
        let count = *count;
        if count == 0 {
            self.here.remove(name);
        }
        self.changed(outlet, "/topic/friends/signout", name, count);
    }

    fn changed(&self, outlet: &mut impl Outlet, topic: &str, name: &str, here: u32) {
        outlet.announce(&json(&Note { all: false, users: BTreeMap::from([(name, here)]) }));
        let elsewhere = self.elsewhere.values().filter_map(|node| node.users.get(name));
        let connections = elsewhere.fold(here, |sum, count| sum.saturating_add(*count)).to_string();
        outlet.publish(To::Destination(topic), &message(&json(&[name]), &[("connections", &connections)]));
    }

    /// Hears what another node says.
    pub(super) fn heard(&mut self, outlet: &mut impl Outlet, now: Instant, from: &str, body: &[u8]) {
        let Ok(note) = serde_json::from_slice::<Note<BTreeMap<String, u32>>>(body) else { return };
        let Some(node) = self.elsewhere.get_mut(from) else {
            if self.elsewhere.len() < NODES_MAX {
                self.elsewhere.insert(from.into(), Node { users: note.users, heard: now });
                // It is new, and knows nobody.
                self.tell_all(outlet);
            }
            return;
        };
        node.heard = now;
        if note.all {
            node.users = note.users;
            return;
        }
        for (name, count) in note.users {
            if count > 0 {
                node.users.insert(name, count);
            } else {
                node.users.remove(&name);
            }
        }
    }

    /// Tells the others that this node is there, and forgets those that are not heard any more. To be called every
    /// [`BEAT_MS`].
    pub(super) fn beat(&mut self, outlet: &mut impl Outlet, now: Instant) {
        self.elsewhere.retain(|_, node| now.since(node.heard) < GONE_MS);
        self.tell_all(outlet);
    }

    fn tell_all(&self, outlet: &mut impl Outlet) {
        let users: BTreeMap<&str, u32> = self.here.iter().map(|(name, count)| (&**name, *count)).collect();
        outlet.announce(&json(&Note { all: true, users }));
    }

    /// The others' names, sorted, as JSON.
    pub(super) fn all_but(&self, name: Option<&str>) -> Vec<u8> {
        let here = self.here.keys().map(|name| &**name);
        let elsewhere = self.elsewhere.values().flat_map(|node| node.users.keys()).map(String::as_str);
        let mut others: Vec<&str> = here.chain(elsewhere).filter(|other| Some(*other) != name).collect();
        others.sort_unstable();
        others.dedup();
        json(&others)
    }
}

/// How often a node says who is there, in milliseconds.
pub const BEAT_MS: u64 = 10_000;
/// After so long a node that is not heard is gone.
const GONE_MS: u64 = 3 * BEAT_MS + BEAT_MS / 2;
const NODES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::chat::tests::Heard;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Two nodes that hear each other.
    #[derive(Default)]
    struct Pair([Present; 2]);

    impl Pair {
        /// Lets one of them do something, and both hear what comes of it.
        fn act(&mut self, i: usize, now: u64, act: impl FnOnce(&mut Present, &mut Heard)) -> Vec<String> {
            let mut heard = Heard::default();
            act(&mut self.0[i], &mut heard);
            let mut waiting: Vec<_> = heard.announced().into_iter().map(|body| (i, body)).collect();
            while let Some((from, body)) = waiting.pop() {
                let mut answer = Heard::default();
                self.0[1 - from].heard(&mut answer, at(now), ["one", "two"][from], &body);
                waiting.extend(answer.announced().into_iter().map(|body| (1 - from, body)));
            }
            heard.take()
        }

        fn lists(&self) -> [String; 2] {
            [0, 1].map(|i| String::from_utf8(self.0[i].all_but(Some("rob"))).expect("JSON"))
        }
    }

    #[test]
    fn nodes_know_of_each_other_from_the_first_word_on() {
        let (rob, luke, ann) = ("rob".into(), "luke".into(), "ann".into());
        let mut pair = Pair::default();
        pair.act(0, 0, |present, outlet| present.came(outlet, &luke));
        let said = pair.act(1, 0, |present, outlet| present.came(outlet, &ann));
        assert_eq!(said, [r#"/topic/friends/signin application/json connections=1 ["ann"]"#]);
        assert_eq!(pair.lists(), [r#"["ann","luke"]"#, r#"["ann","luke"]"#]);
        let said = pair.act(1, 0, |present, outlet| present.came(outlet, &luke));
        assert_eq!(said, [r#"/topic/friends/signin application/json connections=2 ["luke"]"#]);
        pair.act(1, 0, |present, outlet| present.came(outlet, &rob));
        assert_eq!(pair.lists(), [r#"["ann","luke"]"#, r#"["ann","luke"]"#]);
        pair.act(0, 0, |present, outlet| present.went(outlet, &luke));
        pair.act(1, 0, |present, outlet| present.went(outlet, &ann));
        assert_eq!(pair.lists(), [r#"["luke"]"#, r#"["luke"]"#]);
        let said = pair.act(1, 0, |present, outlet| present.went(outlet, &luke));
        assert_eq!(said, [r#"/topic/friends/signout application/json connections=0 ["luke"]"#]);
        assert_eq!(pair.lists(), ["[]", "[]"]);
    }

    #[test]
    fn what_was_lost_is_made_up_for_and_who_is_silent_is_gone() {
        let luke: Arc<str> = "luke".into();
        let mut pair = Pair::default();
        pair.act(1, 0, |present, outlet| present.beat(outlet, at(0)));
        // Nobody hears this.
        pair.0[1].came(&mut Heard::default(), &luke);
        assert_eq!(pair.lists()[0], "[]");
        pair.act(1, 10_000, |present, outlet| present.beat(outlet, at(10_000)));
        assert_eq!(pair.lists()[0], r#"["luke"]"#);
        pair.0[0].beat(&mut Heard::default(), at(44_999));
        assert_eq!(pair.lists()[0], r#"["luke"]"#);
        pair.0[0].beat(&mut Heard::default(), at(45_000));
        assert_eq!(pair.lists()[0], "[]");
    }

    #[test]
    fn what_is_no_note_is_nothing_and_nodes_are_bounded() {
        let mut present = Present::default();
        for body in [&b""[..], b"{}", b"[]", b"{\"all\":true,\"users\":{\"rob\":-1}}", b"\xff"] {
            present.heard(&mut Heard::default(), at(0), "one", body);
        }
        assert!(present.elsewhere.is_empty());
        for i in 0..300 {
            let note = br#"{"all":true,"users":{}}"#;
            present.heard(&mut Heard::default(), at(0), &i.to_string(), note);
        }
        assert_eq!(present.elsewhere.len(), NODES_MAX);
    }
}
