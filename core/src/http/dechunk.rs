//! Taking chunks apart: RFC 9112 section 7.1.

use alloc::vec::Vec;

use super::grammar::is_field_byte;
use super::refusal::Refusal;

/// Takes the chunked coding off a body. Every line has to end with CRLF, sizes are plain hexadecimal digits with nothing
/// around them; extensions and trailers are passed over.
#[derive(Debug, Default)]
pub(super) struct Dechunker {
    at: At,
    /// Bytes of the present chunk that are still to come; its size so far while that is read.
    left: u64,
    digits: u8,
    /// Bytes of extensions and trailers.
    extra: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// Where a trailer line or the last, empty line begins.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Dechunker {
    pub(super) fn is_complete(&self) -> bool {
        self.at == At::End
    }

    /// Appends to `body` what `input` holds of it; the answer is how many bytes of `input` were used.
    pub(super) fn feed(&mut self, input: &[u8], body: &mut Vec<u8>, limit_bytes: usize) -> Result<usize, Refusal> {
        let mut rest = input;
        while let [byte, behind @ ..] = rest
            && self.at != At::End
        {
            if self.at == At::Data {
                rest = self.data(rest, body);
                continue;
            }
            self.byte(*byte)?;
            rest = behind;
            // A size was read: it is judged before any of its bytes is taken.
            if self.at == At::Data && self.left > limit_bytes.saturating_sub(body.len()) as u64 {
                return Err(Refusal::BodyBytes);
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Takes what `input` holds of the present chunk; the answer is what is behind it.
    fn data<'a>(&mut self, input: &'a [u8], body: &mut Vec<u8>) -> &'a [u8] {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (data, behind) = input.split_at(len);
        body.extend_from_slice(data);
        self.left -= len as u64;
        if self.left == 0 {
            self.at = At::DataCr;
        }
        behind
    }

    fn byte(&mut self, byte: u8) -> Result<(), Refusal> {
        self.at = match (self.at, byte) {
            (At::Size, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Size, b';') if self.digits > 0 => At::Extension,
            (At::Size, _) => self.digit(byte)?,
            (At::Extension, b'\r') => At::SizeLf,
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                if self.left == 0 { At::Line } else { At::Data }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Line, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Line,
            (At::EndLf, b'\n') => At::End,
            (At::Extension, _) if is_field_byte(byte) => self.extra(At::Extension)?,
            (At::Line | At::Trailer, _) if is_field_byte(byte) => self.extra(At::Trailer)?,
            _ => return Err(Refusal::Framing),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<At, Refusal> {
        let digit = char::from(byte).to_digit(16).filter(|_| self.digits < SIZE_DIGITS).ok_or(Refusal::Framing)?;
        // INVARIANT: 16 digits of 4 bits are 64 bits.
        self.left = self.left << 4 | u64::from(digit);
        self.digits += 1;
        Ok(At::Size)
    }

    fn extra(&mut self, at: At) -> Result<At, Refusal> {
        self.extra += 1;
        if self.extra > EXTRA_BYTES { Err(Refusal::Framing) } else { Ok(at) }
    }
}

/// More digits than that overflow, or are zeros that nobody needs.
const SIZE_DIGITS: u8 = 16;

/// Bytes of all extensions and trailers of a body. Nobody sends them but to make work.
const EXTRA_BYTES: usize = 4 * 1024;
