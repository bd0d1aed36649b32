//! The pages: templates with every value escaped, and the headers that keep a browser from doing more than they need.

use tethered_core::http::Response;

/// The login page. `notice` is said above the form, and below it who can log in if that is no secret.
pub(super) fn login(status: u16, masked: &str, notice: Notice, demo_users: bool) -> Response {
    let hint = if demo_users { DEMO_USERS } else { "" };
    let values = [("csrf", masked), ("tone", notice.tone()), ("notice", notice.text()), ("hint", hint)];
    let text = fill(LOGIN, &values);
    private(Response::html(status, text))
}

/// The chat page. `connect` is the header of CONNECT that has to carry the token; empty if none has to.
pub(super) fn chat(name: &str, masked: &str, timeout_ms: u64, connect: &str) -> Response {
    let timeout = timeout_ms.to_string();
    let text = fill(CHAT, &[("user", name), ("csrf", masked), ("timeout", &timeout), ("connect", connect)]);
    private(Response::html(200, text))
}

/// A page that says what went wrong.
pub(super) fn error(status: u16, title: &str, text: &str) -> Response {
    private(Response::html(status, fill(ERROR, &[("status", &status.to_string()), ("title", title), ("text", text)])))
}

/// 302 to one of our own pages.
pub(super) fn redirect(path: &'static str) -> Response {
    private(Response::redirect(path).expect("INVARIANT: our own paths are header values"))
}

/// Something for one visitor's eyes: with all security headers, and never stored.
pub(super) fn private(mut response: Response) -> Response {
    for (name, value) in [
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
    ] {
        put(&mut response, name, value);
    }
    response
}

/// Adds a header whose value is our own.
pub(super) fn put(response: &mut Response, name: &str, value: &str) {
    response.header(name, value).expect("INVARIANT: our own headers are headers");
}

/// What the login page has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Nothing,
    Wrong,
    LoggedOut,
    TooOften,
    Stale,
}

impl Notice {
    /// By the query that led to the page.
    pub(super) fn of(query: Option<&str>) -> Self {
        match query {
            Some("error") => Self::Wrong,
            Some("logout") => Self::LoggedOut,
            _ => Self::Nothing,
        }
    }

    const fn tone(self) -> &'static str {
        match self {
            Self::Nothing | Self::LoggedOut => "calm",
            Self::Wrong | Self::TooOften | Self::Stale => "alert",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Wrong => "That name and password do not belong together. Please try again.",
            Self::LoggedOut => "You are logged out. Every other tab of that login was cut off at the same moment.",
            Self::TooOften => "Too many attempts. Please wait a minute, then try again.",
            Self::Stale => "This form had grown old. Please log in once more.",
        }
    }
}

/// Puts values, escaped, where `{{name}}` stands.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            continue;
        };
        if let Some((_, value)) = values.iter().find(|(n, _)| *n == name) {
            escape(&mut out, value);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Escapes text for HTML, in content and in quoted attributes.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

const LOGIN: &str = include_str!("../../pages/login.html");
const CHAT: &str = include_str!("../../pages/chat.html");
const ERROR: &str = include_str!("../../pages/error.html");

const DEMO_USERS: &str = "Users of this demo: rob and luke. The password of both is: password. \
                          To be both at once, open a private window for the second.";

/// Nothing inline, nothing from elsewhere, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        assert_eq!(
            fill("<p title=\"{{a}}\">{{b}}</p>", &[("a", "\"'"), ("b", "<b>&")]),
            "<p title=\"&quot;&#39;\">&lt;b&gt;&amp;</p>"
        );
    }

    #[test]
    fn what_a_value_holds_is_not_filled_again() {
        assert_eq!(fill("{{a}} {{b}}", &[("a", "{{b}}"), ("b", "x")]), "{{b}} x");
    }

    #[test]
    fn templates_ask_only_for_what_they_are_given() {
        for (template, names) in [
            (LOGIN, &["csrf", "tone", "notice", "hint"][..]),
            (CHAT, &["user", "csrf", "timeout", "connect"]),
            (ERROR, &["status", "title", "text"]),
        ] {
            for asked in template.split("{{").skip(1) {
                let (name, _) = asked.split_once("}}").expect("closed");
                assert!(names.contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn pages_hold_nothing_inline() {
        for page in [LOGIN, CHAT, ERROR] {
            assert!(!page.contains("<style") && !page.contains(" style="), "styles");
            assert!(
                page.matches("<script").count() == page.matches("<script type=\"module\" src=\"/assets/").count(),
                "scripts"
            );
            for after in page.split(" on").skip(1) {
                let word: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
                assert!(!after[word.len()..].starts_with('='), "on{word}=");
            }
        }
    }

    #[test]
    fn only_the_login_page_holds_a_password_field() {
        assert!(LOGIN.contains("name=\"password\""));
        assert!(!CHAT.contains("password") && !ERROR.contains("password"));
    }
}
