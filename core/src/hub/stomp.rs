//! What each STOMP frame of a client leads to.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::closing::Code;
use super::socket::{Client, NONE, Phase, UnfinishedStomp, Wire};
use super::{Action, Delivery, DeliveryKind, Hub};
use crate::broker::destination::{Pattern, PatternError, is_pattern};
use crate::broker::{Refused, Target};
use crate::ids::ClientId;
use crate::session::{Cause, csrf};
use crate::stomp::{Command, Encoder, Frame, HeartBeat, Item, Malformed, Message, Version};
use crate::ws::{self, Opcode};

/// Why a frame is answered with ERROR: its fixed text, and whether it names the versions we speak.
#[derive(Debug, Clone, Copy)]
struct Fault {
    message: &'static str,
    versions: bool,
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self { message: malformed.message(), versions: malformed == Malformed::NoCommonVersion }
    }
}

impl From<&'static str> for Fault {
    fn from(message: &'static str) -> Self {
        Self { message, versions: false }
    }
}

/// A destination by who serves it.
enum Route<'a> {
    Application,
    Broker,
    /// `/user/queue/x`: the sender's own; or, in a SEND, `/user/NAME/queue/x`.
    User(&'a str),
}

impl Hub {
    /// A message's worth of STOMP: any number of frames and parts of frames.
    pub(super) fn stomp_bytes(&mut self, client: u32, bytes: &[u8], unfinished: &mut UnfinishedStomp) {
        let id = self.client_id(client);
        let Some(it) = self.clients.slot(client) else { return };
        let UnfinishedStomp { decoder, frame: partial } = unfinished;
        decoder.set_version(it.version);
        let limits = self.config.limits.stomp;
        let mut input = bytes;
        loop {
            match decoder.next(&limits, &mut input, partial) {
                Ok(Some(Item::HeartBeat)) => {
                    if self.config.session.renew.heart_beat {
                        self.renew_client(client);
                    }
                }
                Ok(Some(Item::Frame(frame))) => {
                    self.stats.frames_in += 1;
                    if let Err(fault) = self.stomp_frame(client, &frame) {
                        let receipt = frame.header("receipt");
                        return self.fault(client, fault, receipt.as_deref());
                    }
                    let Some(it) = self.clients.get(id.slot(), id.generation()) else { return };
                    decoder.set_version(it.version);
                }
                Ok(None) => break,
                Err(malformed) => {
                    let receipt = decoder.receipt(partial).map(String::from);
                    return self.fault(client, malformed.into(), receipt.as_deref());
                }
            }
        }
    }

    fn stomp_frame(&mut self, client: u32, frame: &Frame<'_>) -> Result<(), Fault> {
        let renew = self.config.session.renew;
        let phase = self.phase(client);
        let command = frame.command();
        if command.is_connect() {
            if phase != Some(Phase::Open) {
                return Err("Already connected: one CONNECT per connection".into());
            }
            return self.connect(client, frame);
        }
        if phase != Some(Phase::Joined) {
            return Err("Not connected: the first frame must be CONNECT or STOMP".into());
        }
        match command {
            Command::Send => {
                self.send_frame(client, frame)?;
                self.renew_if(client, renew.send);
            }
            Command::Subscribe => {
                self.subscribe_frame(client, frame)?;
                self.renew_if(client, renew.subscribe);
            }
            Command::Unsubscribe => {
                self.unsubscribe_frame(client, frame);
                self.renew_if(client, renew.unsubscribe);
            }
            Command::Disconnect => {
                self.renew_if(client, renew.disconnect);
                self.disconnect(client, frame);
                return Ok(());
            }
            Command::Ack | Command::Nack => {
                return Err("Acknowledgement is not offered: subscribe with ack:auto".into());
            }
            Command::Begin | Command::Commit | Command::Abort => return Err("Transactions are not offered".into()),
            _ => return Err("Not a command of a client".into()),
        }
        if let Some(receipt) = frame.header("receipt") {
            self.receipt(client, &receipt, command == Command::Send || command == Command::Subscribe);
        }
        Ok(())
    }

    fn renew_if(&mut self, client: u32, renews: bool) {
        if renews {
            self.renew_client(client);
        }
    }

