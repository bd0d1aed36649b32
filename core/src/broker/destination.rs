//! [`Pattern`]: one name for many destinations, in the manner of Spring's `AntPathMatcher`.
//!
//! A destination is cut into segments by `/`. In a pattern `?` stands for one character, `*` for any number of them, `{name}` for
//! the same as `*`, all within a segment; a segment `**` stands for any number of segments, none included.
//!
//! Departures: `{name:…}` is refused, for there are no regular expressions here (S12), and a wider rule than the one that was meant
//! would let in too many; segments are taken as they are, empty ones too, where Spring skips these. `/a/**` matches `/a`, `/a/` and `/a//b`; `/a/*`
//! matches `/a/` but not `/a`; `/a` matches neither `/a/` nor `//a`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use memchr::memmem;

/// What may be subscribed to in place of one destination, and what rules of access are made of. Any text without wildcards is a
/// pattern too, which matches itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// The same with `*` for each `{…}` and for each row of such wildcards, where that makes a difference.
    plain: Option<Box<str>>,
}

/// Why a text is no [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all.
    #[error("a pattern cannot be empty")]
    Empty,
    /// Longer than allowed.
    #[error("the pattern is too long")]
    TooLong,
    /// More segments than allowed.
    #[error("the pattern has too many segments")]
    TooManySegments,
    /// A brace without its other, nothing between the two, or a slash.
    #[error("each brace of a pattern must have its other in the same segment, and a name between them")]
    Braces,
    /// A regular expression, as in `{name:[0-9]+}`.
    #[error(
        "a pattern cannot hold a regular expression: write {{name}} or * where {{name:…}} stands, and mind that both match more"
    )]
    Regex,
    /// More than 16 characters between two wildcards of a segment, with a question mark among them.
    #[error("between two wildcards of a segment there may be 16 characters if one is a question mark")]
    QuestionMarks,
}

/// Whether a destination stands for others, or looks like it: whether there is a `*`, `?` or `{` in it.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '{'])
}

impl Pattern {
    /// Reads a pattern of at most `dest_bytes` bytes and `segments` segments (DEST: 512 and 32).
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str, dest_bytes: usize, segments: usize) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > dest_bytes {
            return Err(PatternError::TooLong);
        }
        let (_, rest) = rooted(text);
        if rest.split('/').count() > segments {
            return Err(PatternError::TooManySegments);
        }
        let plain = simplify(text)?;
        if rooted(&plain).1.split('/').any(has_costly_run) {
            return Err(PatternError::QuestionMarks);
        }
        Ok(Self { text: text.into(), plain: (plain != text).then(|| plain.into()) })
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for this destination. For a given pattern the time is linear in the destination; nothing is allocated.
    pub fn matches(&self, destination: &str) -> bool {
        let ((root, pattern), (other_root, destination)) = (rooted(self.plain()), rooted(destination));
        root == other_root && segments_match(pattern, destination)
    }

    /// Whether there is any destination at all that both stand for (S13). Exact; the time is at most proportional to the product
    /// of their lengths.
    pub fn overlaps(&self, other: &Self) -> bool {
        let ((root, one), (other_root, other)) = (rooted(self.plain()), rooted(other.plain()));
        root == other_root && have_common(&steps(one), &steps(other))
    }

    fn plain(&self) -> &str {
        self.plain.as_deref().unwrap_or(&self.text)
    }
}

/// Whether there is a slash in front, and what is behind it.
fn rooted(text: &str) -> (bool, &str) {
    text.strip_prefix('/').map_or((false, text), |rest| (true, rest))
}

