//! What a service tells about itself.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use sha1::{Digest, Sha1};

/// The greeting.
pub const WELCOME: &str = "Welcome to SockJS!\n";

/// The body of `/info`. `entropy` has to be fresh each time.
pub fn info(websocket: bool, cookie_needed: bool, entropy: u32) -> String {
    format!(r#"{{"websocket":{websocket},"origins":["*:*"],"cookie_needed":{cookie_needed},"entropy":{entropy}}}"#)
}

/// The page through which a client of another origin speaks where its browser lets it do so in no other way, and the
/// `ETag` of that page. `client_url` is where the client's script is.
pub fn iframe(client_url: &str) -> (String, String) {
    let mut url = String::with_capacity(client_url.len());
    for c in client_url.chars() {
        match c {
            '&' => url.push_str("&amp;"),
            '"' => url.push_str("&quot;"),
            '<' => url.push_str("&lt;"),
            '>' => url.push_str("&gt;"),
            c => url.push(c),
        }
    }
    let page = format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n\
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n\
         <script src=\"{url}\"></script>\n<script>\ndocument.domain = document.domain;\n\
         SockJS.bootstrap_iframe();\n</script>\n</head>\n<body>\n<h2>Don't panic!</h2>\n\
         <p>This page is a part of SockJS: it carries messages between two sites.</p>\n</body>\n</html>\n"
    );
    let mut tag = String::from("\"");
    for byte in Sha1::digest(page.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    (page, tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_it_is_asked() {
        assert_eq!(
            info(true, false, 4_294_967_295),
            r#"{"websocket":true,"origins":["*:*"],"cookie_needed":false,"entropy":4294967295}"#
        );
    }

    #[test]
    fn the_page_changes_with_the_url_only() {
        let (page, tag) = iframe("/sockjs.js?a&b\"><script>");
        assert!(page.contains("src=\"/sockjs.js?a&amp;b&quot;&gt;&lt;script&gt;\""));
        assert_eq!(iframe("/sockjs.js?a&b\"><script>").1, tag);
        assert_ne!(iframe("/sockjs.js").1, tag);
        assert!(tag.len() == 42 && tag.starts_with('"') && tag.ends_with('"'));
    }
}
