//! Requests and their answers.

use bytes::Bytes;
use tethered_core::http::{Limits, Proxies, Request, Version};
use tethered_core::hub::Change;
use tethered_core::session::Record;
use tethered_core::time::{Instant, UnixMillis};

use super::*;
use crate::settings::Hash;

const TOKEN: &str = "6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c17";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

struct World {
    demo: Demo,
    now: Now,
    n: u8,
}

/// An answer, as it goes over the wire.
struct Answer {
    status: u16,
    head: String,
    body: String,
    session: Change,
}

impl World {
    fn new() -> Self {
        let mut demo = Demo::new(&crate::settings::tests::serve(&["--session-timeout=60s"]), [9; 16]);
        demo.users = [("rob", "password"), ("luke", "a b&c=ü")].map(|(n, p)| (n.to_owned(), Hash::cheap(p))).into();
        let now = Now { mono: Instant::from_millis(1_000), wall: UnixMillis::from_millis(0) };
        Self { demo, now, n: 0 }
    }

    fn ask(&mut self, request: &hub::Request) -> Answer {
        let mut n = self.n;
        let mut random = |bytes: &mut [u8]| {
            for b in bytes {
                n = n.wrapping_mul(17).wrapping_add(43);
                *b = n;
            }
        };
        let response = match self.demo.request(self.now, &mut random, request) {
            Reply::Ready(response) => *response,
            Reply::Verify(verify) => self.demo.verified(&mut random, verify.run()),
        };
        self.n = n;
        let mut out = Vec::new();
        response.http.write(&mut out, request.http.exchange(), None);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: response.http.status(),
            head: head.to_owned(),
            body: body.to_owned(),
            session: response.session,
        }
    }

    fn get(&mut self, target: &str) -> Answer {
        self.ask(&request("GET", target, &[], ""))
    }

    /// Logs in as a browser does: fetches the form, sends it back.
    fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let (cookie, token) = self.form();
        self.ask(&request("POST", "/login", &[FORM, ("Cookie", &cookie)], &login(&token, name, password)))
    }

    /// The login form's cookie and token.
    fn form(&mut self) -> (String, String) {
        let page = self.get("/login");
        let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        (cookie, page.token())
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"_csrf\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    fn leads_to(&self, path: &str) -> bool {
        self.status == 302 && self.header("location") == Some(path)
    }
}

fn login(token: &str, name: &str, password: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("_csrf", token).append_pair("username", name).append_pair("password", password);
    form.finish()
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> hub::Request {
    let host = [("Host", "localhost:8080")];
    let headers = host.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
    let mut http = Request::from_parts(method, target, Version::Http11, headers, &Limits::default()).unwrap();
    http.set_body(Bytes::copy_from_slice(body.as_bytes()));
    http.locate(&Proxies::default(), Some("10.0.0.1".parse().unwrap()), false).unwrap();
    hub::Request { http, session: None }
}

/// The same by somebody who is logged in.
fn as_rob(mut request: hub::Request) -> hub::Request {
    let attributes = vec![("csrf".into(), Bytes::from_static(TOKEN.as_bytes()))];
    request.session = Some(Record { id: "0e0e".into(), principal: Some("rob".into()), attributes });
    request
}

fn masked(token: &str) -> String {
    csrf::mask(token.as_bytes(), &mut |bytes: &mut [u8]| bytes.fill(0x5a))
}

#[test]
fn strangers_are_led_to_the_login_wherever_they_go() {
    let mut world = World::new();
    for target in ["/", "/csrf", "/?a=b", "/admin", "/session"] {
        let answer = world.get(target);
        assert!(answer.leads_to("/login"), "{target}");
        assert_eq!((answer.header("set-cookie"), answer.session.clone()), (None, Change::Keep));
    }
    assert!(world.ask(&request("POST", "/logout", &[FORM], "")).leads_to("/login"));
    let mut half = as_rob(request("GET", "/", &[], ""));
    half.session.as_mut().unwrap().attributes.clear();
    assert!(world.ask(&half).leads_to("/login"), "a session without a token is none of ours");
    let mut nobody = as_rob(request("GET", "/", &[], ""));
    nobody.session.as_mut().unwrap().principal = None;
    assert!(world.ask(&nobody).leads_to("/login"), "a session of nobody is no login (C11)");
}

#[test]
fn the_login_page_has_a_form_and_a_strict_cookie() {
    let page = World::new().get("/login");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html;charset=UTF-8")));
    for wanted in ["name=\"username\"", "name=\"password\"", "action=\"/login\"", "method=\"post\""] {
        assert!(page.body.contains(wanted), "{wanted}");
    }
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("LOGIN=") && cookie.len() > 40);
    for wanted in ["; Path=/login", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(wanted), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));
    assert!(!page.body.contains(&cookie[6..42]), "the page holds it masked only");
}

