//! The entries for tokens that prove that a page was handed out under a session.

use core::ffi::c_char;

use tethered_core::session::csrf;

use crate::boundary;
use crate::status::tethered_status_code::*;
use crate::status::{status, tethered_status};
use crate::types::tethered_slice;

/// Masks a session's CSRF token for a page, as Spring Security does (XorCsrfTokenRequestAttributeHandler): other text each
/// time. With the setting connect-csrf it is what CONNECT has to carry in X-CSRF-TOKEN.
///
/// token: an attribute of the session, "csrf" or Spring Security's. random: as many bytes as token has, fresh from the system's
/// random source.
/// out, capacity: room for the text, which has no NUL at its end. len: where it is put how many bytes it has: about 2.7 times
/// the token's, 96 for the 36 of Spring's.
///
/// Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
/// TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_csrf_mask(
    token: tethered_slice,
    random: *const u8,
    out: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(token.len)?;
        boundary::present(len, "len")?;
        // SAFETY: the header asks for the bytes of `token`, as many at `random`, and room for `capacity` bytes at `out`.
        let (token, random, room) = unsafe {
            let random = tethered_slice { ptr: random, len: token.len };
            (
                boundary::bytes(token, "token")?,
                boundary::bytes(random, "random")?,
                boundary::room(out.cast(), capacity, "out")?,
            )
        };
        let masked = csrf::mask(token, random);
        // SAFETY: the header asks for a place for a number at `len`.
        unsafe { boundary::put(len, masked.len()) };
        let Some(room) = room.get_mut(..masked.len()) else { return Ok(TETHERED_MORE) };
        for (place, byte) in room.iter_mut().zip(masked.bytes()) {
            place.write(byte);
        }
        Ok(TETHERED_OK)
    }))
}

/// Whether what a form or a header carried is this token, masked. Takes as long wherever they differ. The bare token is not,
/// and nothing is a token that is empty.
///
/// Gives TETHERED_REFUSED if it is not; fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_csrf_matches(masked: tethered_slice, token: tethered_slice) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(masked.len)?;
        // SAFETY: the header asks for the bytes of both.
        let (masked, token) = unsafe { (boundary::bytes(masked, "masked")?, boundary::bytes(token, "token")?) };
        let same = str::from_utf8(masked).is_ok_and(|masked| csrf::matches(masked, token));
        Ok(if same { TETHERED_OK } else { TETHERED_REFUSED })
    }))
}
