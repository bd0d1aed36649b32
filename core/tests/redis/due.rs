//! Where due times are noted, and the cleanup job.

use tethered_core::redis::Connection;
use tethered_core::session::Answer;
use tethered_core::session::spring::{Config, Expirations, Layout};

use super::resp::{Client, Server, Value};
use super::truth::{now, store};
use super::values::{self, Form};
use super::world::{World, create, end, rename, touch};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const SORTED: &str = "spring:session:sessions:expirations";
const SETS: &str = "spring:session:expirations:";

fn config(scripts: bool, expirations: Expirations) -> Config {
    Config { layout: Layout::Indexed, scripts, expirations, ..Config::default() }
}

/// The sets of the minutes, each with its members.
fn sets(client: &mut Client) -> Vec<(i64, Vec<Vec<u8>>)> {
    let keys: Vec<String> = client.keys().into_iter().filter(|key| key.starts_with(SETS)).collect();
    let members = |client: &mut Client, key: &str| match client.run(&format!("SMEMBERS {key}")) {
        Value::List(members) => members.iter().map(|member| member.bytes().to_vec()).collect(),
        other => panic!("{other:?}"),
    };
    keys.into_iter().map(|key| (key[SETS.len()..].parse().expect("digits"), members(client, &key))).collect()
}

fn sorted(client: &mut Client) -> Vec<Vec<u8>> {
    match client.run(&format!("ZRANGE {SORTED} 0 -1")) {
        Value::List(members) => members.iter().map(|member| member.bytes().to_vec()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_stands_in_one_set_which_has_an_end() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let mut world = World::new(&server, config(scripts, Expirations::Detect));
        // Last used so long ago that a touch moves it to another minute.
        store(client, A, Form::Java, 70_000, 180);
        client.call(&[b"SET", format!("spring:session:sessions:expires:{A}").as_bytes(), b"", b"PX", b"110000"]);
        let before = (now(client) - 70_000 + 180_000).div_euclid(60_000) * 60_000 + 60_000;
        let member = values::text(Form::Java, &format!("expires:{A}"));
        client.call(&[b"SADD", format!("{SETS}{before}").as_bytes(), &member]);
        assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
        let due = sets(client);
        let [(minute, members)] = &due[..] else { panic!("{due:?}") };
        assert!(*minute > before && *members == std::slice::from_ref(&member));
        assert!((470_000..=480_000).contains(&client.int(&format!("PTTL {SETS}{minute}"))));
        // A login takes the old id out, as Spring does not.
        assert!(matches!(world.ask(rename(A, B, Some("rob"), &[])), Answer::Alive { .. }));
        let due = sets(client);
        let [(_, members)] = &due[..] else { panic!("{due:?}") };
        assert_eq!(*members, [values::text(Form::Java, &format!("expires:{B}"))]);
        world.ask(end(B));
        assert_eq!(sets(client), []);
        assert_eq!(world.alarms, []);
    }
}

#[test]
fn the_sorted_set_is_used_where_there_is_one_in_its_own_form() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        for (other, form) in [
            (values::text(Form::Java, "x"), Form::Java),
            (values::text(Form::Json, "x"), Form::Json),
            (b"x".to_vec(), Form::Java),
        ] {
            client.run("FLUSHALL");
            let plain = other == b"x";
            let member = |id: &str| if plain { id.as_bytes().to_vec() } else { values::text(form, id) };
            client.call(&[b"ZADD", SORTED.as_bytes(), b"1", &other]);
            let mut world = World::new(&server, config(scripts, Expirations::Detect));
            world.ask(create(A, Some("rob"), &[]));
            assert_eq!(sorted(client), [other.clone(), member(A)]);
            std::thread::sleep(std::time::Duration::from_millis(3));
            let score = |client: &mut Client, id: &str| {
                client.call(&[b"ZSCORE", SORTED.as_bytes(), &member(id)]).text().parse::<i64>().expect("a score")
            };
            let before = score(client, A);
            assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
            let after = score(client, A);
            assert!(after > before && (59_000..=60_000).contains(&(after - now(client))));
            world.ask(rename(A, B, Some("rob"), &[]));
            assert_eq!(sorted(client), [other.clone(), member(B)]);
            world.ask(end(B));
            assert_eq!(sorted(client), [other]);
            assert_eq!(sets(client), []);
        }
        // None is there: it is made only where that is said.
        client.run("FLUSHALL");
        World::new(&server, config(scripts, Expirations::SortedSet)).ask(create(A, Some("rob"), &[]));
        assert_eq!((sorted(client), sets(client)), (vec![values::text(Form::Java, A)], vec![]));
        client.run("FLUSHALL");
        client.call(&[b"ZADD", SORTED.as_bytes(), b"1", b"x"]);
        World::new(&server, config(scripts, Expirations::MinuteSets)).ask(create(A, Some("rob"), &[]));
        assert_eq!((sorted(client), sets(client).len()), (vec![b"x".to_vec()], 1));
    }
}

