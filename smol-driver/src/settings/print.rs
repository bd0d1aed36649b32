//! `--print-config`: the settings in effect as a file that is accepted again.

use std::fmt::Write;

use toml::Value;

use super::Settings;
use super::table::{self, Role, Shown};

/// The file's text. Passwords are in it as hashes only.
pub(super) fn toml(settings: &Settings) -> String {
    let mut text = without_users(settings);
    text.push_str("\n[users]\n");
    for (name, hash) in &settings.users {
        line(&mut text, &key(name), &Value::from(hash.as_str()));
    }
    text
}

/// The same without the table of users.
pub(super) fn without_users(settings: &Settings) -> String {
    let mut text = format!("# The settings in effect, tethered {}.\n", env!("CARGO_PKG_VERSION"));
    for setting in table::all() {
        if let Role::Set { show, .. } = setting.role {
            let value = match show(settings) {
                Shown::Bool(truth) => Value::from(truth),
                Shown::Text(text) => Value::from(text),
                Shown::List(list) => Value::from(list),
            };
            line(&mut text, setting.name, &value);
        }
    }
    text.push_str("\n[limits]\n");
    for limit in settings.limits.each() {
        line(&mut text, limit.name, &Value::from(limit.shown));
    }
    text
}

fn line(text: &mut String, key: &str, value: &Value) {
    writeln!(text, "{key} = {value}").expect("INVARIANT: a String takes every write");
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { Value::from(name).to_string() }
}
