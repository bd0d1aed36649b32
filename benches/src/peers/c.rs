//! What is in C: tethered's C interface, as its users have it, and the servers of its peers.

use std::error::Error;
use std::ffi::{CStr, c_char, c_int};
use std::os::fd::AsRawFd;
use std::ptr;

use tethered::{
    tethered_config, tethered_config_init, tethered_hub, tethered_hub_free, tethered_hub_new, tethered_now,
    tethered_open, tethered_peer, tethered_slice, tethered_ws_decoder, tethered_ws_decoder_free,
    tethered_ws_decoder_new,
};

use super::{Feed, Reads};
use crate::echo::serve::listen;
use crate::ours::HANDSHAKE;
use crate::wire::{MESSAGE_MAX, Tally};

/// A `tethered_ws_decoder`, behind a buffer that is read into.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
    decoder: *mut tethered_ws_decoder,
    buffer: Vec<u8>,
}

impl Reader {
    /// Reads from `feed`.
    ///
    /// # Panics
    /// If there is no decoder.
    pub fn new(feed: Feed) -> Self {
        let (mut decoder, buffer) = (ptr::null_mut(), vec![0; feed.chunk()]);
        // SAFETY: `decoder` is a place for a pointer.
        let status = unsafe { tethered_ws_decoder_new(0, MESSAGE_MAX as u64, &mut decoder) };
        assert_eq!(status, 0, "a decoder for a server");
        Self { feed, decoder, buffer }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        loop {
            let len = self.feed.read(&mut self.buffer);
            if len == 0 {
                return tally;
            }
            // SAFETY: the decoder lives, and `len` bytes of the buffer are there to be changed.
            unsafe { c_decode(self.decoder, self.buffer.as_mut_ptr(), len, &mut tally) };
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and not used again.
        unsafe { tethered_ws_decoder_free(self.decoder) }
    }
}

/// A hub with one socket on which a feed comes in. Its messages are sent back if it `echoes`.
#[derive(Debug)]
pub struct Door {
    echoes: bool,
    feed: Feed,
    hub: *mut tethered_hub,
    socket: u64,
    buffer: Vec<u8>,
}

impl Door {
    /// Reads from `feed`, behind a handshake.
    ///
    /// # Panics
    /// If the hub cannot be set up like this.
    pub fn new(feed: Feed, echoes: bool) -> Self {
        let max = MESSAGE_MAX >> 20;
        let toml =
            format!("[[endpoint]]\npath = '/'\nprotocol = 'raw'\nmax-message = '{max}MiB'\nmax-unsent = '{max}MiB'\n");
        let (mut hub, mut socket, buffer) = (ptr::null_mut(), 0, vec![0; feed.chunk()]);
        // SAFETY: a configuration of zeros is the default of everything.
        let mut config: tethered_config = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let peer: tethered_peer = unsafe { std::mem::zeroed() };
        // SAFETY: all of this lives as long as the calls, and is as large as they are told.
        unsafe {
            tethered_config_init(&mut config, size_of_val(&config));
            config.toml = tethered_slice { ptr: toml.as_ptr(), len: toml.len() };
            let status = tethered_hub_new(&config, size_of_val(&config), [7; 16].as_ptr(), NOW, &mut hub);
            assert_eq!(status, 0, "a configuration");
            assert_eq!(tethered_open(hub, NOW, &peer, size_of_val(&peer), &mut socket), 0, "a socket");
        }
        let mut door = Self { echoes, feed, hub, socket, buffer };
        let tally = door.take(&mut HANDSHAKE.to_vec());
        assert!(tally.bytes > 100 && tally.messages == 0, "it opens: {tally:?}");
        door
    }

    fn take(&mut self, bytes: &mut [u8]) -> Tally {
        let mut tally = Tally::default();
        // SAFETY: the hub lives, and the bytes are there to be changed.
        unsafe { c_echo(self.hub, NOW, self.socket, bytes.as_mut_ptr(), bytes.len(), &mut tally) };
        tally
    }
}

impl Reads for Door {
    /// The messages, and the bytes that come in, or that go out.
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        loop {
            let len = self.feed.read(&mut self.buffer);
            if len == 0 {
                return tally;
            }
            // SAFETY: the hub lives, and `len` bytes of the buffer are there to be changed.
            unsafe {
                let work = if self.echoes { c_echo } else { c_receive };
                work(self.hub, NOW, self.socket, self.buffer.as_mut_ptr(), len, &mut tally);
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and not used again.
        unsafe { tethered_hub_free(self.hub) }
    }
}

/// `ffi/examples/echo.c`, with room for many connections from one address.
pub(crate) fn tethered() -> Result<(), Box<dyn Error>> {
    let arguments = [c"echo", c"0", c"[limits]\nPER_ADDR = 20000\n"].map(CStr::as_ptr);
    // SAFETY: the arguments are strings, as those of a program, and there are so many.
    let status = unsafe { echo_main(arguments.len() as c_int, arguments.as_ptr()) };
    Err(format!("it ended with {status}").into())
}

/// wslay on epoll.
pub(crate) fn wslay() -> Result<(), Box<dyn Error>> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    // SAFETY: the listener is open until this returns.
    let status = unsafe { wslay_echo(listener.as_raw_fd()) };
    Err(format!("it ended with {status}").into())
}

/// libwebsockets on its own loop.
pub(crate) fn libwebsockets() -> Result<(), Box<dyn Error>> {
    // SAFETY: it asks for nothing.
    let status = unsafe { libwebsockets_echo() };
    Err(format!("it ended with {status}").into())
}

const NOW: tethered_now = tethered_now { mono_ms: 1, wall_ms: 1_700_000_000_000 };

#[allow(improper_ctypes, reason = "of a handle no more than its pointer crosses")]
unsafe extern "C" {
    fn c_decode(decoder: *mut tethered_ws_decoder, bytes: *mut u8, len: usize, tally: *mut Tally);
    fn c_receive(hub: *mut tethered_hub, now: tethered_now, socket: u64, bytes: *mut u8, len: usize, tally: *mut Tally);
    fn c_echo(hub: *mut tethered_hub, now: tethered_now, socket: u64, bytes: *mut u8, len: usize, tally: *mut Tally);
    fn echo_main(count: c_int, arguments: *const *const c_char) -> c_int;
    fn wslay_echo(listener: c_int) -> c_int;
    fn libwebsockets_echo() -> c_int;
}
