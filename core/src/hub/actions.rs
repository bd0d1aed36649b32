//! What waits to be polled.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::{Action, Hub, record};
use crate::ids::{ClientId, SocketId};

/// Actions in order, and between them the receipts for what the application was given just before: a receipt is due
/// once the embedder comes for what follows, since by then it has dealt with that.
///
/// What there may be one of for each of many receivers is small, and lies in the order itself; the others lie apart, or
/// each entry would be as large as the largest action.
#[derive(Debug, Default)]
pub(super) struct Actions {
    order: VecDeque<Next>,
    /// Those that the order counts, behind those that are lent and do not wait any more.
    apart: VecDeque<Action>,
    /// How many of `apart` are lent.
    lent: usize,
    receipts: VecDeque<(ClientId, Box<str>)>,
    waiting: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// [`Action::Write`].
    Write {
        socket: SocketId,
        token: u64,
    },
    /// So many actions that lie apart; at least one.
    Apart(usize),
    Receipt,
}

/// What [`Hub::lend`] gives.
#[derive(Debug)]
pub enum Loan<'a> {
    /// [`Action::Write`]: there is no more to it than this.
    Write {
        /// The socket.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
    },
    /// The action stays in the hub, which knows it by this number until it is taken back.
    Lent(usize, &'a Action),
    /// The action was made just now and is nowhere else.
    Given(Action),
}

impl Actions {
    #[inline]
    pub(super) fn push_back(&mut self, action: Action) {
        self.waiting += 1;
        self.apart.push_back(action);
        if let Some(Next::Apart(count)) = self.order.back_mut() {
            *count += 1;
        } else {
            self.order.push_back(Next::Apart(1));
        }
    }

    /// [`Action::Write`].
    #[inline]
    pub(super) fn push_write(&mut self, socket: SocketId, token: u64) {
        self.waiting += 1;
        self.order.push_back(Next::Write { socket, token });
    }

    /// The write that was taken last is not done yet after all.
    pub(super) fn push_write_front(&mut self, socket: SocketId, token: u64) {
        self.waiting += 1;
        self.order.push_front(Next::Write { socket, token });
    }

    pub(super) fn push_receipt(&mut self, client: ClientId, id: &str) {
        self.waiting += 1;
        self.receipts.push_back((client, Box::from(id)));
        self.order.push_back(Next::Receipt);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Takes what comes next out of the order. An action that lies apart still does.
    #[inline]
    fn advance(&mut self) -> Option<Next> {
        let next = match self.order.front_mut()? {
            Next::Apart(count) if *count > 1 => {
                *count -= 1;
                Next::Apart(1)
            }
            _ => self.order.pop_front()?,
        };
        self.waiting -= 1;
        Some(next)
    }

    fn lent(&self) -> impl Iterator<Item = &Action> {
        self.apart.iter().take(self.lent)
    }

    fn lent_at(&self, at: usize) -> Option<&Action> {
        self.apart.get(at).filter(|_| at < self.lent)
    }

    #[inline]
    fn take_back(&mut self) {
        if self.lent > 0 {
            self.drop_lent();
        }
    }

    #[inline(never)]
    fn drop_lent(&mut self) {
        let lent = core::mem::take(&mut self.lent);
        if lent == self.apart.len() {
            self.apart.clear();
        } else {
            self.apart.drain(..lent);
        }
    }

    /// Whether what this client asked for last waits for the application.
    pub(super) fn ends_with_delivery_of(&self, client: ClientId) -> bool {
        matches!(self.order.back(), Some(Next::Apart(_)))
            && matches!(self.apart.back(), Some(Action::Deliver { client: of, .. }) if *of == client)
    }

    /// Whether receipts wait, behind which later ones have to stand.
    pub(super) fn has_receipts(&self) -> bool {
        !self.receipts.is_empty()
    }
}

impl Hub {
    /// The next thing to be done, or `None`: wait until [`next_deadline`](Self::next_deadline) or the next event.
    #[inline]
    pub fn poll(&mut self) -> Option<Action> {
        loop {
            let next = self.take_order()?;
            // What there is most of goes straight to where it is wanted: it is large.
            if let Next::Apart(_) = next {
                return self.actions.apart.pop_front();
            }
            if let Some(action) = self.carry_out(next) {
                return Some(action);
            }
        }
    }

    /// Takes what waits next: an action, or a receipt that is due now.
    pub(super) fn take_next(&mut self) -> Option<Option<Action>> {
        let next = self.take_order()?;
        Some(self.carry_out(next))
    }

    #[inline]
    fn take_order(&mut self) -> Option<Next> {
        self.actions.take_back();
        let next = self.actions.advance()?;
        self.recording(record::Recorder::taken);
        Some(next)
    }

    fn carry_out(&mut self, next: Next) -> Option<Action> {
        match next {
            Next::Apart(_) => self.actions.apart.pop_front(),
            Next::Write { socket, token } => self.carried(socket, token),
            Next::Receipt => {
                self.give_next_receipt();
                None
            }
        }
    }

    fn give_next_receipt(&mut self) {
        if let Some((client, id)) = self.actions.receipts.pop_front() {
            self.give_receipt(client, &id);
        }
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
            let next = self.actions.advance()?;
            self.recording(record::Recorder::taken);
            match next {
                Next::Apart(_) => {
                    let at = self.actions.lent;
                    self.actions.lent += 1;
                    return self.actions.apart.get(at).map(|action| Loan::Lent(at, action));
                }
                Next::Write { socket, token } if !self.is_handed_out(socket) => {
                    return Some(Loan::Write { socket, token });
                }
                Next::Write { socket, token } => {
                    if let Some(action) = self.next_message(socket, token) {
                        return Some(Loan::Given(action));
                    }
                }
                Next::Receipt => self.give_next_receipt(),
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
}
