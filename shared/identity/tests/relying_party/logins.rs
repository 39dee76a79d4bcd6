//! What is sent along with the browser, and what of it has to come back.

use rollcall_domain::identity::Provider;
use rollcall_identity::parameters::RefusedParameters;
use rollcall_identity::relying_party::{
    AuthorizeHints, BrowserBinding, Callback, CallbackRefused, ExchangeFailed, PendingLogins,
    ProviderRefusal, SignInFailed,
};
use rollcall_identity::{Challenge, Verifier};
use serde_json::json;
use standin_openid::{AnswerIssuer, Endpoint, Flavour};

use crate::rig::{ASTRID, CLIENT, INES, NOW, Rig, SECRET, later, pairs, random};

#[tokio::test]
async fn somebody_signs_in_with_google() {
    let rig = Rig::google().await;
    let visitor = rig.sign_in(NOW).await.unwrap();
    assert_eq!(visitor.identity.provider, Provider::Google);
    assert_eq!(visitor.identity.issuer, rig.standin.issuer());
    assert_eq!(visitor.verified_emails, [INES.parse().unwrap()]);
    assert_eq!(visitor.display_name, "Ines Okafor");
    assert_eq!(rig.standin.count(Endpoint::Userinfo), 0, "everything is in the ID token");
}

#[tokio::test]
async fn somebody_signs_in_with_microsoft() {
    let rig = Rig::microsoft().await;
    let visitor = rig.sign_in(NOW).await.unwrap();
    let tenant = visitor.organisation.unwrap();
    assert_eq!(visitor.identity.issuer, format!("{}/{tenant}/v2.0", rig.standin.origin()));
    assert!(visitor.identity.subject.starts_with(&format!("{tenant}/")));
    assert_eq!(visitor.verified_emails, [ASTRID.parse().unwrap()]);
}

#[tokio::test]
async fn somebody_signs_in_through_every_kind_of_microsoft_endpoint_that_lets_them() {
    for (tenant, person, admitted) in [
        ("organizations", ASTRID, true),
        ("common", ASTRID, true),
        ("common", "nadia.petrov@live.example", true),
        ("consumers", "nadia.petrov@live.example", true),
        (standin_openid::people::LINDQVIST_AUDIT, ASTRID, true),
    ] {
        let rig = Rig::new(Flavour::Microsoft { tenant: tenant.into() }, |_| {}).await;
        let login = rig.begin(NOW);
        let query = rig.browse(&login, &format!("_person={person}"), NOW).await;
        let outcome = rig.provider.finish(&login, &Callback::parse(&query).unwrap(), NOW).await;
        assert_eq!(outcome.is_ok(), admitted, "{tenant} {person}: {outcome:?}");
    }
}

#[tokio::test]
async fn every_login_has_a_state_nonce_and_challenge_of_its_own_and_asks_for_exactly_three_scopes() {
    let rig = Rig::google().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let login = rig.begin(NOW);
        let url = rig.provider.authorize_url(&login, &AuthorizeHints::default(), NOW).await.unwrap();
        let pairs = pairs(&url);
        assert_eq!(pairs["scope"], "openid email profile");
        assert_eq!(pairs["code_challenge_method"], "S256");
        assert_eq!(pairs["response_type"], "code");
        assert_eq!(pairs["response_mode"], "query");
        for name in ["state", "nonce", "code_challenge"] {
            assert_eq!(pairs[name].len(), 43, "{name}");
            assert!(!seen.contains(&pairs[name]), "{name} is used again");
            seen.push(pairs[name].clone());
        }
    }
}

#[tokio::test]
async fn the_verifier_that_redeems_the_code_answers_the_challenge_that_was_sent() {
    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    let authorize = &rig.standin.requests(Endpoint::Authorize)[0];
    let token = &rig.standin.requests(Endpoint::Token)[0];
    let challenge = Challenge::parse(authorize.parameter("code_challenge").unwrap()).unwrap();
    let verifier = Verifier::parse(token.parameter("code_verifier").unwrap()).unwrap();
    assert!(challenge.is_answered_by(&verifier));
    assert_eq!(token.parameter("redirect_uri"), Some("https://rollcall.example/callback/google"));
    assert_eq!(token.parameter("redirect_uri"), authorize.parameter("redirect_uri"));
}