#[test]
fn over_https_the_login_cookie_is_secure() {
    let mut asked = request("GET", "/login", &[], "");
    asked.http.locate(&Proxies::default(), None, true).unwrap();
    assert!(World::new().ask(&asked).header("set-cookie").unwrap().contains("; Secure"));
}

#[test]
fn a_login_cookie_that_is_there_is_kept_so_that_two_tabs_can_log_in() {
    let mut world = World::new();
    let (cookie, first) = world.form();
    let second = world.ask(&request("GET", "/login", &[("Cookie", &cookie)], ""));
    assert_eq!(second.header("set-cookie"), None);
    assert_ne!(second.token(), first, "masked afresh");
    for token in [first, second.token()] {
        let answer =
            world.ask(&request("POST", "/login", &[FORM, ("Cookie", &cookie)], &login(&token, "rob", "password")));
        assert!(answer.leads_to("/"));
    }
    let broken = world.ask(&request("GET", "/login", &[("Cookie", "LOGIN=x")], ""));
    assert!(broken.header("set-cookie").is_some(), "one that cannot be ours is replaced");
}

#[test]
fn the_right_password_logs_in_under_a_new_id_with_a_token() {
    let mut world = World::new();
    let answer = world.log_in("rob", "password");
    assert!(answer.leads_to("/"));
    let Change::Login { principal, attributes } = answer.session else { panic!("no login") };
    assert_eq!(&*principal, "rob");
    let [(name, value)] = &attributes[..] else { panic!("{attributes:?}") };
    assert!(&**name == "csrf" && csrf::is_token(value));
    assert!(world.log_in("luke", "a b&c=ü").leads_to("/"), "any characters");
    assert_eq!(world.demo.counters(), Counters { logins: 2, ..Counters::default() });
}

#[test]
fn a_wrong_name_or_password_does_not() {
    let mut world = World::new();
    for (name, password) in [
        ("rob", "passwort"),
        ("rob", ""),
        ("nobody", "password"),
        ("", ""),
        ("luke", "password"),
        ("rob", &"x".repeat(2_000)),
    ] {
        let answer = world.log_in(name, password);
        assert!(answer.leads_to("/login?error"), "{name}");
        assert_eq!(answer.session, Change::Keep);
    }
    assert_eq!((world.demo.counters().failed_logins, world.demo.counters().logins), (6, 0));
    assert!(world.get("/login?error").body.contains("do not belong together"));
    assert!(world.get("/login?logout").body.contains("You are logged out"));
    assert!(!world.get("/login?anything").body.contains("role=\"alert\">You"));
}

#[test]
fn an_unknown_name_costs_as_much_as_a_known_one() {
    let mut world = World::new();
    let (cookie, token) = world.form();
    for name in ["rob", "nobody"] {
        let form = request("POST", "/login", &[FORM, ("Cookie", &cookie)], &login(&token, name, "wrong"));
        let reply = world.demo.request(world.now, &mut |_: &mut [u8]| (), &form);
        assert!(matches!(reply, Reply::Verify(_)), "{name}: {reply:?}");
    }
}

#[test]
fn a_login_form_needs_cookie_and_token_that_belong_together() {
    let mut world = World::new();
    let (cookie, token) = world.form();
    let (other_cookie, other_token) = world.form();
    let good = login(&token, "rob", "password");
    for (headers, body, what) in [
        (&[FORM][..], good.as_str(), "no cookie"),
        (&[FORM, ("Cookie", &other_cookie)], &good, "another form's cookie"),
        (&[FORM, ("Cookie", &cookie)], &login(&other_token, "rob", "password"), "another form's token"),
        (&[FORM, ("Cookie", &cookie)], "username=rob&password=password", "no token"),
        (&[FORM, ("Cookie", &cookie)], &login(&cookie[6..], "rob", "password"), "the token unmasked"),
        (&[FORM, ("Cookie", "LOGIN=")], &login("", "rob", "password"), "nothing and nothing"),
    ] {
        let answer = world.ask(&request("POST", "/login", headers, body));
        assert_eq!((answer.status, answer.session.clone()), (403, Change::Keep), "{what}");
        assert!(
            answer.body.contains("had grown old") && answer.body.contains("name=\"_csrf\""),
            "with a new form: {what}"
        );
    }
    assert_eq!(world.demo.counters().forged_forms, 6);
    assert!(world.ask(&request("POST", "/login", &[FORM, ("Cookie", &cookie)], &good)).leads_to("/"));
    let by_header = [FORM, ("Cookie", cookie.as_str()), ("X-CSRF-TOKEN", token.as_str())];
    assert!(world.ask(&request("POST", "/login", &by_header, "username=rob&password=password")).leads_to("/"));
}

