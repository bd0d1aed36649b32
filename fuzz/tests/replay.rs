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

#[test]
fn sockjs_body() {
    replay("sockjs_body", tethered_fuzz::sockjs_body::run);
}

#[test]
fn sockjs_channel() {
    replay("sockjs_channel", tethered_fuzz::sockjs_channel::run);
    // And a good many that nobody chose.
    let mut state = 1_u64;
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..120)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        tethered_fuzz::sockjs_channel::run(&bytes);
    }
}
