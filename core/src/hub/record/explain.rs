//! What befell one socket, in plain words: all of it derived from the inputs, the actions and the hub as it goes.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::end::End;
use super::line::{Input, Line, Notice, Who};
use super::show::{Hex, Stamp, Until, wall};
use super::view::View;
use super::{ReplayError, show_id};
use crate::hub::sessions::fingerprint;
use crate::hub::socket::Role;
use crate::hub::{Action, Change, Hub};
use crate::ids::{CallId, ClientId, SocketId};
use crate::session::{Answer, Op};
use crate::time::{Now, UnixMillis};

/// Plays a recording and tells what befell one socket meanwhile.
///
/// ```
/// # fn explain(recording: &str, config: tethered_core::config::Config) -> Result<(), Box<dyn core::error::Error>> {
/// use tethered_core::hub::{Hub, record::{Explainer, Line, parse_id}};
///
/// let mut lines = recording.lines().filter(|line| !line.starts_with('#')).map(Line::parse);
/// let mut hub = Hub::from_record(config, &lines.next().ok_or("an empty recording")??)?;
/// let mut explainer = Explainer::new(parse_id("7.1").ok_or("no id of a socket")?);
/// for line in lines {
///     explainer.play(&mut hub, &line?)?;
/// }
/// explainer.finish(&mut hub);
/// println!("{}{}", explainer.take(), explainer.why());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Explainer {
    socket: SocketId,
    text: String,
    /// The time of the line before: when the actions that come next were taken.
    last: Now,
    seen: bool,
    client: Option<ClientId>,
    /// Bytes that were sent, and those together with what waits.
    sent: usize,
    output: usize,
    tally: Tally,
    /// Ids that its session went by.
    sessions: Vec<Arc<str>>,
    /// Questions about it that the store has not answered.
    calls: Vec<CallId>,
    end: End,
}

/// Messages that have not been told of.
#[derive(Debug, Default)]
struct Tally {
    messages: u64,
    last: UnixMillis,
    renewing: u64,
    renewed: UnixMillis,
    deadline: Option<UnixMillis>,
}

/// How things were just before an input.
struct Before {
    view: Option<View>,
    /// The request line that is whole with it.
    request: Option<String>,
    frames: u64,
    messages: u64,
}

impl Explainer {
    /// For this socket: see [`parse_id`](super::parse_id).
    pub fn new(socket: SocketId) -> Self {
        Self {
            socket,
            text: String::new(),
            last: Now::default(),
            seen: false,
            client: None,
            sent: 0,
            output: 0,
            tally: Tally::default(),
            sessions: Vec::new(),
            calls: Vec::new(),
            end: End::default(),
        }
    }

    /// Plays the next line.
    ///
    /// # Errors
    /// As [`Hub::replay`].
    pub fn play(&mut self, hub: &mut Hub, line: &Line) -> Result<(), ReplayError> {
        Self::play_all(core::slice::from_mut(self), hub, line)
    }

    /// Plays the next line for several sockets of one hub.
    ///
    /// # Errors
    /// As [`Hub::replay`].
    pub fn play_all(all: &mut [Self], hub: &mut Hub, line: &Line) -> Result<(), ReplayError> {
        for _ in 0..line.taken {
            if let Some(action) = hub.take_next().ok_or(ReplayError::Apart)? {
                all.iter_mut().for_each(|it| it.took(&action));
            }
        }
        let doing = doing(hub, line);
        let befores: Vec<Before> = all.iter().map(|it| it.before(hub, line)).collect();
        hub.input(line)?;
        for (it, before) in all.iter_mut().zip(&befores) {
            it.after(hub, line, before, doing.as_deref());
        }
        Ok(())
    }

    /// The recording is over: takes the actions that are left.
    pub fn finish(&mut self, hub: &mut Hub) {
        Self::finish_all(core::slice::from_mut(self), hub);
    }

    /// The same for several sockets.
    pub fn finish_all(all: &mut [Self], hub: &mut Hub) {
        while let Some(action) = hub.poll() {
            all.iter_mut().for_each(|it| it.took(&action));
        }
        all.iter_mut().for_each(Self::tell_messages);
    }

