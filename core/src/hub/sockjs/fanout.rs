//! One message to many: encoded once for each way in which it is wrapped.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::form::push_piece;
use crate::http;
use crate::hub::Hub;
use crate::hub::socket::{Client, Mark, Wire};
use crate::sockjs::{self, Transport};
use crate::ws::{self, Opcode};

/// How a message is wrapped for a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Wrapping {
    /// As a message of a WebSocket.
    Plain,
    /// As a frame of SockJS in one.
    Framed,
    /// As a JSON string, for a channel whose receiver is to come.
    Json,
    /// As a piece of an answer that streams.
    Piece { transport: Transport, chunked: bool },
    /// As a whole answer in this form.
    Answer(u32),
}

/// Where a message for a client goes now.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) enum Place {
    Socket(u32),
    /// To the receiver of this channel, over this socket.
    Receiver {
        channel: u32,
        slot: u32,
    },
    /// To the queue of this channel.
    Queue(u32),
}

impl Hub {
    /// Where a message for this client goes, and how it is wrapped for that.
    pub(in crate::hub) fn place_of(&self, client: &Client) -> Option<(Place, Wrapping)> {
        if client.wire != Wire::Channel {
            let slot = self.live(client.socket)?;
            let socket = self.sockets.slot(slot).filter(|socket| !socket.gated)?;
            let wrapping = if socket.marks.has(Mark::Framed) { Wrapping::Framed } else { Wrapping::Plain };
            return Some((Place::Socket(slot), wrapping));
        }
        let channel = client.channel();
        let it = self.channels.get(channel)?;
        if it.channel.is_direct()
            && let Some(slot) = self.receiver_of(channel)
            && let Some(form) = self.channels.forms.get(it.form)
        {
            let asked = self.is_asked(slot);
            if form.transport.streams() {
                let chunked = !asked && form.exchange.version == http::Version::Http11;
                let wrapping = Wrapping::Piece { transport: form.transport, chunked };
                return Some((Place::Receiver { channel, slot }, wrapping));
            }
            if !asked {
                return Some((Place::Receiver { channel, slot }, Wrapping::Answer(it.form)));
            }
        }
        Some((Place::Queue(channel), Wrapping::Json))
    }

    /// Wraps a message; `json` is it as a JSON string, unless it goes out as it is.
    pub(in crate::hub) fn wrap(&self, wrapping: Wrapping, payload: &[u8], opcode: Opcode, json: &[u8]) -> Bytes {
        if let Wrapping::Plain = wrapping {
            return ws_frame(opcode, &[payload]);
        }
        let (open, close) = (&b"a["[..], &b"]"[..]);
        match wrapping {
            Wrapping::Plain | Wrapping::Json => Bytes::copy_from_slice(json),
            Wrapping::Framed => ws_frame(Opcode::Text, &[open, json, close]),
            Wrapping::Piece { transport, chunked } => {
                let (mut wrapped, mut out) = (Vec::new(), Vec::new());
                transport.wrap(&mut wrapped, "", &[open, json, close].concat());
                push_piece(&mut out, chunked, &wrapped);
                out.into()
            }
            Wrapping::Answer(form) => {
                let (mut wrapped, mut out) = (Vec::new(), Vec::new());
                if let Some(form) = self.channels.forms.get(form) {
                    form.transport.wrap(&mut wrapped, &form.callback, &[open, json, close].concat());
                    form.response.write_with(&mut out, form.exchange, Some(self.now.wall), &wrapped);
                }
                out.into()
            }
        }
    }

    /// Puts a wrapped message where it goes.
    pub(in crate::hub) fn put(&mut self, place: Place, wrapped: &Bytes) {
        match place {
            Place::Socket(slot) => self.write_shared(slot, &[wrapped]),
            Place::Queue(channel) => self.queue_message(channel, wrapped.clone()),
            Place::Receiver { channel, slot } => {
                let Some(it) = self.channels.get_mut(channel) else { return };
                // What frames it counts as well: a few bytes, and the same for all.
                let (over, form) = (it.channel.sent(wrapped.len()), it.form);
                let streams = self.channels.forms.get(form).is_some_and(|form| form.transport.streams());
                if let Some(socket) = self.sockets.slot_mut(slot) {
                    socket.close_sent |= over;
                }
                if over && streams && self.is_chunked(channel) {
                    self.write_shared(slot, &[wrapped, &Bytes::from_static(b"0\r\n\r\n")]);
                } else {
                    self.write_shared(slot, &[wrapped]);
                }
            }
        }
    }

    fn is_chunked(&self, channel: u32) -> bool {
        let form = self.channels.get(channel).and_then(|it| self.channels.forms.get(it.form));
        let asked = self.receiver_of(channel).is_some_and(|slot| self.is_asked(slot));
        !asked && form.is_some_and(|form| form.exchange.version == http::Version::Http11)
    }
}

/// A message as a JSON string.
pub(in crate::hub) fn json(payload: &[u8]) -> Bytes {
    let mut json = Vec::with_capacity(payload.len() + payload.len() / 8 + 2);
    sockjs::push_string(&mut json, payload);
    json.into()
}

fn ws_frame(opcode: Opcode, parts: &[&[u8]]) -> Bytes {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = BytesMut::with_capacity(len + 10);
    frame.put_slice(&ws::encode_head(true, opcode, len as u64));
    parts.iter().for_each(|part| frame.put_slice(part));
    frame.freeze()
}
