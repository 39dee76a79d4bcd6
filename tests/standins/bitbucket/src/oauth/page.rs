//! The pages: plain HTML, no script, nothing from elsewhere.

use super::authorize::html;
use crate::reply::Reply;
use crate::world::{Account, Consumer, Kind, Role, World};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --blue: #2563d9 }
@media (prefers-color-scheme: dark) { :root { --blue: #7fa8ff } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: start center; padding: 6vh 1rem;
  font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem }
h1 { font-size: 1.3rem; margin: 0 0 .25rem }
h2 { font-size: .95rem; margin: 1.25rem 0 .25rem }
p { margin: .25rem 0 1rem }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
ul.scopes { border: 0; display: flex; flex-wrap: wrap; gap: .35rem }
ul.scopes li { border: 1px solid var(--line); border-radius: 99px; padding: 0 .6rem; font-size: .875rem }
ul.people li { border-bottom: 1px solid var(--line) }
.person { display: block; padding: .6rem .5rem; color: inherit; text-decoration: none; border-radius: 6px }
a.person:hover, a.person:focus { background: var(--soft); outline: 2px solid var(--blue) }
span.person { opacity: .7 }
span.person small { opacity: 1 }
small { display: block; font-size: .875rem; opacity: .8 }
details { margin-top: .75rem }
summary { cursor: pointer; padding: .25rem 0 }
.deny { display: inline-block; margin-top: 1.25rem; color: var(--blue) }
footer { margin-top: 1.5rem; font-size: .8rem; opacity: .75 }
";

/// What a consumer asks for, and the people to choose from.
pub(super) fn consent(world: &World, consumer: &Consumer, query: &str) -> Reply {
    let scopes: Vec<String> =
        consumer.scopes.iter().map(|scope| format!("<li>{}</li>", escape(scope))).collect();
    let (storied, others): (Vec<&Account>, Vec<&Account>) = {
        let mut people: Vec<&Account> =
            world.accounts().filter(|account| account.kind == Kind::User).collect();
        people.sort_by(|one, other| one.display_name.cmp(&other.display_name));
        people.into_iter().partition(|account| !account.note.is_empty())
    };
    let list = |people: &[&Account]| {
        let rows: Vec<String> = people.iter().map(|account| row(world, account, query)).collect();
        format!("<ul class=\"people\">\n{}\n</ul>", rows.join("\n"))
    };
    let people = match (storied.is_empty(), others.is_empty()) {
        (true, _) => list(&others),
        (false, true) => list(&storied),
        (false, false) => {
            format!(
                "{}\n<details><summary>{} more</summary>\n{}</details>",
                list(&storied),
                others.len(),
                list(&others)
            )
        }
    };
    let main = format!(
        "<h1>Confirm access to your account</h1>\n<p><b>{name}</b> asks for access. Choose who you are to grant it.</p>\n\
         <h2>It wants to read</h2>\n<ul class=\"scopes\">{scopes}</ul>\n<h2>Who are you?</h2>\n{people}\n\
         <a class=\"deny\" href=\"?{deny}\">Deny access</a>",
        name = escape(if consumer.name.is_empty() { &consumer.key } else { &consumer.name }),
        scopes = scopes.join(""),
        deny = escape(&format!("{query}&_deny=1")),
    );
    html(200, document("Confirm access", &main))
}

/// Says why a login goes no further.
pub(super) fn refusal(title: &str, why: &str) -> Reply {
    html(400, document(title, &format!("<h1>{}</h1>\n<p>{}</p>", escape(title), escape(why))))
}

fn row(world: &World, account: &Account, query: &str) -> String {
    let places: Vec<String> = world
        .workspaces()
        .iter()
        .filter_map(|workspace| {
            let role = workspace.member(account.uuid)?.role;
            let role = if role == Role::Owner { "owner of" } else { "member of" };
            Some(format!("{role} {}", workspace.name))
        })
        .collect();
    let remark = match (account.note.as_str(), places.as_slice()) {
        ("", []) => "in no workspace".to_owned(),
        ("", places) => places.join(", "),
        (note, _) => note.to_owned(),
    };
    let text = format!("{}<small>{}</small>", escape(&account.display_name), escape(&remark));
    if !account.active {
        return format!("<li><span class=\"person\">{text}</span></li>");
    }
    let username: String = url::form_urlencoded::byte_serialize(account.username.as_bytes()).collect();
    let link = escape(&format!("{query}&_person={username}"));
    format!("<li><a class=\"person\" href=\"?{link}\">{text}</a></li>")
}

fn document(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} (stand-in Bitbucket)</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{main}\n\
         <footer>A stand-in for Bitbucket, for tests. No real account is used.</footer>\n</main>\n</body>\n</html>\n",
        title = escape(title),
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