    /// What there is to tell since this was last called: one line for each thing that happened, with its time.
    pub fn take(&mut self) -> String {
        core::mem::take(&mut self.text)
    }

    /// Why it was closed, in a sentence; or that it was not.
    pub fn why(&self) -> String {
        if self.seen { self.end.why() } else { String::from("there is no such socket in the recording") }
    }

    /// The fingerprint of the session that its client was under, last.
    pub fn session(&self) -> Option<[u8; 6]> {
        self.sessions.last().map(|id| fingerprint(id))
    }

    fn before(&self, hub: &Hub, line: &Line) -> Before {
        Before {
            view: View::of(hub, self.socket),
            request: self.request(hub, line),
            frames: hub.stats.frames_in,
            messages: hub.stats.messages_in,
        }
    }

    fn after(&mut self, hub: &Hub, line: &Line, before: &Before, doing: Option<&str>) {
        self.last = line.now;
        let after = View::of(hub, self.socket);
        if let Some(request) = &before.request {
            self.say(format_args!("it asks: {request}"));
        }
        self.input(line);
        match (&before.view, &after) {
            (None, Some(_)) => self.opened(line),
            (Some(view), Some(after)) => {
                let (frames, messages) = (hub.stats.frames_in - before.frames, hub.stats.messages_in - before.messages);
                self.count(line, view, after, if after.stomp { frames } else { messages });
                self.bound(view, after);
                self.answered(hub, view, after);
                self.crossing(view, after);
                self.closing(hub, view, after);
            }
            (_, None) => {}
        }
        if let Some(before) = &before.view
            && before.client.is_some()
            && after.is_none_or(|after| after.client.is_none())
        {
            self.end.gone(line.now, before, doing);
        }
    }

    fn opened(&mut self, line: &Line) {
        self.seen = true;
        let (open, asked) = match &line.input {
            Input::Open { open, .. } => (open, None),
            Input::Ask { ask, .. } => (&ask.open, Some((ask.method.as_str(), ask.target.as_str()))),
            Input::Join { join, .. } => (&join.open, Some(("a WebSocket at", join.target.as_str()))),
            _ => return,
        };
        let secure = if open.secure { " over TLS" } else { "" };
        match open.address {
            Some(address) => self.say(format_args!("opened from {address}{secure}, token {}", open.token)),
            None => self.say(format_args!("opened{secure}, token {}", open.token)),
        }
        if let Some((what, target)) = asked {
            self.say(format_args!("it was read elsewhere: {} {}", what.escape_debug(), target.escape_debug()));
        }
    }

    /// The request line that is whole with this read.
    fn request(&self, hub: &Hub, line: &Line) -> Option<String> {
        let Input::Received { socket, bytes } = &line.input else { return None };
        let at = hub.sockets.get(socket.slot(), socket.generation()).filter(|_| *socket == self.socket)?;
        let kept = at.cold.as_ref().map_or(&[][..], |cold| &cold.inbox);
        if at.role != Role::Head || kept.contains(&b'\n') {
            return None;
        }
        let head = [kept, bytes].concat();
        let end = head.iter().position(|&byte| byte == b'\r')?;
        Some(String::from_utf8_lossy(head.get(..end.min(SHOWN_BYTES))?).escape_debug().collect())
    }

    /// An input that is about this socket, or its session.
    fn input(&mut self, line: &Line) {
        match &line.input {
            Input::Sent { socket, len, .. } if *socket == self.socket => {
                self.sent += (*len).min(self.output.saturating_sub(self.sent));
            }
            Input::Closed { socket } if *socket == self.socket => {
                self.end.peer = true;
                self.say(format_args!("the peer ended its side, or the connection broke"));
            }
            Input::Answered { call, answer } if self.calls.contains(call) => {
                self.calls.retain(|open| open != call);
                match answer {
                    Answer::Lost => self.say(format_args!("the store gives no answer")),
                    Answer::Gone | Answer::Vanished => {
                        self.say(format_args!("the store answers: there is no such session"));
                    }
                    Answer::Alive { ttl_ms: Some(ms), .. } => {
                        self.say(format_args!("the store answers: alive for {ms} ms"));
                    }
                    Answer::Alive { ttl_ms: None, .. } => self.say(format_args!("the store answers: alive for ever")),
                }
            }
            Input::Notice { session, notice } if self.sessions.iter().any(|id| **id == **session) => match notice {
                Notice::Expired => self.say(format_args!("the store tells: its session ran out")),
                Notice::Deleted => self.say(format_args!("the store tells: its session was deleted")),
                Notice::Renamed { to } => {
                    self.say(format_args!("the store tells: its session is {} now", Hex(fingerprint(to))));
                }
            },
            Input::Respond { socket, response } if *socket == self.socket => {
                self.say(format_args!("the application answers {}", response.http.status()));
            }
            _ => {}
        }
    }

