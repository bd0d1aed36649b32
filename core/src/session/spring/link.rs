//! Notices: the subscription, the flags it needs, and the echo that fences what is gone.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::alarm::AlarmKind;
use super::errors::{Trouble, is_forbidden, trouble};
use super::keys::Digits;
use super::work::{Id, Stage};
use super::{Output, Purpose, Script, Spring};
use crate::redis::{Command, Connection, Item, Keyevent, Reply, keyevent_channel};
use crate::session::{Answer, Op};
use crate::time::Instant;

/// How the notices stand.
#[derive(Debug, Default)]
pub(super) struct Link {
    up: bool,
    /// All channels are confirmed.
    subscribed: bool,
    /// What was published has come back on the subscription.
    proven: bool,
    /// PUBLISH is not allowed: nothing can be proved, and nothing fenced.
    mute: bool,
    /// The keyspace events that are needed are on.
    flags: bool,
    /// What was told of it.
    told: bool,
    /// When the flags are looked at.
    check: Option<Instant>,
    /// When the subscription is tried or proved again.
    retry: Option<Instant>,
    echo: Echo,
    /// The first half of a rename, and the node it came from: the other half follows at once.
    pub(super) renamed: Option<(u32, Arc<str>)>,
}

/// A message to ourselves, and who waits for it.
#[derive(Debug, Default)]
struct Echo {
    number: u64,
    /// The one under way is lost after this.
    due: Option<Instant>,
    /// Who was gone before it was published.
    waiting: Vec<Id>,
    /// Who was gone since, and waits for the next one.
    later: Vec<Id>,
}

/// What a command of this module was for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Subscribe,
    Flags,
    /// The flags are being completed; whether they were enough but for evictions.
    SetFlags {
        enough: bool,
    },
    Probe,
    Publish {
        number: u64,
    },
}

impl Link {
    fn stands(&self) -> bool {
        self.up && self.subscribed && (self.proven || self.mute) && self.flags
    }

    fn missing(&self) -> Option<&'static str> {
        Some(match self {
            _ if self.stands() => return None,
            Self { up: false, .. } => "there is no connection for them",
            Self { subscribed: false, .. } => "Redis has not confirmed the subscription",
            Self { flags: false, .. } => "notify-keyspace-events does not announce them",
            _ => "what is published does not come back",
        })
    }

    #[cfg(test)]
    pub(super) fn echo_number(&self) -> u64 {
        self.echo.number
    }

    /// By way of `NEVER`: of `flatten().min()` the compiler makes a comparison of what a `None` holds, whose outcome it then
    /// drops. That is sound, but valgrind reports it to every host that runs under it.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = |at: Option<Instant>| at.unwrap_or(Instant::NEVER);
        let first = due(self.check).min(due(self.retry)).min(due(self.echo.due));
        (first < Instant::NEVER).then_some(first)
    }
}

