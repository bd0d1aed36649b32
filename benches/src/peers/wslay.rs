//! wslay, a C library, by its event interface.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::{Feed, Reads};
use crate::wire::{MESSAGE_MAX, Tally};

/// Its context, which holds a pointer to `state`.
#[derive(Debug)]
pub struct Reader {
    context: *mut Context,
    state: Box<State>,
}

#[derive(Debug)]
struct State {
    feed: Feed,
    tally: Tally,
    /// Bytes that may still be read in this turn.
    left: usize,
    echoes: bool,
}

/// The same, which sends each message back, after each read of the feed's size.
#[derive(Debug)]
pub struct Echo(Reader);

impl Reader {
    /// Reads from `feed`.
    pub fn new(feed: Feed) -> Self {
        Self::made(feed, false)
    }

    fn made(feed: Feed, echoes: bool) -> Self {
        let mut state = Box::new(State { feed, tally: Tally::default(), left: 0, echoes });
        let callbacks =
            Callbacks { recv: Some(on_recv), send: Some(on_send), on_message: Some(on_message), ..Callbacks::NONE };
        let mut context = ptr::null_mut();
        // SAFETY: the callbacks are copied; `state` is boxed, so its address holds until this reader is dropped.
        let made = unsafe { wslay_event_context_server_init(&mut context, &callbacks, (&raw mut *state).cast()) };
        assert_eq!(made, 0, "wslay has a context");
        // SAFETY: `context` was just made.
        unsafe { wslay_event_config_set_max_recv_msg_length(context, MESSAGE_MAX as u64) };
        Self { context, state }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.state.feed.rewind();
        self.state.tally = Tally::default();
        self.state.left = usize::MAX;
        // SAFETY: the context lives until drop; its callbacks use `state`, which nothing else does meanwhile.
        let outcome = unsafe { wslay_event_recv(self.context) };
        assert_eq!(outcome, 0, "the frames are right");
        self.state.tally
    }
}

impl Echo {
    /// Reads from `feed`.
    pub fn new(feed: Feed) -> Self {
        Self(Reader::made(feed, true))
    }
}

impl Reads for Echo {
    /// The messages, and the bytes that go out.
    fn read(&mut self) -> Tally {
        let Self(Reader { context, state }) = self;
        state.feed.rewind();
        state.tally = Tally::default();
        loop {
            state.left = state.feed.chunk();
            // SAFETY: the context lives until drop; its callbacks use `state`, which nothing else does meanwhile.
            let outcome = unsafe { (wslay_event_recv(*context), wslay_event_send(*context)) };
            assert_eq!(outcome, (0, 0), "the frames are right, and there is room for the echo");
            if state.left > 0 {
                return state.tally;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and not used again.
        unsafe { wslay_event_context_free(self.context) }
    }
}

unsafe extern "C" fn on_recv(
    context: *mut Context,
    buffer: *mut u8,
    len: usize,
    _flags: c_int,
    user: *mut c_void,
) -> isize {
    // SAFETY: `user` is the `state` that `new` gave.
    let state = unsafe { &mut *user.cast::<State>() };
    let bytes = state.feed.next(len.min(state.left));
    state.left -= bytes.len();
    if bytes.is_empty() {
        // SAFETY: wslay passes the context that it calls for.
        unsafe { wslay_event_set_error(context, WOULD_BLOCK) };
        return -1;
    }
    // SAFETY: wslay lends `len` writable bytes, and there are no more than that.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
    bytes.len() as isize
}

unsafe extern "C" fn on_send(
    _context: *mut Context,
    bytes: *const u8,
    len: usize,
    _flags: c_int,
    user: *mut c_void,
) -> isize {
    std::hint::black_box(bytes);
    // SAFETY: `user` is the `state` that `new` gave.
    unsafe { (*user.cast::<State>()).tally.bytes += len as u64 };
    len as isize
}

unsafe extern "C" fn on_message(context: *mut Context, message: *const Message, user: *mut c_void) {
    // SAFETY: `user` is the `state` that `new` gave, and wslay lends a message with its bytes.
    let (state, payload, opcode) = unsafe {
        let message = &*message;
        (&mut *user.cast::<State>(), std::slice::from_raw_parts(message.bytes, message.len), message.opcode)
    };
    if state.echoes {
        state.tally.messages += 1;
        let echo = Queued { opcode, bytes: payload.as_ptr(), len: payload.len() };
        // SAFETY: wslay passes the context that it calls for, and copies what is queued.
        assert_eq!(unsafe { wslay_event_queue_msg(context, &echo) }, 0, "it is queued");
    } else {
        state.tally.add(payload);
    }
}

/// `WSLAY_ERR_WOULDBLOCK`.
const WOULD_BLOCK: c_int = -401;

#[repr(C)]
struct Context {
    _opaque: [u8; 0],
}

/// `struct wslay_event_callbacks`; those that are not used here are told only by their place.
#[repr(C)]
struct Callbacks {
    recv: Option<unsafe extern "C" fn(*mut Context, *mut u8, usize, c_int, *mut c_void) -> isize>,
    send: Option<unsafe extern "C" fn(*mut Context, *const u8, usize, c_int, *mut c_void) -> isize>,
    genmask: Option<unsafe extern "C" fn()>,
    on_frame_start: Option<unsafe extern "C" fn()>,
    on_frame_chunk: Option<unsafe extern "C" fn()>,
    on_frame_end: Option<unsafe extern "C" fn()>,
    on_message: Option<unsafe extern "C" fn(*mut Context, *const Message, *mut c_void)>,
}

impl Callbacks {
    const NONE: Self = Self {
        recv: None,
        send: None,
        genmask: None,
        on_frame_start: None,
        on_frame_chunk: None,
        on_frame_end: None,
        on_message: None,
    };
}

/// `struct wslay_event_on_msg_recv_arg`.
#[repr(C)]
struct Message {
    rsv: u8,
    opcode: u8,
    bytes: *const u8,
    len: usize,
    status: u16,
}

/// `struct wslay_event_msg`.
#[repr(C)]
struct Queued {
    opcode: u8,
    bytes: *const u8,
    len: usize,
}

unsafe extern "C" {
    fn wslay_event_context_server_init(
        context: *mut *mut Context,
        callbacks: *const Callbacks,
        user: *mut c_void,
    ) -> c_int;
    fn wslay_event_context_free(context: *mut Context);
    fn wslay_event_config_set_max_recv_msg_length(context: *mut Context, len: u64);
    fn wslay_event_recv(context: *mut Context) -> c_int;
    fn wslay_event_send(context: *mut Context) -> c_int;
    fn wslay_event_queue_msg(context: *mut Context, message: *const Queued) -> c_int;
    fn wslay_event_set_error(context: *mut Context, error: c_int);
}
