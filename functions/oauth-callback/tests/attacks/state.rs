//! The state of a login: whose it is, what belongs to it, and when it is spent.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use rollcall_domain::identity::Provider;
use standin_openid::{AnswerIssuer, Endpoint};

use crate::browser::{Browser, LOGIN, at_provider, parameter};
use crate::rig::{ASTRID, GRACE, INES, PUBLIC, Rig};

const ALL: [(Provider, &str); 3] =
    [(Provider::Google, INES), (Provider::Microsoft, ASTRID), (Provider::Bitbucket, GRACE)];

/// Brings a query to a callback and expects to be denied for this reason: nothing of it is told, nobody is let in.
async fn denied(rig: &Rig, browser: &mut Browser<'_>, callback: &str, check: &str) {
    let before = rig.failed_checks().await.len();
    let answer = browser.get(callback).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{check}: {callback}");
    assert!(!browser.has_session() && !answer.body.contains(check), "{check}");
    assert!(answer.body.contains("This sign-in could not be completed"), "{check}");
    let checks = rig.failed_checks().await;
    assert_eq!((checks.len(), checks[0].as_str()), (before + 1, check), "{callback}");
    assert_eq!(rig.members().await, 0);
}

fn token_calls(rig: &Rig) -> u64 {
    let openid = rig.google.count(Endpoint::Token) + rig.microsoft.count(Endpoint::Token);
    openid as u64 + rig.bitbucket.count("/site/oauth2/access_token")
}

#[tokio::test]
async fn every_login_has_a_long_state_of_its_own_at_every_provider() {
    let rig = Rig::new().await;
    let mut states = BTreeSet::new();
    for (provider, _) in ALL {
        for _ in 0..20 {
            let state = parameter(&rig.browser().start(provider).await, "state").unwrap();
            // base64url: six bits in each character.
            assert!(state.len() * 6 >= 128 && states.insert(state), "{provider}");
        }
    }
    let alphabet: BTreeSet<char> = states.iter().flat_map(|state| state.chars()).collect();
    assert!(alphabet.len() > 60, "60 texts of 43 random characters use nearly all of the 64");
}

