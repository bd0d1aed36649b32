//! What binaries rely on is what is written down in abi/: layouts, values, exports, and all types as libabigail sees them.
//! `TETHERED_BLESS=1` writes it down anew, where a change is meant.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{include, library, package, run, scratch};

#[test]
fn sizes_offsets_and_values_are_those_that_are_written_down() {
    let header = header();
    let mut source = String::from("#include \"tethered.h\"\n#include <stdio.h>\nint main(void) {\n");
    for name in values(&header) {
        writeln!(source, "printf(\"{name} %lld\\n\", (long long)({name}));").expect("text can be appended to");
    }
    for (name, members) in structs(&header) {
        writeln!(source, "printf(\"struct {name} %zu\\n\", sizeof(struct {name}));").expect("text can be appended to");
        for member in members {
            writeln!(
                source,
                "printf(\"  {member} at %zu, %zu bytes\\n\", offsetof(struct {name}, {member}), sizeof(((struct {name} *)0)->{member}));"
            )
            .expect("text can be appended to");
        }
    }
    source.push_str("return 0;\n}\n");
    let (file, program) = (scratch("layout.c"), scratch("layout"));
    fs::write(&file, source).expect("a source can be written");
    run(Command::new("gcc").args(["-std=c11", "-I"]).arg(include()).arg(&file).arg("-o").arg(&program));
    let layout = String::from_utf8(run(&mut Command::new(&program))).expect("it prints text");
    assert!(layout.lines().count() > 200, "too little was found in the header:\n{layout}");
    written_down("layout.txt", &layout);
}

#[test]
fn what_is_exported_is_what_is_written_down() {
    let library = library().join("libtethered.so");
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library));
    let symbols = String::from_utf8(symbols).expect("symbols are text");
    let mut names: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    written_down("exports.txt", &(names.join("\n") + "\n"));
}

/// Functions may be added, and nothing else may change within one TETHERED_ABI: then the soname changes too.
#[test]
#[ignore = "needs abidw and abidiff: CI has them"]
fn types_and_signatures_are_those_that_are_written_down() {
    let baseline = package().join("abi/tethered.abi");
    let now = described(&stubs("now", &header()));
    if std::env::var_os("TETHERED_BLESS").is_some() {
        fs::copy(&now, &baseline).expect("it can be written");
    }
    let changes = abidiff(&baseline, &now);
    assert!(changes.is_none(), "{}", changes.unwrap_or_default());
}

/// It would be no use if abidiff were blind for what may go wrong.
#[test]
#[ignore = "needs abidw and abidiff: CI has them"]
fn planted_changes_are_found() {
    let header = header();
    let now = described(&stubs("before", &header));
    for (name, from, to) in [
        ("a function is gone", "tethered_tick(", "tethered_tock("),
        ("a parameter is wider", "uint64_t client, uint32_t kind);", "uint64_t client, uint64_t kind);"),
        ("members change places", "  uint32_t kind;\n", "  uint64_t kind;\n"),
        ("a value changes", "TETHERED_STORE_REDIS = 1", "TETHERED_STORE_REDIS = 3"),
    ] {
        let changed = header.replace(from, to);
        assert!(changed != header, "{name}: the header has no {from:?}");
        let planted = described(&stubs("planted", &changed));
        assert!(abidiff(&now, &planted).is_some(), "{name}: it was not found");
    }
}

fn header() -> String {
    fs::read_to_string(include().join("tethered.h")).expect("there is a header")
}

fn written_down(file: &str, now: &str) {
    let path = package().join("abi").join(file);
    if std::env::var_os("TETHERED_BLESS").is_some() {
        fs::create_dir_all(package().join("abi")).expect("a folder can be made");
        fs::write(&path, now).expect("it can be written");
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    for (line, (before, now)) in before.lines().zip(now.lines()).enumerate() {
        assert_eq!(before, now, "abi/{file}, line {}: a change of the ABI; TETHERED_BLESS=1 writes it down", line + 1);
    }
    assert_eq!(before.len(), now.len(), "abi/{file}: a change of the ABI; TETHERED_BLESS=1 writes it down");
}

/// Enumerators and macros of whole numbers.
fn values(header: &str) -> Vec<&str> {
    let value = |line: &str| {
        let defined = line
            .strip_prefix("#define ")
            .and_then(|line| line.split_once(' '))
            .is_some_and(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit()));
        defined || line.starts_with("  TETHERED_") && line.contains(" = ")
    };
    header
        .lines()
        .filter(|line| value(line) && !line.contains("_VERSION_"))
        .filter_map(|line| line.trim_start().trim_start_matches("#define ").split([' ', '=']).next())
        .collect()
}

/// Structs with their members.
fn structs(header: &str) -> Vec<(&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in header.lines() {
        if let Some(name) = line.strip_prefix("typedef struct ").and_then(|line| line.strip_suffix(" {")) {
            all.push((name, Vec::new()));
            inside = true;
        } else if line.starts_with('}') {
            inside = false;
        } else if inside
            && let Some(member) = line.strip_suffix(';')
            && let Some((_, members)) = all.last_mut()
        {
            let member = member.split('[').next().unwrap_or_default();
            members.extend(member.rsplit([' ', '*']).next());
        }
    }
    all
}

/// A library of these functions that do nothing: its types are those of the header, whatever the real one was built with.
fn stubs(name: &str, header: &str) -> PathBuf {
    let mut source = header.to_owned();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let declares = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" tethered_")
            || line.starts_with("const char *tethered_");
        if !declares || !line.contains('(') || line.starts_with("typedef") {
            continue;
        }
        let mut declaration = line.to_owned();
        while !declaration.ends_with(';') {
            declaration.push_str(lines.next().expect("a declaration ends"));
        }
        source.push_str(&format!("\n{} {{ __builtin_trap(); }}\n", declaration.trim_end_matches(';')));
    }
    let (file, library) = (scratch(&format!("stubs-{name}.c")), scratch(&format!("libstubs-{name}.so")));
    fs::write(&file, source).expect("a source can be written");
    let mut command = Command::new("gcc");
    command.args(["-std=c11", "-g", "-fno-eliminate-unused-debug-types", "-shared", "-fPIC"]);
    run(command.arg(&file).arg("-o").arg(&library));
    library
}

fn described(library: &Path) -> PathBuf {
    let out = library.with_extension("abi");
    let mut command = Command::new("abidw");
    command.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--load-all-types", "--out-file"]);
    run(command.arg(&out).arg(library));
    // Where it was compiled is nobody's business.
    let text = fs::read_to_string(&out).expect("it was written");
    let kept: String = text.lines().map(|line| without_path(line) + "\n").collect();
    fs::write(&out, kept).expect("it can be written");
    out
}

fn without_path(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" path='") else { return line.to_owned() };
    let Some((_, after)) = rest.split_once('\'') else { return line.to_owned() };
    format!("{before} path='tethered.h'{after}")
}

/// What has changed but for functions that were added.
fn abidiff(before: &Path, now: &Path) -> Option<String> {
    let mut command = Command::new("abidiff");
    command.args(["--no-added-syms", "--non-reachable-types"]);
    let output = command.arg(before).arg(now).output().expect("abidiff is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then_some(said)
}