/// Redis does not expire by itself: 1,200 sessions have run out in some minute of the last day, and nobody has looked.
#[test]
fn what_was_due_while_nobody_ran_is_made_up_for() {
    let server = Server::start();
    let client = &mut server.connect();
    for cluster in [false, true] {
        client.run("FLUSHALL");
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
        let minute = now(client).div_euclid(60_000) * 60_000;
        // Not while this test runs, whatever the clock says when it begins.
        let later = minute + 600_000;
        for i in 0..1_200 {
            let key = format!("spring:session:sessions:expires:s{i}");
            client.call(&[b"SET", key.as_bytes(), b"", b"PX", b"1"]);
            let due = minute - i % 3 * 7 * 60_000;
            let form = if i % 2 == 0 { Form::Java } else { Form::Json };
            client.call(&[b"SADD", format!("{SETS}{due}").as_bytes(), &values::text(form, &format!("expires:s{i}"))]);
        }
        client.call(&[b"SADD", format!("{SETS}{minute}").as_bytes(), b"garbage"]);
        client.call(&[b"SADD", format!("{SETS}{later}").as_bytes(), &values::text(Form::Java, "expires:not-yet")]);
        for (score, id) in [(minute - 5, "z"), (later + 600_000, "not-yet")] {
            client.call(&[b"ZADD", SORTED.as_bytes(), score.to_string().as_bytes(), &values::text(Form::Java, id)]);
        }
        client.call(&[b"SET", b"spring:session:sessions:expires:z", b"", b"PX", b"1"]);
        std::thread::sleep(std::time::Duration::from_millis(5));
        let base = Config { cleanup: true, cluster, ..config(true, Expirations::Detect) };
        let mut world = World::new(&server, base);
        // The notices stand by now; the job goes on.
        for _ in 0..20 {
            world.settle();
        }
        assert_eq!(sets(client), [(later, vec![values::text(Form::Java, "expires:not-yet")])]);
        assert_eq!(sorted(client), [values::text(Form::Java, "not-yet")]);
        client.run("DEBUG SET-ACTIVE-EXPIRE 1");
        assert_eq!(client.keys().iter().filter(|key| key.contains("expires:")).count(), 0);
        assert!(world.spring.cleaned_until() >= Some(minute));
        // Next time is at the next second 00, and asks the clock first.
        let next = world.spring.next_deadline().expect("the job");
        assert!(next.since(world.now()) <= 60_000);
        assert_eq!(world.alarms, []);
    }
}