/// Writes `*` for each `{…}`, and one `*` for a row of them, but for a segment that is `**`.
fn simplify(text: &str) -> Result<String, PatternError> {
    let mut plain = String::with_capacity(text.len());
    for (at, segment) in text.split('/').enumerate() {
        if at > 0 {
            plain.push('/');
        }
        if segment == ANY_SEGMENTS {
            plain.push_str(segment);
            continue;
        }
        let (mut depth, mut named, mut starred) = (0_usize, false, false);
        for character in segment.chars() {
            match character {
                '{' => depth += 1,
                '}' => {
                    depth = depth.checked_sub(1).filter(|_| named).ok_or(PatternError::Braces)?;
                }
                ':' if depth > 0 => return Err(PatternError::Regex),
                _ => named = true,
            }
            let star = depth == 0 && matches!(character, '*' | '}');
            if depth == 0 && !(star && starred) {
                plain.push(if star { '*' } else { character });
            }
            if depth == 0 {
                (starred, named) = (star, false);
            }
        }
        if depth > 0 {
            return Err(PatternError::Braces);
        }
    }
    Ok(plain)
}

/// Whether a run that has to be searched for would cost more than a search for plain text.
fn has_costly_run(segment: &str) -> bool {
    let mut runs = segment.split('*').skip(1).peekable();
    core::iter::from_fn(|| runs.next().filter(|_| runs.peek().is_some()))
        .any(|run| run.contains('?') && run.chars().count() > RUN_WITH_QUESTION_MARKS)
}

/// Matches segment by segment. At a mismatch the last `**` takes one segment more: an earlier one need not, for whatever it could
/// take the last one can take as well.
fn segments_match(pattern: &str, destination: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), destination.split('/'));
    let mut retry = None;
    loop {
        let (mut ahead, mut taken) = (wanted.clone(), given.clone());
        let matched = match (ahead.next(), taken.next()) {
            (Some(ANY_SEGMENTS), _) => {
                if ahead.clone().next().is_none() {
                    return true;
                }
                retry = Some((ahead.clone(), given.clone()));
                wanted = ahead;
                continue;
            }
            (None, None) => return true,
            (Some(_), None) => return false,
            (Some(segment), Some(text)) => segment_matches(segment, text),
            (None, Some(_)) => false,
        };
        if matched {
            (wanted, given) = (ahead, taken);
            continue;
        }
        let Some((after, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (wanted, given) = (after.clone(), from.clone());
    }
}

/// Matches one segment: what stands before the first `*` and behind the last one is held against the ends, and each run between
/// them is searched for where the one before it was first found.
fn segment_matches(segment: &str, text: &str) -> bool {
    let Some((first, rest)) = segment.split_once('*') else { return strip_start(segment, text) == Some("") };
    let Some(text) = strip_start(first, text) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(text) = strip_end(last, text) else { return false };
    between.split('*').try_fold(text, |text, run| strip_through(run, text)).is_some()
}

fn strip_start<'t>(run: &str, text: &'t str) -> Option<&'t str> {
    let mut rest = text.chars();
    run.chars().all(|wanted| rest.next().is_some_and(|given| wanted == '?' || wanted == given)).then_some(rest.as_str())
}

fn strip_end<'t>(run: &str, text: &'t str) -> Option<&'t str> {
    let mut rest = text.chars();
    run.chars()
        .rev()
        .all(|wanted| rest.next_back().is_some_and(|given| wanted == '?' || wanted == given))
        .then_some(rest.as_str())
}

/// What is left behind the first place where `run` is found.
fn strip_through<'t>(run: &str, text: &'t str) -> Option<&'t str> {
    if !run.contains('?') {
        let at = memmem::find(text.as_bytes(), run.as_bytes())?;
        return text.get(at + run.len()..);
    }
    let mut rest = text.chars();
    loop {
        if let Some(left) = strip_start(run, rest.as_str()) {
            return Some(left);
        }
        rest.next()?;
    }
}

/// A pattern as an automaton over characters: a step is a state, and the next step is where it leads, unless said otherwise. Each
/// segment ends in a slash, the last one too.
#[derive(Clone, Copy)]
enum Step {
    /// Takes this character, which may be the slash.
    One(char),
    /// Takes any character but the slash.
    Any,
    /// Leads on without taking anything, or takes any character but the slash and stays.
    Star,
    /// At the start of a segment that `**` may take: leads on past [`Inside`](Self::Inside) without taking anything, or takes a
    /// slash and stays, or any other character, which leads inside.
    Segments,
    /// Within such a segment: takes any character but the slash and stays, or a slash, which leads back.
    Inside,
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut steps = Vec::with_capacity(pattern.len() + 1);
    for segment in pattern.split('/') {
        if segment == ANY_SEGMENTS {
            steps.extend([Step::Segments, Step::Inside]);
            continue;
        }
        steps.extend(segment.chars().map(|character| match character {
            '?' => Step::Any,
            '*' => Step::Star,
            _ => Step::One(character),
        }));
        steps.push(Step::One('/'));
    }
    steps
}

