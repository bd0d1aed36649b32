//! The library as C programs meet it: what it exports, each of its functions called, and a server built on it.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{
    FUZZ_TARGETS, compile, compile_cpp, compile_failing, compile_shared, compile_with, include, inputs, library,
    package, run, valgrind,
};
use tethered_core::ws::{Assembler, Incoming, Limits, Opcode, Role, write_masked_frame};

#[test]
fn every_function_does_what_the_header_says() {
    for source in CALLS.map(|source| format!("tests/c/{source}.c")) {
        let program = compile("gcc", &source);
        assert_eq!(run(&mut Command::new(&program)), b"ok\n", "{source}");
        assert_eq!(run(&mut valgrind(&program)), b"ok\n", "{source}");
        assert_eq!(run(&mut Command::new(compile("clang", &source))), b"ok\n", "{source}");
        assert_eq!(run(&mut Command::new(compile_shared("gcc", &source))), b"ok\n", "{source}");
    }
}

#[test]
fn the_wrapper_for_cpp_does_what_it_says() {
    for (compiler, standard) in [("g++", "c++17"), ("g++", "c++20"), ("clang++", "c++17"), ("clang++", "c++20")] {
        let program = compile_cpp(compiler, standard, &WRAPPER);
        assert!(passed(&run(&mut Command::new(&program))) > 0, "{compiler} {standard}");
        if (compiler, standard) == ("g++", "c++17") {
            assert!(passed(&run(&mut valgrind(&program))) > 0, "valgrind");
        }
    }
}

/// The tests of the wrapper for C++.
const WRAPPER: [&str; 2] = ["tests/c/wrapper.cpp", "tests/c/wrapper_hub.cpp"];

