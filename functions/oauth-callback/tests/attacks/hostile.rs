//! Ten thousand queries, cookies and tokens that are random, or sound ones with something changed: no panic, and no session.
//!
//! The seed is fixed, so that what fails once fails again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Uri};
use rollcall_domain::identity::Provider;
use rollcall_identity::parameters::Parameters;
use rollcall_identity::relying_party::{
    BrowserBinding, LoginStart, LoginTransaction, PendingLogins, Purpose, ReturnTarget,
    bitbucket_authorize_url,
};
use rollcall_service::random::{self, Random as _, SeededRandom};
use standin_openid::{Endpoint, Fault, Times};
use url::Url;

use crate::browser::{Browser, FORM, LOGIN, SESSION, parameter, request};
use crate::rig::{GRACE, INES, Rig, seal_login_cookie};
use crate::{honest, identities};

struct Chance(SeededRandom);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below `end`.
    fn below(&self, end: usize) -> usize {
        usize::try_from(u64::from_le_bytes(random::bytes(&self.0)) % u64::try_from(end.max(1)).unwrap())
            .unwrap()
    }

    fn one_of<'a, T: ?Sized>(&self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most)];
        self.0.fill(&mut bytes);
        bytes
    }

    /// Random text that can stand in a URL or a header, with what parsers stumble over.
    fn text(&self, most: usize) -> String {
        let pieces = [
            "&",
            "=",
            ";",
            "%00",
            "%0d%0a",
            "%zz",
            "%",
            "+",
            "state",
            "code",
            "error",
            "iss",
            "eyJ",
            ".",
            "..",
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            "null",
            "true",
            "A",
            "0",
            "-",
            "_",
            "~",
            "%C3%A9",
            "%ff",
            "%F0%9F%98%80",
            "/",
            "//",
            "@",
        ];
        (0..self.below(most)).map(|_| self.one_of(&pieces)).collect()
    }

    /// A sound text with one to three things changed.
    fn mutated(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] = b"AZaz09-_.=&%+"[self.below(13)],
                1 if !bytes.is_empty() => _ = bytes.remove(at),
                2 => bytes.truncate(at),
                3 => {
                    let inserted = self.text(4);
                    bytes.splice(at..at, inserted.into_bytes());
                }
                4 => {
                    let other = self.below(bytes.len());
                    let copied = bytes[at.min(other)..at.max(other)].to_vec();
                    bytes.extend(copied);
                }
                5 if !bytes.is_empty() => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
                _ => bytes.extend(self.text(3).into_bytes()),
            }
        }
        String::from_utf8(bytes).unwrap()
    }
}

/// Everybody comes from an address of their own, so that no limit stands in for the check that is meant.
fn stranger(rig: &Rig, number: usize) -> Browser<'_> {
    let mut browser = rig.browser();
    let [.., a, b, c] = u64::try_from(number).unwrap().to_be_bytes();
    browser.address = IpAddr::from([10, a, b, c]);
    browser
}

fn can_be_sent(path: &str) -> bool {
    path.parse::<Uri>().is_ok() && path.is_ascii() && !path.contains('#')
}

/// A login under way, as the function would have begun it, in the browser's cookie; its state.
fn begin(rig: &Rig, chance: &Chance, provider: Provider, browser: &mut Browser<'_>) -> String {
    let issuer = match provider {
        Provider::Google => rig.google.issuer(),
        Provider::Microsoft => rig.microsoft.issuer(),
        Provider::Bitbucket => rig.bitbucket.url(),
    };
    let start = LoginStart {
        provider,
        issuer,
        purpose: Purpose::SignIn,
        return_to: ReturnTarget::parse("/login", &["/login"]).unwrap(),
        workspace: None,
        max_age: None,
    };
    let [first, second, third] = std::array::from_fn(|_| random::bytes(&chance.0));
    let login = LoginTransaction::begin(start, rig.now(), [first, second, third]);
    // The state is where every provider is told it.
    let anywhere = Url::parse("https://op.example").unwrap();
    let state = parameter(&bitbucket_authorize_url(&anywhere, "", &anywhere, &login), "state").unwrap();
    let mut pending = PendingLogins::new(BrowserBinding::new(random::bytes(&chance.0)));
    pending.add(login, rig.now());
    browser.cookies.insert(LOGIN.into(), seal_login_cookie(&pending.to_sealable()));
    state
}

#[tokio::test]
async fn random_and_mutated_callback_queries_make_no_session() {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    let chance = Chance::new(1);
    let mut statuses = BTreeSet::new();
    let mut sent = 0;
    while sent < 2_500 {
        let mut browser = stranger(&rig, sent);
        let provider = Provider::ALL[chance.below(3)];
        let state = begin(&rig, &chance, provider, &mut browser);
        let sound = format!("state={state}&code=abcdefgh&iss=https%3A%2F%2Fop.example&scope=openid");
        let query = match chance.below(3) {
            0 => chance.text(12),
            1 => format!("state={state}&{}", chance.text(6)),
            _ => chance.mutated(&sound),
        };
        let path = format!("/callback/{provider}?{query}");
        if !can_be_sent(&path) {
            continue;
        }
        sent += 1;
        let answer = browser.get(&path).await;
        assert!(!browser.has_session(), "{path}");
        assert_ne!(answer.status.as_u16(), 500, "{path}");
        statuses.insert(answer.status.as_u16());
    }
    assert!(statuses.contains(&400) && !statuses.contains(&303), "{statuses:?}");
}

