//! wslay, a C library, by its event interface.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::{Feed, Reads};
use crate::wire::{MESSAGE_MAX, Tally};

/// Its context, which holds a pointer to `state`.
pub(super) struct Reader {
    context: *mut Context,
    state: Box<State>,
}

struct State {
    feed: Feed,
    tally: Tally,
}

impl Reader {
    pub(super) fn new(feed: Feed) -> Self {
        let mut state = Box::new(State { feed, tally: Tally::default() });
        let callbacks = Callbacks { recv: Some(on_recv), on_message: Some(on_message), ..Callbacks::NONE };
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
        // SAFETY: the context lives until drop; its callbacks use `state`, which nothing else does meanwhile.
        let outcome = unsafe { wslay_event_recv(self.context) };
        assert_eq!(outcome, 0, "the frames are right");
        self.state.tally
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
    let state = unsafe { &*user.cast::<State>() };
    let bytes = state.feed.next(len);
    if bytes.is_empty() {
        // SAFETY: wslay passes the context that it calls for.
        unsafe { wslay_event_set_error(context, WOULD_BLOCK) };
        return -1;
    }
    // SAFETY: wslay lends `len` writable bytes, and there are no more than that.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
    bytes.len() as isize
}

unsafe extern "C" fn on_message(_context: *mut Context, message: *const Message, user: *mut c_void) {
    // SAFETY: `user` is the `state` that `new` gave, and wslay lends a message with its bytes.
    let (state, payload) = unsafe {
        let message = &*message;
        (&mut *user.cast::<State>(), std::slice::from_raw_parts(message.bytes, message.len))
    };
    state.tally.add(payload);
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
    send: Option<unsafe extern "C" fn()>,
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

unsafe extern "C" {
    fn wslay_event_context_server_init(
        context: *mut *mut Context,
        callbacks: *const Callbacks,
        user: *mut c_void,
    ) -> c_int;
    fn wslay_event_context_free(context: *mut Context);
    fn wslay_event_config_set_max_recv_msg_length(context: *mut Context, len: u64);
    fn wslay_event_recv(context: *mut Context) -> c_int;
    fn wslay_event_set_error(context: *mut Context, error: c_int);
}
