//! The server, on real sockets.

#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod common;

use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::{Client, PATH, Told, config, frame, handshake, prepare, start};
use tethered_core::config::{Config, Endpoint, Limits, Store};
use tethered_core::http;
use tethered_core::hub::{Change, Event, Response};
use tethered_core::session::{Answer, Cause, Op, Record};
use tethered_core::ws::Opcode;
use tethered_smol::{End, NotTaken};

#[test]
fn echoes_and_says_goodbye() {
    let server = start(config());
    let mut client = Client::echo(server.address);
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let text = "x".repeat(size);
        client.send(Opcode::Text, text.as_bytes());
        assert_eq!(client.receive(), (1, text.into_bytes()));
    }
    client.send(Opcode::Binary, &[0, 255]);
    assert_eq!(client.receive(), (2, vec![0, 255]));
    client.send(Opcode::Close, &1000_u16.to_be_bytes());
    assert_eq!(client.receive(), (8, 1000_u16.to_be_bytes().to_vec()));
    assert!(client.is_over());
}

#[test]
fn h10_frames_that_come_with_the_head_and_in_one_burst_are_answered_in_order() {
    let server = start(config());
    let mut client = Client::connect(server.address);
    let mut bytes = handshake("");
    for i in 0..100_u32 {
        bytes.extend(frame(Opcode::Binary, &i.to_be_bytes()));
    }
    client.write(&bytes);
    client.read_head("101");
    for i in 0..100_u32 {
        assert_eq!(client.receive(), (2, i.to_be_bytes().to_vec()));
    }
}

#[test]
fn f19_one_byte_per_segment() {
    let server = start(config());
    let mut client = Client::connect(server.address);
    let mut bytes = handshake("");
    bytes.extend(frame(Opcode::Text, b"slowly"));
    for byte in bytes {
        client.write(&[byte]);
    }
    client.read_head("101");
    assert_eq!(client.receive(), (1, b"slowly".to_vec()));
}

