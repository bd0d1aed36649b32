//! What a stranger may send in a request.

/// What a stranger may send in a request. Each is the largest value that still passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// HEAD_BYTES: bytes of a head, from the first one to the blank line. Default 16 KiB.
    pub head_bytes: usize,
    /// HEAD_LINES: header lines, together with empty lines before the request line. Default 100.
    pub head_lines: usize,
    /// TARGET_BYTES: bytes of the request target. Default 8 KiB.
    pub target_bytes: usize,
    /// COOKIE_BYTES: bytes of all `Cookie` values. Default 8 KiB.
    pub cookie_bytes: usize,
    /// COOKIE_PAIRS: cookies. Default 64.
    pub cookie_pairs: usize,
    /// ID_TRIES: session ids that are looked up for one request. Default 4.
    pub id_tries: usize,
    /// Bytes of a body, once its chunks are joined. Default 64 KiB.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_lines: 100,
            target_bytes: 8 * 1024,
            cookie_bytes: 8 * 1024,
            cookie_pairs: 64,
            id_tries: 4,
            body_bytes: 64 * 1024,
        }
    }
}
