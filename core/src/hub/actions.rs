//! What waits to be polled.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::Action;
use crate::ids::ClientId;

/// Actions in order, and between them the receipts for what the application was given just before: a receipt is due
/// once the embedder comes for what follows, since by then it has dealt with that.
#[derive(Debug, Default)]
pub(super) struct Actions {
    queue: VecDeque<Queued>,
    receipts: usize,
}

#[derive(Debug)]
pub(super) enum Queued {
    Action(Action),
    Receipt { client: ClientId, id: Box<str> },
}

impl Actions {
    pub(super) fn push_back(&mut self, action: Action) {
        self.queue.push_back(Queued::Action(action));
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Not done yet after all.
    pub(super) fn push_front(&mut self, action: Action) {
        self.queue.push_front(Queued::Action(action));
    }

    pub(super) fn push_receipt(&mut self, client: ClientId, id: &str) {
        self.receipts += 1;
        self.queue.push_back(Queued::Receipt { client, id: Box::from(id) });
    }

    pub(super) fn pop_front(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front();
        self.receipts -= usize::from(matches!(queued, Some(Queued::Receipt { .. })));
        queued
    }

    /// Whether what this client asked for last waits for the application.
    pub(super) fn ends_with_delivery_of(&self, client: ClientId) -> bool {
        matches!(self.queue.back(), Some(Queued::Action(Action::Deliver { client: of, .. })) if *of == client)
    }

    /// Whether receipts wait, behind which later ones have to stand.
    pub(super) fn has_receipts(&self) -> bool {
        self.receipts > 0
    }
}
