//! Target `stomp_frame`: the first byte picks role, version and limits, the rest is what the peer sends.
use tethered_core::stomp::{Command, Decoder, Item, Limits, Malformed, Version};

/// Runs one input; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let setup = Setup::new(choice);
    let whole = setup.listen([bytes]);
    assert_eq!(setup.listen(bytes.chunks(1)), whole, "byte by byte");
    let at = bytes.len() * usize::from(choice) / 256;
    assert_eq!(setup.listen([&bytes[..at], &bytes[at..]]), whole, "cut at {at}");
    for frame in &whole.frames {
        setup.again(frame);
    }
}

struct Setup {
    client: bool,
    version: Version,
    limits: Limits,
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Heard {
    frames: Vec<Frame>,
    beats: usize,
    malformed: Option<Malformed>,
    receipt: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    command: Command,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Setup {
    fn new(choice: u8) -> Self {
        let tight = Limits { command_bytes: 9, headers: 3, header_bytes: 60, frame_bytes: 80 };
        Self {
            client: choice & 1 == 1,
            version: [Version::V1_0, Version::V1_1, Version::V1_2][usize::from(choice >> 1) % 3],
            limits: if choice & 0x80 == 0 { Limits::default() } else { tight },
        }
    }

    fn decoder(&self) -> Decoder {
        let mut decoder = if self.client { Decoder::client() } else { Decoder::server() };
        decoder.set_version(self.version);
        decoder
    }

    fn listen<'p>(&self, pieces: impl IntoIterator<Item = &'p [u8]>) -> Heard {
        let (mut decoder, mut partial, mut heard) = (self.decoder(), Vec::new(), Heard::default());
        for mut piece in pieces {
            loop {
                match decoder.next(&self.limits, &mut piece, &mut partial) {
                    Ok(Some(Item::HeartBeat)) => heard.beats += 1,
                    Ok(Some(Item::Frame(frame))) => {
                        let headers: Vec<(String, String)> =
                            frame.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
                        for (name, _) in &headers {
                            let first =
                                headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
                            assert_eq!(frame.header(name).as_deref(), first);
                        }
                        heard.frames.push(Frame { command: frame.command(), headers, body: frame.body().into() });
                    }
                    Ok(None) => break,
                    Err(malformed) => {
                        heard.malformed = Some(malformed);
                        heard.receipt = decoder.receipt(&partial).map(Into::into);
                        return heard;
                    }
                }
            }
            assert!(partial.capacity() <= self.limits.frame_bytes);
        }
        heard
    }

    /// What was decoded can be written again, and means the same.
    fn again(&self, frame: &Frame) {
        let own = |(name, _): &&(String, String)| name != "content-length";
        let headers = frame.headers.iter().filter(own).map(|(name, value)| (name, value));
        let mut out = bytes::BytesMut::new();
        tethered_core::stomp::Encoder::new(self.version).frame(&mut out, frame.command, headers, &frame.body);
        let setup = Self {
            limits: Limits { headers: usize::MAX, header_bytes: usize::MAX, frame_bytes: usize::MAX, ..self.limits },
            ..*self
        };
        let mut heard = setup.listen([&out[..]]);
        assert_eq!(heard.malformed, None, "{out:?}");
        let mut second = heard.frames.pop().expect("a frame was written");
        second.headers.retain(|(name, _)| name != "content-length");
        assert!(second.headers.iter().eq(frame.headers.iter().filter(own)));
        assert_eq!((second.command, second.body), (frame.command, frame.body.clone()));
    }
}
