//! HTML, made of text that cannot become markup.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;

/// Nothing is loaded but our own style, nothing is run, forms go nowhere else, and no page frames this one.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// With `no-referrer`, browsers would not say which origin a form was sent by.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
];

/// A piece of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours: only what stands in the code.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, as it is. Which way it is written does not reach beyond it.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.0, "<bdi>{}</bdi>", escaped(text));
        self
    }

    /// Text that stands in an attribute, between the quotes of ours.
    pub(super) fn attribute(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escaped(text));
        self
    }

    /// A name as a step of a path, within an attribute.
    pub(super) fn step(&mut self, name: &str) -> &mut Self {
        let mut path = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
        // Of forms; in a path it is a plus.
        path = path.replace('+', "%20");
        self.attribute(&path)
    }

    pub(super) fn html(&mut self, other: &Html) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// A row of a table.
    pub(super) fn row(&mut self, cells: &[Html]) -> &mut Self {
        self.raw("<tr>");
        for cell in cells {
            self.raw("<td>").html(cell).raw("</td>");
        }
        self.raw("</tr>\n")
    }

    /// A table of rows, with these heads.
    pub(super) fn table(&mut self, heads: &[&'static str], rows: &Html) -> &mut Self {
        self.raw("<div class=wide><table><thead><tr>");
        for head in heads {
            self.raw("<th>").raw(head).raw("</th>");
        }
        self.raw("</tr></thead><tbody>\n").html(rows).raw("</tbody></table></div>\n")
    }
}

/// Text as a piece.
pub(super) fn text(text: &str) -> Html {
    let mut html = Html::default();
    html.text(text);
    html
}

/// A state, which has a colour where it is one of ours.
pub(super) fn state(name: &str) -> Html {
    let mut html = Html::default();
    html.raw("<span class=\"state ").attribute(name).raw("\">").text(name).raw("</span>");
    html
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// A whole page. `who`: whom it is shown to.
pub(super) fn page(status: StatusCode, title: &str, who: &str, body: &Html) -> Response {
    let mut html = Html::default();
    html.raw(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">",
    )
    .raw("<link rel=stylesheet href=\"/style.css\"><title>")
    .attribute(title)
    .raw(" · Nightmark</title></head>\n<body><header><h1><a href=\"/\">Nightmark</a></h1><span>")
    .text(title)
    .raw("</span><span class=who>")
    .text(who)
    .raw("</span></header>\n<main>\n")
    .html(body)
    .raw("</main></body></html>\n");
    with_headers((status, html.0).into_response())
}

/// The style of all pages.
pub(super) async fn style() -> Response {
    let mut response = with_headers(include_str!("style.css").into_response());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    response
}

fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let nasty = "<script>alert('x')</script> & \"q\"\u{0}\u{1b}[31m\u{202e}";
        let shown = text(nasty).0;
        assert_eq!(
            shown,
            "<bdi>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;\u{FFFD}\u{FFFD}[31m\u{202e}</bdi>"
        );
        let mut link = Html::default();
        link.raw("<a href=\"/jobs/").step("a b/\"><x?#é").raw("\">");
        assert_eq!(link.0, "<a href=\"/jobs/a%20b%2F%22%3E%3Cx%3F%23%C3%A9\">");
    }
}
