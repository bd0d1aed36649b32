//! Files that every visitor may have: scripts, styles, the icon.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use tethered_core::http;

use super::pages;

/// A file that is part of the program.
pub(super) struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// The file, or 304 if the visitor has it already. It is asked for each time, as it may change with the server.
    pub(super) fn response(&self, request: &http::Request) -> http::Response {
        let etag = self.etag();
        let known = request.text("if-none-match").is_some_and(|tags| tags.split(',').any(|tag| same_tag(tag, &etag)));
        let mut response = http::Response::new(if known { 304 } else { 200 });
        pages::put(&mut response, "ETag", &etag);
        pages::put(&mut response, "Cache-Control", "no-cache");
        pages::put(&mut response, "X-Content-Type-Options", "nosniff");
        if known {
            return response;
        }
        pages::put(&mut response, "Content-Type", self.content_type);
        response.with_body(Bytes::from_static(self.body.as_bytes()))
    }

    fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.body.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// Weak comparison (RFC 9110 §8.8.3.2).
fn same_tag(asked: &str, ours: &str) -> bool {
    let asked = asked.trim();
    asked == "*" || asked.strip_prefix("W/").unwrap_or(asked) == ours
}

const SCRIPT: &str = "text/javascript;charset=UTF-8";

const ASSETS: &[Asset] = &[
    Asset {
        path: "/assets/style.css",
        content_type: "text/css;charset=UTF-8",
        body: include_str!("../../pages/style.css"),
    },
    Asset { path: "/assets/chat.js", content_type: SCRIPT, body: include_str!("../../pages/chat.js") },
    Asset { path: "/assets/stomp.js", content_type: SCRIPT, body: include_str!("../../pages/stomp.js") },
    Asset { path: "/assets/tether.js", content_type: SCRIPT, body: include_str!("../../pages/tether.js") },
    Asset { path: "/assets/icon.svg", content_type: "image/svg+xml", body: include_str!("../../pages/icon.svg") },
    Asset { path: "/favicon.ico", content_type: "image/svg+xml", body: include_str!("../../pages/icon.svg") },
];
