//! Who may SEND and SUBSCRIBE where: an ordered list of [`Rules`], of which the first that matches decides.

use alloc::vec::Vec;

use super::destination::{Pattern, is_pattern};

/// What a [`Rule`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// SEND.
    Send,
    /// SUBSCRIBE.
    Subscribe,
    /// Both.
    Any,
}

/// What a [`Rule`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Anybody may.
    Allow,
    /// Nobody may.
    Deny,
    /// Who has a principal may.
    Authenticated,
}

/// A verdict on destinations.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is about.
    pub operation: Operation,
    /// Where. A regular expression in it was refused when it was parsed: no rule is wider than what was written.
    pub pattern: Pattern,
    /// What it says.
    pub verdict: Verdict,
}

/// Rules in order. The first that matches decides; if none does, the default verdict.
///
/// A SUBSCRIBE to a pattern reaches many destinations, so *matches* means something else for it (S13): a rule that
/// refuses decides if the two have any destination in common, one that permits only if it surely covers all of the
/// pattern, that is, if both have the same text or the rule's is `/some/words/**` and the pattern begins with
/// `/some/words/`. So a pattern is never a way around a refusal.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    otherwise: Verdict,
}

impl Rules {
    /// These rules, and a verdict for all else.
    pub fn new(rules: Vec<Rule>, otherwise: Verdict) -> Self {
        Self { rules, otherwise }
    }

    /// Anybody may do anything: the library's default (S15).
    pub fn open() -> Self {
        Self::new(Vec::new(), Verdict::Allow)
    }

    /// As in the sample application of Spring Session (S15): nobody may SEND to the broker's own destinations or to a
    /// user's, nor SUBSCRIBE to what a user destination is turned into there; all else is for users with a login.
    pub fn sample() -> Self {
        let deny = |operation, text| Rule { operation, pattern: constant(text), verdict: Verdict::Deny };
        let rules = alloc::vec![
            deny(Operation::Send, "/queue/**"),
            deny(Operation::Send, "/topic/**"),
            deny(Operation::Send, "/user/**"),
            deny(Operation::Subscribe, "/queue/*-user*"),
            deny(Operation::Subscribe, "/topic/*-user*"),
        ];
        Self::new(rules, Verdict::Authenticated)
    }

    /// Puts a rule before all others.
    pub fn prepend(&mut self, rule: Rule) {
        self.rules.insert(0, rule);
    }

    /// Whether one who has a principal, or has none, may SEND to `destination`.
    pub fn may_send(&self, destination: &str, authenticated: bool) -> bool {
        self.decide(Operation::Send, authenticated, |rule, _| rule.matches(destination))
    }

    /// Whether one who has a principal, or has none, may SUBSCRIBE to exactly `destination`.
    pub fn may_subscribe(&self, destination: &str, authenticated: bool) -> bool {
        self.decide(Operation::Subscribe, authenticated, |rule, _| rule.matches(destination))
    }

    /// Whether one who has a principal, or has none, may SUBSCRIBE to all that `pattern` matches.
    pub fn may_subscribe_pattern(&self, pattern: &Pattern, authenticated: bool) -> bool {
        self.decide(Operation::Subscribe, authenticated, |rule, permits| {
            if permits { covers(rule, pattern) } else { rule.overlaps(pattern) }
        })
    }

    /// `matches` is told whether the rule permits.
    fn decide(&self, operation: Operation, authenticated: bool, matches: impl Fn(&Pattern, bool) -> bool) -> bool {
        self.rules
            .iter()
            .filter(|rule| rule.operation == operation || rule.operation == Operation::Any)
            .map(|rule| (rule, rule.verdict.permits(authenticated)))
            .find(|(rule, permits)| matches(&rule.pattern, *permits))
            .map_or(self.otherwise.permits(authenticated), |(_, permits)| permits)
    }
}

impl Verdict {
    fn permits(self, authenticated: bool) -> bool {
        match self {
            Self::Allow => true,
            Self::Deny => false,
            Self::Authenticated => authenticated,
        }
    }
}

/// Whether all that `narrow` matches is surely matched by `wide` too.
fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    let (wide, narrow) = (wide.as_str(), narrow.as_str());
    let under =
        |words: &str| !is_pattern(words) && narrow.strip_prefix(words).is_some_and(|rest| rest.starts_with('/'));
    wide == narrow || wide.strip_suffix("/**").is_some_and(under)
}