/// What a step takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    One(char),
    AnyButSlash,
}

impl Taken {
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::One(one), Self::AnyButSlash) | (Self::AnyButSlash, Self::One(one)) => one != '/',
            (Self::AnyButSlash, Self::AnyButSlash) => true,
        }
    }
}

/// What the step at `at` takes, and where each leads.
fn takes(steps: &[Step], at: usize) -> [Option<(Taken, usize)>; 2] {
    match steps.get(at) {
        None => [None, None],
        Some(Step::One(character)) => [Some((Taken::One(*character), at + 1)), None],
        Some(Step::Any) => [Some((Taken::AnyButSlash, at + 1)), None],
        Some(Step::Star) => [Some((Taken::AnyButSlash, at)), None],
        Some(Step::Segments) => [Some((Taken::One('/'), at)), Some((Taken::AnyButSlash, at + 1))],
        Some(Step::Inside) => [Some((Taken::AnyButSlash, at)), Some((Taken::One('/'), at - 1))],
    }
}

/// Where the step at `at` leads without taking anything.
fn skips(steps: &[Step], at: usize) -> Option<usize> {
    match steps.get(at)? {
        Step::Star => Some(at + 1),
        Step::Segments => Some(at + 2),
        Step::One(_) | Step::Any | Step::Inside => None,
    }
}

