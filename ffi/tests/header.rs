//! include/tethered.h is what this crate says, and compiles alone.

mod support;

use std::fs;
use std::process::Command;

use cbindgen::{Builder, Config, EnumConfig, ExportConfig, Language, Style};
use support::{WARNINGS, include, package, run, scratch};

#[test]
fn a13_the_header_is_the_one_that_the_sources_give() {
    let path = include().join("tethered.h");
    let generated = generate();
    if std::env::var_os("TETHERED_BLESS").is_some() {
        fs::write(&path, &generated).expect("the header can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "include/tethered.h is not what the sources give; TETHERED_BLESS=1 rewrites it");
}

#[test]
fn the_header_compiles_alone_without_a_warning() {
    for (extension, compilers, standards) in [
        ("c", ["gcc", "clang"], &["c99", "c11", "c17", "c2x"][..]),
        ("cpp", ["g++", "clang++"], &["c++17", "c++20"][..]),
    ] {
        let headers = if extension == "c" { &["tethered.h"][..] } else { &["tethered.h", "tethered.hpp"] };
        let source = scratch(&format!("alone.{extension}"));
        let twice: String = headers.iter().map(|header| format!("#include \"{header}\"\n").repeat(2)).collect();
        fs::write(&source, twice).expect("a source can be written");
        for compiler in compilers {
            for standard in standards {
                let mut command = Command::new(compiler);
                command.arg(format!("-std={standard}")).args(WARNINGS).args(["-Wpadded", "-fsyntax-only", "-I"]);
                command.arg(include()).arg(&source);
                if extension == "cpp" {
                    command.args(["-fno-exceptions", "-fno-rtti", "-Wno-padded"]);
                }
                run(&mut command);
            }
        }
    }
}

/// What happens is polled: no call comes back into the host, so none can come from inside of another.
#[test]
fn a04_no_function_takes_one_of_the_hosts() {
    let header = generate();
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    code.push_str(rest);
    assert!(code.contains("tethered_poll(") && !code.contains("(*"), "a pointer to a function");
}

#[test]
fn a13_the_versions_of_the_header_are_those_of_the_package() {
    let header = generate();
    let defined = |name: &str| -> u32 {
        let line = header.lines().find_map(|line| line.strip_prefix(&format!("#define {name} "))).expect(name);
        let digits = line.trim_end_matches('u');
        digits.strip_prefix("0x").map_or_else(|| digits.parse(), |hex| u32::from_str_radix(hex, 16)).expect(name)
    };
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| defined(&format!("TETHERED_VERSION_{part}")));
    assert_eq!(parts.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
    assert_eq!(defined("TETHERED_VERSION_NUM"), parts[0] << 16 | parts[1] << 8 | parts[2]);
    assert_eq!(defined("TETHERED_VERSION_NUM"), tethered::tethered_version_num());
    assert_eq!(defined("TETHERED_ABI"), tethered::tethered_abi());
}

fn generate() -> String {
    let [major, minor, patch] =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")]
            .map(|part| part.parse::<u32>().expect("a version is made of numbers"));
    let number = major << 16 | minor << 8 | patch;
    let versions = format!(
        "\n/* The version of this header; tethered_version_num tells that of the library. */\n\
         #define TETHERED_VERSION_MAJOR {major}\n\
         #define TETHERED_VERSION_MINOR {minor}\n\
         #define TETHERED_VERSION_PATCH {patch}\n\
         #define TETHERED_VERSION_NUM {number:#08x}u\n\n\
         #if defined(__GNUC__) || defined(__clang__)\n\
         #define TETHERED_MUST_USE __attribute__((warn_unused_result))\n\
         #else\n\
         #define TETHERED_MUST_USE\n\
         #endif"
    );
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        header: Some(include_str!("../preamble.h").trim_end().into()),
        include_guard: Some("TETHERED_H".into()),
        after_includes: Some(versions),
        line_length: 120,
        documentation_length: cbindgen::DocumentationLength::Full,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        enumeration: EnumConfig::default(),
        export: ExportConfig {
            include: [
                "tethered_status_code",
                "tethered_endpoint_kind",
                "tethered_endpoint_flags",
                "tethered_config_flags",
                "tethered_store",
                "tethered_peer_flags",
                "tethered_action_kind",
                "tethered_follows",
                "tethered_message_kind",
                "tethered_change",
                "tethered_verdict",
                "tethered_who",
                "tethered_cause",
                "tethered_connection",
                "tethered_reply_kind",
                "tethered_fate",
                "tethered_level",
                "tethered_role",
                "tethered_ws_kind",
                "tethered_sockjs_frame",
                "tethered_stomp_command",
            ]
            .map(Into::into)
            .into(),
            ..ExportConfig::default()
        },
        ..Config::default()
    };
    config.function.must_use = Some("TETHERED_MUST_USE".into());
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(package().join(format!("src/{source}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().expect("the sources can be read").write(&mut header);
    String::from_utf8(header).expect("a header is text")
}

/// What stands in the header, in its order.
const SOURCES: [&str; 14] = [
    "version",
    "status",
    "kinds",
    "types",
    "boundary/handle",
    "config",
    "hub",
    "doors",
    "app",
    "redis",
    "ws",
    "stomp",
    "sockjs",
    "csrf",
];
