//! Target `sockjs_body`: what a client sends is read as a JSON library reads it, and what is written both read again.
use tethered_core::sockjs::{
    Messages, Payload, Route, Transport, callback, payload, push_close, push_messages, push_string,
};

/// Runs one input; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let theirs = serde_json::from_slice::<Vec<String>>(data).ok();
    assert_eq!(read(data), theirs, "{}", data.escape_ascii());
    form(data);
    write(data);
    if let Ok(text) = std::str::from_utf8(data) {
        path(text);
    }
}

fn read(json: &[u8]) -> Option<Vec<String>> {
    let mut messages = Messages::of(json).ok()?;
    let (mut all, mut scratch) = (Vec::new(), Vec::new());
    while let Some(message) = messages.next(&mut scratch) {
        all.push(String::from_utf8(message.to_vec()).expect("a message is UTF-8"));
    }
    Some(all)
}

/// Any bytes become frames that both read, in each transport's wrapping as well.
fn write(data: &[u8]) {
    let texts: Vec<&[u8]> = data.split(|byte| *byte == b'|').collect();
    let strings: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| {
            let mut string = Vec::new();
            push_string(&mut string, text);
            string
        })
        .collect();
    let mut frame = Vec::new();
    push_messages(&mut frame, &strings);
    let expected: Vec<String> = texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    let json = frame.strip_prefix(b"a").expect("a frame of messages");
    assert_eq!(read(json).as_ref(), Some(&expected));
    assert_eq!(serde_json::from_slice::<Vec<String>>(json).ok(), Some(expected));
    for raw in ["\u{2028}", "\u{2029}", "\u{feff}", "\u{200c}", "\n", "\r", "\0"] {
        assert!(!frame.windows(raw.len()).any(|part| part == raw.as_bytes()), "{raw:?} as it is");
    }
    let mut close = Vec::new();
    push_close(&mut close, 3000, &String::from_utf8_lossy(data));
    let (code, reason): (u16, String) = serde_json::from_slice(&close[1..]).expect("a code and a reason");
    assert_eq!((code, reason), (3000, String::from_utf8_lossy(data).into_owned()));
    for transport in Transport::ALL {
        let mut out = Vec::new();
        transport.wrap(&mut out, "cb", &frame);
        let text = std::str::from_utf8(&out).expect("what is written is UTF-8");
        let inside = match transport {
            Transport::Xhr | Transport::XhrStreaming => text.strip_suffix('\n').map(str::to_owned),
            Transport::EventSource => {
                text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\r\n\r\n")).map(str::to_owned)
            }
            Transport::HtmlFile => script(text, "<script>\np(\"", "\");\n</script>\r\n"),
            Transport::Jsonp => script(text, "/**/cb(\"", "\");\r\n"),
            Transport::WebSocket | Transport::XhrSend | Transport::JsonpSend => Some(text.to_owned()),
        };
        assert_eq!(inside.as_deref().map(str::as_bytes), Some(&frame[..]), "{transport:?}");
    }
}

/// What a string in a script holds: of its escapes all that are written are JSON's, but for the apostrophe.
fn script(text: &str, before: &str, behind: &str) -> Option<String> {
    let inside = text.strip_prefix(before)?.strip_suffix(behind)?;
    assert!(!inside.contains(['<', '>', '\n']), "{inside}");
    serde_json::from_str(&format!("\"{}\"", inside.replace("\\'", "'"))).ok()
}

fn form(data: &[u8]) {
    let kind = Some(&b"application/x-www-form-urlencoded"[..]);
    if let Payload::Json(json) = payload(data, kind) {
        assert!(!json.is_empty() && json.len() < data.len());
    }
    match payload(data, Some(b"text/plain")) {
        Payload::Json(json) => assert_eq!(&json[..], data),
        Payload::Nothing => assert!(data.is_empty()),
    }
}

fn path(text: &str) {
    if let Some(Route::Session { session, .. }) = Route::of(text) {
        assert!((1..=256).contains(&session.len()) && !session.contains(['.', '/']));
    }
    if let Ok(name) = callback(Some(text)) {
        assert!((1..=64).contains(&name.len()) && !name.contains(['(', '<', ';', ' ', '\n', '\'', '"']));
    }
}