#[test]
fn pages_are_answered_one_after_another_and_later() {
    let server = start(config());
    let mut client = Client::connect(server.address);
    client.write(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for page in [b"/a", b"/b"] {
        client.read_head("200");
        assert_eq!(&client.read::<2>(), page);
    }
    // The application answers this one through its handle, which does not know the socket: the first one has slot 0.
    client.write(b"GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    let socket = tethered_core::ids::SocketId::from_raw(1 << 32);
    server
        .handle
        .call(move |_, cx| {
            cx.respond(socket, Response { http: http::Response::text(200, "ok"), session: Change::Keep });
        })
        .expect("the server runs");
    client.read_head("200");
    assert_eq!(&client.read::<2>(), b"ok");
}

#[test]
fn more_than_the_system_takes_is_written_once_the_peer_reads() {
    let server = start(config());
    let mut client = Client::echo(server.address);
    let bytes: Vec<u8> = (0..15_u32 << 20).map(|i| (i % 251) as u8).collect();
    client.send(Opcode::Binary, &bytes);
    assert!(matches!(server.next(), Told::Joined));
    assert!(matches!(server.next(), Told::Message(_)));
    client.send(Opcode::Ping, b"one");
    client.send(Opcode::Ping, b"two");
    // Nothing of this can be in the client's hands yet; another is served meanwhile.
    let mut other = Client::echo(server.address);
    other.send(Opcode::Text, b"me too");
    assert_eq!(other.receive(), (1, b"me too".to_vec()));
    let (opcode, echoed) = client.receive();
    assert_eq!(opcode, 2);
    assert!(echoed == bytes, "the bytes arrive in order and whole");
    // F16: only the newest ping is answered.
    assert_eq!(client.receive(), (10, b"two".to_vec()));
}

#[test]
fn e01_a_peer_that_does_not_read_is_closed_and_nobody_else() {
    let limits = Limits { out_bytes: 1 << 20, send_time_ms: 300, close_time_ms: 300, ..Limits::default() };
    let mut config = Config { limits, ..config() };
    config.endpoints[0].out_bytes = None;
    let server = start(config);
    let mut other = Client::echo(server.address);
    let mut client = Client::echo(server.address);
    assert_eq!((server.next(), server.next()), (Told::Joined, Told::Joined));
    client.send(Opcode::Binary, &vec![7; 12 << 20]);
    assert!(matches!(server.next(), Told::Message(_)));
    assert_eq!(server.next(), Told::Left(Cause::Slow));
    other.send(Opcode::Text, b"still here");
    assert_eq!(other.receive(), (1, b"still here".to_vec()));
}

#[test]
fn turn_one_who_sends_without_end_does_not_keep_others_waiting() {
    let prepared = prepare(config());
    let mut greedy = Client::connect(prepared.address);
    let mut modest = Client::connect(prepared.address);
    greedy.write(&handshake(""));
    let writer = std::thread::spawn({
        let mut stream = greedy.stream.try_clone().expect("a socket can be cloned");
        move || {
            let frames = frame(Opcode::Binary, &[0; 1_000]).repeat(8_000);
            let _ = std::io::Write::write_all(&mut stream, &frames);
        }
    });
    let reader = std::thread::spawn({
        let mut stream = greedy.stream.try_clone().expect("a socket can be cloned");
        move || std::io::copy(&mut stream, &mut std::io::sink())
    });
    modest.write(&handshake(""));
    modest.send(Opcode::Binary, b"modest");
    std::thread::sleep(Duration::from_millis(100));
    let server = prepared.run();
    let mut before = 0;
    loop {
        match server.next() {
            Told::Message(body) if body == b"modest" => break,
            Told::Message(_) => before += 1,
            _ => {}
        }
    }
    // Two turns of 64 KiB, at about 1 KiB each: one for the accept, one for the read.
    assert!(before <= 2 * 64 * 1024 / 1_008 + 2, "{before} messages came first");
    writer.join().expect("the writer ends");
    greedy.stream.shutdown(Shutdown::Both).expect("it is connected");
    let _ = reader.join();
}

#[test]
fn f22_what_came_before_a_half_close_is_handled() {
    let server = start(config());
    let mut client = Client::connect(server.address);
    let mut bytes = handshake("");
    bytes.extend(frame(Opcode::Text, b"last words"));
    client.write(&bytes);
    client.stream.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(server.next(), Told::Joined);
    assert_eq!(server.next(), Told::Message(b"last words".to_vec()));
    assert_eq!(server.next(), Told::Left(Cause::Peer));
}

#[test]
fn h23_a_reset_ends_one_socket_and_nothing_else() {
    let server = start(config());
    let mut other = Client::echo(server.address);
    assert_eq!(server.next(), Told::Joined);
    for after_handshake in [false, true] {
        let mut client = Client::connect(server.address);
        client.write(if after_handshake { b"GET " } else { b"" });
        if after_handshake {
            client = Client::echo(server.address);
            assert_eq!(server.next(), Told::Joined);
        }
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).expect("a socket option");
        drop(client);
        if after_handshake {
            assert_eq!(server.next(), Told::Left(Cause::Peer));
        }
    }
    other.send(Opcode::Text, b"undisturbed");
    assert_eq!(other.receive(), (1, b"undisturbed".to_vec()));
}

#[test]
fn h04_deadlines_are_kept_without_traffic() {
    let limits = Limits { head_time_ms: 300, ..Limits::default() };
    let server = start(Config { limits, ..config() });
    let mut client = Client::connect(server.address);
    client.write(b"GET / HTTP/1.1\r\n");
    let since = Instant::now();
    client.read_head("408");
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn reading_stops_while_the_store_is_asked_and_nothing_is_lost() {
    let config = Config {
        endpoints: vec![Endpoint { login: tethered_core::config::Login::Required, ..Endpoint::raw(PATH) }],
        store: Store::External,
        ..config()
    };
    let server = start(config);
    let mut client = Client::connect(server.address);
    client.write(&handshake("Cookie: SESSION=YWJj\r\n"));
    let Told::Asked(Some(call), Op::Load { id }) = server.next() else { panic!("the store is asked") };
    assert_eq!(&*id, "abc");
    // More than a read at a time and than the hub keeps, in a state where nothing may be handled.
    let payload = vec![b'x'; 60_000];
    let mut stream = client.stream.try_clone().expect("a socket can be cloned");
    let writer = std::thread::spawn({
        let bytes = frame(Opcode::Text, &payload).repeat(20);
        move || std::io::Write::write_all(&mut stream, &bytes)
    });
    std::thread::sleep(Duration::from_millis(200));
    let record = Box::new(Record { id, principal: Some("rob".into()), attributes: Vec::new() });
    server
        .handle
        .call(move |_, cx| {
            let now = cx.now();
            let answer = Answer::Alive { ttl_ms: Some(60_000), record: Some(record) };
            cx.hub().handle(now, Event::Answer { call, answer });
        })
        .expect("the server runs");
    client.read_head("101");
    for _ in 0..20 {
        assert_eq!(client.receive(), (1, payload.clone()));
    }
    writer.join().expect("the writer ends").expect("all is written");
}

#[test]
fn o01_a_drain_tells_everybody_and_ends() {
    let server = start(config());
    let clients: Vec<Client> = (0..20).map(|_| Client::echo(server.address)).collect();
    let idle = Client::connect(server.address);
    let handle = server.handle.clone();
    handle.drain().expect("the server runs");
    for mut client in clients {
        assert_eq!(client.closed_with(), 1001);
    }
    assert_eq!(server.end(), End::Drained);
    assert_eq!(handle.call(|_, _| {}), Err(NotTaken::Stopped));
    drop(idle);
}

#[test]
fn a_stop_does_not_wait() {
    let server = start(config());
    let mut client = Client::echo(server.address);
    server.handle.drain().expect("the server runs");
    server.handle.stop();
    assert_eq!(server.end(), End::Stopped);
    while !client.is_over() {}
}

#[test]
fn a_call_runs_on_the_servers_thread_and_too_many_are_refused() {
    let server = start(config());
    let (sender, receiver) = std::sync::mpsc::channel();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    server
        .handle
        .call(move |_, _| {
            let _ = sender.send(std::thread::current().id());
            let _ = held.recv();
        })
        .expect("the server runs");
    assert_ne!(receiver.recv().expect("it ran"), std::thread::current().id());
    let taken = (0..tethered_smol::CALLS + 1).take_while(|_| server.handle.call(|_, _| {}).is_ok()).count();
    assert_eq!(taken, tethered_smol::CALLS);
    assert_eq!(server.handle.call(|_, _| {}), Err(NotTaken::Busy));
    drop(hold);
}
