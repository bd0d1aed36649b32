//! Each step on Redis, with scripts and without.

use tethered_core::session::spring::{Config, Layout};
use tethered_core::session::{Answer, Record};

use super::resp::{Client, Server, Value};
use super::world::{World, check, create, end, load, rename, touch, ttl};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const NS: &str = "spring:session";

/// With scripts and without, in both layouts.
fn every_way(test: impl Fn(&mut World, &mut Client, Layout)) {
    for layout in [Layout::Indexed, Layout::Plain] {
        for scripts in [true, false] {
            let server = Server::start();
            let mut world = World::new(&server, Config { layout, scripts, ..Config::default() });
            let mut client = server.connect();
            test(&mut world, &mut client, layout);
            assert_eq!(world.refused, Vec::<String>::new());
            assert_eq!(world.alarms, [], "{layout:?} {scripts}");
        }
    }
}

fn record(answer: &Answer) -> &Record {
    match answer {
        Answer::Alive { record: Some(record), .. } => record,
        other => panic!("no record: {other:?}"),
    }
}

#[test]
fn what_is_made_is_loaded_renewed_and_ended() {
    every_way(|world, client, layout| {
        let made = world.ask(create(A, Some("rob"), &[("colour", "blue")]));
        assert_eq!(ttl(&made), 60_000);
        let loaded = world.ask(load(A));
        assert!((59_000..=60_000).contains(&ttl(&loaded)), "{loaded:?}");
        assert_eq!(record(&loaded).principal.as_deref(), Some("rob"));
        client.run(&format!("PEXPIRE {NS}:sessions:{A} 20000"));
        if layout == Layout::Indexed {
            client.run(&format!("PEXPIRE {NS}:sessions:expires:{A} 20000"));
        }
        assert!(ttl(&world.ask(check(A))) <= 20_000);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(ttl(&world.ask(touch(A, 0))) > 59_900);
        assert!(ttl(&world.ask(check(A))) > 59_000);
        assert_eq!(world.ask(end(A)), Answer::Gone);
        assert_eq!(world.ask(check(A)), Answer::Gone);
        assert_eq!(world.ask(touch(A, 0)), Answer::Gone);
        let left = client.keys();
        match layout {
            Layout::Plain => assert_eq!(left, Vec::<String>::new()),
            _ => assert_eq!(left, [format!("{NS}:sessions:{A}")]),
        }
    });
}

#[test]
fn a_login_moves_all_that_there_is() {
    every_way(|world, client, layout| {
        world.ask(create(A, Some("rob"), &[("colour", "blue")]));
        let renamed = world.ask(rename(A, B, Some("luke"), &[("shade", "dark")]));
        assert_eq!((&*record(&renamed).id, record(&renamed).principal.as_deref()), (B, Some("luke")));
        assert!(ttl(&renamed) > 59_900);
        assert_eq!(world.ask(check(A)), Answer::Gone);
        assert_eq!(record(&world.ask(load(B))).principal.as_deref(), Some("luke"));
        let mut left = client.keys();
        left.retain(|key| !key.contains(":expirations:"));
        let index = format!(
            "{NS}:index:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME:luke"
        );
        let expected = match layout {
            Layout::Plain => vec![format!("{NS}:sessions:{B}")],
            _ => vec![index, format!("{NS}:sessions:{B}"), format!("{NS}:sessions:expires:{B}")],
        };
        assert_eq!(left, expected);
        assert_eq!(
            client.run(&format!("HGET {NS}:sessions:{B} sessionAttr:colour")),
            Value::Bulk(b"\xac\xed\0\x05t\0\x04blue".to_vec())
        );
        assert_eq!(
            client.run(&format!("HGET {NS}:sessions:{B} sessionAttr:shade")),
            Value::Bulk(b"\xac\xed\0\x05t\0\x04dark".to_vec())
        );
        assert_eq!(world.ask(rename(A, B, None, &[])), Answer::Gone);
    });
}

/// Somebody logged in at the demo, then somebody else at Spring: he is the user, and the index is left under the name that
/// it was entered by.
#[test]
fn c07_a_login_at_spring_over_one_of_ours() {
    every_way(|world, client, layout| {
        world.ask(create(A, Some("luke"), &[]));
        let hash = format!("{NS}:sessions:{A}");
        let context = br#"{"authentication":{"principal":{"username":"rob"}}}"#;
        client.call(&[b"HSET", hash.as_bytes(), b"sessionAttr:SPRING_SECURITY_CONTEXT", context]);
        assert_eq!(record(&world.ask(load(A))).principal.as_deref(), Some("rob"));
        // Another login of ours takes his context away.
        let renamed = world.ask(rename(A, B, Some("luke"), &[]));
        assert_eq!(record(&renamed).principal.as_deref(), Some("luke"));
        assert_eq!(record(&world.ask(load(B))).principal.as_deref(), Some("luke"));
        let hash = format!("{NS}:sessions:{B}");
        client.call(&[b"HSET", hash.as_bytes(), b"sessionAttr:SPRING_SECURITY_CONTEXT", context]);
        assert_eq!(world.ask(end(B)), Answer::Gone);
        let index: Vec<String> = client.keys().into_iter().filter(|key| key.contains(":index:")).collect();
        assert_eq!(index, Vec::<String>::new(), "{layout:?}");
    });
}