    fn count(&mut self, line: &Line, before: &View, after: &View, messages: u64) {
        self.tally.deadline = after.deadline.and_then(|deadline| wall(line.now, deadline)).or(self.tally.deadline);
        let own = matches!(&line.input, Input::Received { socket, .. } if *socket == self.socket);
        if own && before.role == Role::Ws && messages > 0 {
            self.tally.messages += messages;
            self.tally.last = line.now.wall;
            if after.activity == Some(line.now.mono) {
                self.tally.renewing += messages;
                self.tally.renewed = line.now.wall;
            }
        }
    }

    /// What came out as long as it spoke HTTP.
    fn answered(&mut self, hub: &Hub, before: &View, after: &View) {
        let output = self.sent + after.unsent;
        let fresh = output.saturating_sub(self.output);
        self.output = output;
        if before.role == Role::Ws || fresh == 0 {
            return;
        }
        let bytes = View::newest(hub, self.socket, fresh);
        for at in memchr::memmem::find_iter(&bytes, STATUS_LINE) {
            let digits = bytes.get(at + STATUS_LINE.len()..).and_then(|rest| rest.get(..3)).unwrap_or_default();
            if let Some(status) = core::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) {
                self.end.status = Some(status);
                self.say(format_args!("it is answered: {status} {}", crate::http::reason(status)));
            }
        }
    }

    /// Whose it is.
    fn bound(&mut self, before: &View, after: &View) {
        self.client = after.client.or(self.client);
        if let Some(session) = &after.session
            && before.session.as_ref() != Some(session)
        {
            let verb =
                if before.session.is_some() { "its session goes by another id" } else { "its cookie names session" };
            self.say(format_args!("{verb}: {}", Hex(fingerprint(session))));
            self.sessions.push(session.clone());
        }
    }

    /// Whether messages may cross.
    fn crossing(&mut self, before: &View, after: &View) {
        if after.role == Role::Ws && before.role != Role::Ws {
            let path = after.path.as_deref().unwrap_or_default();
            match &after.principal {
                Some(user) => self.say(format_args!(
                    "it is a WebSocket at {path} now, for user {user:?}{}",
                    Until(self.tally.deadline)
                )),
                None => self.say(format_args!("it is a WebSocket at {path} now, without a login")),
            }
        }
        match (before.holds, after.holds) {
            (Some(false), Some(true)) => {
                self.say(format_args!("its session is in doubt: nothing crosses until the store has answered"));
            }
            (Some(true), Some(false)) if before.role == Role::Ws => {
                self.say(format_args!("its session is alive: what waited crosses{}", Until(self.tally.deadline)));
            }
            _ => {}
        }
    }

    fn closing(&mut self, hub: &Hub, before: &View, after: &View) {
        if after.close_sent && !before.close_sent {
            let (code, reason) = View::close_frame(hub, self.socket).unwrap_or((NO_CODE, String::new()));
            self.say(format_args!("it is sent Close {code} {reason:?}"));
            self.end.close = Some((code, reason));
        }
    }

    fn took(&mut self, action: &Action) {
        match action {
            Action::Request { socket, request, .. } if *socket == self.socket => match &request.session {
                Some(session) => {
                    let user = session.principal.as_deref().unwrap_or_default();
                    let id = Hex(fingerprint(&session.id));
                    self.say(format_args!("the application is given its request, of session {id}, user {user:?}"));
                }
                None => self.say(format_args!("the application is given its request, without a session")),
            },
            Action::Decide { socket, .. } if *socket == self.socket => {
                self.say(format_args!("the application is asked whether it gets in"));
            }
            Action::Session { call, op } => self.question(*call, op),
            Action::Joined { client, .. } if Some(*client) == self.client => {
                self.say(format_args!("its client has joined"));
            }
            Action::Left { client, cause, .. } if Some(*client) == self.client => {
                self.end.cause = Some(*cause);
                self.say(format_args!("its client has left: {}", cause.as_str()));
            }
            Action::Ended(ended) if self.sessions.iter().any(|id| fingerprint(id) == ended.session) => {
                let (id, cause, detector) = (Hex(ended.session), ended.cause.as_str(), ended.detector.as_str());
                let (late, sockets) = (ended.late_ms, ended.sockets);
                self.say(format_args!(
                    "session {id} has ended: {cause}, found by {detector}, {late} ms late; sockets under it: {sockets}"
                ));
                self.end.session_ended(self.last, ended);
            }
            Action::Shutdown { socket, .. } if *socket == self.socket => {
                self.say(format_args!("all is sent that will be"));
            }
            Action::Response { socket, response, .. } if *socket == self.socket => {
                let status = response.status();
                self.end.status = Some(status);
                self.say(format_args!("it is answered: {status} {}", crate::http::reason(status)));
            }
            Action::Disconnect { socket, code, reason, .. } if *socket == self.socket => {
                self.end.closed = true;
                match code {
                    0 => self.say(format_args!("it is closed")),
                    _ => self.say(format_args!("it is closed with {code} {reason:?}")),
                }
            }
            Action::Close { socket, .. } if *socket == self.socket => {
                self.end.closed = true;
                self.say(format_args!("it is closed"));
            }
            _ => {}
        }
    }

    /// A question to the store, if it is about this socket's session.
    fn question(&mut self, call: Option<CallId>, op: &Op) {
        let (id, what) = match op {
            Op::Load { id } => (id, "who it is, and whether it is alive"),
            Op::Check { id } => (id, "whether it is alive"),
            Op::Touch { id, .. } => (id, "to renew it"),
            Op::Rename { from, .. } => (from, "to give it another id"),
            Op::End { id } => (id, "to end it"),
            Op::Create { .. } => return,
        };
        if self.sessions.contains(id) {
            self.calls.extend(call);
            self.say(format_args!("the store is asked about session {}: {what}", Hex(fingerprint(id))));
        }
    }

    fn say(&mut self, what: fmt::Arguments<'_>) {
        self.tell_messages();
        self.line(self.last.wall, what);
    }

    fn tell_messages(&mut self) {
        let Tally { messages, last, renewing, renewed, deadline } = core::mem::take(&mut self.tally);
        self.tally.deadline = deadline;
        if messages > 0 {
            match renewing {
                0 => self.line(last, format_args!("messages that came from it: {messages}; none renewed its session")),
                _ => self.line(
                    last,
                    format_args!(
                        "messages that came from it: {messages}; {renewing} renewed its session, the last at {}{}",
                        Stamp(renewed),
                        Until(deadline)
                    ),
                ),
            }
        }
    }

    fn line(&mut self, at: UnixMillis, what: fmt::Arguments<'_>) {
        // A String takes every write.
        let _ = writeln!(self.text, "{}  {what}", Stamp(at));
    }
}

/// Who does this, if it may end a client.
fn doing(hub: &Hub, line: &Line) -> Option<String> {
    let mut doing = String::new();
    match &line.input {
        Input::Respond { socket, response } if response.session != Change::Keep => {
            let pending = hub.live(*socket).and_then(|slot| hub.pending(slot))?;
            let what = if response.session == Change::End { "a logout" } else { "a login" };
            let (method, path) = (pending.request.method(), pending.request.path());
            let _ = write!(doing, "{what}, {method} {path:?} on socket {}", show_id(*socket));
        }
        Input::End { who, .. } => doing.push_str(match who {
            Who::Client(_) => "the application, which ended this client",
            Who::Session(_) => "the application, which ended this session",
            Who::User(_) => "the application, which ended all sessions of this user",
            Who::UserExcept { .. } => "the application, which ended all other sessions of this user",
        }),
        _ => return None,
    }
    Some(doing)
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
/// A Close frame without a code: RFC 6455 section 7.1.5.
const NO_CODE: u16 = 1005;
/// So many bytes of a request line are shown.
const SHOWN_BYTES: usize = 200;
