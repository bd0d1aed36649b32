# Sourced by .ci/test: the steps. Each is a function step_NAME; about NAME says what it is.

STEPS="fmt clippy docs test cabi sanitize package cexamples fuzz nostd build load walk"
LONG_STEPS="sim fuzzing churn mass"
# Test suites that live outside of this repository, beside the checkout. They are run where they are found.
conformance=$(cd "${CONFORMANCE_SUITES:-../shared/conformance}" 2>/dev/null && pwd || true)
[ -z "$conformance" ] || STEPS="$STEPS autobahn stomp sockjs browser stomppy"
# A Spring application to share sessions with, where it is found: README.md in its folder says what it is.
spring=$(cd "${SPRING_REFERENCE:-../shared/spring-reference}" 2>/dev/null && pwd || true)
[ -z "$spring" ] || STEPS="$STEPS spring cspring"

about() {
    case $1 in
        fmt) echo "cargo fmt --check, everywhere" ;;
        clippy) echo "no warning in any target, the peers of the benches and the fuzz targets included" ;;
        docs) echo "rustdoc without a warning; the code in README compiles" ;;
        test) echo "every test and doctest of the workspace: units, transcripts, simulator, hostile input, the C smoke test" ;;
        cabi) echo "the C ABI: types and signatures against what is written down, by libabigail" ;;
        package) echo "install.sh, used from an empty C project by pkg-config and an empty C++ project by CMake; what it exports and needs" ;;
        cexamples) echo "the C and C++ examples without a warning: the chat on each loop, with the suites and the browser, and the room on Boost.Beast" ;;
        sanitize) echo "the C tests with ASan, UBSan and TSan, planted faults, and ${CABI_FUZZ_SECONDS} s of fuzzing" ;;
        fuzz) echo "each fuzz target over its committed corpus" ;;
        nostd) echo "core for a target without an operating system" ;;
        build) echo "the server, as README's command builds it" ;;
        load) echo "10,000 sockets that end together, 10,000 notices a second, 10,000 connects a second: the release build on a real Redis" ;;
        walk) echo "two people in headless Chromium: log in, chat, be cut off" ;;
        autobahn) echo "Autobahn's cases for RFC 6455 against the echo endpoint" ;;
        stomp) echo "STOMP 1.0, 1.1 and 1.2 over WebSocket" ;;
        sockjs) echo "SockJS 0.3.3: every transport, its timers too" ;;
        browser) echo "sockjs-client and @stomp/stompjs in headless Chromium, over each transport" ;;
        stomppy) echo "stomp.py, a client of others" ;;
        spring) echo "one session store with a real Spring application: logins, renewals, ends, races; what it was recorded to say over SockJS" ;;
        cspring) echo "the same store with the chat in C instead of the server: logins, renewals, ends, races ($RACE_ROUNDS_OF_C rounds)" ;;
        sim) echo "100,000 seeds of each simulator, each run twice: the embedded store, and a model of Redis beside Spring nodes" ;;
        mass) echo "100,000 of 500,000 sessions end in one second, and a sweep of 100,000: core on a real Redis" ;;
        churn) echo "ten minutes of 10,000 connects and closes a second: the release build" ;;
        fuzzing) echo "each fuzz target (FUZZ_TARGETS) for ten minutes (FUZZ_SECONDS=$FUZZ_SECONDS) with libFuzzer" ;;
    esac
}

CABI_FUZZ_SECONDS=${CABI_FUZZ_SECONDS:-20}
FUZZ_SECONDS=${FUZZ_SECONDS:-600}
RACE_ROUNDS_OF_C=${RACE_ROUNDS_OF_C:-200}
FUZZ_TARGETS=${FUZZ_TARGETS:-ws_frame http_head stomp_frame sockjs_body sockjs_channel hub_ops}
BARE_TARGET=thumbv7em-none-eabihf

step_fmt() {
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
}

step_clippy() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked -p tethered-benches --features peers --all-targets -- -D warnings
    cargo clippy --locked -p tethered-benches --features reserve --bins --bench c --bench echo -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --all-targets --features libfuzzer -- -D warnings
}

step_docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --lib
    # The loop that README shows compiles.
    cargo build --locked -p tethered-core
    rustdoc --test --edition 2024 -L dependency=target/debug/deps \
        --extern tethered_core=target/debug/libtethered_core.rlib README.md
}

step_test() {
    cargo test --locked --workspace
    # The same sockets where there is no epoll.
    cargo test --locked -p tethered-smol --features portable --test sockets
}

step_cabi() {
    cargo test --locked -p tethered-ffi --test abi -- --include-ignored
}

step_package() {
    ffi/tests/package/run.sh "$root/target/ci/package"
}