#[tokio::test]
async fn an_honest_answer_with_anything_changed_makes_no_session() {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    identities::member(&rig, Provider::Bitbucket, GRACE).await;
    let chance = Chance::new(2);
    let read = |query: &str| {
        let parameters = Parameters::from_query(query).ok()?;
        let value = |name| parameters.text(name).map(str::to_owned);
        Some((value("state"), value("code"), value("iss"), value("error")))
    };
    let (mut denied, mut let_in) = (0, 0);
    for number in 0..100 {
        let mut browser = stranger(&rig, number);
        let (provider, person) =
            if number % 2 == 0 { (Provider::Google, INES) } else { (Provider::Bitbucket, GRACE) };
        let honest = browser.callback(provider, person).await;
        let (path, query) = honest.split_once('?').unwrap();
        let changed = chance.mutated(query);
        let callback = format!("{path}?{changed}");
        if !can_be_sent(&callback) {
            continue;
        }
        browser.get(&callback).await;
        if browser.has_session() {
            let_in += 1;
            assert_eq!(read(&changed), read(query), "{changed}");
        } else {
            denied += 1;
        }
    }
    assert!(denied > 60, "{denied} were denied, {let_in} said the same in other words");
}

#[tokio::test]
async fn random_and_mutated_cookies_make_no_session() {
    let rig = Rig::new().await;
    let member = identities::member(&rig, Provider::Google, INES).await;
    let chance = Chance::new(3);
    let session = member.cookies[SESSION].clone();
    let mut starter = rig.browser();
    let start = starter.start(Provider::Google).await;
    let state = parameter(&start, "state").unwrap();
    let login = starter.cookies[LOGIN].clone();
    for number in 0..3_000 {
        let mut browser = stranger(&rig, number);
        let which = chance.below(2);
        let (sound, name) = if which == 0 { (&session, SESSION) } else { (&login, LOGIN) };
        let value = match chance.below(4) {
            0 => chance.text(20),
            1 => STANDARD.encode(chance.bytes(120)),
            _ => chance.mutated(sound),
        };
        let value: String =
            value.chars().filter(|c| c.is_ascii_graphic() && *c != ';' && *c != ',').collect();
        if value == *sound {
            continue;
        }
        let header = match chance.below(8) {
            0 => format!("{name}={value}; {name}={sound}"),
            1 => format!("{name}x={sound}; {name}={value}"),
            _ => format!("a=b; {name}={value}"),
        };
        if name == SESSION {
            let answer = browser.get_with("/login", &[("cookie", &header)]).await;
            assert!(!answer.body.contains("You are signed in"), "{header}");
            assert_ne!(answer.status.as_u16(), 500, "{header}");
        } else {
            let path = format!("/callback/google?state={state}&code=abc");
            let answer = browser.get_with(&path, &[("cookie", &header)]).await;
            assert_eq!(answer.status.as_u16(), 400, "{header}");
            assert!(!browser.has_session(), "{header}");
        }
    }
    assert_eq!(
        rig.google.count(Endpoint::Token),
        1,
        "the code of the one honest login was all that was sent"
    );
}

#[tokio::test]
async fn random_and_mutated_tokens_open_nothing() {
    let rig = Rig::new().await;
    let mut member = identities::member(&rig, Provider::Google, INES).await;
    let chance = Chance::new(4);
    let sound = honest::access_token(&rig, &mut member).await;
    let mut browser = rig.browser();
    let bearer = |token: &str| format!("Bearer {token}");
    let answer = browser.get_with("/userinfo", &[("authorization", &bearer(&sound))]).await;
    assert_eq!(answer.status.as_u16(), 200, "the sound one opens it: {}", answer.body);
    for number in 0..4_500 {
        let mut browser = stranger(&rig, number);
        let token = match chance.below(4) {
            0 => chance.text(30),
            1 => STANDARD.encode(chance.bytes(300)),
            _ => chance.mutated(&sound),
        };
        // The last character of a signature has bits that say nothing: another one may stand for the same signature only if the
        // decoder is lenient, which it must not be.
        if token == sound || token.starts_with(&format!("{sound} ")) {
            continue;
        }
        let scheme = chance.one_of(&["Bearer ", "bearer  ", "BEARER ", "", "Basic ", "Bearer"]);
        let header = format!("{scheme}{token}");
        let answer = browser.get_with("/userinfo", &[("authorization", &header)]).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{header}: {}", answer.status);
        if number % 7 == 0 {
            let fields =
                format!("token={token}&grant_type=refresh_token&refresh_token={token}&client_id={token}");
            let path = ["/token", "/introspect", "/revoke", "/logout", "/invite/accept"][number / 7 % 5];
            let headers = [
                ("content-type", FORM),
                ("authorization", header.as_str()),
                ("sec-fetch-site", "same-origin"),
            ];
            let answer = browser.send(request(&Method::POST, path, &headers), fields).await;
            assert!(
                answer.status.is_client_error() || path == "/logout",
                "{path} {header}: {} {}",
                answer.status,
                answer.body
            );
            assert!(!browser.has_session());
        }
    }
}

#[tokio::test]
async fn mutated_answers_of_a_token_endpoint_make_no_session() {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    let chance = Chance::new(5);
    let honest = honest::token_answer(&rig).await;
    for number in 0..200 {
        let mut browser = stranger(&rig, number);
        let state = begin(&rig, &chance, Provider::Google, &mut browser);
        let body = if number % 10 == 0 { honest.clone() } else { chance.mutated(&honest) };
        rig.google.fault(Endpoint::Token, Fault::Answer { status: 200, body: body.clone() }, Times::Next(1));
        let answer = browser.get(&format!("/callback/google?state={state}&code=abcdefgh")).await;
        assert!(
            !browser.has_session(),
            "a token of another login is none of this one's, changed or not: {body}"
        );
        assert!(matches!(answer.status.as_u16(), 400 | 503), "{body}: {}", answer.status);
    }
}
