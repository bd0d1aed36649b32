//! Replays every committed input through the function its folder is named after.
use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} holds no inputs", folder.display());
    for input in inputs {
        let bytes = fs::read(&input).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
        run(&bytes);
    }
}

#[test]
fn ws_frame() {
    replay("ws_frame", tethered_fuzz::ws_frame::run);
}

#[test]
fn http_head() {
    replay("http_head", tethered_fuzz::http_head::run);
}

#[test]
fn stomp_frame() {
    replay("stomp_frame", tethered_fuzz::stomp_frame::run);
}

#[test]
fn hub_ops() {
    replay("hub_ops", tethered_fuzz::hub_ops::run);
}
