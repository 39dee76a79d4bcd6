//! ID tokens of Google and Microsoft that are not what they should be: a denial, with the check that failed in the trail.

use std::time::Duration;

use http::StatusCode;
use rollcall_domain::identity::Provider;
use serde_json::json;
use standin_openid::people::HARBOUR_STUDIO;
use standin_openid::{Endpoint, Fault, Forgery, Times};

use crate::identities;
use crate::rig::{ASTRID, INES, Rig};

/// Signs in with a member's own account, with a token that is wrong in one way.
async fn refused(rig: &Rig, provider: Provider, forgery: Forgery, check: &str) {
    let person = if provider == Provider::Google { INES } else { ASTRID };
    let mut browser = rig.browser();
    let callback = browser.callback(provider, person).await;
    rig.openid(provider).forge_next(forgery.clone());
    let answer = browser.get(&callback).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{provider} {forgery:?}");
    assert!(!browser.has_session() && !answer.body.contains("id_token"), "{provider} {forgery:?}");
    assert_eq!(rig.failed_checks().await[0], check, "{provider} {forgery:?}");
}

/// Both are members, so that nothing but the token stands between them and a session.
async fn members() -> Rig {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    identities::member(&rig, Provider::Microsoft, ASTRID).await;
    rig
}

async fn signs_in(rig: &Rig, provider: Provider, forgery: Option<Forgery>) {
    let person = if provider == Provider::Google { INES } else { ASTRID };
    let mut browser = rig.browser();
    let callback = browser.callback(provider, person).await;
    rig.openid(provider).forge_next_in_many_ways(forgery.into_iter().collect());
    let answer = browser.get(&callback).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{provider}: {:?}", rig.failed_checks().await.first());
}

#[tokio::test]
async fn only_rs256_signs_in_whatever_the_header_says() {
    let rig = members().await;
    for provider in [Provider::Google, Provider::Microsoft] {
        for forgery in [
            Forgery::Unsigned,
            Forgery::UnsignedAs("None".into()),
            Forgery::UnsignedAs("NONE".into()),
            Forgery::UnsignedAs("nOnE".into()),
            Forgery::SignedWithPublicKey,
            Forgery::SignedWithClientSecret,
            Forgery::OtherAlgorithm("RS384".into()),
            Forgery::OtherAlgorithm("RS512".into()),
            Forgery::OtherAlgorithm("PS256".into()),
            Forgery::Header { name: "alg".into(), value: json!("rs256") },
            Forgery::Header { name: "alg".into(), value: json!("ES256") },
            Forgery::Header { name: "alg".into(), value: json!("") },
        ] {
            refused(&rig, provider, forgery, "id_token.alg").await;
        }
        refused(
            &rig,
            provider,
            Forgery::Header { name: "alg".into(), value: json!(["RS256"]) },
            "id_token.form",
        )
        .await;
        for forgery in [
            Forgery::BrokenSignature,
            Forgery::NoSignature,
            Forgery::ForeignKey,
            Forgery::ChangedAfterSigning,
        ] {
            refused(&rig, provider, forgery, "id_token.signature").await;
        }
        signs_in(&rig, provider, None).await;
    }
}

#[tokio::test]
async fn keys_come_from_the_providers_own_set_and_from_nowhere_else() {
    let rig = members().await;
    let trap = Rig::new().await;
    for provider in [Provider::Google, Provider::Microsoft] {
        assert!(
            rig.openid(provider).behaviour().decoy_keys,
            "keys that nobody can use are in the set all the while"
        );
        let place = format!("{}/oauth2/v3/certs", trap.google.origin());
        for forgery in [
            Forgery::OwnKeyInHeader,
            Forgery::KeyUrlInHeader(place.clone()),
            Forgery::CertificateUrlInHeader(place.clone()),
            Forgery::UnknownKid,
        ] {
            refused(&rig, provider, forgery, "id_token.kid.unknown").await;
        }
        refused(&rig, provider, Forgery::NoKid, "id_token.kid.missing").await;
        refused(&rig, provider, Forgery::UnknownCritical, "id_token.crit").await;
        signs_in(&rig, provider, None).await;
    }
    assert_eq!(trap.google.all_requests().len(), 0);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_per_cool_down_and_never_trusted() {
    let rig = members().await;
    let before = rig.google.count(Endpoint::Keys);
    for _ in 0..10 {
        refused(&rig, Provider::Google, Forgery::UnknownKid, "id_token.kid.unknown").await;
    }
    assert_eq!(rig.google.count(Endpoint::Keys), before + 1);
    signs_in(&rig, Provider::Google, None).await;
    rig.advance(Duration::from_secs(61));
    refused(&rig, Provider::Google, Forgery::UnknownKid, "id_token.kid.unknown").await;
    assert_eq!(rig.google.count(Endpoint::Keys), before + 2);
    rig.advance(Duration::from_secs(61));
    rig.google.rotate_keys();
    signs_in(&rig, Provider::Google, None).await;
    assert_eq!(rig.google.count(Endpoint::Keys), before + 3);
}

#[tokio::test]
async fn while_the_key_server_is_down_known_keys_serve_and_unknown_ones_do_not() {
    let rig = members().await;
    let down = Fault::Answer { status: 503, body: "{}".into() };
    rig.google.fault(Endpoint::Keys, down.clone(), Times::Always);
    rig.advance(Duration::from_hours(2));
    signs_in(&rig, Provider::Google, None).await;
    rig.google.rotate_keys();
    let asked = rig.google.count(Endpoint::Keys);
    for _ in 0..5 {
        let mut browser = rig.browser();
        let callback = browser.callback(Provider::Google, INES).await;
        assert!(browser.get(&callback).await.status.is_client_error());
        assert_eq!(rig.failed_checks().await[0], "id_token.kid.unknown");
    }
    assert!(rig.google.count(Endpoint::Keys) <= asked + 1, "no storm");
    // An instance that never had the keys lets nobody in, and says that it is temporary.
    rig.microsoft.fault(Endpoint::Keys, down, Times::Always);
    let mut browser = rig.browser();
    browser.instance = rig.start_instance();
    let callback = browser.callback(Provider::Microsoft, ASTRID).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.failed_checks().await[0], "keys.fetch");
}

