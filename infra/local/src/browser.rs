//! As much of a browser as a sign-in needs: it keeps cookies, follows redirects and sends forms.

use std::collections::BTreeMap;

use reqwest::header::{ACCEPT, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, RequestBuilder, StatusCode};
use thiserror::Error;
use url::Url;

/// More redirects than any sign-in has.
const MOST_REDIRECTS: usize = 12;

/// A page could not be had.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// Nobody answered. The address is told without its query, which may hold a code.
    #[error("{place} does not answer: {why}")]
    NoAnswer {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// A redirect leads nowhere.
    #[error("{0} redirects to something that is no address")]
    BadRedirect(String),
    /// Round and round.
    #[error("{0} redirects without an end")]
    TooManyRedirects(String),
    /// A page without what was looked for on it.
    #[error("there is no {what} on the page at {place}")]
    NotOnPage {
        /// What was looked for.
        what: String,
        /// Where.
        place: String,
    },
}

/// A page that came.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where the redirects have led.
    pub url: Url,
    /// The status.
    pub status: StatusCode,
    /// The HTML.
    pub html: String,
}

/// A form on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent.
    pub action: Url,
    /// How.
    pub method: Method,
    /// Its fields, the hidden ones included.
    pub fields: Vec<(String, String)>,
}

/// Somebody's browser.
pub struct Browser {
    http: reqwest::Client,
    /// By host: cookies know no ports (RFC 6265 §8.5).
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// A browser that has never been anywhere. The client must not follow redirects by itself.
    pub fn new(http: reqwest::Client) -> Self {
        Self { http, cookies: BTreeMap::new() }
    }

    /// Goes to an address.
    pub async fn visit(&mut self, url: &Url) -> Result<Page, BrowserError> {
        self.go(self.http.get(url.clone()), url.clone()).await
    }

    /// Sends a form.
    pub async fn submit(&mut self, form: &Form) -> Result<Page, BrowserError> {
        if form.method == Method::GET {
            let mut url = form.action.clone();
            url.query_pairs_mut().clear().extend_pairs(&form.fields);
            return self.visit(&url).await;
        }
        let request = self
            .http
            .post(form.action.clone())
            .header(ORIGIN, form.action.origin().ascii_serialization())
            .header("sec-fetch-site", "same-origin")
            .form(&form.fields);
        self.go(request, form.action.clone()).await
    }

    /// Whether a cookie is kept for an address.
    pub fn has_cookie(&self, url: &Url, name: &str) -> bool {
        url.host_str().and_then(|host| self.cookies.get(host)).is_some_and(|jar| jar.contains_key(name))
    }

