//! Plays the conversations of `transcripts/*.txt` against a hub and compares all it does, word for word.
//!
//! A transcript is read like prose. `#` begins a remark. A line that begins with `>` is what happens outside, one that
//! begins with `<` what the hub does about it, in order; `@1500` moves the clock to 1,500 ms, and what the hub does on
//! the way is shown with its time. Bytes are written with Rust's escapes, in quotes.
//!
//! `TETHERED_BLESS=1 cargo test -p tethered-core --test transcript` writes the `<` lines anew; read the difference.
//!
//! | line | meaning |
//! |---|---|
//! | `set timeout 60s` | before all else: `timeout`, `out_bytes`, `rules sample`, `heart_beat 1000,1000` |
//! | `> a open` | a connection is accepted; `a` names it |
//! | `> a head GET /x HTTP/1.1` | a request's head; the lines below it that begin with `>` and a tab are its header lines. `{a}` is the last cookie set on `a` |
//! | `> a bytes "…"` | these bytes; `100 "…"` behind them: and a hundred times these |
//! | `> a text "…"`, `binary`, `ping`, `pong`, `frame 83` | a masked frame with this payload |
//! | `> a close 1000 "…"` | a Close frame; without a code: an empty one |
//! | `> a stomp SEND destination:/app/x "body"` | a STOMP frame in a text message |
//! | `> a answer 200 "…"` | the application's answer; `login rob` or `logout` behind it is what becomes of the session |
//! | `> a stalls`, `> a reads 100`, `> a reads` | the peer takes nothing, so many bytes, or all again |
//! | `> a hangs up` | the peer ended the connection |
//! | `> publish /topic/x "…"`, `> publish to rob /queue/x "…"`, `> end user rob`, `> drain` | the application |

mod harness;
#[path = "transcripts/play.rs"]
mod play;

use std::path::Path;

use play::Play;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let bless = std::env::var_os("TETHERED_BLESS").is_some();
    let mut played = 0;
    let mut differ = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "txt")) {
        let written = std::fs::read_to_string(path).expect("a transcript");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let happened = Play::of(&name, &written);
        assert_eq!(happened, Play::of(&name, &written), "{name}: two runs differ");
        played += 1;
        if happened == written {
            continue;
        }
        if bless {
            std::fs::write(path, happened).expect("the folder may be written to");
        } else {
            differ.push(difference(&name, &written, &happened));
        }
    }
    assert!(played >= 8, "{played} transcripts in {}", folder.display());
    assert!(differ.is_empty(), "\n{}\nTETHERED_BLESS=1 writes them anew.", differ.join("\n"));
}

/// The first line in which two texts differ, with those before it.
fn difference(name: &str, written: &str, happened: &str) -> String {
    let same = written.lines().zip(happened.lines()).take_while(|(w, h)| w == h).count();
    let before: String =
        written.lines().take(same).skip(same.saturating_sub(4)).map(|line| format!("    {line}\n")).collect();
    let at = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    format!("{name}, line {}:\n{before}  written  {}\n  happened {}", same + 1, at(written), at(happened))
}
