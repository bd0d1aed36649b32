//! What was recorded, played again.

use std::collections::BTreeMap;

use tethered_core::hub::Hub;
use tethered_core::hub::record::{Explainer, Line, Played};

use super::World;
use crate::hub_ops::setup::config;

impl World {
    /// What was recorded gives the same actions, the same bytes and the same recording.
    pub(super) fn again(&mut self) {
        let recording = self.hub.take_record();
        let lines: Vec<Line> = recording.lines().map(|line| Line::parse(line).expect(line)).collect();
        let mut hub = Hub::from_record(config(&self.setup), &lines[0]).expect("a recording begins");
        hub.record(true).expect("nothing has come in");
        let (mut actions, mut sent) = (Vec::new(), BTreeMap::<_, Vec<u8>>::new());
        let mut explainer = self.sockets.first().map(|socket| Explainer::new(socket.id));
        let mut other = Hub::from_record(config(&self.setup), &lines[0]).expect("a recording begins");
        for line in &lines[1..] {
            let replayed = hub.replay(line, |_, played| match played {
                Played::Action(action) => actions.push(format!("{action:?}")),
                Played::Written { socket, bytes } => sent.entry(socket).or_default().extend(bytes),
                other => panic!("what is this? {other:?}"),
            });
            replayed.expect("the same");
            if let Some(explainer) = &mut explainer {
                explainer.play(&mut other, line).expect("the same");
            }
        }
        while let Some(action) = hub.poll() {
            actions.push(format!("{action:?}"));
        }
        assert_eq!(hub.take_record(), recording);
        assert_eq!(actions, self.actions);
        for socket in &self.sockets {
            assert_eq!(sent.remove(&socket.id).unwrap_or_default(), socket.peer.all);
        }
        if let Some(mut explainer) = explainer {
            explainer.finish(&mut other);
            assert!(explainer.take().contains("opened") && !explainer.why().contains("still open"));
        }
    }
}