#[test]
fn a_form_from_a_foreign_page_is_refused() {
    let mut world = World::new();
    let (cookie, token) = world.form();
    let body = login(&token, "rob", "password");
    for (origin, allowed) in [
        ("http://localhost:8080", true),
        ("http://evil.example", false),
        ("null", false),
        ("https://localhost:8080", false),
    ] {
        let answer = world.ask(&request("POST", "/login", &[FORM, ("Cookie", &cookie), ("Origin", origin)], &body));
        assert_eq!(answer.leads_to("/"), allowed, "{origin}");
        let logout =
            as_rob(request("POST", "/logout", &[FORM, ("Origin", origin)], &format!("_csrf={}", masked(TOKEN))));
        assert_eq!(world.ask(&logout).session == Change::End, allowed, "{origin}");
    }
}

#[test]
fn what_is_no_form_is_415() {
    let mut world = World::new();
    for headers in
        [&[][..], &[("Content-Type", "application/json")], &[("Content-Type", "multipart/form-data; boundary=x")]]
    {
        assert_eq!(world.ask(&request("POST", "/login", headers, "{}")).status, 415);
    }
}

#[test]
fn logins_that_fail_too_often_have_to_wait() {
    let mut world = World::new();
    for _ in 0..5 {
        assert!(world.log_in("rob", "wrong").leads_to("/login?error"));
    }
    let answer = world.log_in("rob", "password");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    assert!(answer.body.contains("Too many attempts") && answer.body.contains("name=\"password\""));
    assert_eq!(world.demo.counters().throttled_logins, 1);
    assert!(world.log_in("luke", "a b&c=ü").leads_to("/"), "others from that address can");
    world.now.mono = world.now.mono.after(60_000);
    assert!(world.log_in("rob", "password").leads_to("/"));
}

#[test]
fn the_chat_page_says_who_and_for_how_long_and_asks_for_no_password() {
    let mut world = World::new();
    let page = world.ask(&as_rob(request("GET", "/", &[], "")));
    assert_eq!((page.status, page.session.clone()), (200, Change::Keep));
    assert!(page.body.contains("data-user=\"rob\"") && page.body.contains("data-timeout-ms=\"60000\""));
    assert!(!page.body.contains("password"));
    assert!(csrf::matches(&page.token(), TOKEN.as_bytes()));
    assert!(page.body.contains("data-connect-header=\"\""));
    world.demo.connect_csrf = true;
    let page = world.ask(&as_rob(request("GET", "/", &[], "")));
    assert!(page.body.contains("data-connect-header=\"X-CSRF-TOKEN\""));
    let mut named = as_rob(request("GET", "/", &[], ""));
    named.session.as_mut().unwrap().principal = Some("\"><script>alert(1)</script>".into());
    assert!(!world.ask(&named).body.contains("<script>"), "names are escaped");
}

#[test]
fn who_is_logged_in_needs_no_login_page() {
    assert!(World::new().ask(&as_rob(request("GET", "/login", &[], ""))).leads_to("/"));
}