/// How many tests GoogleTest says have passed.
fn passed(output: &[u8]) -> u32 {
    let output = String::from_utf8_lossy(output);
    let count = output.lines().find_map(|line| line.strip_prefix("[  PASSED  ] ")?.split(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("no word of tests that passed:\n{output}"))
}

#[test]
fn a_test_uses_each_member_of_the_wrapper_for_cpp() {
    let header = fs::read_to_string(include().join("tethered.hpp")).expect("there is a wrapper");
    let types = ["inline ", "  template ", "  status ", "  bool ", "  std::", "  tethered_"];
    let members: BTreeSet<&str> = header
        .lines()
        .filter(|line| types.iter().any(|start| line.starts_with(start)) && !line.contains("operator"))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*', '&']).next())
        .collect();
    assert!(members.contains("find_header") && members.contains("publish_to_user") && members.contains("poll"));
    let tests = WRAPPER.map(|source| fs::read_to_string(package().join(source)).expect("there is a test")).concat();
    for member in members {
        assert!(tests.contains(&format!("{member}(")), "no test uses {member}");
    }
}

#[test]
fn crowds() {
    assert_eq!(run(&mut Command::new(compile("gcc", "tests/c/crowd.c"))), b"ok\n");
    assert_eq!(run(&mut Command::new(compile("gcc", "tests/c/threads.c"))), b"ok\n");
}

/// Without threads, for what guards a hub is another then.
#[test]
fn signals() {
    assert_eq!(run(&mut Command::new(compile("gcc", "tests/c/signals.c"))), b"ok\n");
}

/// The fuzz targets over their committed inputs and some at random. Many more run in CI with sanitizers: tests/sanitize.rs.
#[test]
fn the_fuzz_targets_pass_their_inputs_and_random_ones() {
    for target in FUZZ_TARGETS {
        let program = compile_with("gcc", &format!("tests/c/{target}.c"), &["-DREPLAY"]);
        assert_eq!(run(Command::new(&program).args(inputs(target))), b"ok\n", "{target}");
        assert_eq!(run(Command::new(&program).args(["random", "500", "1"])), b"ok\n", "{target}");
        assert_eq!(run(valgrind(&program).args(inputs(target).iter().step_by(5))), b"ok\n", "{target}");
    }
}

/// With an allocator that fails as it is told: see tests/c/failing.h.
#[test]
fn without_memory_a_call_is_finished_or_refused() {
    let memory = compile_failing("tests/c/memory.c");
    assert_eq!(run(&mut Command::new(&memory)), b"ok\n");
    assert_eq!(run(valgrind(&memory).arg("101")), b"ok\n");
    for source in CALLS {
        let program = compile_failing(&format!("tests/c/{source}.c"));
        for every in ["1", "2", "3"] {
            assert_eq!(run(Command::new(&program).env("FAIL_EVERY", every)), b"ok\n", "{source}: each {every}th fails");
        }
        let counted = Command::new(&program).env("ALLOCATIONS", "").output().expect("the program runs");
        let counted = String::from_utf8(counted.stderr).expect("a number is text");
        let allocations: usize = counted.trim().parse().expect("it says how many allocations there were");
        for nth in (1..=allocations).step_by(allocations.div_ceil(100)) {
            let failing = nth.to_string();
            assert_eq!(
                run(Command::new(&program).env("FAIL_AT", failing)),
                b"ok\n",
                "{source}: allocation {nth} fails"
            );
        }
    }
}

/// The programs that call every function.
const CALLS: [&str; 4] = ["calls", "doors", "stores", "codecs"];

/// It would be no use if valgrind were blind for what the library does.
#[test]
fn a_planted_leak_and_a_planted_use_of_what_was_lent_are_found() {
    let program = compile("gcc", "tests/c/faults.c");
    for fault in ["leak", "late", "beyond", "twice"] {
        let output = valgrind(&program).arg(fault).output().expect("valgrind is installed");
        assert_eq!(output.status.code(), Some(1), "{fault} was not found");
        assert!(!output.stderr.is_empty(), "{fault} failed by itself");
    }
    assert_eq!(run(valgrind(&program).arg("none")), b"");
}

#[test]
fn nothing_is_exported_but_the_functions_of_the_header_and_a_c_test_calls_each() {
    let symbols =
        run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library().join("libtethered.so")));
    let symbols = String::from_utf8(symbols).expect("symbols are text");
    let exported: BTreeSet<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    let header = fs::read_to_string(include().join("tethered.h")).expect("there is a header");
    let declared: BTreeSet<&str> = header
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .collect();
    assert_eq!(exported, declared);
    let calls: String = CALLS
        .iter()
        .map(|source| fs::read_to_string(package().join(format!("tests/c/{source}.c"))).expect("there is a C test"))
        .collect();
    for function in declared {
        assert!(function.starts_with("tethered_"), "{function} is not a name of ours");
        assert!(calls.contains(&format!("{function}(")), "no C test calls {function}");
    }
}

#[test]
fn the_example_is_an_echo_server() {
    for compiler in ["gcc", "clang"] {
        let program = compile(compiler, "examples/echo.c");
        speak_with(Server::start(Command::new(&program)), 20, 1 << 20);
        if compiler == "gcc" {
            speak_with(Server::start(valgrind(&program)), 5, 65_536);
        }
    }
    let source = fs::read_to_string(package().join("examples/echo.c")).expect("there is an example");
    assert!(source.lines().count() < 150, "the example is to be shorter than 150 lines");
}

fn speak_with(server: Server, clients: usize, largest: usize) {
    let mut clients: Vec<Client> = (0..clients).map(|_| Client::connect(server.port)).collect();
    for client in &mut clients {
        for len in [0, 1, 125, 126, 65_535, 65_536, largest] {
            client.echoes(&[(Opcode::Binary, vec![len as u8; len])]);
        }
        client.echoes(&vec![(Opcode::Text, "grüß dich".into()); 16]);
    }
    clients[0].ping();
    // One goes without a word, one is not done with its message, one breaks the rules, the others close.
    drop(clients.pop());
    let mut unfinished = clients.pop().expect("there are more");
    unfinished.stream.write_all(&[0x82, 0xff, 0, 0]).expect("the server reads");
    drop(unfinished);
    let mut rude = clients.pop().expect("there are more");
    rude.stream.write_all(&[0xff, 0xff]).expect("the server reads");
    assert_eq!(rude.close_code(), 1002);
    for mut client in clients {
        client.send(Opcode::Close, &1000_u16.to_be_bytes());
        assert_eq!(client.close_code(), 1000);
    }
    not_found_twice(server.port);
    server.stop();
}