    fn connect(&mut self, client: u32, frame: &Frame<'_>) -> Result<(), Fault> {
        let version = Version::negotiate(frame.header("accept-version").as_deref())?;
        let ours = HeartBeat { send_ms: self.config.heart_beat_ms.0, receive_ms: self.config.heart_beat_ms.1 };
        let theirs = if version == Version::V1_0 { HeartBeat::NONE } else { HeartBeat::of(frame)? };
        let agreed = ours.negotiate(theirs, self.config.limits.beat_floor_ms);
        if !self.proves_itself(client, frame) {
            return Err(
                "The CSRF token is missing or wrong: CONNECT must carry the session's, masked, in its header".into()
            );
        }
        let now = self.now.mono;
        let principal = self.principal(client);
        let Some(it) = self.clients.slot_mut(client) else { return Ok(()) };
        it.version = version;
        it.phase = Phase::Joined;
        it.beat_out_ms = agreed.send_ms;
        it.beat_in_ms = agreed.receive_ms;
        it.tell(now);
        let socket = it.socket;
        self.renew_if(client, self.config.session.renew.connect);
        let mut out = core::mem::take(&mut self.scratch);
        Encoder::new(version).connected(&mut out, ours, principal.as_deref());
        if let Some(receipt) = frame.header("receipt") {
            Encoder::new(version).receipt(&mut out, &receipt);
        }
        self.give(client, Opcode::Text, &out);
        self.recycle(out);
        let token = self.token_of(client);
        self.tell_joined(client, token);
        if let Some(slot) = self.live(socket) {
            self.arm_socket(slot);
        } else if let Some(channel) = self.channel_of(client) {
            self.arm_channel(channel);
        }
        Ok(())
    }

    /// Whether a CONNECT carries the token of its session, where that is asked for. The token is not needed after that.
    fn proves_itself(&mut self, client: u32, frame: &Frame<'_>) -> bool {
        let bound = self.under(client) != NONE;
        let Some(it) = self.clients.slot(client).filter(|_| bound) else { return true };
        let (slot, channel) = (self.live(it.socket), it.channel());
        let Some(wanted) = &self.config.session.connect_token else { return true };
        let cold = slot.and_then(|slot| self.sockets.slot_mut(slot)).and_then(|socket| socket.cold.as_mut());
        let token = match cold {
            Some(cold) => cold.token.take(),
            None => self.channels.take_token(channel),
        };
        frame.header(&wanted.header).is_some_and(|sent| token.is_some_and(|token| csrf::matches(&sent, &token)))
    }

    fn send_frame(&mut self, client: u32, frame: &Frame<'_>) -> Result<(), Fault> {
        let Some(destination) = frame.header("destination") else { return Err(Malformed::DestinationMissing.into()) };
        if frame.header("transaction").is_some() {
            return Err("Transactions are not offered".into());
        }
        self.check_length(&destination)?;
        if is_pattern(&destination) {
            return Err("A SEND must name one destination, not a pattern".into());
        }
        self.granted(self.config.rules.may_send(&destination, self.logged_in(client)))?;
        match self.route(&destination)? {
            Route::Application => self.deliver(client, frame, DeliveryKind::Send, &destination),
            Route::Broker => {
                let id = self.message_id();
                self.publish_frame(None, &destination, frame, &id);
            }
            Route::User(rest) => {
                let (principal, suffix) =
                    rest.split_at(rest.get(1..).and_then(|r| r.find('/')).map_or(rest.len(), |at| at + 1));
                let principal = principal.strip_prefix('/').unwrap_or_default();
                if principal.is_empty() || suffix.len() < 2 {
                    return Err("A SEND to a user must name one: /user/NAME/…".into());
                }
                let id = self.message_id();
                self.publish_frame(Some(principal), suffix, frame, &id);
            }
        }
        Ok(())
    }

