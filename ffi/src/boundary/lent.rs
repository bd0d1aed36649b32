//! Arrays of pointers that are lent to C, together with what some of them point to.

use core::ffi::c_char;

use tethered_core::redis::Command;

use crate::types::{tethered_header, tethered_slice};

/// The arguments of a command as C takes them.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pointers: Vec<*const c_char>,
    lengths: Vec<usize>,
    /// Those that nobody else keeps. INVARIANT: boxed, so that they stay where they are.
    own: Vec<Box<[u8]>>,
}

// SAFETY: the pointers are only ever given away, never followed here, and what they point to is immutable: it lies in `own`
// or in the command that is kept beside this value.
unsafe impl Send for Arguments {}

impl Arguments {
    /// Those of a command, which has to be kept for as long as these.
    pub(crate) fn of(command: &Command) -> Self {
        let mut arguments = Self::default();
        for argument in command.args() {
            arguments.push(argument);
        }
        arguments
    }

    /// Arguments of our own.
    pub(crate) fn own(own: Vec<Box<[u8]>>) -> Self {
        let mut arguments = Self::default();
        for argument in &own {
            arguments.push(argument);
        }
        Self { own, ..arguments }
    }

    fn push(&mut self, argument: &[u8]) {
        self.pointers.push(argument.as_ptr().cast());
        self.lengths.push(argument.len());
    }

    pub(crate) fn count(&self) -> usize {
        self.pointers.len()
    }

    pub(crate) fn pointers(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    pub(crate) fn lengths(&self) -> *const usize {
        self.lengths.as_ptr()
    }

    /// Bytes that this holds.
    pub(crate) fn bytes(&self) -> usize {
        self.pointers.len() * (size_of::<usize>() * 2) + self.own.iter().map(|argument| argument.len()).sum::<usize>()
    }
}

/// Headers as C takes them, and bytes that nobody else keeps.
#[derive(Debug)]
pub(crate) struct Headers {
    all: Box<[tethered_header]>,
    own: Box<[u8]>,
}

// SAFETY: as for `Arguments`; what the headers point to is kept beside this value.
unsafe impl Send for Headers {}

impl Headers {
    /// Of names and values that have to be kept for as long as this.
    pub(crate) fn new<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>, own: &[u8]) -> Self {
        let all = headers.map(|(name, value)| tethered_header {
            name: tethered_slice::lend(name),
            value: tethered_slice::lend(value),
        });
        Self { all: all.collect(), own: Box::from(own) }
    }

    pub(crate) fn pointer(&self) -> *const tethered_header {
        if self.all.is_empty() { core::ptr::null() } else { self.all.as_ptr() }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn own(&self) -> tethered_slice {
        tethered_slice::lend(&self.own)
    }
}
