//! Passwords: hashed with Argon2id (RFC 9106), kept as PHC strings, compared in constant time.
//!
//! The parameters are OWASP's smallest in memory (7 MiB, 5 passes, 1 lane): a few dozen logins at a time must not
//! crowd out the sockets. A stored hash carries its own parameters, so a file made with stronger ones is honoured up to
//! [`MEMORY_KIB_MAX`] and [`PASSES_MAX`].

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

/// A password's hash as a PHC string. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(Arc<str>);

/// What is wrong with a hash or a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Not a PHC string of Argon2id.
    #[error("is no password hash; make one with `tethered hash-password`")]
    NotAHash,
    /// A login with this hash would cost too much.
    #[error("is a hash of more than 64 MiB of memory, 16 passes or 4 lanes; make one with `tethered hash-password`")]
    TooCostly,
    /// Empty.
    #[error(
        "the password is empty; write it to the standard input, such as: echo 'a long pass phrase' | tethered hash-password"
    )]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than 1024 bytes")]
    TooLong,
}

/// Longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Most memory that a stored hash may ask for, in KiB.
pub const MEMORY_KIB_MAX: u32 = 64 * 1_024;
/// Most passes that a stored hash may ask for.
pub const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

impl Hash {
    /// Hashes a password with this salt, which must be random and new.
    ///
    /// # Errors
    /// [`PasswordError::Empty`] and [`PasswordError::TooLong`].
    pub fn of(password: &[u8], salt: [u8; 16]) -> Result<Self, PasswordError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| PasswordError::TooCostly)?;
        Self::with(password, salt, params)
    }

    /// Reads a PHC string.
    ///
    /// # Errors
    /// [`PasswordError::NotAHash`] and [`PasswordError::TooCostly`].
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let hash = PasswordHash::new(text).map_err(|_| PasswordError::NotAHash)?;
        if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordError::NotAHash);
        }
        let params = Params::try_from(&hash).map_err(|_| PasswordError::NotAHash)?;
        if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
            return Err(PasswordError::TooCostly);
        }
        Ok(Self(text.into()))
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one: milliseconds of CPU.
    pub fn verify(&self, password: &[u8]) -> bool {
        PasswordHash::new(&self.0).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with(password: &[u8], salt: [u8; 16], params: Params) -> Result<Self, PasswordError> {
        match password.len() {
            0 => return Err(PasswordError::Empty),
            n if n > PASSWORD_BYTES_MAX => return Err(PasswordError::TooLong),
            _ => {}
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(password, &salt).map_err(|_| PasswordError::TooLong)?;
        Ok(Self(hash.to_string().into()))
    }

    /// A hash that costs next to nothing, for tests.
    #[cfg(test)]
    pub(crate) fn cheap(password: &str) -> Self {
        Self::with(password.as_bytes(), [7; 16], Params::new(8, 1, 1, None).expect("the least there is"))
            .expect("a test's password")
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// What `tethered hash-password` answers: the hash of a password's line as it came from the standard input, without its
/// line end.
///
/// # Errors
/// [`PasswordError::Empty`] and [`PasswordError::TooLong`].
pub fn hash_line(line: &[u8], salt: [u8; 16]) -> Result<String, PasswordError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Hash::of(line, salt).map(|hash| hash.as_str().to_owned())
}

const MEMORY_KIB: u32 = 7 * 1_024;
const PASSES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let hash = Hash::of(b"a long pass phrase", [1; 16]).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{}", hash.as_str());
        let hash = Hash::parse(hash.as_str()).unwrap();
        assert!(hash.verify(b"a long pass phrase"));
        assert!(!hash.verify(b"a long pass phrase "));
        assert!(!hash.verify(b""));
        assert_eq!(format!("{hash:?}"), "Hash(..)");
    }

    #[test]
    fn salts_make_hashes_differ() {
        assert_ne!(hash_line(b"same", [1; 16]), hash_line(b"same", [2; 16]));
    }

    #[test]
    fn the_line_end_is_no_part_of_a_password() {
        for line in [&b"secret\n"[..], b"secret\r\n", b"secret"] {
            assert!(Hash::parse(&hash_line(line, [3; 16]).unwrap()).unwrap().verify(b"secret"));
        }
        assert!(Hash::parse(&hash_line(b" two  words \n", [3; 16]).unwrap()).unwrap().verify(b" two  words "));
    }

    #[test]
    fn a_password_has_1_to_1024_bytes() {
        assert_eq!(hash_line(b"\n", [0; 16]), Err(PasswordError::Empty));
        assert!(hash_line(&[b'x'; 1_024], [0; 16]).is_ok());
        assert_eq!(hash_line(&[b'x'; 1_025], [0; 16]), Err(PasswordError::TooLong));
    }

    #[test]
    fn what_is_no_hash_or_too_costly_is_refused() {
        for bad in [
            "",
            "password",
            "{noop}password",
            "$argon2id$",
            "$2b$10$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0",
        ] {
            assert_eq!(Hash::parse(bad).unwrap_err(), PasswordError::NotAHash, "{bad}");
        }
        let text = Hash::cheap("x").as_str().to_owned();
        assert!(Hash::parse(&text.replace("m=8,", "m=65536,")).is_ok());
        assert_eq!(Hash::parse(&text.replace("m=8,", "m=65537,")).unwrap_err(), PasswordError::TooCostly);
        assert_eq!(Hash::parse(&text.replace("t=1,", "t=17,")).unwrap_err(), PasswordError::TooCostly);
        assert_eq!(Hash::parse(&text.replace("argon2id", "argon2d")).unwrap_err(), PasswordError::NotAHash);
    }
}
