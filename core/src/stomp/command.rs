//! [`Command`]: the first line of a frame.

use super::Version;

/// What a frame asks or tells. The words are written in capitals, and mind case (STOMP 1.2, *Augmented BNF*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// The client opens the conversation.
    Connect,
    /// The same under its name since 1.1.
    Stomp,
    /// A message for a destination.
    Send,
    /// Messages of a destination are wanted.
    Subscribe,
    /// They are not wanted any more.
    Unsubscribe,
    /// A message was consumed.
    Ack,
    /// A message was not consumed.
    Nack,
    /// A transaction starts.
    Begin,
    /// A transaction is carried out.
    Commit,
    /// A transaction is dropped.
    Abort,
    /// The client ends the conversation.
    Disconnect,
    /// The server's answer to [`Connect`](Self::Connect).
    Connected,
    /// A message for a subscription.
    Message,
    /// A frame with a `receipt` header was handled.
    Receipt,
    /// The server ends the conversation.
    Error,
}

impl Command {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::Connected => "CONNECTED",
            Self::Message => "MESSAGE",
            Self::Receipt => "RECEIPT",
            Self::Error => "ERROR",
        }
    }

    /// The command of this word; `None` for any other, however small the difference.
    pub const fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"SEND" => Self::Send,
            b"MESSAGE" => Self::Message,
            b"CONNECT" => Self::Connect,
            b"STOMP" => Self::Stomp,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"ACK" => Self::Ack,
            b"NACK" => Self::Nack,
            b"BEGIN" => Self::Begin,
            b"COMMIT" => Self::Commit,
            b"ABORT" => Self::Abort,
            b"DISCONNECT" => Self::Disconnect,
            b"CONNECTED" => Self::Connected,
            b"RECEIPT" => Self::Receipt,
            b"ERROR" => Self::Error,
            _ => return None,
        })
    }

    /// Whether this opens a conversation: CONNECT or STOMP.
    pub const fn is_connect(self) -> bool {
        matches!(self, Self::Connect | Self::Stomp)
    }

    /// Whether only a server says this.
    pub const fn is_server(self) -> bool {
        matches!(self, Self::Connected | Self::Message | Self::Receipt | Self::Error)
    }

    /// Whether a body may follow (STOMP 1.2, *Body*).
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Send | Self::Message | Self::Error)
    }

    /// The version whose escapes a frame with this command is written in. CONNECT and CONNECTED have none in any version, for the
    /// sake of 1.0 (STOMP 1.2, *Value Encoding*); STOMP is CONNECT by another name.
    pub(super) const fn escapes(self, version: Version) -> Version {
        if self.is_connect() || matches!(self, Self::Connected) { Version::V1_0 } else { version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Command; 15] = [
        Command::Connect,
        Command::Stomp,
        Command::Send,
        Command::Subscribe,
        Command::Unsubscribe,
        Command::Ack,
        Command::Nack,
        Command::Begin,
        Command::Commit,
        Command::Abort,
        Command::Disconnect,
        Command::Connected,
        Command::Message,
        Command::Receipt,
        Command::Error,
    ];

    #[test]
    fn each_word_is_read_back() {
        for command in ALL {
            assert_eq!(Command::parse(command.as_str().as_bytes()), Some(command));
        }
    }

    #[test]
    fn s03_no_other_word_is_a_command() {
        for word in ["", "send", "Send", "SEND ", " SEND", "MESSAGES", "SEN", "GET / HTTP/1.1", "JUMP"] {
            assert_eq!(Command::parse(word.as_bytes()), None, "{word:?}");
        }
        for command in ALL {
            assert_eq!(Command::parse(command.as_str().to_ascii_lowercase().as_bytes()), None);
        }
    }
}