#[test]
fn csrf_is_json_with_a_fresh_mask_each_time() {
    let mut world = World::new();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = world.ask(&as_rob(request("GET", "/csrf", &[], "")));
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
        let rest = answer
            .body
            .strip_prefix("{\"headerName\":\"X-CSRF-TOKEN\",\"parameterName\":\"_csrf\",\"token\":\"")
            .unwrap();
        let token = rest.strip_suffix("\"}").unwrap().to_owned();
        assert!(csrf::matches(&token, TOKEN.as_bytes()));
        tokens.push(token);
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[test]
fn a_logout_needs_the_sessions_token() {
    let mut world = World::new();
    let other = masked("00000000-0000-4000-8000-000000000000");
    for (headers, body, ends) in [
        (&[FORM][..], format!("_csrf={}", masked(TOKEN)), true),
        (&[("X-CSRF-TOKEN", masked(TOKEN).as_str())], String::new(), true),
        (&[FORM], String::new(), false),
        (&[FORM], format!("_csrf={other}"), false),
        (&[FORM], format!("_csrf={TOKEN}"), false),
        (&[("X-CSRF-TOKEN", "")], String::new(), false),
    ] {
        let answer = world.ask(&as_rob(request("POST", "/logout", headers, &body)));
        assert_eq!(answer.session, if ends { Change::End } else { Change::Keep }, "{body}");
        assert!(if ends { answer.leads_to("/login?logout") } else { answer.status == 403 }, "{body}");
    }
    assert_eq!(world.demo.counters().forged_forms, 4);
}

#[test]
fn every_page_has_the_security_headers() {
    let mut world = World::new();
    let (cookie, token) = world.form();
    let answers = [
        world.get("/login"),
        world.get("/"),
        world.ask(&as_rob(request("GET", "/", &[], ""))),
        world.ask(&as_rob(request("GET", "/csrf", &[], ""))),
        world.ask(&as_rob(request("GET", "/nowhere", &[], ""))),
        world.ask(&request("PUT", "/login", &[], "")),
        world.ask(&request("POST", "/login", &[FORM], "")),
        world.ask(&request("POST", "/login", &[FORM, ("Cookie", &cookie)], &login(&token, "rob", "wrong"))),
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(wanted), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn unknown_addresses_and_wrong_methods() {
    let mut world = World::new();
    assert_eq!(world.ask(&as_rob(request("GET", "/nowhere", &[], ""))).status, 404);
    for (method, target, allow) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/csrf", "GET, HEAD"),
        ("PUT", "/login", "GET, HEAD, POST"),
        ("GET", "/logout", "POST"),
        ("POST", "/assets/chat.js", "GET, HEAD"),
    ] {
        for asked in [request(method, target, &[], ""), as_rob(request(method, target, &[], ""))] {
            let answer = world.ask(&asked);
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {target}");
        }
    }
}

#[test]
fn head_is_get_without_a_body() {
    let mut world = World::new();
    for target in ["/login", "/assets/style.css"] {
        let (get, head) = (world.get(target), world.ask(&request("HEAD", target, &[], "")));
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), get.header("content-length"));
    }
}

#[test]
fn assets_are_for_everybody_and_asked_for_once() {
    let mut world = World::new();
    for (target, kind) in [
        ("/assets/chat.js", "text/javascript;charset=UTF-8"),
        ("/assets/stomp.js", "text/javascript;charset=UTF-8"),
        ("/assets/tether.js", "text/javascript;charset=UTF-8"),
        ("/assets/style.css", "text/css;charset=UTF-8"),
        ("/assets/icon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        let answer = world.get(target);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let tag = answer.header("etag").unwrap().to_owned();
        for tags in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = world.ask(&request("GET", target, &[("If-None-Match", &tags)], ""));
            assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(&*tag)), "{tags}");
        }
        assert_eq!(world.ask(&request("GET", target, &[("If-None-Match", "\"x\"")], "")).status, 200);
    }
    assert!(world.get("/assets/nothing.js").leads_to("/login"));
}

#[test]
fn the_pages_ask_for_assets_that_are_there() {
    let mut world = World::new();
    for page in [
        world.get("/login"),
        world.ask(&as_rob(request("GET", "/", &[], ""))),
        world.ask(&as_rob(request("GET", "/no", &[], ""))),
    ] {
        for after in page.body.split("=\"/assets/").skip(1) {
            let target = format!("/assets/{}", after.split('"').next().unwrap());
            assert!(assets::find(&target).is_some(), "{target}");
        }
    }
}

#[test]
fn a_hint_names_the_demo_users_only_where_they_can_log_in() {
    let mut world = World::new();
    assert!(world.get("/login").body.contains("rob and luke"));
    world.demo.demo_users = false;
    assert!(!world.get("/login").body.contains("rob and luke"));
}

#[test]
fn debug_shows_no_password() {
    let mut world = World::new();
    let (cookie, token) = world.form();
    let form = request("POST", "/login", &[FORM, ("Cookie", &cookie)], &login(&token, "rob", "secret"));
    let reply = world.demo.request(world.now, &mut |_: &mut [u8]| (), &form);
    assert_eq!(format!("{reply:?}"), "Verify(Verify(..))");
}
