//! What somebody may have meant.

use alloc::string::String;
use alloc::vec::Vec;

/// The candidate that is fewest slips of the finger away, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).map(fold).collect();
    let far = (word.len() / 3).clamp(1, 4);
    candidates
        .map(|candidate| (slips(&word, &candidate.chars().map(fold).collect::<String>()), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(c: char) -> char {
    if c == '_' { '-' } else { c.to_ascii_lowercase() }
}

/// How many letters are left out, put in, changed, or swapped with their neighbour (optimal string alignment).
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Three lines of the table: the one before the last, the last, and the one that is filled.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut line = Vec::with_capacity(b.len() + 1);
        line.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(line[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == y && x == b[j - 1] {
                least = least.min(before[j - 1] + 1);
            }
            line.push(least);
        }
        before = core::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("cookie", "cookie", 0),
            ("coookie", "cookie", 1),
            ("cokie", "cookie", 1),
            ("ocokie", "cookie", 1),
            ("lsiten", "listen", 1),
            ("ca", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((slips(a, b), slips(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn finds_what_was_meant_and_nothing_far_off() {
        let names = ["listen", "log", "limit", "session-timeout"];
        let find = |word: &str| nearest(word, names.iter().copied());
        assert_eq!(find("sesion-timeout"), Some("session-timeout"));
        assert_eq!(find("SESSION_TIMEOUT"), Some("session-timeout"));
        assert_eq!(find("lsiten"), Some("listen"));
        assert_eq!(find("lgo"), Some("log"));
        assert_eq!(find("colour"), None);
        assert_eq!(find(""), None);
        assert_eq!(find(&"x".repeat(100_000)), None);
    }
}
