//! The TOML file.

use std::path::Path;

use tethered_core::config::named::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, SettingsError};
use super::load;
use super::password::Hash;
use super::table::{self, Arity};
use super::value::Refused;
use super::{Settings, limits};

/// Applies a file's text; `path` is for messages only.
pub(super) fn apply(settings: &mut Settings, path: &Path, text: &str) -> Result<(), SettingsError> {
    let file = File { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = file.place(error.span().map_or(0, |span| span.start), "");
        SettingsError::Toml { at, why: error.message().to_owned() }
    })?;
    for (key, start, value) in in_order(table.get_ref()) {
        let at = file.place(start, key);
        match (key, value) {
            ("limits", DeValue::Table(limits)) => file.limits(&mut settings.limits, limits)?,
            ("users", DeValue::Table(users)) => file.users(settings, users)?,
            ("limits" | "users", _) => {
                return Err(wrong(at, &format!("must be a table; write [{key}] on a line of its own")));
            }
            _ => {
                let setting =
                    table::all().find(|s| s.in_file() && s.name == key).ok_or_else(|| file.unknown(start, key))?;
                let values = values(value, setting.arity).map_err(|why| wrong(at.clone(), why))?;
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                load::apply(settings, setting, &values, &at)?;
            }
        }
    }
    Ok(())
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, start: usize, key: &str) -> Place {
        let line = self.text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        Place::File { path: self.path.to_owned(), line, key: key.escape_debug().to_string() }
    }

    fn limits(&self, values: &mut limits::All, table: &DeTable<'_>) -> Result<(), SettingsError> {
        for (name, start, value) in in_order(table) {
            let at = self.place(start, "limits");
            let text = scalar(value).ok_or_else(|| wrong(self.place(start, name), ONE_VALUE))?;
            values.set(name, &text).map_err(|Refused(why)| SettingsError::Value { at, why })?;
        }
        Ok(())
    }

    fn users(&self, settings: &mut Settings, table: &DeTable<'_>) -> Result<(), SettingsError> {
        for (name, start, value) in in_order(table) {
            let at = self.place(start, &format!("users.{name}"));
            if name.is_empty()
                || name.len() > NAME_BYTES_MAX
                || name.trim() != name
                || name.chars().any(char::is_control)
            {
                return Err(wrong(
                    at,
                    "is no name for a user; use 1 to 64 bytes without control characters or spaces around",
                ));
            }
            let Some(text) = value.as_str() else {
                return Err(wrong(at, "must be a string: the hash that `tethered hash-password` writes"));
            };
            let hash = Hash::parse(text).map_err(|why| SettingsError::User { at, why })?;
            settings.users.insert(name.to_owned(), hash);
        }
        Ok(())
    }

    fn unknown(&self, start: usize, key: &str) -> SettingsError {
        let names = table::all().filter(|s| s.in_file()).map(|s| s.name).chain(["limits", "users"]);
        let near = nearest(key, names).map(str::to_owned);
        SettingsError::Unknown { at: self.place(start, key), kind: "setting", nearest: near }
    }
}

fn wrong(at: Place, why: &str) -> SettingsError {
    SettingsError::Value { at, why: why.to_owned() }
}

/// Keys and values in the order of the file, so that the first mistake is the one that is named.
fn in_order<'a>(table: &'a DeTable<'_>) -> Vec<(&'a str, usize, &'a DeValue<'a>)> {
    let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (&**name, key.span().start, value.get_ref())
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(_, start, _)| *start);
    entries
}

fn values(value: &DeValue<'_>, arity: Arity) -> Result<Vec<String>, &'static str> {
    let list = |array: &toml::de::DeArray<'_>| array.iter().map(|v| scalar(v.get_ref())).collect::<Option<Vec<_>>>();
    match (value, arity) {
        (DeValue::Array(array), Arity::Many) => list(array).ok_or(MANY_VALUES),
        (DeValue::Array(array), Arity::Pair) => list(array).map(|parts| vec![parts.join(",")]).ok_or(MANY_VALUES),
        (value, Arity::Many) => scalar(value).map(|v| vec![v]).ok_or(MANY_VALUES),
        (value, Arity::Switch | Arity::One | Arity::Pair) => scalar(value).map(|v| vec![v]).ok_or(ONE_VALUE),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        _ => None,
    }
}

const NAME_BYTES_MAX: usize = 64;
const ONE_VALUE: &str = "must be one value: a string or a whole number";
const MANY_VALUES: &str = "must be a string or a list of strings";