#[tokio::test]
async fn a_state_is_spent_after_its_first_use_at_every_provider_whatever_came_of_it() {
    let rig = Rig::new().await;
    for (provider, person) in ALL {
        let mut browser = rig.browser();
        let callback = browser.callback(provider, person).await;
        let mut again = browser.clone();
        let first = browser.get(&callback).await;
        assert_eq!(first.status, StatusCode::FORBIDDEN, "they are nobody's member: {}", first.body);
        assert!(!browser.cookies.contains_key(LOGIN), "the cookie goes with its last login");
        denied(&rig, &mut again, &callback, "callback.state.used").await;
    }
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_spends_the_state_and_asks_nobody() {
    let rig = Rig::new().await;
    for (extra, check) in [
        ("&error=access_denied", "callback.code_and_error"),
        ("&code=another", "parameters.repeated"),
        ("&state=another", "parameters.repeated"),
        ("&iss=a&iss=b", "parameters.repeated"),
        ("&x=%zz", "parameters.encoding"),
        ("&x=%0d%0aSet-Cookie:a", "parameters.encoding"),
    ] {
        for (provider, person) in ALL {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            let mut again = browser.clone();
            denied(&rig, &mut browser, &format!("{callback}{extra}"), check).await;
            assert!(!browser.cookies.contains_key(LOGIN), "{extra}");
            denied(&rig, &mut browser, &callback, "callback.state.unknown").await;
            assert_eq!(token_calls(&rig), 0, "{extra}");
            // Not even with the cookie as it was before.
            let before = rig.failed_checks().await.len();
            assert_eq!(again.get(&callback).await.status, StatusCode::BAD_REQUEST, "{extra}");
            assert_eq!(
                rig.failed_checks().await[..rig.failed_checks().await.len() - before],
                ["callback.state.used"]
            );
            rig.google.forget_requests();
            rig.microsoft.forget_requests();
            rig.bitbucket.forget_requests();
        }
    }
}

#[tokio::test]
async fn an_answer_without_state_code_or_error_is_refused_before_anybody_is_asked() {
    let rig = Rig::new().await;
    for (provider, _) in ALL {
        let mut browser = rig.browser();
        let state = parameter(&browser.start(provider).await, "state").unwrap();
        let long = "x".repeat(9_000);
        let long_code = "x".repeat(4_097);
        for (query, check) in [
            (String::new(), "callback.state.missing"),
            ("code=a".into(), "callback.state.missing"),
            ("code=a&state=".into(), "callback.state.missing"),
            (format!("code=a&state={}", "x".repeat(200)), "callback.state.missing"),
            ("code=a&state=guessed".into(), "callback.state.unknown"),
            (format!("code=a&x={long}"), "parameters.length"),
        ] {
            denied(&rig, &mut browser, &format!("/callback/{provider}?{query}"), check).await;
            assert!(
                browser.cookies.contains_key(LOGIN),
                "a stranger's answer ends no login of this browser: {query}"
            );
        }
        for (query, check) in [
            (format!("state={state}"), "callback.nothing"),
            (format!("state={state}&code="), "callback.nothing"),
            (format!("state={state}&code={long_code}"), "callback.code"),
        ] {
            denied(&rig, &mut browser, &format!("/callback/{provider}?{query}"), check).await;
        }
    }
    assert_eq!(token_calls(&rig), 0);
}

#[tokio::test]
async fn a_login_belongs_to_one_browser_and_to_one_provider() {
    let rig = Rig::new().await;
    for (provider, person) in ALL {
        for (other, _) in ALL.into_iter().filter(|(other, _)| *other != provider) {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            // In the browser of somebody who has logins of their own under way: login CSRF.
            let mut victim = rig.browser();
            victim.start(provider).await;
            denied(&rig, &mut victim, &callback, "callback.state.unknown").await;
            let mut again = browser.clone();
            let elsewhere = callback.replace(&format!("/callback/{provider}"), &format!("/callback/{other}"));
            denied(&rig, &mut browser, &elsewhere, "callback.provider").await;
            // It is spent, even with the cookie as it was before.
            assert_eq!(again.get(&callback).await.status, StatusCode::BAD_REQUEST);
            assert_eq!(rig.failed_checks().await[0], "callback.state.used", "{provider} at {other}");
        }
    }
}

#[tokio::test]
async fn a_login_is_dead_after_ten_minutes_at_every_provider() {
    let rig = Rig::new().await;
    for (provider, person) in ALL {
        let mut browser = rig.browser();
        let callback = browser.callback(provider, person).await;
        rig.advance(Duration::from_mins(10));
        denied(&rig, &mut browser, &callback, "callback.state.expired").await;
    }
    assert_eq!(token_calls(&rig), 0);
}

#[tokio::test]
async fn where_a_login_returns_to_is_what_it_was_started_with_and_nothing_in_the_answer_changes_it() {
    let rig = Rig::new().await;
    crate::identities::member(&rig, Provider::Google, INES).await;
    for (target, extra, arrives) in [
        ("/authorize?client_id=x&state=y", "", "/authorize?client_id=x&state=y"),
        ("/login", "&return_to=%2Fauthorize", "/login"),
        ("/login", "&workspace=ws_other&link=true&invite=x", "/login"),
    ] {
        let mut browser = rig.browser();
        let query = crate::browser::form(&[("return_to", target)]);
        let start = browser.get(&format!("/login/google?{query}")).await.location();
        assert!(!start.as_str().contains("client_id%3Dx"), "the target is not sent along: {start}");
        let callback = at_provider(&start, INES).await;
        let answer = browser.get(&format!("{callback}{extra}")).await;
        let to = answer.location();
        assert_eq!(format!("{PUBLIC}{arrives}"), to.as_str(), "{target}");
    }
}

#[tokio::test]
async fn an_answer_that_names_another_issuer_is_refused_and_its_code_goes_nowhere() {
    let rig = Rig::new().await;
    for provider in [Provider::Google, Provider::Microsoft] {
        let person = if provider == Provider::Google { INES } else { ASTRID };
        let standin = rig.openid(provider);
        for other in ["https://evil.example", &format!("{}/", standin.origin()), &rig.bitbucket.url()] {
            standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Other(other.to_owned()));
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            denied(&rig, &mut browser, &callback, "callback.issuer").await;
        }
        standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Twice);
        let mut browser = rig.browser();
        let callback = browser.callback(provider, person).await;
        denied(&rig, &mut browser, &callback, "parameters.repeated").await;
    }
    // Bitbucket names no issuer. An answer that names one comes from somebody else.
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Bitbucket, GRACE).await;
    let named = format!("{callback}&iss={}", rig.google.issuer());
    denied(&rig, &mut browser, &named, "callback.issuer").await;
    assert_eq!(token_calls(&rig), 0);
}