fn not_found_twice(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        .expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("answers are text");
    assert_eq!(answers.matches("HTTP/1.1 404 Not Found\r\n").count(), 2, "{answers}");
}

/// The example, running.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut process = command.arg("0").stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        Self { process, port: port.expect("it says where it is") }
    }

    fn stop(mut self) {
        run(Command::new("kill").arg(self.process.id().to_string()));
        let status = self.process.wait().expect("it is a child");
        assert!(status.success(), "the server ended with {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only of use where a test failed; after `stop` it does nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: TcpStream,
    assembler: Assembler,
    partial: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time can be set");
        stream
            .write_all(
                b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            .expect("the server reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server answers");
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self { stream, assembler: Assembler::new(Role::Client), partial: Vec::new(), buffer: vec![0; 65_536] }
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        write_masked_frame(&mut frame, true, opcode, [1, 2, 3, 4], payload);
        self.stream.write_all(&frame).expect("the server reads");
    }

    /// Sends all of these at once, then reads as many.
    fn echoes(&mut self, messages: &[(Opcode, Vec<u8>)]) {
        let mut frames = Vec::new();
        for (opcode, payload) in messages {
            write_masked_frame(&mut frames, true, *opcode, [5, 6, 7, 8], payload);
        }
        let mut writer = self.stream.try_clone().expect("a socket has two ends");
        // From a thread of its own: what comes back has to be read while it is written.
        let writing = std::thread::spawn(move || writer.write_all(&frames));
        let mut back = Vec::new();
        self.read_until(|incoming| {
            back.push(match incoming {
                Incoming::Text(text) => (Opcode::Text, text.to_vec()),
                Incoming::Binary(bytes) => (Opcode::Binary, bytes.to_vec()),
                Incoming::Ping(_) => return false,
                other => panic!("an echo is no {other:?}"),
            });
            back.len() == messages.len()
        });
        writing.join().expect("it does not panic").expect("the server reads");
        assert!(back == messages, "what came back is not what was sent");
    }

    fn ping(&mut self) {
        self.send(Opcode::Ping, b"there?");
        self.read_until(|incoming| matches!(incoming, Incoming::Pong(b"there?")));
    }

    /// The code of the Close that comes; the server then ends the connection.
    fn close_code(mut self) -> u16 {
        let mut code = 0;
        self.read_until(|incoming| match incoming {
            Incoming::Close(frame) => {
                code = frame.map_or(1005, |frame| frame.code);
                true
            }
            _ => false,
        });
        self.stream.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(self.stream.read(&mut self.buffer).expect("the server ends it without a reset"), 0);
        code
    }

    fn read_until(&mut self, mut enough: impl FnMut(Incoming<'_>) -> bool) {
        let limits = Limits { frame_bytes: 1 << 24, message_bytes: 1 << 24, ..Limits::default() };
        loop {
            let len = self.stream.read(&mut self.buffer).expect("the server answers");
            assert!(len > 0, "the server ended the connection");
            let mut input = &mut self.buffer[..len];
            while let Some(incoming) = self.assembler.next(&limits, &mut input, &mut self.partial).expect("well formed")
            {
                if enough(incoming) {
                    return;
                }
            }
        }
    }
}

#[test]
fn the_shared_library_names_its_abi_and_needs_nothing_but_the_system() {
    let dynamic = run(Command::new("readelf").arg("-d").arg(library().join("libtethered.so")));
    let dynamic = String::from_utf8(dynamic).expect("readelf prints text");
    let soname = format!("[libtethered.so.{}]", tethered::tethered_abi());
    assert!(dynamic.lines().any(|line| line.contains("(SONAME)") && line.contains(&soname)), "{dynamic}");
    let allowed = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        assert!(allowed.iter().any(|name| line.contains(name)), "{line}");
    }
    assert!(Path::new(library()).join("libtethered.a").exists());
}
