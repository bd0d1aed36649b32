//! From flags, variables and file to settings, and every mistake on the way.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::*;

pub(crate) const MACHINE: Machine = Machine { files: 20_000, memory_bytes: 4 << 30 };

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$TTnN7CxRH45WlP4SUzuaaw";

/// What these arguments, variables and this file lead to. The file is `tethered.toml`.
fn run(arguments: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Command, String> {
    let source = Source {
        arguments: arguments.iter().map(OsString::from),
        variables: variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))),
        read: |path: &Path| match path.to_str() {
            Some("tethered.toml") => Ok(file.to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "No such file")),
        },
        machine: MACHINE,
    };
    command(source).map_err(|error| error.to_string())
}

fn settings(arguments: &[&str], variables: &[(&str, &str)], file: &str) -> Settings {
    match run(arguments, variables, file) {
        Ok(Command::Serve(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

fn with_file(file: &str) -> Result<Settings, String> {
    match run(&["--config", "tethered.toml"], &[], file)? {
        Command::Serve(settings) => Ok(*settings),
        other => panic!("{other:?}"),
    }
}

fn printed(command: Result<Command, String>) -> String {
    match command {
        Ok(Command::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Settings from arguments alone.
pub(crate) fn serve(arguments: &[&str]) -> Settings {
    settings(arguments, &[], "")
}

#[test]
fn defaults() {
    let s = serve(&[]);
    assert_eq!(s.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["localhost:8080"]);
    assert_eq!((s.session_timeout_ms, s.touch_interval_ms, s.heart_beat_ms), (1_800_000, 1_000, (0, 0)));
    assert_eq!((s.log, s.cookie.as_str(), s.conformance, s.require_origin), (Level::Info, "SESSION", false, false));
    assert!(!s.connect_csrf);
    assert!(s.origins.is_empty() && s.proxies.is_empty() && s.has_demo_users() && s.warnings().is_empty());
    assert_eq!(s.users.keys().collect::<Vec<_>>(), ["luke", "rob"]);
    assert!(s.users.values().all(|hash| hash.verify(b"password")));
}

#[test]
fn flag_before_variable_before_file_before_default() {
    let file = "session-timeout = \"1m\"\nlog = \"debug\"\n[limits]\nSUBS = 1\nDEST = 100\nHEADERS = 10\n";
    let variables = [
        ("TETHERED_SESSION_TIMEOUT", "2m"),
        ("TETHERED_CONFIG", "tethered.toml"),
        ("TETHERED_LIMIT", "SUBS=2, DEST=200"),
    ];
    let s = settings(&["--session-timeout", "3m", "--limit", "SUBS=3"], &variables, file);
    assert_eq!((s.session_timeout_ms, s.log), (180_000, Level::Debug));
    let limits = s.hub_config().limits;
    assert_eq!((limits.subscriptions, limits.destination_bytes, limits.stomp.headers), (3, 200, 10));
    assert_eq!(settings(&[], &variables, file).session_timeout_ms, 120_000);
    assert_eq!(settings(&[], &variables[1..2], file).session_timeout_ms, 60_000);
    assert_eq!(
        settings(&["-c", "tethered.toml"], &[("TETHERED_CONFIG", "other.toml")], file).session_timeout_ms,
        60_000
    );
}

#[test]
fn lists_replace_each_other_and_do_not_add_up() {
    let file = "listen = [\"localhost:1\", \"localhost:2\"]\norigin = \"https://a.example\"\n";
    let listen = |s: &Settings| s.listen.iter().map(ToString::to_string).collect::<Vec<_>>();
    let s = settings(&["-c", "tethered.toml"], &[], file);
    assert_eq!(
        (listen(&s), s.origins),
        (vec!["localhost:1".into(), "localhost:2".into()], vec!["https://a.example".to_owned()])
    );
    let s = settings(&["-c", "tethered.toml"], &[("TETHERED_LISTEN", "127.0.0.1:3,[::1]:3")], file);
    assert_eq!(listen(&s), ["127.0.0.1:3", "[::1]:3"]);
    let s = settings(
        &["-c", "tethered.toml", "--listen", "localhost:4", "--listen=localhost:5"],
        &[("TETHERED_LISTEN", "localhost:3")],
        file,
    );
    assert_eq!(listen(&s), ["localhost:4", "localhost:5"]);
}

#[test]
fn an_empty_variable_is_none_and_others_are_not_ours() {
    let s = settings(&[], &[("TETHERED_SESSION_TIMEOUT", ""), ("TETHER_X", "1"), ("PATH", "/bin")], "");
    assert_eq!(s.session_timeout_ms, 1_800_000);
}

#[test]
fn switches_are_on_when_named() {
    assert!(serve(&["--conformance"]).conformance);
    assert!(!serve(&["--conformance=false"]).conformance);
    assert!(settings(&[], &[("TETHERED_CONFORMANCE", "true")], "").conformance);
    assert!(with_file("conformance = true").unwrap().conformance);
}

#[test]
fn the_last_of_a_flag_repeated_counts() {
    assert_eq!(serve(&["--session-timeout=1m", "--session-timeout=90"]).session_timeout_ms, 90_000);
}

#[test]
fn numbers_and_lists_of_toml() {
    let s = with_file(
        "session-timeout = 90\nstomp-heartbeat = [1_000, 0x7d0]\n[limits]\nMSG_RATE = 1_000\nOUT_BYTES = \"1MiB\"",
    )
    .unwrap();
    assert_eq!((s.session_timeout_ms, s.heart_beat_ms), (90_000, (1_000, 2_000)));
    let limits = s.hub_config().limits;
    assert_eq!((limits.message_rate, limits.out_bytes), (1_000, 1 << 20));
}

#[test]
fn mistakes_on_the_command_line() {
    for (arguments, wanted) in [
        (&["--sesion-timeout=1m"][..], "--sesion-timeout: there is no such flag; did you mean --session-timeout?"),
        (&["--colour"], "--colour: there is no such flag"),
        (&["-x"], "-x: there is no such flag"),
        (&["--listen"], "--listen: its value is missing; write --listen HOST:PORT"),
        (
            &["--session-timeout=fast"],
            "--session-timeout: \"fast\" is no duration; write 500ms, 60s, 30m, 12h or 7d (a bare number is seconds)",
        ),
        (&["--session-timeout=0"], "--session-timeout: must be from 1ms to 3650d"),
        (&["--session-timeout=3651d"], "--session-timeout: must be from 1ms to 3650d"),
        (&["--log=dbug"], "--log: \"dbug\" is none of off, error, warn, info, debug; did you mean debug?"),
        (
            &["--cookie=a b"],
            "--cookie: \"a b\" is no cookie name; write 1 to 64 letters, digits, - and _, such as SESSION",
        ),
        (&["--cookie-encoding=hex"], "--cookie-encoding: \"hex\" is none of base64, plain"),
        (
            &["--origin=example.org"],
            "--origin: \"example.org\" is none: an origin is scheme://host or scheme://host:port and nothing behind it, or * for any",
        ),
        (
            &["--proxy=lb"],
            "--proxy: \"lb\" is none: a proxy is an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8 or fd00::/8 without host bits",
        ),
        (
            &["--stomp-heartbeat=5"],
            "--stomp-heartbeat: \"5\" is no pair; write two numbers of milliseconds such as 10000,10000",
        ),
        (&["--conformance=yes"], "--conformance: \"yes\" is none of true, false"),
        (
            &["--listen=8080"],
            "--listen: \"8080\" is no address; write HOST:PORT such as localhost:8080, 0.0.0.0:80 or [::1]:8080",
        ),
        (&["--limit=SUBS"], "--limit: \"SUBS\" is no limit; write NAME=VALUE such as MSG_BYTES=64KiB"),
        (&["--limit=SUB=1"], "--limit: there is no limit \"SUB\"; did you mean SUBS?"),
        (&["--limit=SUBS=x"], "--limit: SUBS: \"x\" is no number; write digits only, such as 1024"),
        (&["hash-pasword"], "\"hash-pasword\" is no command; did you mean hash-password?; see tethered --help"),
        (
            &["session-timeout"],
            "\"session-timeout\" is no command; did you mean --session-timeout?; see tethered --help",
        ),
        (&["replay"], "replay: the name of the recording is missing; write tethered replay FILE"),
        (&["replay", "a", "b"], "\"b\" is no command; see tethered --help"),
        (&["replay", "a", "--sokcet=1.1"], "--sokcet: there is no such flag of replay; did you mean --socket?"),
        (&["replay", "a", "--socket"], "--socket: its value is missing; write --socket ID"),
        (
            &["replay", "a", "--socket=x"],
            "--socket: \"x\" is no id of a socket; write one that tethered replay FILE lists, such as 7.1",
        ),
        (
            &["replay", "a", "--session=12345g"],
            "--session: \"12345g\" is no fingerprint of a session; write the six hex digits that the log shows",
        ),
        (&["--touch-interval=1s", "60s"], "\"60s\" is no command; see tethered --help"),
        (&["--config=nowhere.toml"], "nowhere.toml: cannot be read: No such file"),
    ] {
        assert_eq!(run(arguments, &[], "").unwrap_err(), wanted);
    }
}

#[test]
fn mistakes_in_variables() {
    for (name, value, wanted) in [
        (
            "TETHERED_SESION_TIMEOUT",
            "1m",
            "TETHERED_SESION_TIMEOUT: there is no such setting; did you mean TETHERED_SESSION_TIMEOUT?",
        ),
        ("TETHERED_PRINT_CONFIG", "1", "TETHERED_PRINT_CONFIG: there is no such setting"),
        ("TETHERED_LOG", "loud", "TETHERED_LOG: \"loud\" is none of off, error, warn, info, debug"),
        ("TETHERED_LIMIT", "SUBS=1,DEST=x", "TETHERED_LIMIT: DEST: \"x\" is no size; write 512, 64KiB, 16MiB or 1GiB"),
    ] {
        assert_eq!(run(&[], &[(name, value)], "").unwrap_err(), wanted);
    }
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    for (file, wanted) in [
        (
            "\nsesion-timeout = 1",
            "tethered.toml:2: sesion-timeout: there is no such setting; did you mean session-timeout?",
        ),
        ("config = \"x\"", "tethered.toml:1: config: there is no such setting"),
        ("limit = \"SUBS=1\"", "tethered.toml:1: limit: there is no such setting; did you mean limits?"),
        ("# one\n\n[limit]\nSUBS = 1", "tethered.toml:3: limit: there is no such setting; did you mean limits?"),
        (
            "log = \"info\"\nsession-timeout = \"fast\"",
            "tethered.toml:2: session-timeout: \"fast\" is no duration; write 500ms, 60s, 30m, 12h or 7d (a bare number is seconds)",
        ),
        ("session-timeout = 1.5", "tethered.toml:1: session-timeout: must be one value: a string or a whole number"),
        ("session-timeout = [1]", "tethered.toml:1: session-timeout: must be one value: a string or a whole number"),
        ("listen = [[]]", "tethered.toml:1: listen: must be a string or a list of strings"),
        ("listen = []", "tethered.toml:1: listen: needs at least one HOST:PORT"),
        ("limits = 1", "tethered.toml:1: limits: must be a table; write [limits] on a line of its own"),
        (
            "[limits]\n\nHEAD_BYTE = 1",
            "tethered.toml:3: limits: there is no limit \"HEAD_BYTE\"; did you mean HEAD_BYTES?",
        ),
        ("[limits]\nSUBS = []", "tethered.toml:2: SUBS: must be one value: a string or a whole number"),
        ("[limits]\nSUBS = -1", "tethered.toml:2: limits: SUBS: \"-1\" is no number; write digits only, such as 1024"),
        ("users = true", "tethered.toml:1: users: must be a table; write [users] on a line of its own"),
        (
            "[users]\nrob = 1",
            "tethered.toml:2: users.rob: must be a string: the hash that `tethered hash-password` writes",
        ),
        ("log = \"info\"\nlog = \"warn\"", "tethered.toml:2: duplicate key"),
        ("log = ", "tethered.toml:1: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(with_file(file).unwrap_err(), wanted, "{file}");
    }
}

#[test]
fn a_password_in_the_file_is_never_shown() {
    let error = with_file("[users]\nrob = \"secret\"").unwrap_err();
    assert_eq!(error, "tethered.toml:2: users.rob: is no password hash; make one with `tethered hash-password`");
}

#[test]
fn users_have_plain_names() {
    for name in ["\"\"", "\" rob\"", "\"a\\nb\"", &format!("\"{}\"", "x".repeat(65))] {
        let error = with_file(&format!("[users]\n{name} = \"{HASH}\"")).unwrap_err();
        assert!(error.contains("is no name for a user"), "{error}");
    }
    let s = with_file(&format!("[users]\n\"ann/é: b\" = \"{HASH}\"\n{} = \"{HASH}\"", "x".repeat(64))).unwrap();
    assert_eq!(s.users.len(), 2);
    assert!(!s.has_demo_users(), "own users replace those of the demo");
}

#[test]
fn the_printed_configuration_is_accepted_and_the_same() {
    let variants: [&[&str]; 4] = [
        &[],
        &["--conformance", "--stomp-heartbeat=1000,2000", "--origin=https://a.example", "--origin=https://b.example"],
        &[
            "--listen=127.0.0.1:0",
            "--listen=[::1]:0",
            "--proxy=10.0.0.0/8",
            "--cookie-encoding=plain",
            "--require-origin",
            "--connect-csrf",
        ],
        &[
            "--allow-unsafe",
            "--origin=*",
            "--limit=OUT_BYTES=off",
            "--limit=MSG_RATE=7",
            "--limit=HEAD_TIME=1500ms",
            "--log=off",
        ],
    ];
    for arguments in variants {
        let print: Vec<&str> = arguments.iter().copied().chain(["--print-config"]).collect();
        let text = printed(run(&print, &[], ""));
        assert_eq!(with_file(&text).map_err(|e| format!("{e}\n{text}")), Ok(serve(arguments)), "{text}");
        assert_eq!(printed(run(&["-c", "tethered.toml", "--print-config"], &[], &text)), text);
        assert!(!text.contains("\"password\""));
    }
    let own = format!("[users]\n\"ann é\" = \"{HASH}\"\n");
    let text = printed(run(&["-c", "tethered.toml", "--print-config"], &[], &own));
    assert!(text.contains(&format!("\"ann é\" = \"{HASH}\"")), "{text}");
    assert_eq!(with_file(&text), with_file(&own));
}

#[test]
fn a_recording_holds_all_that_the_hub_was_made_with() {
    let arguments = [
        "--conformance",
        "--limit=SUBS=3",
        "--limit=OUT_BYTES=off",
        "--allow-unsafe",
        "--proxy=10.0.0.0/8",
        "--origin=https://a.example",
        "--session-timeout=61s",
        "--stomp-heartbeat=1000,2000",
        "--record=a.txt",
        "--record-limit=3MiB",
    ];
    let settings = serve(&arguments);
    assert_eq!((settings.record.as_deref(), settings.record_limit), (Some("a.txt"), 3 << 20));
    assert_eq!((serve(&[]).record, serve(&["--record="]).record, serve(&[]).record_limit), (None, None, 1 << 30));
    let text = settings.for_recording();
    assert!(!text.contains("[users]") && !text.contains("argon2"), "{text}");
    let read = Settings::of_recording(Path::new("a.txt"), &text).unwrap();
    assert_eq!(format!("{:?}", read.hub_config()), format!("{:?}", settings.hub_config()));
}

#[test]
fn what_is_to_be_replayed() {
    let replay = |arguments: &[&str]| match run(arguments, &[], "") {
        Ok(Command::Replay(replay)) => replay,
        other => panic!("{other:?}"),
    };
    let of = |of| Replay { file: "a.txt".into(), of };
    assert_eq!(replay(&["replay", "a.txt"]), of(Of::All));
    let socket = tethered_core::hub::record::parse_id("7.1").unwrap();
    assert_eq!(replay(&["replay", "a.txt", "--socket", "7.1"]), of(Of::Socket(socket)));
    assert_eq!(replay(&["replay", "--session=1A2b3c", "a.txt"]), of(Of::Session(*b"1a2b3c")));
}

#[test]
fn help_names_every_flag_limit_unit_and_default() {
    let text = printed(run(&["--help"], &[], ""));
    for setting in table::all() {
        assert!(text.contains(&format!("--{}", setting.name)), "{}", setting.name);
        if setting.arity != table::Arity::Switch && !setting.default.is_empty() {
            assert!(text.contains(&format!("Default: {}.", setting.default)), "{}", setting.name);
        }
    }
    for wanted in [
        "MSG_BYTES          64KiB",
        "HEAD_TIME            10s",
        "TOTAL              18000",
        "MEMORY              2GiB",
        "MSG_RATE             off",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(printed(run(&["-h", "--nonsense"], &[], "")), text, "help comes before what follows it");
}

#[test]
fn version_and_hash_password() {
    assert_eq!(printed(run(&["-V"], &[], "")), format!("tethered {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["hash-password"], &[], ""), Ok(Command::HashPassword));
}

#[test]
fn o03_unsafe_settings_need_a_word_of_their_own() {
    for (arguments, point) in [
        (&["--origin=*"][..], "origin * lets any page on the web use its visitors' logins"),
        (&["--proxy=0.0.0.0/0"], "a proxy network of /0 lets anybody forge their address"),
        (&["--proxy=::/0"], "a proxy network of /0 lets anybody forge their address"),
        (&["--limit=OUT_BYTES=off"], "the limit OUT_BYTES is off"),
        (&["--conformance", "--limit=TOTAL=off"], "the limit TOTAL is off"),
    ] {
        assert_eq!(
            run(arguments, &[], "").unwrap_err(),
            format!("unsafe: {point}; add --allow-unsafe if this is meant")
        );
        let allowed: Vec<&str> = arguments.iter().copied().chain(["--allow-unsafe"]).collect();
        assert!(serve(&allowed).warnings().contains(&format!("--allow-unsafe: {point}")));
    }
    assert!(serve(&["--limit=MSG_RATE=off"]).warnings().is_empty(), "off by default");
}

#[test]
fn what_deserves_a_warning() {
    assert!(serve(&["--listen=127.0.0.1:1", "--listen=[::1]:1"]).warnings().is_empty());
    let open = serve(&["--listen=127.0.0.1:1", "--listen=0.0.0.0:1"]).warnings();
    assert!(open.len() == 1 && open[0].contains("the demo users rob and luke can log in from the network"), "{open:?}");
    let own = format!("listen = \"0.0.0.0:1\"\n[users]\nrob = \"{HASH}\"");
    assert!(with_file(&own).unwrap().warnings().is_empty());
    assert!(serve(&["--conformance"]).warnings()[0].starts_with("--conformance: "));
}

#[test]
fn the_limits_are_one_line_for_the_log() {
    let line = serve(&["--limit=SUBS=5"]).limits_line();
    assert!(
        line.starts_with("HEAD_BYTES=16KiB HEAD_LINES=100 ") && line.contains(" SUBS=5 ") && !line.contains('\n'),
        "{line}"
    );
}

#[test]
fn debug_shows_no_hash() {
    assert!(!format!("{:?}", serve(&[])).contains("argon2"));
}

/// What a hub can be told by name is told to the server by the same name, or is what the server decides.
#[test]
fn the_settings_of_a_hub_go_by_the_names_of_the_core() {
    let decided =
        ["store", "application-prefix", "guarded", "rules", "relay", "decide", "redis-database", "redis-attributes"];
    // A server does what Spring's applications do; a hub in somebody's program asks first.
    let other_default = ["redis-cleanup"];
    for named in tethered_core::config::named::SETTINGS {
        let ours = table::all().find(|setting| setting.name == named.name);
        assert_eq!(ours.is_none(), decided.contains(&named.name), "{}", named.name);
        let Some(setting) = ours else { continue };
        assert_eq!(setting.arity == table::Arity::Many, named.many, "{}", named.name);
        if !setting.default.is_empty() && !other_default.contains(&named.name) {
            let mut config = tethered_core::config::Config {
                store: tethered_core::config::Store::Spring(tethered_core::session::spring::Config::default()),
                ..Default::default()
            };
            let before = config.clone();
            named.apply(&mut config, &[setting.default]).expect(named.name);
            assert_eq!(format!("{config:?}"), format!("{before:?}"), "the default of {}", named.name);
        }
    }
}
