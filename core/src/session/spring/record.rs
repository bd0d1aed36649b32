//! Who is logged in, and what else of a session's attributes is wanted.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::{CSRF_TOKEN, Config, PRINCIPAL_NAME};
use super::values::STREAM;
use super::{java, json};
use crate::redis::Item;

/// What was found in a session's attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) principal: Option<Arc<str>>,
    /// Under which name Spring has it in the index: the attribute wins there, also over somebody who logged in later.
    pub(super) indexed: Option<Arc<str>>,
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
        let some = |name: &String| !name.is_empty();
        let named = self::name(name).map(Arc::from);
        let context = value(context).and_then(|value| text(value, &["authentication", "principal"], &ends));
        let context: Option<Arc<str>> = context.filter(some).map(Arc::from);
        let indexed = named.clone().or_else(|| context.clone());
        // A login at Spring writes the context and leaves the attribute as it was, whoever wrote that. An attribute that
        // was chosen for the purpose is meant.
        let principal = if config.principal_attribute == PRINCIPAL_NAME { context.or(named) } else { indexed.clone() };
        let attributes = config.attributes.iter().zip(rest).filter_map(|(name, item)| {
            let value = value(item)?;
            let ends: &[&str] = if name == CSRF_TOKEN { &["token"] } else { &[] };
            let value = text(value, &[], ends).map_or_else(|| Bytes::copy_from_slice(value), Bytes::from);
            Some((name.clone().into_boxed_str(), value))
        });
        let cut = items.iter().any(|item| matches!(item, Item::Int(_)));
        Some(Self { principal, indexed, attributes: attributes.collect(), cut })
    }
}

/// The name in an attribute that is nothing else.
pub(super) fn name(item: &Item<'_>) -> Option<String> {
    value(item).and_then(|value| text(value, &[], &[])).filter(|name| !name.is_empty())
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

    /// Spring's own login over a session that somebody else's name was written into.
    #[test]
    fn c07_who_is_logged_in_at_spring_wins_over_the_name_in_the_index() {
        let context = STANDARD.decode(CONTEXT).expect("a fixture");
        let who = |found: Found| (found.principal, found.indexed);
        let (rob, luke) = (Some(Arc::from("rob")), Some(Arc::from("luke")));
        for form in [Form::Java, Form::Json] {
            let name = write_text(form, "luke");
            let both = [Item::Bulk(&name), Item::Bulk(&context), Item::Nil];
            assert_eq!(who(found(&both)), (rob.clone(), luke.clone()));
            // A context that names nobody, or none that can be read, leaves what the attribute says.
            for other in [Item::Nil, Item::Bulk(b""), Item::Bulk(b"garbage")] {
                assert_eq!(who(found(&[Item::Bulk(&name), other, Item::Nil])), (luke.clone(), luke.clone()));
            }
            // One that was chosen to name the user does.
            let config = Config { principal_attribute: "who".into(), ..Config::default() };
            assert_eq!(who(Found::read(&config, &both).expect("as many")), (luke.clone(), luke.clone()));
        }
        assert_eq!(who(found(&[Item::Bulk(b""), Item::Bulk(&context), Item::Bulk(b"")])), (rob.clone(), rob.clone()));
        let nobody = write_text(Form::Java, "");
        assert_eq!(who(found(&[Item::Bulk(&nobody), Item::Nil, Item::Nil])), (None, None));
        assert_eq!(who(found(&[Item::Bulk(&nobody), Item::Bulk(&context), Item::Nil])), (rob.clone(), rob));
        assert_eq!(who(found(&[Item::Nil, Item::Bulk(b"garbage"), Item::Nil])), (None, None));
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