    fn subscribe_frame(&mut self, client: u32, frame: &Frame<'_>) -> Result<(), Fault> {
        let Some(destination) = frame.header("destination") else { return Err(Malformed::DestinationMissing.into()) };
        match frame.header("ack").as_deref() {
            None | Some("auto") => {}
            Some("client" | "client-individual") => {
                return Err("Acknowledgement is not offered: subscribe with ack:auto".into());
            }
            Some(_) => return Err("Unknown ack mode: subscribe with ack:auto".into()),
        }
        if frame.header("selector").is_some() {
            return Err("Selectors are not offered".into());
        }
        self.check_length(&destination)?;
        let limits = &self.config.limits;
        let logged_in = self.logged_in(client);
        let pattern = if is_pattern(&destination) {
            let pattern = Pattern::parse(&destination, limits.destination_bytes, limits.destination_segments);
            let pattern = pattern.map_err(|error| match error {
                PatternError::Regex => {
                    "A pattern must not hold a regular expression: {name}, *, ** and ? are known here"
                }
                _ => "The destination is no pattern that is known here",
            })?;
            self.granted(self.config.rules.may_subscribe_pattern(&pattern, logged_in))?;
            Some(pattern)
        } else {
            self.granted(self.config.rules.may_subscribe(&destination, logged_in))?;
            None
        };
        let id = match frame.header("id") {
            Some(id) => id,
            None => Cow::Borrowed(NO_ID),
        };
        if id.len() > ID_BYTES {
            return Err("A subscription's id must be at most 256 bytes".into());
        }
        match self.route(&destination)? {
            Route::Application => {
                self.deliver(client, frame, DeliveryKind::Subscribe { id: Box::from(&*id) }, &destination);
            }
            Route::Broker => match pattern {
                Some(pattern) => self.subscribe(client, &id, Target::Pattern(pattern))?,
                None => self.subscribe(client, &id, Target::Destination(&destination))?,
            },
            Route::User(_) if pattern.is_some() => return Err("A user destination must be named in full".into()),
            Route::User(rest) => {
                let name = self.name_of(client);
                self.subscribe(client, &id, Target::User { principal: &name, suffix: rest })?;
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, client: u32, id: &str, target: Target<'_>) -> Result<(), Fault> {
        let Some(it) = self.clients.slot_mut(client) else { return Ok(()) };
        match self.broker.subscribe(client, &mut it.subscriptions, id, target) {
            Ok(_) => Ok(()),
            Err(Refused::TooManySubscriptions) => Err("Too many subscriptions: at most SUBS per connection".into()),
            Err(Refused::IdInUse) => Err("This subscription id is in use for another destination".into()),
            Err(Refused::TooManyPatterns) => Err("Too many different patterns are subscribed to on this server".into()),
        }
    }

    fn unsubscribe_frame(&mut self, client: u32, frame: &Frame<'_>) {
        let name = self.name_of(client);
        let limits = &self.config.limits;
        let Some(it) = self.clients.slot_mut(client) else { return };
        match (frame.header("id"), frame.header("destination")) {
            (Some(id), _) => {
                self.broker.unsubscribe(&mut it.subscriptions, &id);
            }
            (None, Some(destination)) => {
                let pattern = Pattern::parse(&destination, limits.destination_bytes, limits.destination_segments);
                let target = match (destination.strip_prefix(USER), pattern) {
                    (Some(rest), _) => Target::User { principal: &name, suffix: rest },
                    (None, Ok(pattern)) if is_pattern(&destination) => Target::Pattern(pattern),
                    (None, _) => Target::Destination(&destination),
                };
                self.broker.unsubscribe_target(&mut it.subscriptions, &target);
            }
            (None, None) => {}
        }
    }

    /// Whose a client's user destinations are: an endpoint without login has a name of its own for each client, so that
    /// they are nobody else's.
    fn name_of(&self, client: u32) -> Arc<str> {
        self.principal(client).unwrap_or_else(|| anonymous(self.client_id(client).to_raw()))
    }

    /// RECEIPT if asked for, then Close 1000; nothing that comes after it is handled.
    fn disconnect(&mut self, client: u32, frame: &Frame<'_>) {
        if let Some(receipt) = frame.header("receipt") {
            let version = self.version(client);
            self.encoded(client, |out| Encoder::new(version).receipt(out, &receipt));
        }
        self.finish_client(client, Code::Normal, Cause::Peer);
    }

    /// The client's receipt, once what it asked for is done: at once, or after the embedder has taken the delivery.
    fn receipt(&mut self, client: u32, receipt: &str, delivered: bool) {
        let id = self.client_id(client);
        if (delivered && self.actions.ends_with_delivery_of(id)) || self.actions.has_receipts() {
            self.actions.push_receipt(id, receipt);
        } else {
            self.give_receipt(id, receipt);
        }
    }

    pub(super) fn give_receipt(&mut self, client: ClientId, receipt: &str) {
        if let Some(it) = self.clients.get(client.slot(), client.generation()) {
            let version = it.version;
            self.encoded(client.slot(), |out| Encoder::new(version).receipt(out, receipt));
        }
    }

    fn deliver(&mut self, client: u32, frame: &Frame<'_>, kind: DeliveryKind, destination: &str) {
        let body = self.copied(frame.body());
        let delivery = Delivery {
            kind,
            principal: self.principal(client),
            destination: Arc::from(destination),
            content_type: frame.header("content-type").map(|value| Box::from(&*value)),
            body,
        };
        let token = self.token_of(client);
        let client = self.client_id(client);
        self.actions.push_back(Action::Deliver { client, token, delivery });
    }

    fn check_length(&self, destination: &str) -> Result<(), Fault> {
        let limits = &self.config.limits;
        if destination.len() > limits.destination_bytes {
            return Err("The destination is longer than DEST bytes".into());
        }
        if destination.bytes().filter(|&b| b == b'/').count() > limits.destination_segments {
            return Err("The destination has more than SEGMENTS segments".into());
        }
        Ok(())
    }

    fn logged_in(&self, client: u32) -> bool {
        self.registry.has_principal(self.under(client))
    }

    fn granted(&self, granted: bool) -> Result<(), Fault> {
        if granted { Ok(()) } else { Err("Access to this destination is denied".into()) }
    }

    fn route<'d>(&self, destination: &'d str) -> Result<Route<'d>, Fault> {
        let below = |prefix: &str| destination.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        if below(&self.config.application_prefix) {
            Ok(Route::Application)
        } else if let Some(rest) = destination.strip_prefix(USER).filter(|rest| rest.starts_with('/')) {
            Ok(Route::User(rest))
        } else if below("/topic") || below("/queue") {
            Ok(Route::Broker)
        } else {
            Err("Nothing is served at this destination: it must begin with /topic/, /queue/, /user/ or the application's prefix".into())
        }
    }

