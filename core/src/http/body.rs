//! Request bodies.

use alloc::vec::Vec;

use bytes::Bytes;

use super::dechunk::Dechunker;
use super::framing::Framing;
use super::refusal::Refusal;
use super::request::Request;

/// What a client that [waits for it](Request::expects_continue) is sent before its body is read.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Collects the body of a request from the bytes behind its head, up to a limit. What it holds grows with what came, not
/// with what was announced.
#[derive(Debug)]
pub struct BodyDecoder {
    body: Vec<u8>,
    limit_bytes: usize,
    rest: Rest,
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    Bytes(usize),
    Chunks(Dechunker),
}

impl BodyDecoder {
    /// Begins with the body of `request`; `None` if it has none.
    ///
    /// # Errors
    /// [`Refusal::BodyBytes`] if it announces more than `limit_bytes`.
    pub fn new(request: &Request, limit_bytes: usize) -> Result<Option<Self>, Refusal> {
        let rest = match request.framing() {
            Framing::None | Framing::Length(0) => return Ok(None),
            Framing::Chunked => Rest::Chunks(Dechunker::default()),
            Framing::Length(len) => match usize::try_from(len) {
                Ok(len) if len <= limit_bytes => Rest::Bytes(len),
                _ => return Err(Refusal::BodyBytes),
            },
        };
        Ok(Some(Self { body: Vec::new(), limit_bytes, rest }))
    }

