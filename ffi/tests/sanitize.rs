//! The C tests with sanitizers in them and in the library, planted faults to see that these look, and fuzzing through the C
//! ABI. Needs gcc, clang with its runtimes, and a nightly toolchain: CI has them.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{FAILING, FAILS_NOT, FUZZ_TARGETS, NATIVE, WARNINGS, corpus, include, inputs, package, run, scratch};

const TARGET: &str = "x86_64-unknown-linux-gnu";

#[test]
#[ignore = "builds the library with a nightly compiler"]
fn addresses_and_undefined_behaviour() {
    for source in ["calls", "doors", "stores", "codecs", "crowd"] {
        let program = with_addresses(source, &[]);
        assert_eq!(run(&mut Command::new(&program)), b"ok\n", "{source}");
    }
}

#[test]
#[ignore = "builds the library with a nightly compiler"]
fn without_memory() {
    let mut allocator = Command::new("clang");
    let object = scratch("failing-address.o");
    allocator.args(["-std=c11", "-O1", "-g", "-c"]).arg(package().join("tests/c/failing.c")).arg("-o").arg(&object);
    run(&mut allocator);
    let object = object.to_str().expect("a path is text");
    let program = with_addresses("memory", &[&FAILS_NOT[..], &[object, FAILING]].concat());
    assert_eq!(run(Command::new(&program).arg("29")), b"ok\n");
}

#[test]
#[ignore = "builds the library with a nightly compiler"]
fn planted_faults_of_memory_are_found() {
    let program = with_addresses("faults", &[]);
    for (fault, word) in [
        ("leak", "detected memory leaks"),
        ("late", "heap-use-after-free"),
        ("beyond", "heap-buffer-overflow"),
        ("twice", "heap-use-after-free"),
    ] {
        let output = Command::new(&program).arg(fault).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{fault}: {}\n{said}", output.status);
    }
    run(Command::new(&program).arg("none"));
}

#[test]
#[ignore = "builds the library with a nightly compiler"]
fn threads() {
    let program = with_threads();
    assert_eq!(run(&mut Command::new(&program)), b"ok\n");
    let output = Command::new(&program).arg("race").output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("data race"), "{}\n{said}", output.status);
}

/// The committed inputs, and then `FUZZ_SECONDS` of further ones over all targets, 20 unless it is set. What is found is kept
/// beside the programs, and so is where it starts the next time; the committed inputs are only read.
#[test]
#[ignore = "builds the library with a nightly compiler"]
fn fuzzing_through_the_c_abi() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(20, |text| text.parse().expect("FUZZ_SECONDS is a number"));
    for target in FUZZ_TARGETS {
        let program = with_addresses(target, &["-fsanitize=fuzzer"]);
        run(Command::new(&program).args(inputs(target)));
        let folder = scratch(&format!("{target}-corpus"));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let mut command = Command::new(&program);
        // What is new is written into the first folder.
        command.arg(&folder).arg(corpus(target)).arg(format!("-max_total_time={}", u64::max(1, seconds / 3)));
        command.args(["-timeout=10", "-rss_limit_mb=4096", "-max_len=4096", "-verbosity=0", "-print_final_stats=1"]);
        command.arg(format!("-artifact_prefix={}/{target}-", scratch("").display()));
        run(&mut command);
    }
}

/// The library with address sanitizer in it, and with what libFuzzer needs to see where it was.
fn with_addresses(source: &str, arguments: &[&str]) -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let coverage = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares";
        build("address", &format!("-Zsanitizer=address {coverage}"))
    });
    let program = scratch(&format!("{source}-address"));
    let mut command = Command::new("clang");
    command.args(["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    command.args(WARNINGS).args(arguments).arg("-I").arg(include());
    command.arg(package().join(format!("tests/c/{source}.c"))).arg(library).args(NATIVE).arg("-o").arg(&program);
    run(&mut command);
    program
}

/// gcc: clang 14 and Rust's own runtime were seen to miss the planted race.
fn with_threads() -> PathBuf {
    let library = build("thread", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    let program = scratch("threads-thread");
    let mut command = Command::new("gcc");
    command.args(["-std=c11", "-O1", "-g", "-fsanitize=thread"]).args(WARNINGS).arg("-I").arg(include());
    for source in ["threads", "tsan_mem"] {
        command.arg(package().join(format!("tests/c/{source}.c")));
    }
    command.arg(library).args(NATIVE).arg("-o").arg(&program);
    run(&mut command);
    program
}

/// The static library, built by the nightly compiler with these flags.
fn build(name: &str, flags: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../sanitize").join(name);
    let mut cargo = Command::new("cargo");
    cargo.args(["+nightly", "build", "--quiet", "--locked", "--package", "tethered-ffi", "--lib", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target).current_dir(package());
    cargo.env("RUSTFLAGS", flags).env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "1");
    // What cargo tells its tests is not for another cargo.
    for (key, _) in std::env::vars_os() {
        let inherited = key.to_str().is_some_and(|key| key.starts_with("CARGO_PKG") || key == "CARGO_MANIFEST_DIR");
        if inherited || key == OsStr::new("RUSTUP_TOOLCHAIN") || key == OsStr::new("RUSTC") {
            cargo.env_remove(&key);
        }
    }
    run(&mut cargo);
    target.join(TARGET).join("debug/libtethered.a")
}
