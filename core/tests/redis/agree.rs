//! Scripts and transactions do the same: from any state, each question leaves the same keys and gets the same answer.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestCaseError, TestRunner};
use tethered_core::session::spring::{Config, Layout};
use tethered_core::session::{Answer, Op};

use super::resp::{Client, Server, Value};
use super::values::{self, Form};
use super::world::{World, check, create, end, load, rename, touch};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

/// What is stored before. Times are in milliseconds from Redis' clock.
#[derive(Debug, Clone)]
struct State {
    form: Form,
    hash: Hash,
    hash_ttl: Option<i64>,
    shadow: Option<Option<i64>>,
    filed: bool,
    sorted: Option<(Form, bool)>,
    indexed: bool,
    taken: bool,
}

#[derive(Debug, Clone)]
enum Hash {
    None,
    Text,
    Fields { created: Field, last: Field, ago: i64, max: i32, max_field: Field, principal: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Right,
    Missing,
    Empty,
    Odd,
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        20 => Just(Field::Right),
        1 => Just(Field::Missing),
        1 => Just(Field::Empty),
        1 => Just(Field::Odd),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Java), Just(Form::Json)]
}

fn hash() -> impl Strategy<Value = Hash> {
    let ago = prop_oneof![4 => 0..200_000_i64, 1 => -200_000..0_i64, 1 => Just(-40_000_000_000), 1 => Just(9_999_999_999_999)];
    let max = prop_oneof![6 => 1..300_i32, 1 => Just(0), 1 => Just(-1), 1 => Just(i32::MAX)];
    let fields = (field(), field(), ago, max, field(), any::<bool>()).prop_map(
        |(created, last, ago, max, max_field, principal)| Hash::Fields {
            created,
            last,
            ago,
            max,
            max_field,
            principal,
        },
    );
    prop_oneof![1 => Just(Hash::None), 1 => Just(Hash::Text), 12 => fields]
}

