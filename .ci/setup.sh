# Sourced by .ci/test: what has to be there before the first step.

# Debian packages by the command (or file) that shows whether they are there.
setup() {
    local missing=()
    need() { [ -e "$1" ] || command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
    need cc build-essential
    need clang clang
    ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a >/dev/null 2>&1 || missing+=(libclang-rt-14-dev)
    need abidiff abigail-tools
    need valgrind valgrind
    need cmake cmake
    need pkg-config pkg-config
    need /usr/include/hiredis/hiredis.h libhiredis-dev
    need /usr/include/uv.h libuv1-dev
    need /usr/include/gtest/gtest.h libgtest-dev
    need /usr/include/boost/beast.hpp libboost-dev
    need node nodejs
    need npm npm
    need python3 python3
    need redis-server redis-server
    need redis-cli redis-tools
    if [ -n "$spring" ]; then
        need java default-jdk-headless
        need mvn maven
    fi
    need /usr/include/wslay/wslay.h libwslay-dev
    need /usr/include/libwebsockets.h libwebsockets-dev
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
    CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
    [ -n "$CHROMIUM" ] || missing+=(chromium)
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
            echo "missing; install first: sudo apt-get install ${missing[*]}"
            exit 2
        fi
        echo "installing ${missing[*]}"
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
            >"$logs/setup.log" 2>&1 || { tail -n 20 "$logs/setup.log"; echo "apt-get failed"; exit 2; }
        CHROMIUM=${CHROMIUM:-$(command -v chromium)}
    fi
    export CHROMIUM
    if ! command -v cargo >/dev/null || ! cargo clippy --version >/dev/null 2>&1 || ! cargo fmt --version >/dev/null 2>&1; then
        echo "missing: Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later with clippy and rustfmt, from https://rustup.rs"
        exit 2
    fi
    if ! cargo +nightly --version >/dev/null 2>&1; then
        rustup toolchain install nightly --profile minimal --no-self-update >>"$logs/setup.log" 2>&1 ||
            { echo "missing: a nightly toolchain, for the step sanitize: rustup toolchain install nightly"; exit 2; }
    fi
    echo "with $(rustc --version), node $(node --version), $(python3 --version), $(nproc) cores"
}

# python_env NAME PACKAGE ...: a virtual environment of that name with these packages; prints its python.
python_env() {
    local home=$root/target/ci/$1
    shift
    [ -x "$home/bin/python" ] || python3 -m venv "$home" >&2
    "$home/bin/pip" -q install --disable-pip-version-check "$@" >&2
    echo "$home/bin/python"
}
