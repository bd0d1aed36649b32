//! HTML forms.

use tethered_core::http;

/// The first value of each named field of a form that was sent; `None` if it is no such form.
pub(super) fn fields<const N: usize>(request: &http::Request, names: [&str; N]) -> Option<[Option<String>; N]> {
    let essence = request.text("content-type")?.split(';').next()?.trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(request.body()) {
        if let Some(i) = names.iter().position(|wanted| *wanted == name)
            && values[i].is_none()
        {
            values[i] = Some(value.into_owned());
        }
    }
    Some(values)
}