#[tokio::test]
async fn our_secret_is_shown_in_the_one_way_that_the_provider_names() {
    let rig = Rig::google().await;
    rig.standin.change(|behaviour| {
        behaviour
            .metadata
            .insert("token_endpoint_auth_methods_supported".into(), json!(["client_secret_basic"]));
    });
    rig.sign_in(NOW).await.unwrap();
    let request = &rig.standin.requests(Endpoint::Token)[0];
    assert!(request.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!((request.parameter("client_secret"), request.parameter("client_id")), (None, None));

    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    let request = &rig.standin.requests(Endpoint::Token)[0];
    assert_eq!(request.header("authorization"), None);
    assert_eq!(
        (request.parameter("client_id"), request.parameter("client_secret")),
        (Some(CLIENT), Some(SECRET))
    );
}

#[tokio::test]
async fn a_code_is_not_redeemed_twice() {
    let rig = Rig::google().await;
    let returned = rig.go(NOW).await.unwrap();
    assert!(rig.finish(&returned, NOW).await.is_ok());
    assert_eq!(rig.finish(&returned, NOW).await, Err(SignInFailed::Exchange(ExchangeFailed::Code)));
}

#[tokio::test]
async fn an_answer_for_another_browser_is_refused_before_anybody_is_asked() {
    let rig = Rig::google().await;
    let attacker = rig.begin(NOW);
    let query = rig.browse(&attacker, &format!("_person={INES}"), NOW).await;
    let mut victim = PendingLogins::new(BrowserBinding::new(random()));
    victim.add(rig.begin(NOW), NOW);
    let refused = victim.take(&Callback::parse(&query).unwrap(), Provider::Google, NOW).err();
    assert_eq!(refused, Some(CallbackRefused::StateUnknown));
    assert_eq!(rig.standin.count(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_code_of_one_provider_does_not_get_to_the_other() {
    let (google, microsoft) = (Rig::google().await, Rig::microsoft().await);
    let login = google.begin(NOW);
    let query = google.browse(&login, &format!("_person={INES}"), NOW).await;
    let callback = Callback::parse(&query).unwrap();
    assert_eq!(microsoft.provider.finish(&login, &callback, NOW).await, Err(SignInFailed::OtherIssuer));
    let mut pending = PendingLogins::new(BrowserBinding::new(random()));
    pending.add(login, NOW);
    assert_eq!(pending.take(&callback, Provider::Microsoft, NOW).err(), Some(CallbackRefused::OtherProvider));
    assert_eq!(microsoft.standin.all_requests().len(), 0);
}

#[tokio::test]
async fn a_login_is_dead_after_ten_minutes() {
    let rig = Rig::google().await;
    let login = rig.begin(NOW);
    let query = rig.browse(&login, &format!("_person={INES}"), NOW).await;
    let end = login.expires_at();
    let mut pending = PendingLogins::new(BrowserBinding::new(random()));
    pending.add(login, NOW);
    let refused = pending.take(&Callback::parse(&query).unwrap(), Provider::Google, end).err();
    assert_eq!(refused, Some(CallbackRefused::StateExpired));
}

#[tokio::test]
async fn where_the_provider_promises_to_name_itself_a_nameless_answer_is_refused() {
    let rig = Rig::google().await;
    rig.standin.change(|behaviour| behaviour.advertise_answer_issuer = true);
    assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::Callback(CallbackRefused::IssuerMissing)));
    assert_eq!(rig.standin.count(Endpoint::Token), 0);
    rig.standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Right);
    assert!(rig.sign_in(NOW).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_names_another_issuer_is_refused_whatever_the_provider_promises() {
    for rig in [Rig::google().await, Rig::microsoft().await] {
        rig.standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Right);
        assert!(rig.sign_in(NOW).await.is_ok());
        let before = rig.standin.count(Endpoint::Token);
        for other in ["https://evil.example".to_owned(), format!("{}/", rig.standin.issuer())] {
            rig.standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Other(other));
            assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::Callback(CallbackRefused::Issuer)));
        }
        assert_eq!(rig.standin.count(Endpoint::Token), before, "the code is not sent anywhere");
        rig.standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Twice);
        let refused = CallbackRefused::Parameters(RefusedParameters::Repeated("iss".into()));
        assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::Callback(refused)));
    }
}

#[tokio::test]
async fn another_tenants_issuer_in_the_answer_is_noticed_by_the_token() {
    let rig = Rig::microsoft().await;
    let other = format!("{}/{}/v2.0", rig.standin.origin(), standin_openid::people::HARBOUR_STUDIO);
    rig.standin.change(|behaviour| behaviour.answer_issuer = AnswerIssuer::Other(other));
    let refused = rig.sign_in(NOW).await.unwrap_err();
    assert_eq!(refused, SignInFailed::IdToken(rollcall_identity::relying_party::IdTokenRefused::Issuer));
}

#[tokio::test]
async fn ambiguous_answers_are_refused_before_anybody_is_asked() {
    let rig = Rig::google().await;
    for (name, value, refused) in [
        ("state", "x", CallbackRefused::Parameters(RefusedParameters::Repeated("state".into()))),
        ("code", "x", CallbackRefused::Parameters(RefusedParameters::Repeated("code".into()))),
        ("scope", "x", CallbackRefused::Parameters(RefusedParameters::Repeated("scope".into()))),
        ("error", "access_denied", CallbackRefused::CodeAndError),
    ] {
        rig.standin.change(|behaviour| behaviour.answer_parameters = vec![(name.into(), value.into())]);
        assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::Callback(refused)), "{name}");
    }
    assert_eq!(rig.standin.count(Endpoint::Token), 0);
}

#[tokio::test]
async fn who_says_no_at_the_provider_is_not_signed_in() {
    let rig = Rig::google().await;
    let login = rig.begin(NOW);
    let query = rig.browse(&login, "_deny=1", NOW).await;
    let outcome = rig.provider.finish(&login, &Callback::parse(&query).unwrap(), NOW).await;
    assert_eq!(outcome, Err(SignInFailed::Provider(ProviderRefusal::AccessDenied)));
    assert_eq!(rig.standin.count(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_login_that_was_begun_under_another_issuer_goes_nowhere() {
    let (before, after) = (Rig::google().await, Rig::google().await);
    let login = before.begin(NOW);
    let refused = after.provider.authorize_url(&login, &AuthorizeHints::default(), NOW).await;
    assert_eq!(refused, Err(SignInFailed::OtherIssuer));
    assert!(!login.is_expired(later(core::time::Duration::from_mins(9))));
}

#[tokio::test]
async fn a_warm_provider_makes_one_call_in_a_callback() {
    let rig = Rig::google().await;
    rig.provider.warm(NOW).await.unwrap();
    let returned = rig.go(NOW).await.unwrap();
    rig.standin.forget_requests();
    rig.finish(&returned, NOW).await.unwrap();
    assert_eq!(rig.standin.all_requests().len(), 1);
    assert_eq!(rig.standin.count(Endpoint::Token), 1);
}