/// No Spring application runs: whoever ended leaves the index of his name all the same, and nobody else does.
#[test]
fn who_has_ended_leaves_the_index_of_his_name() {
    let server = Server::start();
    let client = &mut server.connect();
    for cluster in [false, true] {
        for form in [Form::Java, Form::Json] {
            client.run("FLUSHALL");
            let minute = now(client).div_euclid(60_000) * 60_000;
            let principal = "org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";
            let index = format!("spring:session:index:{principal}:rob");
            // Of the third the job knows an old due time only; the others have ended two minutes ago, or never do.
            for (id, age, seconds) in
                [("ended", 180_000, 60), ("ended-too", 61_000, 60), ("lives", 0, 60), ("never", 180_000, -1)]
            {
                store(client, id, form, age, seconds);
                let key = format!("spring:session:sessions:{id}");
                client.call(&[
                    b"HSET",
                    key.as_bytes(),
                    format!("sessionAttr:{principal}").as_bytes(),
                    &values::text(form, "rob"),
                ]);
                client.call(&[b"SADD", index.as_bytes(), &values::text(form, id)]);
                client.call(&[
                    b"SADD",
                    format!("{SETS}{minute}").as_bytes(),
                    &values::text(form, &format!("expires:{id}")),
                ]);
            }
            // Due, and its hash is gone: nothing is known of it.
            client.call(&[b"SADD", format!("{SETS}{minute}").as_bytes(), &values::text(form, "expires:gone")]);
            let base = Config { cleanup: true, cluster, ..config(true, Expirations::MinuteSets) };
            let mut world = World::new(&server, base);
            for _ in 0..20 {
                world.settle();
            }
            assert_eq!(sets(client), []);
            let Value::List(left) = client.run(&format!("SMEMBERS {index}")) else { panic!("a set") };
            let mut left: Vec<Vec<u8>> = left.iter().map(|member| member.bytes().to_vec()).collect();
            left.sort();
            assert_eq!(left, [values::text(form, "lives"), values::text(form, "never")]);
            assert_eq!(world.alarms, []);
        }
    }
}

#[test]
fn each_minute_is_cleaned_at_its_second_00_by_redis_clock() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut world = World::new(&server, Config { cleanup: true, ..config(true, Expirations::MinuteSets) });
    let before = world.spring.cleaned_until().expect("it has run");
    let minute = now(client).div_euclid(60_000) * 60_000;
    assert!(before == minute || before == minute - 60_000);
    // The machine's clock is put ahead to just before and to just after; Redis' own is not.
    let left = 60_000 - now(client).rem_euclid(60_000);
    let soon = world.now().after(left as u64 - 200);
    world.sent.clear();
    world.spring.tick(soon);
    world.turn();
    assert!(!world.sent.iter().any(|name| name == "TIME"));
    let then = world.now().after(left as u64 + 50);
    world.spring.tick(then);
    world.settle();
    assert!(world.sent.iter().any(|name| name == "TIME"));
}

#[test]
fn the_job_is_off_unless_it_is_asked_for_and_never_runs_on_the_plain_layout() {
    let server = Server::start();
    for config in
        [config(true, Expirations::Detect), Config { cleanup: true, layout: Layout::Plain, ..Config::default() }]
    {
        let mut world = World::new(&server, config);
        world.settle();
        assert!(!world.sent.iter().any(|name| name == "SRANDMEMBER" || name == "TIME"), "{:?}", world.sent);
        assert_eq!(world.spring.cleaned_until(), None);
        world.spring.disconnected(world.now(), Connection::Commands);
    }
}

/// A Cluster of one node that has every slot refuses each command that would need two: there is none.
#[test]
fn on_a_cluster_no_command_needs_two_slots() {
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-config-file", "nodes-PORT.conf"]);
    let client = &mut server.connect();
    client.run("CLUSTER ADDSLOTSRANGE 0 16383");
    while !client.run("CLUSTER INFO").text().contains("cluster_state:ok") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for layout in [Layout::Indexed, Layout::Plain] {
        let base = Config { layout, cluster: true, cleanup: true, ..Config::default() };
        let mut world = World::new(&server, base);
        world.ask(create(A, Some("rob"), &[("colour", "blue")]));
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { ttl_ms: Some(59_900..=60_000), .. }));
        assert!(matches!(world.ask(rename(A, B, Some("luke"), &[])), Answer::Alive { .. }));
        assert!(matches!(world.ask(touch(B, 0)), Answer::Alive { .. }));
        assert_eq!(world.ask(end(B)), Answer::Gone);
        assert_eq!(world.ask(touch(A, 0)), Answer::Vanished);
        world.settle();
        assert_eq!((world.alarms, world.refused), (vec![], Vec::<String>::new()));
        client.run("FLUSHALL");
    }
    // And one that believes it is alone is told so.
    let mut world = World::new(&server, config(true, Expirations::Detect));
    assert_eq!(world.ask(touch(A, 0)), Answer::Lost);
    assert!(world.alarmed(tethered_core::session::spring::AlarmKind::Moved), "{:?}", world.alarms);
}
