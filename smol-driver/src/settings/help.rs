//! `--help` and `--version`.

use std::fmt::Write;

use super::limits::All;
use super::machine::Machine;
use super::table::{self, Arity, Group, Setting};

/// What `--version` writes.
pub(super) fn version() -> String {
    format!("tethered {}\n", env!("CARGO_PKG_VERSION"))
}

/// What `--help` writes.
pub(super) fn text(machine: Machine) -> String {
    let mut text = INTRODUCTION.to_owned();
    for group in Group::ALL {
        text.push_str(&format!("\n{}:\n", group.title()));
        for setting in table::all().filter(|s| s.group == group) {
            entry(&mut text, setting);
        }
    }
    text.push_str(LIMITS);
    for limit in All::of(machine).each() {
        put(&mut text, format_args!("  {:<15} {:>8}  {}", limit.name, limit.shown, limit.help));
    }
    text.push_str(REST);
    text
}

fn entry(text: &mut String, setting: &Setting) {
    let short = setting.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let flag = format!("  {short}--{} {}", setting.name, setting.placeholder);
    let mut lines = setting.help.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    if setting.arity != Arity::Switch && !setting.default.is_empty() {
        lines.push(format!("Default: {}.", setting.default));
    }
    for (i, line) in lines.iter().enumerate() {
        put(text, format_args!("{:<34} {line}", if i == 0 { flag.trim_end() } else { "" }));
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("INVARIANT: a String takes every write");
}

const INTRODUCTION: &str = "\
tethered serves WebSockets that are tied to a login: when the HTTP session
ends, by time or by logout, each of its sockets is closed at once.

Usage: tethered [FLAGS]
       tethered hash-password
       tethered replay FILE [--socket ID | --session FINGERPRINT]

Without flags it serves a chat to try it with at http://localhost:8080/,
with sessions kept in its own memory. Users rob and luke, password: password.

Examples:
  tethered --session-timeout 60s
      Log in, write nothing for a minute, and be cut off.
  tethered --listen 0.0.0.0:8080 --config tethered.toml
      Serve the network, with users of one's own.
  tethered hash-password
      Read a password from the standard input, write the hash for [users].
  tethered --record calls.txt
      Keep all that comes in, cookies too: a secret file.
  tethered replay calls.txt
      List the sockets in it, with their ids and sessions.
  tethered replay calls.txt --socket 7.1
      Tell what befell one of them, and why it was closed.
  tethered --session-timeout 12h --print-config > tethered.toml
      Start a file of settings from those in effect.
";

const LIMITS: &str = "
Limits, with their defaults (each can be off, most only with --allow-unsafe):
";

const REST: &str = "
Each setting can also be written in the file under its flag's name
(session-timeout = \"60s\") or in a variable (TETHERED_SESSION_TIMEOUT=60s). Of
flag, variable and file the first that is there wins. Who may log in stands in
the file only:

  [users]
  rob = \"$argon2id$...\"     # from tethered hash-password
";