# example NAME PACKAGES SOURCE ...: builds one of the examples, against what was installed in $tree, with $compiler.
example() {
    local name=$1 packages=$2
    shift 2
    # shellcheck disable=SC2046,SC2086
    $compiler -O2 -Wall -Wextra -Wpedantic -Werror "$@" $(pkg-config --cflags --libs tethered $packages) -Wl,-rpath,"$tree/lib" -o "$tree/$name"
}

# Installs the library into $tree, and builds the chat on epoll and hiredis there.
chat_in_c() {
    mkdir -p "$tree"
    ffi/install.sh "$tree"
    export PKG_CONFIG_PATH=$tree/lib/pkgconfig
    example chat hiredis ffi/examples/epoll_hiredis.c ffi/examples/chat.c
}

# The suites of the server's own steps.
step_cexamples() {
    local tree=$root/target/ci/cexamples compiler=cc redis
    chat_in_c
    example echo '' ffi/examples/echo.c
    example chat-uv libuv ffi/examples/libuv.c ffi/examples/chat.c
    compiler="c++ -std=c++17" example room '' ffi/examples/beast_session.cpp -lpthread
    port=$(free_port)
    start_program "$port" "$tree/room" "$port" 3s
    python3 ffi/tests/examples/room.py "$port" 3
    port=$(free_port)
    start_program "$port" "$tree/echo" "$port"
    autobahn_of_c echo "$port" /
    port=$(free_port)
    start_program "$port" "$tree/chat-uv" "$port"
    python3 ffi/tests/examples/chat.py "$port"
    autobahn_of_c uv "$port" /echo
    stop_servers
    redis=$(free_port)
    python3 ffi/tests/examples/redis.py "$tree/chat" "$redis"
    start_program "$redis" redis-server --port "$redis" --save ''
    port=$(free_port)
    start_program "$port" "$tree/chat" --listen "127.0.0.1:$port" --redis "redis://127.0.0.1:$redis" --conformance \
        --stomp-heartbeat 1000,1000 \
        --sockjs-heartbeat 2s --sockjs-disconnect-delay 1500ms
    python3 ffi/tests/examples/chat.py "$port"
    autobahn_of_c epoll "$port" /echo/websocket
    local with_csrf
    with_csrf=$(free_port)
    start_program "$with_csrf" "$tree/chat" --listen "127.0.0.1:$with_csrf" --redis "redis://127.0.0.1:$redis" --connect-csrf
    python3 ffi/tests/examples/chat.py "$with_csrf" --connect-csrf
    # Another node like it, and one that is the server.
    step_build
    local c_port=$port
    python3 ffi/tests/examples/nodes.py "$c_port" "$with_csrf"
    start_server --redis "redis://127.0.0.1:$redis"
    python3 ffi/tests/examples/nodes.py "$c_port" "$port"
    python3 ffi/tests/examples/nodes.py "$port" "$c_port"
    port=$c_port
    [ -n "$conformance" ] || return 0
    SOCKJS_SLOW=1 SOCKJS_HEARTBEAT=2 SOCKJS_DISCONNECT_DELAY=1.5 \
        bash "$conformance/sockjs/run.sh" "http://127.0.0.1:$port"
    STOMP_LOGIN="rob:password luke:password" STOMP_HEARTBEAT=1000,1000 \
        bash "$conformance/stomp/run.sh" "ws://127.0.0.1:$port/stomp"
    bash "$conformance/browser/run.sh" "http://127.0.0.1:$port"
}

# autobahn_of_c NAME PORT PATH: as for the server.
autobahn_of_c() {
    [ -n "$conformance" ] || return 0
    AUTOBAHN_EXCLUDE="12.* 13.*" bash "$conformance/autobahn/run.sh" "ws://127.0.0.1:$2$3" "$logs/autobahn-$1"
}

step_sanitize() {
    FUZZ_SECONDS=$CABI_FUZZ_SECONDS cargo test --locked -p tethered-ffi --test sanitize -- --ignored --test-threads=1
}

step_fuzz() {
    cargo test --manifest-path fuzz/Cargo.toml
}

