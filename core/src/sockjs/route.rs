//! What a path below the prefix of a service asks for.

use super::transport::Transport;

/// SJ_ID: bytes of a server's or a session's name in a path, once decoded.
pub const NAME_BYTES: usize = 256;

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// The prefix itself, with or without a slash.
    Greeting,
    /// `/iframe.html`, `/iframe-1.6.1.html` and the like.
    Iframe,
    /// `/info`.
    Info,
    /// `/websocket`: messages without frames of SockJS.
    RawWebSocket,
    /// `/<server>/<session>/<transport>`. The server's name is for load balancers and means nothing here.
    Session {
        /// The name that the client gave its session.
        session: &'a str,
        /// How it wants to speak.
        transport: Transport,
    },
}

/// A method that a route may be asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET; HEAD where the answer is a page.
    Get,
    /// POST.
    Post,
    /// OPTIONS: the preflight of a request from another origin.
    Options,
}

impl<'a> Route<'a> {
    /// What `rest` asks for: a path, decoded, without the prefix of the service. `None`: nothing is there.
    pub fn of(rest: &'a str) -> Option<Self> {
        if rest.is_empty() || rest == "/" {
            return Some(Self::Greeting);
        }
        let (first, behind) = cut(rest.strip_prefix('/')?);
        let (second, behind) = behind.map(cut).unzip();
        let (third, behind) = behind.flatten().map(cut).unzip();
        if behind.flatten().is_some() {
            return None;
        }
        match (first, second, third) {
            ("info", None, None) => Some(Self::Info),
            ("websocket", None, None) => Some(Self::RawWebSocket),
            (page, None, None) if is_iframe(page) => Some(Self::Iframe),
            (server, Some(session), Some(transport)) if is_name(server) && is_name(session) => {
                Some(Self::Session { session, transport: Transport::of(transport)? })
            }
            _ => None,
        }
    }

    /// The methods that it may be asked for with, as `Allow` lists them.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Greeting | Self::Iframe | Self::RawWebSocket => &[Method::Get],
            Self::Info => &[Method::Get, Method::Options],
            Self::Session { transport, .. } => transport.methods(),
        }
    }
}

impl Method {
    /// The method of this name. HEAD is not among them: where it may be used is for HTTP to say.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "OPTIONS" => Some(Self::Options),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Options => "OPTIONS",
        }
    }
}

/// `iframe` + anything of `0-9 a-z A-Z . _ -` + `.html`.
fn is_iframe(name: &str) -> bool {
    let version = name.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| {
        (version.is_empty() || version.starts_with('-'))
            && version.len() <= NAME_BYTES
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    })
}

/// The first segment, and what follows the slash behind it.
fn cut(path: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'/', path.as_bytes()) {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..)),
        None => (path, None),
    }
}

/// A dot would make it look like a file to proxies and caches.
fn is_name(name: &str) -> bool {
    if !(1..=NAME_BYTES).contains(&name.len()) {
        return false;
    }
    // All bytes are looked at, which is quicker than to stop at the first one that does not fit.
    let plain = name.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte) & (byte != b'.'));
    plain || !name.chars().any(|c| c == '.' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn session(path: &str) -> Option<(String, Transport)> {
        match Route::of(path) {
            Some(Route::Session { session, transport }) => Some((session.into(), transport)),
            _ => None,
        }
    }

    #[test]
    fn finds_what_is_there() {
        assert_eq!(Route::of(""), Some(Route::Greeting));
        assert_eq!(Route::of("/"), Some(Route::Greeting));
        assert_eq!(Route::of("/info"), Some(Route::Info));
        assert_eq!(Route::of("/websocket"), Some(Route::RawWebSocket));
        for name in ["iframe.html", "iframe-.html", "iframe-1.6.1-dirty.77.html", "iframe-x_Y.html"] {
            assert_eq!(Route::of(&format!("/{name}")), Some(Route::Iframe), "{name}");
        }
        for (name, transport) in Transport::ALL.map(|transport| (transport.name(), transport)) {
            assert_eq!(session(&format!("/000/abc/{name}")), Some(("abc".into(), transport)));
            assert_eq!(session(&format!("/000/abc/{name}/")), None);
        }
        assert_eq!(session("/x~y!$&'()*+,;=:@z/ é/xhr"), Some((" é".into(), Transport::Xhr)));
    }

    #[test]
    fn j03_finds_nothing_else() {
        for path in [
            "x",
            "//",
            "///",
            "/x",
            "/x/",
            "/x/y",
            "/x/y/",
            "/x/y/z/w",
            "/inf",
            "/infoo",
            "/Info",
            "/info/",
            "/websocket/x",
            "/xhr",
            "/a/b/nosuch",
            "/a/b/XHR",
            "/a/b/xhr_send/x",
            "//b/xhr",
            "/a//xhr",
            "/a.b/c/xhr",
            "/a/b.c/xhr",
            "/a/b/",
            "/iframe",
            "/iframe.htm",
            "/iframe.HTML",
            "/iframex.html",
            "/iframe-a/.html",
            "/x/iframe.html",
            "/iframe-é.html",
            "/a/b\n/xhr",
            "/a\u{85}/b/xhr",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn j03_names_have_an_end() {
        let path = |len: usize| format!("/0/{}/xhr", "x".repeat(len));
        assert!(Route::of(&path(NAME_BYTES)).is_some());
        assert_eq!(Route::of(&path(NAME_BYTES + 1)), None);
        let server = |len: usize| format!("/{}/0/xhr", "x".repeat(len));
        assert!(Route::of(&server(NAME_BYTES)).is_some());
        assert_eq!(Route::of(&server(NAME_BYTES + 1)), None);
    }

    #[test]
    fn methods_have_names() {
        for method in [Method::Get, Method::Post, Method::Options] {
            assert_eq!(Method::of(method.as_str()), Some(method));
        }
        assert_eq!((Method::of("get"), Method::of("HEAD"), Method::of("")), (None, None, None));
    }
}
