//! What waits to be polled.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::{Action, Hub, record};
use crate::ids::ClientId;

/// Actions in order, and between them the receipts for what the application was given just before: a receipt is due
/// once the embedder comes for what follows, since by then it has dealt with that.
#[derive(Debug, Default)]
pub(super) struct Actions {
    queue: VecDeque<Queued>,
    receipts: usize,
    /// How many of the first are lent: they do not wait any more.
    lent: usize,
}

#[derive(Debug)]
pub(super) enum Queued {
    Action(Action),
    Receipt {
        client: ClientId,
        id: Box<str>,
    },
    /// Among what is lent: nothing any more.
    Spent,
}

/// What [`Hub::lend`] gives.
#[derive(Debug)]
pub enum Loan<'a> {
    /// The action stays in the hub, which knows it by this number until it is taken back.
    Lent(usize, &'a Action),
    /// The action was made just now and is nowhere else.
    Given(Action),
}

impl Actions {
    pub(super) fn push_back(&mut self, action: Action) {
        self.queue.push_back(Queued::Action(action));
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len() - self.lent
    }

    /// What was taken last is not done yet after all.
    pub(super) fn push_front(&mut self, action: Action) {
        let action = Queued::Action(action);
        let spent = self.lent.checked_sub(1).and_then(|last| self.queue.get_mut(last));
        if let Some(spent @ Queued::Spent) = spent {
            *spent = action;
            self.lent -= 1;
        } else {
            self.queue.insert(self.lent, action);
        }
    }

    pub(super) fn push_receipt(&mut self, client: ClientId, id: &str) {
        self.receipts += 1;
        self.queue.push_back(Queued::Receipt { client, id: Box::from(id) });
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Queued> {
        if self.lent > 0 {
            self.take_back_first();
        }
        let queued = self.queue.pop_front();
        self.receipts -= usize::from(matches!(queued, Some(Queued::Receipt { .. })));
        queued
    }

    /// The next one, where it is.
    #[inline]
    fn next(&self) -> Option<&Queued> {
        self.queue.get(self.lent)
    }

    /// Lends the next one where it is.
    #[inline]
    fn lend(&mut self) -> Option<(usize, &Action)> {
        let at = self.lent;
        match self.queue.get(at) {
            Some(Queued::Action(action)) => {
                self.lent += 1;
                Some((at, action))
            }
            _ => None,
        }
    }

    /// Takes the next one from its place among what is lent.
    fn spend(&mut self) -> Queued {
        let Some(next) = self.queue.get_mut(self.lent) else { return Queued::Spent };
        let next = core::mem::replace(next, Queued::Spent);
        self.lent += 1;
        self.receipts -= usize::from(matches!(next, Queued::Receipt { .. }));
        next
    }

    fn lent(&self) -> impl Iterator<Item = &Action> {
        self.queue.iter().take(self.lent).filter_map(|queued| match queued {
            Queued::Action(action) => Some(action),
            Queued::Receipt { .. } | Queued::Spent => None,
        })
    }

    fn lent_at(&self, at: usize) -> Option<&Action> {
        match self.queue.get(at)? {
            Queued::Action(action) if at < self.lent => Some(action),
            _ => None,
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back_first(&mut self) {
        self.take_back();
    }

    fn take_back(&mut self) {
        let lent = core::mem::take(&mut self.lent);
        if lent == 0 {
            return;
        }
        if lent == self.queue.len() {
            self.queue.clear();
        } else {
            self.queue.drain(..lent);
        }
    }

    /// Whether what this client asked for last waits for the application.
    pub(super) fn ends_with_delivery_of(&self, client: ClientId) -> bool {
        self.len() > 0
            && matches!(self.queue.back(), Some(Queued::Action(Action::Deliver { client: of, .. })) if *of == client)
    }

    /// Whether receipts wait, behind which later ones have to stand.
    pub(super) fn has_receipts(&self) -> bool {
        self.receipts > 0
    }
}

/// Actions that stay where they are: for who hands on what they point to and works through many of them, and need not move
/// each for that.
impl Hub {
    /// As [`poll`](Self::poll), but the action stays in the hub until [`take_back`](Self::take_back) or the next
    /// [`poll`](Self::poll), whatever is called in between.
    #[inline]
    pub fn lend(&mut self) -> Option<Loan<'_>> {
        loop {
            let stays = match self.actions.next()? {
                Queued::Action(Action::Write { socket, .. }) => !self.is_handed_out(*socket),
                Queued::Action(_) => true,
                Queued::Receipt { .. } | Queued::Spent => false,
            };
            self.recording(record::Recorder::taken);
            if stays {
                return self.actions.lend().map(|(at, action)| Loan::Lent(at, action));
            }
            let next = self.actions.spend();
            if let Some(action) = self.settled(next) {
                return Some(Loan::Given(action));
            }
        }
    }

    /// What is lent under this number.
    pub fn lent(&self, at: usize) -> Option<&Action> {
        self.actions.lent_at(at)
    }

    /// All that is lent.
    pub fn all_lent(&self) -> impl Iterator<Item = &Action> {
        self.actions.lent()
    }

    /// Takes back what was lent, and drops it.
    #[inline]
    pub fn take_back(&mut self) {
        self.actions.take_back();
    }

    /// Takes what waits next: an action, or a receipt that is due now.
    #[inline(always)]
    pub(super) fn take_next(&mut self) -> Option<Option<Action>> {
        let next = self.actions.pop_front()?;
        self.recording(record::Recorder::taken);
        // Matched here and not in `settled`, for what there is most of is moved once less so.
        match next {
            Queued::Action(Action::Write { socket, token }) => Some(self.carried(socket, token)),
            Queued::Action(action) => Some(Some(action)),
            other => {
                self.settled(other);
                Some(None)
            }
        }
    }

    /// What there is to be done about what was taken.
    fn settled(&mut self, taken: Queued) -> Option<Action> {
        match taken {
            Queued::Action(Action::Write { socket, token }) => self.carried(socket, token),
            Queued::Action(action) => Some(action),
            Queued::Receipt { client, id } => {
                self.give_receipt(client, &id);
                None
            }
            Queued::Spent => None,
        }
    }
}
