//! What the tests of the C side share: the library, the compilers, and a way to run things.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of this package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the header.
pub(crate) fn include() -> PathBuf {
    package().join("../include")
}

/// Where the libraries are, freshly built.
pub(crate) fn library() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        let dir = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").to_owned();
        let profile = match dir.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let target = dir.parent().expect("a profile's folder lies in the target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "tethered-ffi", "--profile", profile, "--target-dir"]).arg(target);
        run(cargo.current_dir(package()));
        // Where a program looks for the library it was linked to. Tests in other processes make it too.
        let soname = dir.join(format!("libtethered.so.{}", tethered::tethered_abi()));
        let _there_already = std::os::unix::fs::symlink("libtethered.so", soname);
        dir
    })
}

/// A place for what a test makes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs to the end; what it says if it fails.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Compiles a C program against the static library.
pub(crate) fn compile(compiler: &str, source: &str) -> PathBuf {
    compile_with(compiler, source, &[])
}

/// Compiles tests in C++ with GoogleTest against the static library, without what not every host has. Not optimized, which would
/// double the time that it takes.
pub(crate) fn compile_cpp(compiler: &str, standard: &str, sources: &[&str]) -> PathBuf {
    let program = scratch(&format!("wrapper-{compiler}-{standard}"));
    let mut command = Command::new(compiler);
    command.args(["-O0", "-g", "-fno-exceptions", "-fno-rtti"]).arg(format!("-std={standard}")).args(WARNINGS);
    command.arg("-I").arg(include()).args(sources.iter().map(|source| package().join(source)));
    command.arg(library().join("libtethered.a")).args(["-lgtest", "-lgtest_main"]).args(NATIVE).arg("-o").arg(&program);
    run(&mut command);
    program
}

/// Compiles a C program against the static library, with these arguments.
pub(crate) fn compile_with(compiler: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let name = Path::new(source).file_stem().expect("a source has a name");
    let program = scratch(&format!("{}-{compiler}", name.display()));
    let mut command = Command::new(compiler);
    command.args(["-std=c11", "-O1", "-g"]).args(WARNINGS).args(arguments).arg("-I").arg(include());
    command.arg(package().join(source)).arg(library().join("libtethered.a"));
    command.args(NATIVE).arg("-o").arg(&program);
    run(&mut command);
    program
}

/// Compiles a C program with an allocator that fails for the library as it is told: tests/c/failing.h.
pub(crate) fn compile_failing(source: &str) -> PathBuf {
    let name = Path::new(source).file_stem().expect("a source has a name");
    let part = |name: &str| scratch(&format!("{name}-failing.o"));
    let program = scratch(&format!("{}-failing", name.display()));
    let object = part(&name.to_string_lossy());
    compile_failing_part(&package().join(source), &object, &FAILS_NOT);
    // By a name of each program's own, for tests run side by side.
    let allocator = part(&format!("allocator-{}", name.display()));
    compile_failing_part(&package().join("tests/c/failing.c"), &allocator, &[]);
    let mut command = Command::new("gcc");
    command.args([&object, &allocator]).arg(library().join("libtethered.a")).arg(FAILING).args(NATIVE);
    run(command.arg("-o").arg(&program));
    program
}

fn compile_failing_part(source: &Path, object: &Path, arguments: &[&str]) {
    let mut command = Command::new("gcc");
    command.args(["-std=c11", "-O1", "-g", "-c"]).args(WARNINGS).args(arguments).arg("-I").arg(include());
    run(command.arg(source).arg("-o").arg(object));
}

/// For a linker: the allocator is that of tests/c/failing.c.
pub(crate) const FAILING: &str = "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=free";
/// For a compiler: the program itself has memory.
pub(crate) const FAILS_NOT: [&str; 3] = ["-Dmalloc=__real_malloc", "-Dcalloc=__real_calloc", "-Dfree=__real_free"];

/// Compiles a C program against the shared library.
pub(crate) fn compile_shared(compiler: &str, source: &str) -> PathBuf {
    let name = Path::new(source).file_stem().expect("a source has a name");
    let program = scratch(&format!("{}-{compiler}-shared", name.display()));
    let mut command = Command::new(compiler);
    command.args(["-std=c11", "-O1", "-g"]).args(WARNINGS).arg("-I").arg(include());
    command.arg(package().join(source)).arg(library().join("libtethered.so"));
    command.arg(format!("-Wl,-rpath,{}", library().display())).arg("-o").arg(&program);
    run(&mut command);
    program
}

/// The program under valgrind: any error and any block that is not freed is a failure.
pub(crate) fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=1", "--leak-check=full", "--show-leak-kinds=all"]);
    command.arg("--errors-for-leak-kinds=all").arg(program);
    command
}

/// What every compilation has to pass.
pub(crate) const WARNINGS: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];

/// What `rustc --print native-static-libs` names.
pub(crate) const NATIVE: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// The fuzz targets: tests/c/NAME.c, and their inputs in tests/corpus/NAME.
pub(crate) const FUZZ_TARGETS: [&str; 3] = ["fuzz_calls", "fuzz_codecs", "fuzz_peer"];

/// The folder of a target's inputs.
pub(crate) fn corpus(target: &str) -> PathBuf {
    package().join("tests/corpus").join(target)
}

/// The inputs of a target.
pub(crate) fn inputs(target: &str) -> Vec<PathBuf> {
    let entries = corpus(target).read_dir().expect("a target has a corpus");
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    assert!(!inputs.is_empty(), "{target} has no corpus");
    inputs.sort();
    inputs
}