    fn version(&self, client: u32) -> Version {
        self.clients.slot(client).map_or(Version::V1_2, |client| client.version)
    }

    fn fault(&mut self, client: u32, fault: Fault, receipt: Option<&str>) {
        self.stats.violations += 1;
        let version = self.error_version(client);
        self.encoded(client, |out| Encoder::new(version).error(out, fault.message, receipt, fault.versions));
        self.finish_client(client, Code::Protocol, Cause::Violation);
    }

    /// ERROR, then Close 1002.
    pub(super) fn stomp_error(&mut self, client: u32, message: &str, receipt: Option<&str>, cause: Cause) {
        let version = self.error_version(client);
        self.encoded(client, |out| Encoder::new(version).error(out, message, receipt, false));
        self.finish_client(client, Code::Protocol, cause);
    }

    fn error_version(&self, client: u32) -> Version {
        match self.clients.slot(client) {
            Some(Client { phase: Phase::Joined, version, .. }) => *version,
            _ => Version::V1_2,
        }
    }

    /// The last frame to this client is queued: what is queued is still written, then comes the Close.
    fn finish_client(&mut self, client: u32, code: Code, cause: Cause) {
        if let Some(channel) = self.channel_of(client) {
            return self.finish_channel(channel, cause, code.code().unwrap_or_default(), &code.reason());
        }
        let Some(slot) = self.clients.slot(client).and_then(|client| self.live(client.socket)) else { return };
        self.finish_socket(slot, code, cause);
    }

    fn encoded(&mut self, client: u32, encode: impl FnOnce(&mut bytes::BytesMut)) {
        let mut out = core::mem::take(&mut self.scratch);
        encode(&mut out);
        self.give(client, Opcode::Text, &out);
        self.recycle(out);
    }

    pub(super) fn recycle(&mut self, mut out: bytes::BytesMut) {
        out.clear();
        if out.capacity() <= SCRATCH_BYTES {
            self.scratch = out;
        }
    }

    /// Queues one message for a client.
    pub(super) fn give(&mut self, client: u32, opcode: Opcode, payload: &[u8]) {
        match self.clients.slot(client).map(|client| client.wire) {
            Some(Wire::Plain) => self.write_client(client, |bytes| ws::write_frame(bytes, true, opcode, payload)),
            Some(Wire::Framed | Wire::Channel) => self.give_framed(client, payload),
            None => {}
        }
    }

    /// A fresh message id: one number per published message.
    pub(super) fn message_id(&mut self) -> String {
        self.published += 1;
        alloc::format!("{}-{}", self.run, self.published)
    }

    fn publish_frame(&mut self, principal: Option<&str>, destination: &str, frame: &Frame<'_>, id: &str) {
        let content_type = frame.header("content-type");
        let user_destination;
        let shown = match principal {
            Some(_) => {
                user_destination = alloc::format!("{USER}{destination}");
                &user_destination
            }
            None => destination,
        };
        let message = Message {
            destination: shown,
            content_type: content_type.as_deref(),
            headers: frame.headers(),
            message_id: id,
            body: frame.body(),
        };
        self.fan_out(principal, destination, &message);
    }
}

pub(super) fn anonymous(client: u64) -> Arc<str> {
    Arc::from(alloc::format!("\0{client}"))
}

/// The prefix of user destinations.
pub(super) const USER: &str = "/user";
/// STOMP 1.0 needs no subscription id.
pub(super) const NO_ID: &str = "";
const ID_BYTES: usize = 256;
const SCRATCH_BYTES: usize = 64 * 1024;
