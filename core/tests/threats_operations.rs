//! What an operator can see of what happened: O05.

mod harness;

use harness::Server;
use harness::store::{asked, bound, external, reply};
use tethered_core::hub::{Event, Notice, Stats, Who};
use tethered_core::ids::SocketId;
use tethered_core::session::{Answer, Cause};

fn gone(server: &mut Server) {
    let asked = asked(server);
    assert!(!asked.is_empty(), "the store is asked");
    for (call, _) in asked {
        reply(server, call.expect("an answer is wanted"), Answer::Gone);
    }
}

fn ends(stats: &Stats) -> [u64; 6] {
    [
        stats.found_by_notice,
        stats.found_by_deadline,
        stats.found_by_sweep,
        stats.found_by_touch,
        stats.ended_here,
        stats.store_lost,
    ]
}

/// One that no notice announced is told apart, so that an alarm can be set on it.
#[test]
fn o05_each_end_of_a_session_is_counted_once_by_what_found_it() {
    type Ends = fn(&mut Server, SocketId);
    let ways: [(Option<u64>, Ends); 6] = [
        (Some(60_000), |server, _| {
            let now = server.now();
            server.hub.handle(now, Event::Notice { session: "s", notice: Notice::Deleted });
            server.work();
            gone(server);
        }),
        (Some(3_000), |server, _| {
            server.wait(3_016);
            gone(server);
        }),
        (None, |server, _| {
            server.wait(5_100);
            gone(server);
        }),
        (Some(60_000), |server, socket| {
            server.wait(3_000);
            server.say(socket, "SEND", &[("destination", "/app/a")], "x");
            gone(server);
        }),
        (Some(60_000), |server, _| {
            let now = server.now();
            server.hub.end(now, Who::Session("s"), Cause::Revoked);
            server.work();
        }),
        (Some(600_000), |server, _| {
            for _ in 0..400 {
                server.wait(1_000);
                for (call, _) in asked(server) {
                    reply(server, call.expect("an answer is wanted"), Answer::Lost);
                }
            }
        }),
    ];
    for (i, (ttl_ms, end)) in ways.into_iter().enumerate() {
        let mut server = external();
        let socket = bound(&mut server, "s", ttl_ms);
        assert_eq!(ends(&server.hub.stats()), [0; 6], "{i}");
        end(&mut server, socket);
        let mut expected = [0; 6];
        expected[i] = 1;
        assert_eq!(ends(&server.hub.stats()), expected, "{i}");
        assert_eq!(server.ended().len(), 1, "{i}");
        assert!(server.close_code(socket).is_some(), "{i}");
    }
}