fn state() -> impl Strategy<Value = State> {
    let ttl = || prop_oneof![1 => Just(None), 5 => (1_000..600_000_i64).prop_map(Some)];
    let shadow = prop_oneof![1 => Just(None), 4 => ttl().prop_map(Some)];
    let sorted = prop_oneof![2 => Just(None), 1 => (form(), any::<bool>()).prop_map(Some)];
    (form(), hash(), ttl(), shadow, any::<bool>(), sorted, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |(form, hash, hash_ttl, shadow, filed, sorted, indexed, taken)| State {
            form,
            hash,
            hash_ttl,
            shadow,
            filed,
            sorted,
            indexed,
            taken,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let age = prop_oneof![3 => 0..3_000_u64, 1 => 0..400_000_u64];
    prop_oneof![
        1 => Just(check(A)),
        1 => Just(load(A)),
        4 => age.prop_map(|age| touch(A, age)),
        1 => Just(end(A)),
        1 => Just(create(A, Some("rob"), &[("colour", "blue")])),
        2 => prop_oneof![Just("rob"), Just("luke")].prop_map(|name| rename(A, B, Some(name), &[("colour", "red")])),
    ]
}

fn now(client: &mut Client) -> i64 {
    let Value::List(parts) = client.run("TIME") else { panic!("no time") };
    let number = |at: usize| parts[at].text().parse::<i64>().expect("digits");
    number(0) * 1_000 + number(1) / 1_000
}

const NS: &str = "spring:session";
const INDEX: &str =
    "spring:session:index:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";
const NAME: &str = "sessionAttr:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";

impl State {
    /// Stores it; Redis' clock at that moment.
    fn store(&self, client: &mut Client) -> i64 {
        client.run("FLUSHALL");
        let now = now(client);
        let hash = format!("{NS}:sessions:{A}");
        let form = self.form;
        match &self.hash {
            Hash::None => {}
            Hash::Text => drop(client.run(&format!("SET {hash} text"))),
            Hash::Fields { created, last, ago, max, max_field, principal } => {
                let at = now - ago;
                let mut set = |name: &str, field: Field, right: Vec<u8>| {
                    let value = match field {
                        Field::Missing => return,
                        Field::Right => right,
                        Field::Empty => Vec::new(),
                        Field::Odd => b"true".to_vec(),
                    };
                    client.call(&[b"HSET", hash.as_bytes(), name.as_bytes(), &value]);
                };
                set("creationTime", *created, values::long(form, at));
                set("lastAccessedTime", *last, values::long(form, at));
                set("maxInactiveInterval", *max_field, values::integer(form, *max));
                set("sessionAttr:other", Field::Right, b"kept".to_vec());
                if *principal {
                    set(NAME, Field::Right, values::text(form, "rob"));
                }
                if self.filed {
                    let minute = (at + i64::from(*max) * 1_000).div_euclid(60_000) * 60_000 + 60_000;
                    let set = format!("{NS}:expirations:{minute}");
                    client.call(&[b"SADD", set.as_bytes(), &values::text(form, &format!("expires:{A}"))]);
                }
            }
        }
        if let Some(ttl) = self.hash_ttl {
            client.run(&format!("PEXPIRE {hash} {ttl}"));
        }
        if let Some(ttl) = self.shadow {
            let shadow = format!("{NS}:sessions:expires:{A}");
            client.call(&[b"SET", shadow.as_bytes(), b""]);
            if let Some(ttl) = ttl {
                client.run(&format!("PEXPIRE {shadow} {ttl}"));
            }
        }
        if let Some((form, own)) = self.sorted {
            let key = format!("{NS}:sessions:expirations");
            let id = if own { A } else { "0" };
            client.call(&[b"ZADD", key.as_bytes(), b"5", &values::text(form, id)]);
        }
        if self.indexed {
            client.call(&[b"SADD", format!("{INDEX}:rob").as_bytes(), &values::text(form, A)]);
        }
        if self.taken {
            client.run(&format!("HSET {NS}:sessions:{B} x y"));
        }
        now
    }
}

/// All keys: what is in them, with times from a given one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    ttl: i64,
    values: BTreeMap<String, Stored>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored {
    Time(i64),
    Bytes(String),
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn left(client: &mut Client, since: i64) -> BTreeMap<String, Left> {
    let mut all = BTreeMap::new();
    for key in client.keys() {
        let ttl = match client.run(&format!("PTTL {key}")) {
            Value::Int(ttl) => ttl,
            other => panic!("{other:?}"),
        };
        let kind = client.run(&format!("TYPE {key}")).text();
        let list = |client: &mut Client, line: String| match client.run(&line) {
            Value::List(values) => values.iter().map(|value| value.bytes().to_vec()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let time = |value: &[u8]| match values::read_long(value) {
            Some(time) if time.abs() > 1_000_000_000_000 => Stored::Time(time - since),
            _ => Stored::Bytes(shown(value)),
        };
        let values: BTreeMap<String, Stored> = match kind.as_str() {
            "hash" | "zset" => {
                let line =
                    if kind == "hash" { format!("HGETALL {key}") } else { format!("ZRANGE {key} 0 -1 WITHSCORES") };
                list(client, line).chunks(2).map(|pair| (shown(&pair[0]), time(&pair[1]))).collect()
            }
            "set" => list(client, format!("SMEMBERS {key}"))
                .into_iter()
                .map(|value| (shown(&value), Stored::Bytes(String::new())))
                .collect(),
            _ => [(String::new(), Stored::Bytes(client.run(&format!("GET {key}")).text()))].into(),
        };
        all.insert(key, Left { ttl, values });
    }
    all
}

/// Milliseconds that two runs may differ by.
const SLACK: i64 = 400;

fn near(a: i64, b: i64) -> bool {
    a.signum() == b.signum() && (a - b).abs() <= SLACK || (a - b).abs() <= SLACK && a != -1 && b != -1
}

fn same_left(a: &BTreeMap<String, Left>, b: &BTreeMap<String, Left>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((key_a, a), (key_b, b))| {
            let values = a.values.len() == b.values.len()
                && a.values.iter().zip(&b.values).all(|((name_a, a), (name_b, b))| {
                    name_a == name_b
                        && match (a, b) {
                            (Stored::Time(a), Stored::Time(b)) => (a - b).abs() <= SLACK,
                            (a, b) => a == b,
                        }
                });
            key_a == key_b && near(a.ttl, b.ttl) && values
        })
}

fn same_answer(a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Answer::Alive { ttl_ms: Some(a), record: one }, Answer::Alive { ttl_ms: Some(b), record: other }) => {
            a.abs_diff(*b) <= SLACK as u64 && one == other
        }
        (a, b) => a == b,
    }
}

fn ends_sooner(a: &Answer, b: &Answer) -> bool {
    matches!((a, b), (Answer::Alive { ttl_ms: Some(a), .. }, Answer::Alive { ttl_ms: Some(b), .. }) if a < b)
}

/// From the same state, by each of the machines; whether they agree.
fn agree(layout: Layout, cluster: bool, cases: u32) {
    let server = Server::start();
    let base = Config { layout, ..Config::default() };
    let scripts = RefCell::new(World::new(&server, base.clone()));
    let other = if cluster { Config { cluster, ..base } } else { Config { scripts: false, ..base } };
    let other = RefCell::new(World::new(&server, other));
    let client = RefCell::new(server.connect());
    let mut runner =
        TestRunner::new(Cases { cases, failure_persistence: None, max_shrink_iters: 100, ..Cases::default() });
    let outcome = runner.run(&(state(), op()), |(state, op)| {
        let client = &mut *client.borrow_mut();
        let mut seen = Vec::new();
        // A minute, or the end of a lifetime, may fall between the two.
        for _ in 0..3 {
            let since = state.store(client);
            let one = scripts.borrow_mut().ask(op.clone());
            let one = (one, left(client, since));
            let since = state.store(client);
            let two = other.borrow_mut().ask(op.clone());
            let two = (two, left(client, since));
            let answers = same_answer(&one.0, &two.0)
                // A Cluster cannot tell an end from a rename.
                || cluster && one.0 == Answer::Gone && two.0 == Answer::Vanished
                // Nor whether the two keys belong together: it believes what ends first.
                || cluster && matches!(op, Op::Touch { .. }) && ends_sooner(&two.0, &one.0);
            if answers && same_left(&one.1, &two.1) {
                return Ok(());
            }
            seen.push((one, two));
        }
        Err(TestCaseError::fail(format!("{:?}", seen.pop())))
    });
    assert_eq!(other.borrow().refused, Vec::<String>::new());
    if let Err(error) = outcome {
        panic!("{layout:?}: {error}");
    }
}

#[test]
fn scripts_and_transactions_agree_in_the_indexed_layout() {
    agree(Layout::Indexed, false, 400);
}

#[test]
fn scripts_and_transactions_agree_in_the_plain_layout() {
    agree(Layout::Plain, false, 200);
}

#[test]
fn one_node_and_a_cluster_agree() {
    agree(Layout::Indexed, true, 200);
    agree(Layout::Plain, true, 100);
}