    /// Takes from `input` what belongs to the body; the answer is how many bytes that were. Once the body is
    /// [complete](Self::is_complete) it takes none: what follows is the next request.
    ///
    /// # Errors
    /// [`Refusal::Framing`] if the chunks are broken, [`Refusal::BodyBytes`] as soon as a chunk is announced that passes
    /// the limit. The connection has to be closed then: where the next request begins cannot be told.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        match &mut self.rest {
            Rest::Bytes(left) => {
                let taken = input.get(..*left).unwrap_or(input);
                self.body.extend_from_slice(taken);
                *left -= taken.len();
                Ok(taken.len())
            }
            Rest::Chunks(chunks) => chunks.feed(input, &mut self.body, self.limit_bytes),
        }
    }

    /// Whether the whole body is there.
    pub fn is_complete(&self) -> bool {
        match &self.rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunks(chunks) => chunks.is_complete(),
        }
    }

    /// What was collected.
    pub fn into_body(self) -> Bytes {
        self.body.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, Version};
    use alloc::vec;
    use proptest::prelude::*;

    fn decoder(name: &str, value: &str, limit_bytes: usize) -> Result<Option<BodyDecoder>, Refusal> {
        let headers = [("Host", &b"a"[..]), (name, value.as_bytes())];
        let request = Request::from_parts("POST", "/", Version::Http11, headers, &Limits::default()).unwrap();
        BodyDecoder::new(&request, limit_bytes)
    }

    fn chunked(limit_bytes: usize) -> BodyDecoder {
        decoder("Transfer-Encoding", "chunked", limit_bytes).unwrap().unwrap()
    }

    /// The body and how many bytes are left over; `None` if it is not whole.
    fn fed(mut decoder: BodyDecoder, pieces: &[&[u8]]) -> Result<Option<(Bytes, usize)>, Refusal> {
        let mut left = 0;
        for piece in pieces {
            let taken = decoder.feed(piece)?;
            assert!(taken == piece.len() || decoder.is_complete(), "what is not taken belongs to the next request");
            left += piece.len() - taken;
        }
        Ok(decoder.is_complete().then(|| (decoder.into_body(), left)))
    }

    /// Whole, byte by byte and at every split.
    fn unchunked(input: &[u8], limit_bytes: usize) -> Result<Option<(Bytes, usize)>, Refusal> {
        let whole = fed(chunked(limit_bytes), &[input]);
        assert_eq!(fed(chunked(limit_bytes), &input.chunks(1).collect::<Vec<_>>()), whole);
        for at in 0..=input.len() {
            assert_eq!(fed(chunked(limit_bytes), &[&input[..at], &input[at..]]), whole, "split at {at}");
        }
        whole
    }

    #[test]
    fn takes_as_many_bytes_as_were_announced() {
        let of = |value| decoder("Content-Length", value, 10).unwrap();
        assert!(of("0").is_none() && decoder("X", "y", 10).unwrap().is_none());
        assert_eq!(fed(of("3").unwrap(), &[&b"abcGET"[..]]), Ok(Some(("abc".into(), 3))), "H09");
        assert_eq!(fed(of("3").unwrap(), &[&b"a"[..], b"", b"bc"]), Ok(Some(("abc".into(), 0))));
        assert_eq!(fed(of("3").unwrap(), &[&b"ab"[..]]), Ok(None));
        assert_eq!(fed(of("3").unwrap(), &[&b"abc"[..], b"GET"]), Ok(Some(("abc".into(), 3))));
    }

    #[test]
    fn j07_refuses_large_bodies_before_they_come() {
        assert!(decoder("Content-Length", "10", 10).is_ok());
        assert_eq!(decoder("Content-Length", "11", 10).err(), Some(Refusal::BodyBytes));
        assert_eq!(decoder("Content-Length", "18446744073709551615", 10).err(), Some(Refusal::BodyBytes));
        assert_eq!(unchunked(b"5\r\nabcde\r\n5\r\nabcde\r\n0\r\n\r\n", 10), Ok(Some(("abcdeabcde".into(), 0))));
        assert_eq!(unchunked(b"b\r\n", 10), Err(Refusal::BodyBytes), "nothing of the chunk came yet");
        assert_eq!(unchunked(b"5\r\nabcde\r\n6\r\n", 10), Err(Refusal::BodyBytes));
        assert_eq!(unchunked(b"ffffffffffffffff\r\n", 10), Err(Refusal::BodyBytes));
        assert_eq!(Refusal::BodyBytes.status(), 413);
    }

    #[test]
    fn joins_chunks() {
        assert_eq!(unchunked(b"0\r\n\r\n", 10), Ok(Some((Bytes::new(), 0))));
        assert_eq!(unchunked(b"3;a=\"b\"\r\nabc\r\n00\r\nA: b\r\nC: d\r\n\r\nGET", 10), Ok(Some(("abc".into(), 3))));
        assert_eq!(unchunked(b"A\r\n0123\r\n6789\r\n0\r\n\r\n", 10), Ok(Some(("0123\r\n6789".into(), 0))));
        assert_eq!(unchunked(b"3\r\nabc\r\n0\r\n\r", 10), Ok(None));
        assert_eq!(unchunked(b"", 10), Ok(None));
        let many = ["1\r\na\r\n".repeat(40), "0\r\n\r\n".into()].concat();
        assert_eq!(unchunked(many.as_bytes(), 40), Ok(Some(("a".repeat(40).into(), 0))));
    }

    #[test]
    fn h08_refuses_broken_chunks() {
        for bad in [
            "\r\n",
            ";\r\n",
            "x\r\n",
            "0x3\r\n",
            "+3\r\n",
            "-3\r\n",
            " 3\r\n",
            "3 \r\n",
            "3 ;a\r\n",
            "3\n",
            "3\r\r",
            "3;a\n",
            "3;\0",
            "3\r\nabcd",
            "3\r\nabc\n",
            "3\r\nabc\rx",
            "3\r\nabc3\r\n",
            "3\r\nabc\r\n\r\n",
            "3\r\nabc\r\n;a\r\n",
            "00000000000000003\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\nA: b\n",
            "0\r\nA\x7f",
            "0\r\n\r\r",
            "3,\r\n",
        ] {
            assert_eq!(unchunked(bad.as_bytes(), 10), Err(Refusal::Framing), "{bad:?}");
        }
    }

    #[test]
    fn h08_bounds_what_goes_with_chunks() {
        let extension = |len| ["0;", &"x".repeat(len), "\r\n\r\n"].concat();
        assert_eq!(fed(chunked(10), &[extension(4_096).as_bytes()]), Ok(Some((Bytes::new(), 0))));
        assert_eq!(fed(chunked(10), &[extension(4_097).as_bytes()]), Err(Refusal::Framing));
        let trailers = |len| ["0\r\n", &"x:y\r\n".repeat(len), "\r\n"].concat();
        assert_eq!(fed(chunked(10), &[trailers(1_365).as_bytes()]), Ok(Some((Bytes::new(), 0))));
        assert_eq!(fed(chunked(10), &[trailers(1_366).as_bytes()]), Err(Refusal::Framing));
        let both = ["1;", &"x".repeat(4_000), "\r\na\r\n0;", &"x".repeat(97), "\r\n\r\n"].concat();
        assert_eq!(fed(chunked(10), &[both.as_bytes()]), Err(Refusal::Framing));
    }

    #[test]
    fn reserves_nothing_for_what_is_announced() {
        let announced = decoder("Content-Length", "1000000", 1_000_000).unwrap().unwrap();
        assert_eq!(announced.body.capacity(), 0);
        let mut chunks = chunked(1_000_000);
        chunks.feed(b"ffff\r\na").unwrap();
        assert!(chunks.body.capacity() < 64);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_body(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in proptest::collection::vec(0..300_usize, 0..6),
            broken in proptest::option::of((0..300_usize, any::<u8>())),
        ) {
            let mut coded = vec![];
            for chunk in &chunks {
                coded.extend_from_slice(alloc::format!("{:x}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\nrest");
            if let Some((at, byte)) = broken {
                let at = at % coded.len();
                coded[at] = byte;
            }
            let whole = fed(chunked(120), &[&coded[..]]);
            if broken.is_none() && chunks.concat().len() <= 120 {
                prop_assert_eq!(&whole, &Ok(Some((chunks.concat().into(), 4))));
            }
            let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(coded.len())).chain([0, coded.len()]).collect();
            cuts.sort_unstable();
            prop_assert_eq!(fed(chunked(120), &cuts.windows(2).map(|cut| &coded[cut[0]..cut[1]]).collect::<Vec<_>>()), whole);
        }
    }
}