# The proof that no socket, clock or thread is inside: where there is none, it compiles all the same.
step_nostd() {
    if rustup target list --installed 2>/dev/null | grep -qx "$BARE_TARGET" || rustup target add "$BARE_TARGET"; then
        cargo build --locked -p tethered-core --no-default-features --target "$BARE_TARGET"
        return
    fi
    # A panic handler of our own collides with the one of std if anything pulls std in.
    echo "$BARE_TARGET cannot be installed: linked on this machine without std instead"
    local probe=$root/target/ci/nostd
    mkdir -p "$probe/src"
    cat >"$probe/Cargo.toml" <<TOML
[package]
name = "nostd"
version = "0.0.0"
edition = "2024"
[lib]
crate-type = ["staticlib"]
[dependencies]
tethered-core = { path = "$root/core", default-features = false }
[profile.dev]
panic = "abort"
[workspace]
TOML
    cat >"$probe/src/lib.rs" <<'RUST'
#![no_std]
extern crate tethered_core;
use core::alloc::{GlobalAlloc, Layout};
struct Never;
unsafe impl GlobalAlloc for Never {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
#[global_allocator]
static NEVER: Never = Never;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
RUST
    cargo build --manifest-path "$probe/Cargo.toml"
}

step_build() {
    cargo build --locked --release
}

step_load() {
    CHURN_SECONDS=${CHURN_SECONDS:-10} SERVER=$root/target/release/tethered cargo test --locked -p tethered-smol --test load -- --ignored --test-threads=1 --nocapture
}

# A few seconds instead of a minute; all else is as README's first screen says.
step_walk() {
    local seconds=6 home=$root/target/ci/walk
    mkdir -p "$home"
    cp -r smol-driver/tests/browser/. "$home/"
    (cd "$home" && npm ci --no-audit --no-fund --ignore-scripts)
    start_server --session-timeout "${seconds}s"
    (cd "$home" && node walk.mjs "http://127.0.0.1:$port" --timeout "$seconds")
    # The page also comes back where CONNECT has to carry the token.
    start_server --session-timeout "${seconds}s" --connect-csrf
    (cd "$home" && node walk.mjs "http://127.0.0.1:$port" --timeout "$seconds" --only 'lost connection')
}

start_conformance_server() {
    start_server --conformance --stomp-heartbeat 1000,1000
}

# Sections 12 and 13 are permessage-deflate, which is not offered.
step_autobahn() {
    start_conformance_server
    AUTOBAHN_EXCLUDE="12.* 13.*" bash "$conformance/autobahn/run.sh" "ws://127.0.0.1:$port/echo/websocket" "$logs/autobahn"
}

step_stomp() {
    start_conformance_server
    STOMP_LOGIN="rob:password luke:password" STOMP_HEARTBEAT=1000,1000 \
        bash "$conformance/stomp/run.sh" "ws://127.0.0.1:$port/stomp"
}

# With short timers, so that waiting for them takes seconds; and STOMP over SockJS.
step_sockjs() {
    start_server --conformance --sockjs-heartbeat 2s --sockjs-disconnect-delay 1500ms
    SOCKJS_SLOW=1 SOCKJS_HEARTBEAT=2 SOCKJS_DISCONNECT_DELAY=1.5 \
        bash "$conformance/sockjs/run.sh" "http://127.0.0.1:$port"
    start_conformance_server
    STOMP_LOGIN="rob:password luke:password" STOMP_HEARTBEAT=1000,1000 STOMP_TRANSPORT=sockjs \
        bash "$conformance/stomp/run.sh" "http://127.0.0.1:$port/messages"
}

step_browser() {
    start_conformance_server
    bash "$conformance/browser/run.sh" "http://127.0.0.1:$port"
}

step_stomppy() {
    local python
    python=$(python_env stomppy -r "$conformance/clients/requirements.txt")
    start_conformance_server
    "$python" "$conformance/clients/smoke_stomppy.py" "ws://127.0.0.1:$port/stomp"
}

# The recordings are played at their own pace, so several at once; with the application each test has its turn, since they
# share it, and measure times.
step_spring() {
    SPRING_REFERENCE=$spring cargo test --locked -p tethered-smol --test spring_sockjs -- --ignored --test-threads=8
    SPRING_REFERENCE=$spring cargo test --locked -p tethered-smol --test spring -- --ignored --test-threads=1
}

# The C server is held to the same bounds. The race is shorter: 2,000 rounds of it take two minutes.
step_cspring() {
    local tree=$root/target/ci/cexamples compiler=cc
    chat_in_c
    SERVER=$tree/chat SPRING_REFERENCE=$spring RACE_ROUNDS=$RACE_ROUNDS_OF_C \
        cargo test --locked -p tethered-smol --test spring -- --ignored --test-threads=1
}

step_sim() {
    cargo test --locked -p tethered-core --release --test sim --test sim_redis -- --ignored
}

# Each in its turn: they measure.
step_mass() {
    cargo test --locked -p tethered-core --release --test redis -- --ignored --nocapture --test-threads=1 mass::
}

step_churn() {
    cargo build --locked --release
    SERVER=$root/target/release/tethered cargo test --locked -p tethered-smol --test load -- --ignored --nocapture e05
}

step_fuzzing() {
    command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
    local target
    for target in $FUZZ_TARGETS; do
        # What it finds new goes to a folder of its own: the committed corpus is changed by hand only.
        mkdir -p "$logs/corpus/$target"
        cargo +nightly fuzz run --features libfuzzer "$target" "$logs/corpus/$target" "fuzz/corpus/$target" -- \
            -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=4096
    done
}