#[tokio::test]
async fn the_issuer_is_the_configured_one_and_carries_the_tokens_own_tenant() {
    let rig = members().await;
    for issuer in ["https://evil.example", "", &format!("{}/", rig.google.issuer()), "accounts.google.com"] {
        refused(&rig, Provider::Google, Forgery::Issuer(issuer.to_owned()), "id_token.iss").await;
    }
    refused(&rig, Provider::Google, Forgery::without("iss"), "id_token.iss").await;
    refused(&rig, Provider::Google, Forgery::claim("iss", json!([rig.google.issuer()])), "id_token.iss")
        .await;
    let of = |tenant: &str| format!("{}/{tenant}/v2.0", rig.microsoft.origin());
    for (forgery, check) in [
        (Forgery::TenantNotOfIssuer(HARBOUR_STUDIO.into()), "id_token.iss"),
        (Forgery::Issuer(of(HARBOUR_STUDIO)), "id_token.iss"),
        (Forgery::Issuer(of("organizations")), "id_token.iss"),
        (Forgery::Issuer(of("{tenantid}")), "id_token.iss"),
        (Forgery::Tenant("{tenantid}".into()), "id_token.iss"),
        (Forgery::Tenant(String::new()), "id_token.iss"),
        (Forgery::Tenant("..".into()), "id_token.iss"),
        (Forgery::without("tid"), "id_token.iss"),
        (Forgery::claim("tid", json!([HARBOUR_STUDIO])), "id_token.tid"),
        (Forgery::without("oid"), "id_token.oid"),
        (Forgery::claim("oid", "x"), "id_token.oid"),
    ] {
        refused(&rig, Provider::Microsoft, forgery, check).await;
    }
}

#[tokio::test]
async fn the_token_is_for_us_alone() {
    let rig = members().await;
    for provider in [Provider::Google, Provider::Microsoft] {
        for (forgery, check) in [
            (Forgery::OtherAudience, "id_token.aud"),
            (Forgery::ExtraAudience, "id_token.aud"),
            (Forgery::without("aud"), "id_token.aud"),
            (Forgery::claim("aud", json!([])), "id_token.aud"),
            (Forgery::claim("aud", json!(["rollcall", "rollcall"])), "id_token.aud"),
            (Forgery::claim("aud", json!({ "rollcall": true })), "id_token.aud"),
            (Forgery::claim("aud", "Rollcall"), "id_token.aud"),
            (Forgery::OtherAuthorizedParty, "id_token.azp"),
        ] {
            refused(&rig, provider, forgery, check).await;
        }
        signs_in(&rig, provider, Some(Forgery::AudienceAsList)).await;
    }
}

#[tokio::test]
async fn times_are_numbers_and_clocks_may_differ_by_a_minute() {
    let rig = members().await;
    let far = json!(rig.now().as_seconds() + 86_400);
    for (forgery, check) in [
        (Forgery::Expired(120), "id_token.exp"),
        (Forgery::NoExpiry, "id_token.exp.missing"),
        (Forgery::ExpiryAsText, "id_token.exp.missing"),
        (Forgery::claim("exp", json!([far])), "id_token.exp.missing"),
        (Forgery::claim("exp", json!(null)), "id_token.exp.missing"),
        (Forgery::claim("exp", json!(1e300)), "id_token.exp.missing"),
        (Forgery::NoIssueTime, "id_token.iat.missing"),
        (Forgery::claim("iat", "0"), "id_token.iat.missing"),
        (Forgery::IssuedInFuture(120), "id_token.iat"),
        (Forgery::NotYetValid(120), "id_token.nbf"),
        (Forgery::claim("nbf", "0"), "id_token.nbf"),
    ] {
        for provider in [Provider::Google, Provider::Microsoft] {
            refused(&rig, provider, forgery.clone(), check).await;
        }
    }
    for ahead in [-290, -30, 30] {
        rig.google.advance_clock(ahead);
        signs_in(&rig, Provider::Google, None).await;
        rig.google.advance_clock(-ahead);
    }
    rig.google.advance_clock(300);
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Google, INES).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.failed_checks().await[0], "id_token.iat");
}

#[tokio::test]
async fn other_kinds_of_tokens_sign_nobody_in() {
    let rig = members().await;
    for provider in [Provider::Google, Provider::Microsoft] {
        for typ in ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt"] {
            refused(&rig, provider, Forgery::Type(typ.into()), "id_token.typ").await;
        }
        refused(&rig, provider, Forgery::LogoutToken, "id_token.typ").await;
        for events in
            [json!({ "http://schemas.openid.net/event/backchannel-logout": {} }), json!({}), json!(1)]
        {
            refused(&rig, provider, Forgery::claim("events", events), "id_token.events").await;
        }
        refused(&rig, provider, Forgery::OtherAccessTokenHash, "id_token.at_hash").await;
        refused(&rig, provider, Forgery::NoSubject, "id_token.sub").await;
        signs_in(&rig, provider, Some(Forgery::Type("jwt".into()))).await;
    }
}
