//! The mail that carries an invite: plain text and HTML, in the workspace's language, whatever the names in it contain.

use std::collections::BTreeMap;

use askama::Template;
use rollcall_domain::Timestamp;
use rollcall_domain::identity::EmailAddress;
use rollcall_service::rfc3339;

/// A name or note is cut after this many characters: the mail is ours, whatever somebody calls themselves.
const LONGEST_NAME: usize = 80;

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom: the address that is stored with the invite, and no other.
    pub to: EmailAddress,
    /// The subject, on one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

/// The language that a workspace writes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// By its tag (RFC 5646), of which only the language counts. English where there is no file for it.
    pub fn from_tag(tag: &str) -> Self {
        match tag.split('-').next() {
            Some(language) if language.eq_ignore_ascii_case("de") => Self::German,
            _ => Self::English,
        }
    }

    const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    fn texts(self) -> Option<BTreeMap<String, String>> {
        let file = match self {
            Self::English => include_str!("../languages/en.json"),
            Self::German => include_str!("../languages/de.json"),
        };
        serde_json::from_str(file).ok()
    }
}

/// What an invite's mail tells.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// To whom.
    pub to: &'a EmailAddress,
    /// Into which workspace, by name.
    pub workspace: &'a str,
    /// Who invites, by name.
    pub inviter: &'a str,
    /// The application, by name.
    pub application: &'a str,
    /// What the inviter wrote.
    pub note: Option<&'a str>,
    /// The link, token in the fragment.
    pub link: &'a str,
    /// Until when it can be accepted.
    pub until: Timestamp,
    /// When the membership ends.
    pub ends: Option<Timestamp>,
}

/// The mail could not be put together, which only a defect of the program can cause.
#[derive(Debug, thiserror::Error)]
#[error("the invite's mail could not be put together; this is a defect of the program")]
pub struct NotWritten;

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    lang: &'a str,
    subject: &'a str,
    before: &'a [String],
    note: Option<&'a str>,
    link: &'a str,
    open: &'a str,
    after: &'a [String],
}

/// Writes the mail.
pub fn write(content: &Content<'_>, language: Language) -> Result<Mail, NotWritten> {
    let texts = language.texts().ok_or(NotWritten)?;
    let fields = BTreeMap::from([
        ("workspace", harmless(content.workspace, LONGEST_NAME)),
        ("inviter", harmless(content.inviter, LONGEST_NAME)),
        // The operator's own word, which may be their domain.
        ("application", one_line(content.application, LONGEST_NAME)),
        ("email", content.to.to_string()),
        ("until", day(content.until)),
        ("ends", content.ends.map(day).unwrap_or_default()),
    ]);
    let say = |key: &str| texts.get(key).map(|text| fill(text, &fields)).ok_or(NotWritten);
    let note = content.note.map(|note| harmless(note, 1_000)).filter(|note| !note.is_empty());

    let subject = say("subject")?;
    let open = say("open")?;
    let mut before = vec![say("greeting")?, say("invited")?];
    if note.is_some() {
        before.push(say("note")?);
    }
    let mut after = vec![say("address")?, say("until")?];
    if content.ends.is_some() {
        after.push(say("ends")?);
    }
    after.push(say("unexpected")?);

    let html = Html {
        lang: language.tag(),
        subject: &subject,
        before: &before,
        note: note.as_deref(),
        link: content.link,
        open: &open,
        after: &after,
    };
    let html = html.render().map_err(|_| NotWritten)?;
    let quoted = note.map(|note| format!("> {note}"));
    let link = format!("{open}:\n{}", content.link);
    let paragraphs: Vec<String> = before.into_iter().chain(quoted).chain([link]).chain(after).collect();
    Ok(Mail { to: content.to.clone(), subject, text: paragraphs.join("\n\n") + "\n", html })
}

/// Puts the fields in, in one pass: a name that looks like a field stays a name.
fn fill(text: &str, fields: &BTreeMap<&str, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('{') {
        filled.push_str(before);
        let field =
            from.split_once('}').and_then(|(name, after)| fields.get(name).map(|value| (value, after)));
        if let Some((value, after)) = field {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('{');
            rest = from;
        }
    }
    filled + rest
}

/// A text of somebody's choosing on one line, without control characters, without what turns the direction of writing, and without
/// what mail programs make into links by themselves.
fn harmless(text: &str, longest: usize) -> String {
    one_line(text, longest).split(' ').map(unlinked).collect::<Vec<_>>().join(" ")
}

