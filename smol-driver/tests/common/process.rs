//! The server as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A running `tethered`, ended with the test.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it with these flags, on a free port.
    pub fn start(flags: &[&str]) -> Self {
        // Another build than the tests' own, where speed is measured.
        let server = std::env::var_os("SERVER").unwrap_or_else(|| env!("CARGO_BIN_EXE_tethered").into());
        let mut command = Command::new(server);
        command.args(["--listen", "127.0.0.1:0"]).args(flags).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is built");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).expect("it is text"), 0, "ended before it listened: {log:?}");
            log.lock().expect("no panic").push_str(&line);
            if let Some((_, url)) = line.split_once("address=http://") {
                break url.trim().trim_end_matches('/').parse().expect("it is an address");
            }
        };
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = kept.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { address, child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits until the log says this.
    pub fn says(&self, text: &str) {
        let until = super::web::now() + super::PATIENCE;
        while !self.log().contains(text) {
            assert!(super::web::now() < until, "\"{text}\" is not in the log: {}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
