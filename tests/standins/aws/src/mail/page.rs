//! The outbox in a browser. A mail's HTML is shown in a frame that runs no script and loads nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::aws::Aws;
use crate::event::rfc3339;
use crate::mail::Mail;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886 }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem }
li { margin-bottom: .75rem }
small, dt { opacity: .75 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }
dd { margin: 0; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 8px; padding: 1rem }
iframe { width: 100%; height: 32rem; border: 1px solid var(--line); border-radius: 8px; background: #fff }
";

/// Nothing is loaded from anywhere, and no script runs. Frames inherit it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What the frame may do: open links in a tab of their own.
const SANDBOX: &str = "allow-popups allow-popups-to-escape-sandbox";

/// `GET /_outbox`: all mails, newest first. As JSON (oldest first) for who asks for it.
pub(crate) async fn index(State(aws): State<Arc<Aws>>, headers: HeaderMap) -> Response {
    let mails = aws.mail().all();
    if headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json")) {
        return axum::Json(mails).into_response();
    }
    let rows: Vec<String> = mails.iter().rev().map(row).collect();
    let list = if rows.is_empty() {
        "<p>Nothing has been sent yet. Reload the page after sending something.</p>".to_owned()
    } else {
        format!("<ol reversed>\n{}\n</ol>", rows.join("\n"))
    };
    document(
        "Outbox",
        &format!(
            "<h1>Outbox</h1>\n<p>What would have been sent by e-mail. No mail leaves this machine.</p>\n{list}"
        ),
    )
}

/// `GET /_outbox/{id}`: one mail.
pub(crate) async fn one(State(aws): State<Arc<Aws>>, Path(id): Path<String>) -> Response {
    match aws.mail().all().into_iter().find(|mail| mail.id == id) {
        Some(mail) => document(&mail.subject, &whole(&mail)),
        None => (
            StatusCode::NOT_FOUND,
            document(
                "No such mail",
                "<h1>No such mail</h1>\n<p><a href=\"/_outbox\">Back to the outbox</a></p>",
            ),
        )
            .into_response(),
    }
}

fn row(mail: &Mail) -> String {
    format!(
        "<li><a href=\"/_outbox/{id}\">{subject}</a><br><small>to {to}, {at}</small></li>",
        id = escape(&mail.id),
        subject = escape(&mail.subject),
        to = escape(&mail.to.join(", ")),
        at = escape(&rfc3339(mail.sent_at)),
    )
}

fn whole(mail: &Mail) -> String {
    let mut fields = vec![("From", mail.from.clone()), ("To", mail.to.join(", "))];
    for (name, addresses) in [("Cc", &mail.cc), ("Bcc", &mail.bcc), ("Reply to", &mail.reply_to)] {
        if !addresses.is_empty() {
            fields.push((name, addresses.join(", ")));
        }
    }
    fields.push(("Sent", rfc3339(mail.sent_at)));
    let fields: Vec<String> = fields
        .into_iter()
        .chain(mail.headers.iter().map(|(name, value)| (name.as_str(), value.clone())))
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value)))
        .collect();
    let head = format!(
        "<p><a href=\"/_outbox\">Outbox</a></p>\n<h1>{}</h1>\n<dl>\n{}\n</dl>\n",
        escape(&mail.subject),
        fields.join("\n"),
    );
    let text =
        mail.text.as_ref().map(|text| format!("<h2>Plain text</h2>\n<pre>{}</pre>\n", with_links(text)));
    let html = mail.html.as_ref().map(|html| {
        // Links open beside the outbox, not inside the frame.
        let framed = escape(&format!("<base target=\"_blank\">{html}"));
        format!("<h2>HTML</h2>\n<iframe title=\"The mail's HTML\" sandbox=\"{SANDBOX}\" srcdoc=\"{framed}\"></iframe>\n")
    });
    [Some(head), text, html].into_iter().flatten().collect()
}

/// Makes a text harmless, and web addresses in it links.
fn with_links(text: &str) -> String {
    let link = |word: &str| {
        let address = word.trim_end();
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return escape(word);
        }
        let (address, rest) = (escape(address), &word[address.len()..]);
        format!("<a href=\"{address}\" rel=\"noopener noreferrer\">{address}</a>{rest}")
    };
    text.split_inclusive(char::is_whitespace).map(link).collect()
}

fn document(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n",
        escape(title),
    );
    let fields = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, Html(html)).into_response()
}

/// Makes a text harmless between tags and in quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, character| {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}