fn constant(text: &str) -> Pattern {
    Pattern::parse(text, 64, 8).expect("INVARIANT: the patterns in this file are short and well formed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn rule(operation: Operation, text: &str, verdict: Verdict) -> Rule {
        Rule { operation, pattern: constant(text), verdict }
    }

    #[test]
    fn s15_the_sample_keeps_senders_off_the_broker() {
        let rules = Rules::sample();
        for (destination, allowed) in [
            ("/topic/news", false),
            ("/topic/a/b", false),
            ("/queue/x", false),
            ("/user/rob/queue/messages", false),
            ("/user/queue/x", false),
            ("/app/im", true),
        ] {
            assert_eq!(rules.may_send(destination, true), allowed, "{destination}");
            assert!(!rules.may_send(destination, false), "{destination}");
        }
        for (destination, allowed) in [
            ("/topic/news", true),
            ("/user/queue/messages", true),
            ("/queue/messages-user4711", false),
            ("/topic/x-user1", false),
            ("/topic/a/x-user1", true),
        ] {
            assert_eq!(rules.may_subscribe(destination, true), allowed, "{destination}");
            assert!(!rules.may_subscribe(destination, false), "{destination}");
        }
    }

    #[test]
    fn s13_a_pattern_is_no_way_around_a_refusal() {
        let rules = Rules::sample();
        for (text, allowed) in [
            ("/queue/**", false),
            ("/queue/*", false),
            ("/queue/messages-user*", false),
            ("/**", false),
            ("/*/messages-user1", false),
            ("/topic/*", false),
            ("/topic/news/*", true),
            ("/topic/news.*", false),
        ] {
            assert_eq!(rules.may_subscribe_pattern(&constant(text), true), allowed, "{text}");
            assert!(!rules.may_subscribe_pattern(&constant(text), false), "{text}");
        }
        assert!(Rules::open().may_subscribe_pattern(&constant("/**"), false));
    }

    #[test]
    fn s13_permission_for_a_part_is_none_for_the_whole() {
        let subscribe = |text, verdict| rule(Operation::Subscribe, text, verdict);
        let allowed = vec![
            subscribe("/topic/open.*", Verdict::Allow),
            subscribe("/topic/mine/**", Verdict::Authenticated),
            subscribe("/a*/**", Verdict::Allow),
        ];
        let rules = Rules::new(allowed, Verdict::Deny);
        for (text, authenticated, allowed) in [
            ("/topic/open.*", false, true),
            ("/topic/*", true, false),
            ("/topic/open.x*", true, false),
            ("/topic/mine/**", true, true),
            ("/topic/mine/*/x", true, true),
            ("/topic/mine/*/x", false, false),
            ("/topic/mine*", true, false),
            ("/topic/**", true, false),
            ("/a*/**", false, true),
            ("/a*/x*", false, false),
        ] {
            assert_eq!(rules.may_subscribe_pattern(&constant(text), authenticated), allowed, "{text}");
        }
    }

    #[test]
    fn a_rule_for_users_refuses_all_others_what_overlaps() {
        let rules = Rules::new(vec![rule(Operation::Any, "/topic/members/*", Verdict::Authenticated)], Verdict::Allow);
        assert!(rules.may_subscribe_pattern(&constant("/topic/**"), true));
        assert!(!rules.may_subscribe_pattern(&constant("/topic/**"), false));
        assert!(rules.may_subscribe_pattern(&constant("/queue/**"), false));
    }

    #[test]
    fn the_first_rule_decides_and_may_be_put_before() {
        let mut rules = Rules::sample();
        rules.prepend(rule(Operation::Send, "/topic/conformance.*", Verdict::Allow));
        assert!(rules.may_send("/topic/conformance.1", false));
        assert!(!rules.may_send("/topic/other", true));
        assert!(!rules.may_subscribe("/topic/conformance.1", false));
        rules.prepend(rule(Operation::Any, "/topic/**", Verdict::Deny));
        assert!(!rules.may_send("/topic/conformance.1", true));
        assert!(!rules.may_subscribe("/topic/conformance.1", true));
    }

    #[test]
    fn s15_the_library_allows_all() {
        let rules = Rules::open();
        assert!(rules.may_send("/topic/news", false) && rules.may_subscribe("/queue/x-user1", false));
    }
}
