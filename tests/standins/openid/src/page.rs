//! The pages: plain HTML, no script, nothing from elsewhere.

use axum::http::header;
use axum::response::{Html, IntoResponse};

use crate::flavour::Flavour;
use crate::people::Person;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --soft: #8882 }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: start center; padding: 6vh 1rem;
  font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 28rem; border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem }
h1 { font-size: 1.3rem; margin: 0 0 .25rem }
p { margin: .25rem 0 1rem }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
li { border-bottom: 1px solid var(--line) }
a.person { display: block; padding: .7rem .5rem; color: inherit; text-decoration: none; border-radius: 6px }
a.person:hover, a.person:focus { background: var(--soft); outline: 2px solid #4a7dfc }
.email { display: block; font-size: .875rem; opacity: .8 }
.cancel { display: inline-block; margin-top: 1rem }
footer { margin-top: 1.5rem; font-size: .8rem; opacity: .75 }
";

/// Lists the people to choose from.
pub(crate) fn chooser(
    flavour: &Flavour,
    client_id: &str,
    query: &str,
    people: &[Person],
) -> impl IntoResponse + use<> {
    let rows: Vec<String> = people.iter().map(|person| row(query, person)).collect();
    document(
        flavour,
        &format!(
            "<h1>Sign in with {name}</h1>\n<p>Choose who you are for <b>{client}</b>.</p>\n\
             <ul>\n{rows}\n</ul>\n<a class=\"cancel\" href=\"?{deny}\">Cancel</a>",
            name = flavour.name(),
            client = escape(client_id),
            rows = rows.join("\n"),
            deny = escape(&format!("{query}&_deny=1")),
        ),
    )
}

/// Says why a login goes no further.
pub(crate) fn refusal(flavour: &Flavour, why: &str) -> impl IntoResponse + use<> {
    document(flavour, &format!("<h1>This sign-in cannot go on</h1>\n<p>{}</p>", escape(why)))
}

fn row(query: &str, person: &Person) -> String {
    let sub: String = url::form_urlencoded::byte_serialize(person.sub.as_bytes()).collect();
    format!(
        "<li><a class=\"person\" href=\"?{}\">{}<span class=\"email\">{}{}</span></a></li>",
        escape(&format!("{query}&_person={sub}")),
        escape(&person.name),
        escape(person.email.as_deref().unwrap_or("no address")),
        escape(&remark(person)),
    )
}

fn remark(person: &Person) -> String {
    match (&person.hd, &person.tid, &person.email_verified) {
        (Some(domain), _, _) => format!(" · managed by {domain}"),
        (None, Some(_), _) if person.xms_edov.is_none() => " · address not vouched for".into(),
        (None, None, Some(verified)) if *verified == false => " · address not verified".into(),
        _ => String::new(),
    }
}

fn document(flavour: &Flavour, main: &str) -> impl IntoResponse + use<> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Sign in with {name} (stand-in)</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{main}\n\
         <footer>A stand-in for {name}, for tests. No real account is used.</footer>\n</main>\n</body>\n</html>\n",
        name = flavour.name(),
    );
    (
        [
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
            ),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
        ],
        Html(html),
    )
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