#[tokio::test]
async fn where_the_provider_promises_to_name_itself_a_nameless_answer_is_refused() {
    let rig = Rig::new().await;
    for (provider, person) in [(Provider::Google, INES), (Provider::Microsoft, ASTRID)] {
        rig.openid(provider).change(|behaviour| behaviour.advertise_answer_issuer = true);
        let mut browser = rig.browser();
        let callback = browser.callback(provider, person).await;
        denied(&rig, &mut browser, &callback, "callback.issuer.missing").await;
        rig.openid(provider).change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Right);
        let answer = rig.browser().sign_in(provider, person).await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "they are known, and nobody's member: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_login_cookie_that_was_changed_anywhere_is_no_cookie() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Google, INES).await;
    let sealed = browser.cookies[LOGIN].clone();
    let mut changed: Vec<String> = (0..sealed.len())
        .step_by(sealed.len() / 12)
        .map(|at| {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    changed.extend([
        sealed[..sealed.len() - 1].to_owned(),
        format!("{sealed}A"),
        format!("\"{sealed}\""),
        "x".to_owned(),
        "1..".to_owned(),
        "{\"l\":[]}".to_owned(),
        "x".repeat(20_000),
    ]);
    // What we sealed for other purposes under the same key.
    changed.push(rig.store.table().to_owned());
    for value in changed {
        let mut browser = rig.browser();
        browser.cookies.insert(LOGIN.to_owned(), value.clone());
        denied(&rig, &mut browser, &callback, "callback.state.unknown").await;
    }
    // The same cookie twice is ambiguous, however good one of them is.
    let mut twice = rig.browser();
    let both = format!("{LOGIN}={sealed}; {LOGIN}={sealed}");
    let answer = twice.get_with(&callback, &[("cookie", &both)]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.failed_checks().await[0], "cookie.repeated");
    assert_eq!(token_calls(&rig), 0);
    assert_eq!(browser.get(&callback).await.status, StatusCode::FORBIDDEN, "the untouched one still is one");
}

#[tokio::test]
async fn what_the_provider_says_instead_of_a_code_signs_nobody_in_and_is_not_repeated() {
    let rig = Rig::new().await;
    let words = "%3Cscript%3Ealert(1)%3C%2Fscript%3E call 555";
    for (error, status, check) in [
        ("access_denied", StatusCode::BAD_REQUEST, "provider.access_denied"),
        ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE, "provider.unavailable"),
        ("invalid_scope", StatusCode::BAD_REQUEST, "provider.registration"),
        ("%3Cscript%3E", StatusCode::BAD_REQUEST, "provider.other_error"),
    ] {
        for (provider, _) in ALL {
            let mut browser = rig.browser();
            let state = parameter(&browser.start(provider).await, "state").unwrap();
            let words = words.replace(' ', "%20");
            let callback = format!(
                "/callback/{provider}?error={error}&error_description={words}&error_uri=x&state={state}"
            );
            let mut again = browser.clone();
            let answer = browser.get(&callback).await;
            assert_eq!(answer.status, status, "{error}");
            assert!(
                !browser.has_session() && !answer.body.contains("script") && !answer.body.contains("555")
            );
            assert_eq!(rig.failed_checks().await[0], check);
            again.get(&callback).await;
            assert_eq!(rig.failed_checks().await[0], "callback.state.used", "{error}");
        }
    }
    assert_eq!(token_calls(&rig), 0);
}