/// Whether both automata come to their ends with the same characters. Each pair of states is visited once.
fn have_common(one: &[Step], other: &[Step]) -> bool {
    let width = other.len() + 1;
    let mut seen = vec![false; (one.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if (i, j) == (one.len(), other.len()) {
            return true;
        }
        let both = takes(one, i).into_iter().flatten().flat_map(|(taken, i)| {
            let too = takes(other, j).into_iter().flatten().filter(move |(too, _)| taken.meets(*too));
            too.map(move |(_, j)| (i, j))
        });
        let alone = skips(one, i).map(|i| (i, j)).into_iter().chain(skips(other, j).map(|j| (i, j)));
        open.extend(both.chain(alone).filter(|&(i, j)| !core::mem::replace(&mut seen[i * width + j], true)));
    }
    false
}

const ANY_SEGMENTS: &str = "**";

/// Runs with a question mark are searched for character by character, so they have to be short.
const RUN_WITH_QUESTION_MARKS: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, 512, 32).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_matches() {
        for (text, yes, no) in [
            (
                "/topic/a",
                &["/topic/a"][..],
                &["/topic/b", "/topic/ab", "/topic/a/", "//topic/a", "topic/a", "/topic", ""][..],
            ),
            ("/topic/*", &["/topic/a", "/topic/"], &["/topic", "/topic/a/b", "/queue/a"]),
            (
                "/topic/**",
                &["/topic", "/topic/", "/topic/a", "/topic/a/b/", "/topic//b"],
                &["/topics", "/queue/a", "topic/a"],
            ),
            ("/**", &["/", "/a", "/a/b"], &["", "a"]),
            ("/**/b", &["/b", "/a/b", "/a/a/b", "/b/b"], &["/a", "/b/a", "/ab"]),
            ("/a/**/b/**/c", &["/a/b/c", "/a/x/b/b/y/c", "/a/b/c/c"], &["/a/c", "/a/c/b", "/a/b"]),
            ("/topic/price.?", &["/topic/price.x", "/topic/price.é"], &["/topic/price.", "/topic/price.xy"]),
            ("/topic/*.nyse.*", &["/topic/a.nyse.b", "/topic/.nyse.nyse."], &["/topic/nyse", "/topic/a.nyse/b"]),
            ("/queue/*-user*", &["/queue/a-user1", "/queue/-user"], &["/queue/a/b-user1", "/queue/user"]),
            ("/a/{id}/c", &["/a/b/c", "/a/é/c"], &["/a/b/b/c", "/a/c"]),
            ("/a/x{id}y", &["/a/x12y", "/a/xy"], &["/a/xa", "/a/12y"]),
            ("/a/{b}:{c}", &["/a/x:y", "/a/:"], &["/a/xy"]),
            ("/a/{x}{y}", &["/a/b"], &["/a/b/c"]),
            ("/a/***", &["/a/b"], &["/a/b/c"]),
            ("/a/b**", &["/a/b", "/a/bc"], &["/a/b/c"]),
            ("/a/*bc*?bd*", &["/a/bcxbd", "/a/bcbcbdbd"], &["/a/bcbd", "/a/bdbcx"]),
            ("/a/*é?*", &["/a/éé", "/a/éxé"], &["/a/é", "/a/xé"]),
            ("a.*", &["a.b", "a."], &["/a.b", "a"]),
        ] {
            for destination in yes {
                assert!(pattern(text).matches(destination), "{text} {destination}");
            }
            for destination in no {
                assert!(!pattern(text).matches(destination), "{text} {destination}");
            }
            assert_eq!(pattern(text).as_str(), text);
        }
    }

    #[test]
    fn what_is_a_pattern() {
        for text in ["/a/*", "/a/?", "/a/{b}", "/a/{"] {
            assert!(is_pattern(text));
        }
        assert!(!is_pattern("/topic/a.b-c"));
    }

    #[test]
    fn what_is_none() {
        assert_eq!(Pattern::parse("", 512, 32), Err(PatternError::Empty));
        for text in ["/a/{", "/a/}", "/a/{b", "/a/b}", "/a/{}", "/a/{{}}", "/a/{b/c}", "/a/{b}}", "/a/{b}/{}"] {
            assert_eq!(Pattern::parse(text, 512, 32), Err(PatternError::Braces), "{text}");
        }
    }

    #[test]
    fn s12_a_regular_expression_is_refused_and_never_widened() {
        for text in ["/a/{id:[0-9]+}", "/a/x{id:[0-9]{2}}y", "/a/{id:}", "/a/{id:*}", "/{a}/{b:c}", "/a/{id:[^/]+}"] {
            assert_eq!(Pattern::parse(text, 512, 32), Err(PatternError::Regex), "{text}");
        }
        let text = PatternError::Regex.to_string();
        assert!(text.contains("regular expression") && text.contains("{name:…}"), "{text}");
    }

    #[test]
    fn s12_limits() {
        let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert!(Pattern::parse(&long(512), 512, 32).is_ok());
        assert_eq!(Pattern::parse(&long(513), 512, 32), Err(PatternError::TooLong));
        assert!(Pattern::parse(&"/*".repeat(32), 512, 32).is_ok());
        assert_eq!(Pattern::parse(&"/*".repeat(33), 512, 32), Err(PatternError::TooManySegments));
        let run = |characters: usize| format!("/a/*{}é*", "?".repeat(characters - 1));
        assert!(Pattern::parse(&run(16), 512, 32).is_ok());
        assert_eq!(Pattern::parse(&run(17), 512, 32), Err(PatternError::QuestionMarks));
        // Only what has to be searched for costs.
        let ends = format!("/{0}*{0}", "?".repeat(100));
        assert!(pattern(&ends).matches(&format!("/{}", "x".repeat(200))));
    }

    /// Work that grows by the square would take minutes here, and a matcher that tries all ways would never end.
    #[test]
    fn s12_a_hostile_pattern_takes_linear_time() {
        const MANY: usize = 200_000;
        let many = |text: &str| text.repeat(MANY);
        for text in [
            format!("/{}b", many("*a")),
            format!("/*{}b*", many("a")),
            format!("/*{}b*", many("?*a*")),
            format!("/{}b", many("**/")),
            format!("/{}b", many("**/a/")),
            format!("/{}b", many("{x}a")),
            format!("/*{}b*", "?a".repeat(7)),
        ] {
            let hostile = Pattern::parse(&text, usize::MAX, usize::MAX).expect("within limits");
            assert!(!hostile.matches(&format!("/{}", many("a"))));
            assert!(!hostile.matches(&format!("/{}", many("a/"))));
        }
    }

    #[test]
    fn s13_what_reaches_private_queues() {
        let private = pattern("/queue/*-user*");
        for text in [
            "/queue/*-user*",
            "/queue/messages-user123",
            "/queue/**",
            "/**",
            "/*/*",
            "/{a}/{b}",
            "/q?eue/*",
            "/queue/*",
            "/queue/m*",
            "/queue/*1",
            "/queue/?????",
            "/queue/*u*s*e*r*",
            "/**/queue/**/m*",
            "/**/messages-user1",
        ] {
            assert!(pattern(text).overlaps(&private), "{text}");
            assert!(private.overlaps(&pattern(text)), "{text}");
        }
        for text in [
            "/topic/**",
            "/queue/messages",
            "/queue/????",
            "/queue",
            "/queue/",
            "/queue/*/*",
            "queue/**",
            "/queues/*",
            "/*",
            "/**/queue/a/*",
        ] {
            assert!(!pattern(text).overlaps(&private), "{text}");
            assert!(!private.overlaps(&pattern(text)), "{text}");
        }
    }

    /// All ways, one after the other: slow, and plain to see.
    fn naive(pattern: &[&str], destination: &[&str]) -> bool {
        match (pattern.split_first(), destination.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), given) => {
                naive(rest, destination) || given.is_some_and(|(_, left)| naive(pattern, left))
            }
            (Some((segment, rest)), Some((text, left))) => naive_segment(segment, text) && naive(rest, left),
            _ => false,
        }
    }

    fn naive_segment(segment: &str, text: &str) -> bool {
        let (mut wanted, mut given) = (segment.chars(), text.chars());
        match (wanted.next(), given.next()) {
            (None, None) => true,
            (Some('*'), next) => {
                naive_segment(wanted.as_str(), text) || next.is_some() && naive_segment(segment, given.as_str())
            }
            (Some(one), Some(other)) => (one == '?' || one == other) && naive_segment(wanted.as_str(), given.as_str()),
            _ => false,
        }
    }

    fn naive_matches(pattern: &str, destination: &str) -> bool {
        let ((root, wanted), (other_root, given)) = (rooted(pattern), rooted(destination));
        let (wanted, given): (Vec<_>, Vec<_>) = (wanted.split('/').collect(), given.split('/').collect());
        root == other_root && naive(&wanted, &given)
    }

    /// Every destination of up to so many characters behind the first slash.
    fn all(characters: u32) -> impl Iterator<Item = String> {
        (0..=characters).flat_map(|length| {
            (0..3_usize.pow(length)).map(move |mut number| {
                let mut text = String::from("/");
                for _ in 0..length {
                    text.push(['a', 'b', '/'][number % 3]);
                    number /= 3;
                }
                text
            })
        })
    }

    proptest! {
        #[test]
        fn matches_what_a_naive_matcher_matches(text in "/?[ab/?*é]{0,10}", destination in "/?[ab/é]{0,10}") {
            prop_assume!(!text.is_empty());
            prop_assert_eq!(pattern(&text).matches(&destination), naive_matches(&text, &destination));
        }

        #[test]
        fn matches_what_a_naive_matcher_matches_in_one_segment(text in "/[ab?*]{0,12}", destination in "/[ab]{0,16}") {
            prop_assert_eq!(pattern(&text).matches(&destination), naive_matches(&text, &destination));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The shortest destination of both is no longer than both patterns together, so that all of them can be tried.
        #[test]
        fn s13_overlaps_if_and_only_if_there_is_a_destination(one in "/[ab/?*]{0,4}", other in "/[ab/?*]{0,4}") {
            let (one, other) = (pattern(&one), pattern(&other));
            let common = all(8).find(|destination| one.matches(destination) && other.matches(destination));
            prop_assert_eq!(one.overlaps(&other), common.is_some(), "{:?}", common);
            prop_assert_eq!(other.overlaps(&one), common.is_some());
        }
    }
}
