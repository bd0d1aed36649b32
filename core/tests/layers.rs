//! Which module may use which, and how long a file may be.
//!
//! Arrows point inward: the hub uses everything, books (`session`, `broker`) use atoms, languages (`ws`, `http`, `stomp`, `sockjs`, `redis`)
//! use atoms and never each other, atoms use atoms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ATOMS: &[&str] = &["heap", "ids", "index", "queue", "random", "slab", "time", "wheel"];
const LANGUAGES: &[&str] = &["http", "redis", "sockjs", "stomp", "ws"];
const BOOKS: &[&str] = &["broker", "session"];

/// What a module may use beside itself; `None` for one that nobody has given a place.
fn allowed(module: &str) -> Option<Vec<&'static str>> {
    match module {
        // The map of the crate, and where everything meets.
        "lib" | "hub" => Some([ATOMS, LANGUAGES, BOOKS, &["config", "hub"]].concat()),
        // It holds the limits of each language, and the rules of access.
        "config" => Some([LANGUAGES, BOOKS].concat()),
        // The one place that knows both Spring's keys and commands of Redis is in here.
        "session" => Some([ATOMS, &["redis"]].concat()),
        _ if [ATOMS, LANGUAGES, BOOKS].iter().any(|ring| ring.contains(&module)) => Some(ATOMS.to_vec()),
        _ => None,
    }
}

#[test]
fn arrows_point_inward() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for file in files(&source) {
        let place = place(&source, &file);
        let module = place[0].as_str();
        let Some(allowed) = allowed(module) else {
            wrong.push(format!("{}: which ring is this in? Say so in tests/layers.rs", file.display()));
            continue;
        };
        for (line, text) in code(&file) {
            for used in used(&text, place.len()) {
                seen.insert((module.to_owned(), used.clone()));
                if used != module && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{}:{line}: {module} must not use {used}: {}", file.display(), text.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (module, used) in
        [("hub", "ws"), ("broker", "slab"), ("http", "time"), ("config", "http"), ("session", "wheel")]
    {
        assert!(seen.contains(&(module.to_owned(), used.to_owned())), "it is seen that {module} uses {used}");
    }
}

#[test]
fn what_is_used_is_seen() {
    for (text, depth, expected) in [
        ("use crate::ws::Head;", 2, &["ws"][..]),
        ("use crate::{ws, http::{self, Body}, stomp};", 2, &["ws", "http", "stomp"]),
        ("    let _ = crate::hub::Hub::new;", 2, &["hub"]),
        ("use super::Hub;", 2, &[]),
        ("use super::super::hub::Hub;", 2, &["hub"]),
        ("use super::ws;", 1, &["ws"]),
        ("    use super::super::text;", 2, &[]),
        ("    use super::super::super::ws;", 2, &["ws"]),
        ("pub(in crate::hub) fn x() {}", 2, &["hub"]),
    ] {
        assert_eq!(used(text, depth), expected, "{text}");
    }
}

#[test]
fn files_are_short() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut long = Vec::new();
    for file in ["src", "tests", "examples"].iter().flat_map(|folder| files(&package.join(folder))) {
        let lines = read(&file).lines().count();
        if lines > SOFT_LIMIT {
            println!("{lines:>5}  {}", file.display());
        }
        if lines > HARD_LIMIT {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "over {HARD_LIMIT} lines:\n{}", long.join("\n"));
}

/// The modules that a file is in, outermost first: `hub/mod.rs` is `hub`, `hub/record/text.rs` is `hub`, `record`, `text`.
fn place(source: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(source).expect("below it").with_extension("");
    let mut place: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    place.pop_if(|last| last == "mod");
    place
}

/// Lines with their numbers, without comments; a `use` is one line, however long.
fn code(file: &Path) -> Vec<(usize, String)> {
    let mut code: Vec<(usize, String)> = Vec::new();
    for (at, line) in read(file).lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        match code.last_mut() {
            Some((_, last)) if is_use(last) && !last.contains(';') => last.push_str(line.trim_start()),
            _ => code.push((at + 1, line.to_owned())),
        }
    }
    code
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ") || line.starts_with("pub") && line.contains(" use ")
}

/// The modules of the crate that a line in a module so deep names.
fn used(line: &str, depth: usize) -> Vec<String> {
    // What is indented may stand in a module within the file.
    let depths = if line.starts_with(' ') { depth..=depth + 1 } else { depth..=depth };
    let roots = depths.map(|depth| "super::".repeat(depth)).chain(["crate::".to_owned()]);
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in line.match_indices(&root) {
            let before = line[..at].chars().next_back();
            let path = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$'));
            let rest = &line[at + root.len()..];
            if !path && !rest.starts_with("super::") {
                found.extend(names(rest));
            }
        }
    }
    found.retain(|name| is_module(name));
    found
}

/// The first names of a path, of which there are several where it begins with a brace.
fn names(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// Whether there is such a module: a path from one inside of a file may end at a name of its own.
fn is_module(name: &str) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    !name.is_empty() && (source.join(name).is_dir() || source.join(name).with_extension("rs").is_file())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).filter(|path| path.extension().is_some_and(|ext| ext == "rs")).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

const SOFT_LIMIT: usize = 400;
const HARD_LIMIT: usize = 700;