/// A text on one line, without control characters, and without what turns the direction of writing or cannot be seen.
fn one_line(text: &str, longest: usize) -> String {
    let turns = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let plain: String = text
        .chars()
        .filter(|c| !turns(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(longest)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The full stops by which browsers divide names (Unicode Technical Standard 46 maps all of them to the first), and one that looks so.
const STOPS: [char; 5] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}', '\u{2024}'];

/// A word with spaces in it where a mail program would see an address, of whatever kind: after each full stop and colon, around each `@`,
/// between strokes. `evil.example/login` needs no `https:` to become a link. A number keeps its point.
fn unlinked(word: &str) -> String {
    let is_number = word.chars().any(|c| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || ".,%()".contains(c))
        && word.matches('.').count() == 1;
    if is_number {
        return word.to_owned();
    }
    let mut apart = String::with_capacity(word.len());
    let mut before = None;
    for c in word.chars() {
        let is_stop = |c: char| STOPS.contains(&c);
        let parts = match before {
            None => false,
            Some(before) if is_stop(before) => !is_stop(c),
            Some(':') => !c.is_ascii_digit() || apart.chars().any(char::is_alphabetic),
            Some('@') => true,
            Some('/' | '\\') => matches!(c, '/' | '\\'),
            Some(_) => c == '@',
        };
        if parts {
            apart.push(' ');
        }
        apart.push(c);
        before = Some(c);
    }
    apart
}

fn day(time: Timestamp) -> String {
    rfc3339::format(time).replace('T', " ").chars().take("2026-01-01 00:00".len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content<'a>(inviter: &'a str, note: Option<&'a str>, to: &'a EmailAddress) -> Content<'a> {
        Content {
            to,
            workspace: "Acme",
            inviter,
            application: "Shop",
            note,
            link: "https://rollcall.example.com/invite#abc",
            until: Timestamp::from_seconds(1_800_000_000),
            ends: None,
        }
    }

    fn to() -> EmailAddress {
        "grace@example.com".parse().unwrap()
    }

    #[test]
    fn the_mail_reads_as_written_in_both_languages() {
        let to = to();
        let english = write(&content("Ada", Some("See you"), &to), Language::from_tag("en-GB")).unwrap();
        assert_eq!(english.subject, "Ada invites you to Acme");
        assert!(
            english.text.contains("Accept the invite:\nhttps://rollcall.example.com/invite#abc\n"),
            "{}",
            english.text
        );
        assert!(
            english.text.contains("> See you") && english.text.contains("2027-01-15 08:00"),
            "{}",
            english.text
        );
        assert!(
            english.html.contains("href=\"https://rollcall.example.com/invite#abc\""),
            "{}",
            english.html
        );
        let german = write(&content("Ada", None, &to), Language::from_tag("de")).unwrap();
        assert_eq!(german.subject, "Ada lädt Sie zu Acme ein");
    }

    #[test]
    fn every_language_has_every_text() {
        let keys = |language: Language| language.texts().unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(keys(Language::English), keys(Language::German));
    }

    proptest! {
        #[test]
        fn no_name_can_break_out_of_its_line_or_become_markup(inviter in ".{0,200}", note in ".{0,200}") {
            let to = to();
            let mail = write(&content(&inviter, Some(&note), &to), Language::English).unwrap();
            prop_assert!(!mail.subject.contains(['\r', '\n', '\0']));
            let calm = write(&content("Ada", Some("x"), &to), Language::English).unwrap();
            prop_assert!(mail.html.matches('<').count() <= calm.html.matches('<').count());
            prop_assert_eq!(mail.text.matches("://").count(), 1, "only our own link is a link");
            prop_assert!(!looks_like_a_link(&harmless(&note, 200)), "{}", harmless(&note, 200));
        }
    }

    /// What mail programs take for links: a scheme, two labels of a name with a stop between them, an address, a share of Windows.
    fn looks_like_a_link(text: &str) -> bool {
        text.split_whitespace().any(|word| {
            let stops = word.trim_end_matches(STOPS).trim_start_matches(STOPS);
            let is_number = stops.parse::<f64>().is_ok();
            (stops.contains(STOPS) && !is_number)
                || word.trim_matches('@').contains('@')
                || word.contains("//")
                || word.contains("\\\\")
                || word
                    .split_once(':')
                    .is_some_and(|(scheme, rest)| scheme.contains(char::is_alphabetic) && !rest.is_empty())
        })
    }

    #[test]
    fn no_name_or_note_becomes_a_link_whatever_its_shape() {
        let to = to();
        for bait in [
            "https://evil.example/login",
            "HTTPS://EVIL.EXAMPLE",
            "evil.example/login",
            "evil.example",
            "WWW.evil.example",
            "go to evil.com, now",
            "(evil.com)",
            "evil\u{3002}com",
            "evil\u{ff0e}com",
            "evil\u{ff61}com",
            "evil\u{2024}com",
            "evil\u{200b}.\u{200b}com",
            "evil.\u{ad}com",
            "xn--evl-8ma.example",
            "b\u{fc}cher.example",
            "eve@evil.example",
            "mailto:eve",
            "tel:+49301234",
            "javascript:alert(1)",
            "//evil.example",
            "\\\\evil\\share",
            "192.0.2.1",
            "192.0.2.1:8080/x",
            "[2001:db8::1]",
            "1.evil.example",
            "a...b.example",
        ] {
            let safe = harmless(bait, 80);
            assert!(!looks_like_a_link(&safe), "{bait} became {safe}");
            let content = Content { workspace: bait, ..content(bait, Some(bait), &to) };
            let mail = write(&content, Language::English).unwrap();
            let ours = mail.text.replace(content.link, "").replace(to.as_str(), "").replace(" (UTC)", "");
            let bare = ours.replace("2027-01-15 08:00", "");
            assert!(!looks_like_a_link(&bare) && !looks_like_a_link(&mail.subject), "{bare}");
        }
    }

    #[test]
    fn what_is_no_link_reads_as_it_was_written() {
        for text in [
            "Ada B. Lovelace",
            "Acme & Sons, Ltd.",
            "at 10:30",
            "Acme 2.0",
            "Well... yes",
            "and/or",
            "Dr. No:",
        ] {
            assert_eq!(harmless(text, 80), text);
        }
    }

    #[test]
    fn a_name_that_looks_like_a_field_or_a_header_stays_a_name() {
        let to = to();
        let mail = write(&content("{email}\r\nBcc: eve@example.com", None, &to), Language::English).unwrap();
        assert_eq!(mail.subject, "{email} Bcc: eve @ example. com invites you to Acme");
    }
}
