//! What somebody may have meant.

/// The candidate that is fewest slips of the finger away, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).map(fold).collect();
    let far = (word.len() / 3).clamp(1, 4);
    candidates
        .map(|candidate| (strsim::osa_distance(&word, &candidate.chars().map(fold).collect::<String>()), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(c: char) -> char {
    if c == '_' { '-' } else { c.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
