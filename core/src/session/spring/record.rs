//! Who is logged in, and what else of a session's attributes is wanted.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::{CSRF_TOKEN, Config};
use super::values::STREAM;
use super::{java, json};
use crate::redis::Item;

/// What was found in a session's attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) principal: Option<Arc<str>>,
    pub(super) attributes: Vec<(Box<str>, Bytes)>,
    /// A value is longer than what is read.
    pub(super) cut: bool,
}

/// The hash fields to be read for that, without `sessionAttr:`.
pub(super) fn wanted(config: &Config) -> impl Iterator<Item = &str> + Clone {
    let names = [config.principal_attribute.as_str(), config.context_attribute.as_str()];
    names.into_iter().chain(config.attributes.iter().map(String::as_str))
}

impl Found {
    /// From the values of the [`wanted`] fields, in their order; `None` if there are others than that.
    pub(super) fn read(config: &Config, items: &[Item<'_>]) -> Option<Self> {
        let (head, rest) = items.split_first_chunk::<2>()?;
        if rest.len() != config.attributes.len() {
            return None;
        }
        let [name, context] = head;
        let ends: Vec<&str> = config.principal_fields.iter().map(String::as_str).collect();
        let principal = value(name)
            .and_then(|value| text(value, &[], &[]))
            .or_else(|| text(value(context)?, &["authentication", "principal"], &ends))
            .filter(|name| !name.is_empty())
            .map(Arc::from);
        let attributes = config.attributes.iter().zip(rest).filter_map(|(name, item)| {
            let value = value(item)?;
            let ends: &[&str] = if name == CSRF_TOKEN { &["token"] } else { &[] };
            let value = text(value, &[], ends).map_or_else(|| Bytes::copy_from_slice(value), Bytes::from);
            Some((name.clone().into_boxed_str(), value))
        });
        let cut = items.iter().any(|item| matches!(item, Item::Int(_)));
        Some(Self { principal, attributes: attributes.collect(), cut })
    }
}

/// What is stored; an attribute that was removed is an empty text.
fn value<'i>(item: &Item<'i>) -> Option<&'i [u8]> {
    item.bytes().filter(|value| !value.is_empty())
}

fn text(value: &[u8], path: &[&str], ends: &[&str]) -> Option<String> {
    if value.starts_with(STREAM) { java::find(value, path, ends) } else { json::find(value, path, ends) }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::fixtures::{CONTEXT, CSRF};
    use super::super::values::{Form, write_text};
    use super::*;

    fn found(items: &[Item<'_>]) -> Found {
        Found::read(&Config::default(), items).expect("as many as wanted")
    }

    #[test]
    fn a_security_context_names_the_principal() {
        let (context, csrf) = (STANDARD.decode(CONTEXT).expect("a fixture"), STANDARD.decode(CSRF).expect("a fixture"));
        let found = found(&[Item::Nil, Item::Bulk(&context), Item::Bulk(&csrf)]);
        assert_eq!(found.principal.as_deref(), Some("rob"));
        assert_eq!(
            found.attributes,
            [(CSRF_TOKEN.into(), Bytes::from_static(b"e5168837-f7e0-4880-b1e2-44bca4621b9b"))]
        );
        assert!(!found.cut);
    }

    #[test]
    fn the_attribute_wins_unless_it_was_removed() {
        let context = STANDARD.decode(CONTEXT).expect("a fixture");
        for form in [Form::Java, Form::Json] {
            let name = write_text(form, "luke");
            assert_eq!(found(&[Item::Bulk(&name), Item::Bulk(&context), Item::Nil]).principal.as_deref(), Some("luke"));
        }
        assert_eq!(found(&[Item::Bulk(b""), Item::Bulk(&context), Item::Bulk(b"")]).principal.as_deref(), Some("rob"));
        let nobody = write_text(Form::Java, "");
        assert_eq!(found(&[Item::Bulk(&nobody), Item::Nil, Item::Nil]).principal, None);
        assert_eq!(found(&[Item::Nil, Item::Bulk(b"garbage"), Item::Nil]).principal, None);
    }

    #[test]
    fn what_is_no_text_comes_as_it_is_stored_and_what_is_too_long_is_told() {
        let config = Config { attributes: alloc::vec!["a".into(), "b".into()], ..Config::default() };
        let text = write_text(Form::Java, "blue");
        let found =
            Found::read(&config, &[Item::Nil, Item::Nil, Item::Bulk(&text), Item::Bulk(b"[1,2]")]).expect("as many");
        assert_eq!(
            found.attributes,
            [("a".into(), Bytes::from_static(b"blue")), ("b".into(), Bytes::from_static(b"[1,2]"))]
        );
        let found = Found::read(&config, &[Item::Nil, Item::Int(5_000_000), Item::Nil, Item::Nil]).expect("as many");
        assert!(found.cut && found.principal.is_none());
        assert!(Found::read(&config, &[Item::Nil; 3]).is_none() && Found::read(&config, &[Item::Nil; 5]).is_none());
    }

    #[test]
    fn fields_are_asked_for_in_the_order_in_which_they_are_read() {
        let config = Config::default();
        let names: Vec<&str> = wanted(&config).collect();
        assert_eq!(names, [config.principal_attribute.as_str(), "SPRING_SECURITY_CONTEXT", CSRF_TOKEN]);
    }
}