impl Spring {
    /// Why the ends of sessions are not heard of, so that each is looked at in intervals; `None` if they are.
    pub fn notices_missing(&self) -> Option<&'static str> {
        self.link.missing()
    }

    /// Subscribes on a connection that is up.
    pub(super) fn subscribe(&mut self, now: Instant) {
        self.link.up = true;
        self.link.subscribed = false;
        self.link.proven = false;
        self.link.renamed = None;
        self.link.retry = Some(now.after(self.times.reply_ms));
        let database = self.config.database;
        let events = Keyevent::ALL.map(|event| keyevent_channel(database, event));
        let mut args: Vec<&[u8]> = alloc::vec![b"SUBSCRIBE"];
        args.extend(events.iter().map(|channel| channel.as_bytes()));
        args.push(self.keys.echo.as_bytes());
        let command = Command::new(&args);
        self.send(Connection::Notices, command, Some(Purpose::Link(Step::Subscribe)));
        self.tell(false);
    }

    /// The subscription is gone: what was to be fenced by it cannot be.
    pub(super) fn unsubscribed(&mut self, now: Instant) {
        self.link.up = false;
        self.link.subscribed = false;
        self.link.proven = false;
        self.link.retry = None;
        self.link.renamed = None;
        self.unfenced(now);
        self.tell(false);
    }

    /// Has a message come back, to see that the subscription delivers.
    pub(super) fn prove(&mut self, now: Instant) {
        if !self.link.subscribed || self.link.proven {
            return;
        }
        if self.config.cluster {
            // Each primary announces for itself; a message is passed on to all and would prove one of them.
            self.link.proven = true;
            self.link.retry = None;
        } else {
            self.link.retry = Some(now.after(self.times.reply_ms));
            self.publish(now);
        }
        self.tell(false);
    }

    /// The hash of a session is not there: nothing is said before what may have renamed it has been heard.
    pub(super) fn gone(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let loads = matches!(work.op, Op::Load { .. });
        if self.config.cluster || self.link.mute || !self.link.stands() {
            return self.finish(now, id, if loads { Answer::Gone } else { Answer::Vanished });
        }
        self.release_turn(now, id);
        self.enter(now, id, Stage::Echo);
        if let Some(work) = self.works.get_mut(id.slot, id.generation) {
            work.due = Instant::NEVER;
        }
        self.link.echo.later.push(id);
        self.publish(now);
    }

    fn publish(&mut self, now: Instant) {
        if self.link.echo.due.is_some() || !self.up {
            return;
        }
        let echo = &mut self.link.echo;
        echo.number += 1;
        echo.due = Some(now.after(self.times.reply_ms));
        core::mem::swap(&mut echo.waiting, &mut echo.later);
        let number = echo.number;
        let command = Command::new(&[b"PUBLISH", self.keys.echo.as_bytes(), Digits::from(number).as_bytes()]);
        self.send(Connection::Commands, command, Some(Purpose::Link(Step::Publish { number })));
    }

    /// A message of our own came back.
    pub(super) fn echoed(&mut self, now: Instant, payload: &[u8]) {
        let echo = &mut self.link.echo;
        if echo.due.is_none() || payload != Digits::from(echo.number).as_bytes() {
            return;
        }
        echo.due = None;
        let fenced = core::mem::take(&mut echo.waiting);
        self.link.proven = true;
        self.link.retry = None;
        self.tell(false);
        self.finish_fenced(now, &fenced, &Answer::Gone);
        if !self.link.echo.later.is_empty() {
            self.publish(now);
        }
    }

    /// Whoever waits for an echo is not going to hear one.
    fn unfenced(&mut self, now: Instant) {
        let echo = &mut self.link.echo;
        echo.due = None;
        let (waiting, later) = (core::mem::take(&mut echo.waiting), core::mem::take(&mut echo.later));
        self.finish_fenced(now, &waiting, &Answer::Vanished);
        self.finish_fenced(now, &later, &Answer::Vanished);
    }

    fn finish_fenced(&mut self, now: Instant, fenced: &[Id], answer: &Answer) {
        for id in fenced {
            if self.works.get(id.slot, id.generation).is_some_and(|work| work.stage == Stage::Echo) {
                self.finish(now, *id, answer.clone());
            }
        }
    }

    /// Asks which keyspace events are on.
    pub(super) fn check_flags(&mut self, now: Instant) {
        self.link.check = Some(now.after(self.times.sweep_interval_ms));
        if self.up {
            let command = Command::new(&[b"CONFIG", b"GET", FLAGS.as_bytes()]);
            self.send(Connection::Commands, command, Some(Purpose::Link(Step::Flags)));
        }
    }

    /// Whether scripts can be used; and all of them are made known.
    pub(super) fn probe(&mut self, _now: Instant) {
        if !self.scripts {
            return;
        }
        let command = self.call(Script::Probe, true, &[[self.keys.probe.as_bytes(), b"", b""]], &[]);
        self.send(Connection::Commands, command, Some(Purpose::Link(Step::Probe)));
        for script in Script::ALL {
            let command = Command::new(&[b"SCRIPT", b"LOAD", script.text().as_bytes()]);
            self.send(Connection::Commands, command, Some(Purpose::Nothing));
        }
    }

    pub(super) fn link_replied(&mut self, now: Instant, step: Step, reply: Reply<'_>) {
        match (step, reply) {
            (Step::Publish { number }, Reply::Lost | Reply::Error(_)) if number == self.link.echo.number => {
                if let Reply::Error(text) = reply {
                    self.link.mute = is_forbidden(text);
                    self.alarmed(now, text);
                }
                self.unfenced(now);
                self.tell(false);
            }
            (_, Reply::Lost) => {}
            (Step::Subscribe, Reply::Error(text)) => self.alarmed(now, text),
            (Step::Subscribe, _) => {
                self.link.subscribed = true;
                self.prove(now);
            }
            (Step::Flags, Reply::List([_, Item::Bulk(flags)])) => self.has_flags(flags),
            (Step::Flags, Reply::Error(text)) if !is_forbidden(text) => self.alarmed(now, text),
            (Step::Flags, reply) => {
                let text = if let Reply::Error(text) = reply { text } else { b"CONFIG GET tells nothing" };
                self.flags_missing(now, false, text);
            }
            (Step::SetFlags { enough }, Reply::Error(text)) => self.flags_missing(now, enough, text),
            (Step::SetFlags { .. }, _) => {
                self.link.flags = true;
                // While they were off, something may have been missed.
                self.tell(true);
            }
            (Step::Probe, Reply::Error(text)) => match trouble(text) {
                Trouble::NoScripts if self.scripts => self.no_scripts(now, text),
                Trouble::NoScripts | Trouble::TextNeeded => {}
                Trouble::Lost(kind) => self.alarm(now, kind, text),
            },
            (Step::Probe | Step::Publish { .. }, _) => {}
        }
    }

    fn has_flags(&mut self, flags: &[u8]) {
        let missing = missing(flags);
        if missing.is_empty() {
            self.link.flags = true;
            return self.tell(false);
        }
        let enough = missing == "e";
        let wanted = [flags, missing.as_bytes()].concat();
        let command = Command::new(&[b"CONFIG", b"SET", FLAGS.as_bytes(), &wanted]);
        self.send(Connection::Commands, command, Some(Purpose::Link(Step::SetFlags { enough })));
        // They may have been off for a while.
        self.link.flags = enough && self.link.flags;
        self.tell(false);
    }

    fn flags_missing(&mut self, now: Instant, enough: bool, text: &[u8]) {
        self.link.flags = enough;
        self.alarm(now, if enough { AlarmKind::NoEvictions } else { AlarmKind::NoNotices }, text);
        self.tell(false);
    }

    fn alarmed(&mut self, now: Instant, text: &[u8]) {
        if let Trouble::Lost(kind) = trouble(text) {
            self.alarm(now, kind, text);
        }
    }

    /// Something of this module is due.
    pub(super) fn link_due(&mut self, now: Instant) {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.link.echo.due) {
            self.alarm(now, AlarmKind::NoEcho, b"");
            self.link.proven = false;
            self.link.retry = Some(now);
            self.unfenced(now);
            self.tell(false);
        }
        if passed(self.link.retry) {
            if self.link.subscribed { self.prove(now) } else { self.subscribe(now) }
        }
        if passed(self.link.check) {
            self.check_flags(now);
        }
    }

    /// Tells how the notices stand, if that has changed; `again`: also if they stand as before.
    fn tell(&mut self, again: bool) {
        let stands = self.link.stands();
        if core::mem::replace(&mut self.link.told, stands) != stands || again && stands {
            self.outputs.push_back(Output::Notices(stands));
        }
    }
}

/// Which of the needed flags are not among these. `A` stands for all kinds of events, but not for where they are told.
fn missing(flags: &[u8]) -> String {
    let has = |flag: char| flags.contains(&(flag as u8));
    "gxeE".chars().filter(|flag| !has(*flag) && (*flag == 'E' || !has('A'))).collect()
}

const FLAGS: &str = "notify-keyspace-events";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r03_flags_are_completed_and_none_is_removed() {
        for (flags, expected) in [
            ("", "gxeE"),
            ("gxE", "e"),
            ("xE", "ge"),
            ("AKE", ""),
            ("AK", "E"),
            ("KA", "E"),
            ("g$lshzxeKE", ""),
            ("AKEm", ""),
            ("gxeE", ""),
        ] {
            assert_eq!(missing(flags.as_bytes()), expected, "{flags}");
        }
    }
}