    async fn go(&mut self, mut request: RequestBuilder, mut url: Url) -> Result<Page, BrowserError> {
        let start = place(&url);
        for _ in 0..MOST_REDIRECTS {
            let cookies = self.cookies_for(&url);
            request = request.header(ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
            if !cookies.is_empty() {
                request = request.header(COOKIE, cookies);
            }
            let no_answer = |error: reqwest::Error| BrowserError::NoAnswer {
                place: place(&url),
                why: error.without_url().to_string(),
            };
            let answer = request.send().await.map_err(no_answer)?;
            for cookie in answer.headers().get_all(SET_COOKIE) {
                if let Ok(cookie) = cookie.to_str() {
                    self.keep(&url, cookie);
                }
            }
            let status = answer.status();
            let location = answer.headers().get(LOCATION).filter(|_| status.is_redirection());
            let Some(location) = location else {
                let html = answer.text().await.map_err(no_answer)?;
                return Ok(Page { url, status, html });
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| BrowserError::BadRedirect(place(&url)))?;
            request = self.http.get(url.clone());
        }
        Err(BrowserError::TooManyRedirects(start))
    }

    fn cookies_for(&self, url: &Url) -> String {
        let jar = url.host_str().and_then(|host| self.cookies.get(host));
        let pairs: Vec<String> =
            jar.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Keeps a cookie for the host that set it, or drops it where it is said to have ended.
    fn keep(&mut self, url: &Url, cookie: &str) {
        let (Some(host), Some((name, value))) =
            (url.host_str(), cookie.split(';').next().and_then(|pair| pair.trim().split_once('=')))
        else {
            return;
        };
        let jar = self.cookies.entry(host.to_owned()).or_default();
        let ended = cookie.split(';').any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
        if ended {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// An address as it may be told: without query and fragment.
fn place(url: &Url) -> String {
    let mut place = url.clone();
    place.set_query(None);
    place.set_fragment(None);
    place.into()
}

impl Page {
    /// The text of the first element of a kind: `h1`.
    pub fn heading(&self) -> String {
        self.texts("<h1", "</h1>").into_iter().next().unwrap_or_default()
    }

    /// The texts of the list items within the element that has an id.
    pub fn list(&self, id: &str) -> Vec<String> {
        let Some((_, rest)) = self.html.split_once(&format!("id=\"{id}\"")) else { return Vec::new() };
        let list = rest.split_once("</ul>").map_or(rest, |(list, _)| list);
        texts(list, "<li", "</li>")
    }

    /// The text of the element that has an id.
    pub fn text_of(&self, id: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("id=\"{id}\""))?;
        let (_, rest) = rest.split_once('>')?;
        rest.split_once("</").map(|(text, _)| plain(text))
    }

    /// The first link whose text begins with this.
    pub fn link(&self, text: &str) -> Result<Url, BrowserError> {
        let found = self.html.split("<a ").skip(1).find_map(|rest| {
            let (tag, rest) = rest.split_once('>')?;
            let (shown, _) = rest.split_once("</a>")?;
            plain(shown).starts_with(text).then(|| attribute(tag, "href"))?
        });
        found.and_then(|href| self.url.join(&href).ok()).ok_or_else(|| self.lacks(text))
    }

    /// The forms on the page, in order. A button with a name is a field of its form.
    pub fn forms(&self) -> Vec<Form> {
        let read = |rest: &str| {
            let (tag, rest) = rest.split_once('>')?;
            let body = rest.split_once("</form>").map_or(rest, |(body, _)| body);
            let action = attribute(tag, "action").unwrap_or_default();
            let is_post = attribute(tag, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
            let tags = body.split('<').skip(1).filter_map(|piece| piece.split('>').next());
            let fields =
                tags.filter(|tag| tag.starts_with("input") || tag.starts_with("button")).filter_map(|tag| {
                    Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
                });
            Some(Form {
                action: self.url.join(&action).ok()?,
                method: if is_post { Method::POST } else { Method::GET },
                fields: fields.collect(),
            })
        };
        self.html.split("<form").skip(1).filter_map(read).collect()
    }

    /// That something is not on this page.
    pub fn lacks(&self, what: &str) -> BrowserError {
        BrowserError::NotOnPage { what: what.to_owned(), place: place(&self.url) }
    }

    fn texts(&self, open: &str, close: &str) -> Vec<String> {
        texts(&self.html, open, close)
    }
}

fn texts(html: &str, open: &str, close: &str) -> Vec<String> {
    html.split(open)
        .skip(1)
        .filter_map(|rest| {
            let (_, rest) = rest.split_once('>')?;
            Some(plain(rest.split_once(close)?.0))
        })
        .collect()
}

/// The value of an attribute in double quotes, as our pages write them.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescape(value))
}

/// What a person reads: no tags, no entities, no runs of white space.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for character in html.chars() {
        match character {
            '<' => in_tag = true,
            '>' => in_tag = false,
            other if !in_tag => text.push(other),
            _ => {}
        }
    }
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unescape(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        let url = "http://localhost:8080/callback/bitbucket?code=hunter2".parse().unwrap();
        Page { url, status: StatusCode::OK, html: html.to_owned() }
    }

    #[test]
    fn a_page_is_read_as_a_person_reads_it() {
        let page = page(
            "<h1>You cannot use A &amp; B yet</h1><dd id=\"name\">Ada <b>L.</b></dd>\
             <ul id=\"missing\">\n<li><code>acme/one</code></li>\n<li><code>acme/two</code></li></ul><ul><li>x</li></ul>\
             <a class=\"button\" href=\"/login?a=1&amp;b=2\">Continue with Bitbucket</a>",
        );
        assert_eq!(page.heading(), "You cannot use A & B yet");
        assert_eq!(page.list("missing"), ["acme/one", "acme/two"]);
        assert_eq!(page.link("Continue with B").unwrap().as_str(), "http://localhost:8080/login?a=1&b=2");
        assert!(page.list("nothing").is_empty());
    }

    #[test]
    fn what_is_missing_is_told_without_the_code_in_the_address() {
        let error = page("").link("Continue").unwrap_err().to_string();
        assert_eq!(error, "there is no Continue on the page at http://localhost:8080/callback/bitbucket");
    }

    #[test]
    fn forms_come_with_their_hidden_fields_and_their_button() {
        let forms = page(
            "<form method=\"post\" action=\"/invite/accept\"><input type=\"hidden\" name=\"token\" value=\"t\">\
             <button name=\"provider\" value=\"google\">Go</button></form><form action=\"/x\"></form>",
        )
        .forms();
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].method, Method::POST);
        let fields = [("token".to_owned(), "t".to_owned()), ("provider".to_owned(), "google".to_owned())];
        assert_eq!(forms[0].fields, fields);
        assert_eq!(forms[1].method, Method::GET);
    }

    #[test]
    fn cookies_belong_to_their_host_and_end_when_they_are_told_to() {
        let mut browser = Browser::new(rollcall_service::http::client().unwrap());
        let ours: Url = "http://localhost:8080/".parse().unwrap();
        browser.keep(&ours, "__Host-a=1; Path=/; Secure");
        browser.keep(&ours, "b=2; Path=/");
        assert_eq!(browser.cookies_for(&ours), "__Host-a=1; b=2");
        assert_eq!(browser.cookies_for(&"http://127.0.0.1:8080/".parse().unwrap()), "");
        browser.keep(&ours, "b=; Path=/; Max-Age=0");
        assert!(browser.has_cookie(&ours, "__Host-a") && !browser.has_cookie(&ours, "b"));
    }
}
