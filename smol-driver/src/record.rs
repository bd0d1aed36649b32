//! A file with everything that came in, for `tethered replay`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use tethered_core::hub::Hub;
use tethered_core::hub::record::TooLate;

/// A file that a hub's inputs are written to. It is as secret as the sessions in it: see [`tethered_core::hub::record`].
#[derive(Debug)]
pub struct Recording {
    file: File,
    /// Bytes that still fit.
    left: u64,
}

/// How a recording came to its end before the server did.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The limit was reached.
    Full,
    /// It could not be written.
    Failed(io::Error),
}

impl Recording {
    /// Opens the file, or makes it so that only its owner can read it; what is in it stays, and counts for the `limit`
    /// in bytes. The lines of `notes` are written first, each behind a `#`.
    ///
    /// # Errors
    /// Where the file cannot be opened, or written, or is one that others can read or write.
    pub fn open(path: &Path, limit: u64, notes: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(OWNER_ONLY).open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if found.mode() & OTHERS != 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, FOR_OTHERS));
        }
        let mut recording = Self { file, left: limit.saturating_sub(found.len()) };
        let notes: String = notes.lines().map(|line| format!("#{line}\n")).collect();
        match recording.write(&notes) {
            Ok(()) => Ok(recording),
            Err(Stopped::Failed(error)) => Err(error),
            Err(Stopped::Full) => Err(io::Error::other("the limit is reached by what is in it already")),
        }
    }

    /// Has the hub record.
    pub(crate) fn begin(&mut self, hub: &mut Hub) -> Result<(), TooLate> {
        hub.record(true)
    }

    /// Writes what was recorded since the last time.
    pub(crate) fn take(&mut self, hub: &mut Hub) -> Result<(), Stopped> {
        self.write(&hub.take_record())
    }

    /// Writes whole lines, or none: a recording that ends early can still be played.
    fn write(&mut self, lines: &str) -> Result<(), Stopped> {
        let len = lines.len() as u64;
        if len > self.left {
            return Err(Stopped::Full);
        }
        self.left -= len;
        self.file.write_all(lines.as_bytes()).map_err(Stopped::Failed)
    }
}

const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;
const FOR_OTHERS: &str = "others can read or write it, and a recording holds cookies and what session ids are made \
                          from; chmod 600 it, or name another file";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tethered_core::config::Config;
    use tethered_core::hub::Event;
    use tethered_core::time::{Instant, Now, UnixMillis};

    use super::*;

    /// A path of its own, in a folder that is removed with it.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tethered-record-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder for temporary files");
            Self(path)
        }

        fn file(&self) -> std::path::PathBuf {
            self.0.join("recording")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn now() -> Now {
        Now { mono: Instant::from_millis(5), wall: UnixMillis::from_millis(0) }
    }

    #[test]
    fn only_the_owner_reads_it_and_runs_are_appended() {
        let folder = Folder::new("owner");
        for run in 1..3 {
            let mut hub = Hub::new(Config::default(), [1; 16], now()).unwrap();
            let mut recording = Recording::open(&folder.file(), 10_000, "a note\nand another").unwrap();
            recording.begin(&mut hub).unwrap();
            hub.handle(now(), Event::Tick);
            recording.take(&mut hub).unwrap();
            let text = fs::read_to_string(folder.file()).unwrap();
            assert_eq!(
                text.matches("#a note\n#and another\n1970-01-01T00:00:00.000Z 5 begin 1 seed=0101").count(),
                run
            );
            assert_eq!(text.matches("\n1970-01-01T00:00:00.000Z 5 tick\n").count(), run);
        }
        assert_eq!(fs::metadata(folder.file()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = Folder::new("others");
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::write(folder.file(), "x").unwrap();
            fs::set_permissions(folder.file(), fs::Permissions::from_mode(mode)).unwrap();
            let error = Recording::open(&folder.file(), 10_000, "").unwrap_err();
            assert!(error.to_string().starts_with("others can read or write it"), "{error}");
            assert_eq!(fs::read_to_string(folder.file()).unwrap(), "x");
        }
        assert!(Recording::open(&folder.0, 10_000, "").is_err(), "a folder is none");
    }

    #[test]
    fn it_ends_at_its_limit_with_a_whole_line() {
        let folder = Folder::new("limit");
        let mut hub = Hub::new(Config::default(), [1; 16], now()).unwrap();
        let mut recording = Recording::open(&folder.file(), 150, "").unwrap();
        recording.begin(&mut hub).unwrap();
        recording.take(&mut hub).unwrap();
        hub.handle(now(), Event::Tick);
        recording.take(&mut hub).unwrap();
        let whole = fs::read_to_string(folder.file()).unwrap();
        hub.handle(now(), Event::Tick);
        hub.handle(now(), Event::Tick);
        assert!(matches!(recording.take(&mut hub), Err(Stopped::Full)));
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), whole);
        assert!(whole.ends_with(" tick\n"), "{whole}");
        let error = Recording::open(&folder.file(), 100, "a note").unwrap_err();
        assert_eq!(error.to_string(), "the limit is reached by what is in it already");
    }
}
