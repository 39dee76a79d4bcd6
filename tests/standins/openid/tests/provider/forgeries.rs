//! Each forgery is wrong in its own way, and in no other.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::errors::ErrorKind;
use serde_json::{Value, json};
use standin_openid::people::{HARBOUR_STUDIO, LINDQVIST_AUDIT};
use standin_openid::{Endpoint, Flavour, Forgery, MICROSOFT_CONSUMERS, people};

use crate::support::{NONCE, Rig, SECRET, claims, decoded, header, rig, verify};

const INES: &str = "Ines Okafor";

async fn google() -> Rig {
    rig(Flavour::Google, people::at_google()).await
}

async fn forged(rig: &Rig, person: &str, forgery: Forgery) -> String {
    rig.provider.forge_next(forgery);
    rig.id_token(person).await
}

/// What a relying party's library says to the signature of a token, taking it for what its header says or for RS256.
async fn signature_error(rig: &Rig, token: &str) -> ErrorKind {
    verify(token, &rig.keys().await, &rig.provider.issuer()).unwrap_err().into_kind()
}

#[tokio::test]
async fn tokens_without_a_right_signature_are_refused_by_a_library() {
    let rig = google().await;
    for forgery in
        [Forgery::BrokenSignature, Forgery::NoSignature, Forgery::ForeignKey, Forgery::ChangedAfterSigning]
    {
        let token = forged(&rig, INES, forgery.clone()).await;
        assert_eq!(header(&token)["alg"], "RS256");
        assert_eq!(header(&token)["kid"], rig.provider.signing_kid());
        let kind = signature_error(&rig, &token).await;
        assert!(matches!(kind, ErrorKind::InvalidSignature), "{forgery:?}: {kind:?}");
    }
    for algorithm in ["RS384", "RS512", "PS256"] {
        let token = forged(&rig, INES, Forgery::OtherAlgorithm(algorithm.into())).await;
        assert_eq!(header(&token)["alg"], algorithm);
        let kind = signature_error(&rig, &token).await;
        assert!(matches!(kind, ErrorKind::InvalidAlgorithm), "{algorithm}: {kind:?}");
    }
    assert!(verify(&rig.id_token(INES).await, &rig.keys().await, &rig.provider.issuer()).is_ok());
}

#[tokio::test]
async fn the_other_algorithms_are_right_for_who_accepts_them() {
    let rig = google().await;
    let keys = rig.keys().await;
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == rig.provider.signing_kid()).unwrap();
    let key = serde_json::from_value(key.clone()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
    for (name, algorithm) in [
        ("RS384", jsonwebtoken::Algorithm::RS384),
        ("RS512", jsonwebtoken::Algorithm::RS512),
        ("PS256", jsonwebtoken::Algorithm::PS256),
    ] {
        let token = forged(&rig, INES, Forgery::OtherAlgorithm(name.into())).await;
        let mut rules = jsonwebtoken::Validation::new(algorithm);
        rules.set_audience(&["rollcall"]);
        assert!(jsonwebtoken::decode::<Value>(&token, &key, &rules).is_ok(), "{name}");
    }
}

#[tokio::test]
async fn unsigned_tokens_have_an_empty_signature() {
    let rig = google().await;
    for (forgery, alg) in [(Forgery::Unsigned, "none"), (Forgery::UnsignedAs("nOnE".into()), "nOnE")] {
        let token = forged(&rig, INES, forgery).await;
        assert_eq!(header(&token)["alg"], alg);
        assert!(token.ends_with('.'));
        assert_eq!(claims(&token)["nonce"], NONCE);
    }
}

#[tokio::test]
async fn hmacs_are_right_for_who_takes_the_public_key_or_the_clients_secret_for_one() {
    let rig = google().await;
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    rules.set_audience(&["rollcall"]);
    let token = forged(&rig, INES, Forgery::SignedWithClientSecret).await;
    let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
    assert!(jsonwebtoken::decode::<Value>(&token, &key, &rules).is_ok());

    let token = forged(&rig, INES, Forgery::SignedWithPublicKey).await;
    assert_eq!(header(&token)["alg"], "HS256");
    let pem = rig.provider.public_key_pem();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    let keys = rig.keys().await;
    let published =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == rig.provider.signing_kid());
    let modulus = URL_SAFE_NO_PAD.decode(published.unwrap()["n"].as_str().unwrap()).unwrap();
    assert!(der.windows(modulus.len()).any(|part| part == modulus), "it is the published key");
    let key = jsonwebtoken::DecodingKey::from_secret(pem.as_bytes());
    assert!(jsonwebtoken::decode::<Value>(&token, &key, &rules).is_ok());
}

#[tokio::test]
async fn keys_that_the_header_brings_along_are_not_the_published_ones() {
    let rig = google().await;
    let elsewhere = "https://evil.example/keys".to_owned();
    for (forgery, parameter) in [
        (Forgery::OwnKeyInHeader, "jwk"),
        (Forgery::KeyUrlInHeader(elsewhere.clone()), "jku"),
        (Forgery::CertificateUrlInHeader(elsewhere), "x5u"),
        (Forgery::UnknownKid, "kid"),
    ] {
        let token = forged(&rig, INES, forgery).await;
        let head = header(&token);
        assert!(!head[parameter].is_null(), "{head}");
        let kids = rig.keys().await["keys"].as_array().unwrap().clone();
        assert!(kids.iter().all(|key| key["kid"] != head["kid"]), "{head}");
        if let Ok(key) = serde_json::from_value(head["jwk"].clone()) {
            let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
            let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
            rules.set_audience(&["rollcall"]);
            assert!(
                jsonwebtoken::decode::<Value>(&token, &key, &rules).is_ok(),
                "right for who trusts the header"
            );
        }
    }
    assert!(header(&forged(&rig, INES, Forgery::NoKid).await).get("kid").is_none());
    let critical = header(&forged(&rig, INES, Forgery::UnknownCritical).await);
    assert_eq!(critical["crit"], json!(["urn:example:unheard-of"]));
    assert_eq!(header(&forged(&rig, INES, Forgery::Type("at+jwt".into())).await)["typ"], "at+jwt");
}

#[tokio::test]
async fn claims_are_wrong_one_at_a_time() {
    let rig = google().await;
    rig.provider.set_clock(1_800_000_000);
    let honest = claims(&rig.id_token(INES).await);
    let set = |name: &str, value: Value| vec![(name.to_owned(), value)];
    for (forgery, expected) in [
        (Forgery::Issuer("https://evil.example".into()), set("iss", json!("https://evil.example"))),
        (Forgery::OtherAudience, set("aud", json!("another-client"))),
        (Forgery::ExtraAudience, set("aud", json!(["rollcall", "another-client"]))),
        (Forgery::AudienceAsList, set("aud", json!(["rollcall"]))),
        (Forgery::OtherAuthorizedParty, set("azp", json!("another-client"))),
        (
            Forgery::Expired(90),
            vec![("exp".into(), json!(1_799_999_910)), ("iat".into(), json!(1_799_996_310))],
        ),
        (Forgery::ExpiryAsText, set("exp", json!("1800003600"))),
        (Forgery::NoExpiry, set("exp", Value::Null)),
        (Forgery::NoIssueTime, set("iat", Value::Null)),
        (Forgery::IssuedInFuture(600), set("iat", json!(1_800_000_600))),
        (Forgery::NotYetValid(600), set("nbf", json!(1_800_000_600))),
        (Forgery::NoNonce, set("nonce", Value::Null)),
        (Forgery::NoSubject, set("sub", Value::Null)),
        (Forgery::claim("email_verified", "true"), set("email_verified", json!("true"))),
        (Forgery::claim("email_verified", 1), set("email_verified", json!(1))),
        (Forgery::without("email_verified"), set("email_verified", Value::Null)),
        (Forgery::without("hd"), vec![]),
    ] {
        let token = forged(&rig, INES, forgery.clone()).await;
        let mut wanted = honest.clone();
        for (name, value) in expected {
            if value.is_null() {
                wanted.as_object_mut().unwrap().remove(&name);
            } else {
                wanted[&name] = value;
            }
        }
        let mut got = claims(&token);
        // It differs with every access token.
        got["at_hash"] = wanted["at_hash"].clone();
        assert_eq!(got, wanted, "{forgery:?}");
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        (rules.validate_exp, rules.validate_aud) = (false, false);
        rules.required_spec_claims.clear();
        assert!(
            crate::support::decode(&token, &rig.keys().await, &rules).is_ok(),
            "{forgery:?} is well signed"
        );
    }
    assert_ne!(claims(&forged(&rig, INES, Forgery::OtherNonce).await)["nonce"], NONCE);
    let other = forged(&rig, INES, Forgery::OtherAccessTokenHash).await;
    assert_eq!(claims(&other)["at_hash"].as_str().unwrap().len(), 22);
}

#[tokio::test]
async fn tenants_can_be_mixed_up_in_two_ways() {
    let rig = rig(Flavour::microsoft_organizations(), people::at_microsoft()).await;
    let issuer = |tid: &str| json!(format!("{}/{tid}/v2.0", rig.provider.origin()));
    let person = "Astrid Lindqvist";
    let half = claims(&forged(&rig, person, Forgery::TenantNotOfIssuer(HARBOUR_STUDIO.into())).await);
    assert_eq!((&half["tid"], &half["iss"]), (&json!(HARBOUR_STUDIO), &issuer(LINDQVIST_AUDIT)));
    let whole = claims(&forged(&rig, person, Forgery::Tenant(HARBOUR_STUDIO.into())).await);
    assert_eq!((&whole["tid"], &whole["iss"]), (&json!(HARBOUR_STUDIO), &issuer(HARBOUR_STUDIO)));

    let token = forged(&rig, person, Forgery::KeyOfPersonalAccounts).await;
    let keys = rig.keys().await;
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header(&token)["kid"]).unwrap();
    assert_eq!(key["issuer"], issuer(MICROSOFT_CONSUMERS));
    assert_eq!(claims(&token)["iss"], issuer(LINDQVIST_AUDIT));
}

#[tokio::test]
async fn a_logout_token_is_no_id_token_in_type_and_claims() {
    let rig = google().await;
    let token = forged(&rig, INES, Forgery::LogoutToken).await;
    assert_eq!(header(&token)["typ"], "logout+jwt");
    assert!(claims(&token)["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
    assert!(claims(&token).get("nonce").is_none());
}

#[tokio::test]
async fn the_token_can_be_another_text_or_missing() {
    let rig = google().await;
    assert_eq!(forged(&rig, INES, Forgery::Text("a.b".into())).await, "a.b");
    rig.provider.forge_next(Forgery::Absent);
    let answer = rig.tokens(INES).await;
    assert!(answer.get("id_token").is_none() && answer["access_token"].is_string());
}

#[tokio::test]
async fn forgeries_come_one_token_at_a_time_and_several_can_be_in_one() {
    let rig = google().await;
    rig.provider.forge_next(Forgery::NoNonce);
    rig.provider.forge_next_in_many_ways(vec![]);
    rig.provider.forge_next_in_many_ways(vec![Forgery::NoExpiry, Forgery::Unsigned]);
    rig.provider.forge_next(Forgery::Unsigned);
    assert!(claims(&rig.id_token(INES).await).get("nonce").is_none());
    assert_eq!(claims(&rig.id_token(INES).await)["nonce"], NONCE);
    let third = rig.id_token(INES).await;
    assert!(third.ends_with('.') && claims(&third).get("exp").is_none());
    rig.provider.forge_nothing();
    assert!(verify(&rig.id_token(INES).await, &rig.keys().await, &rig.provider.issuer()).is_ok());
    assert_eq!(rig.provider.count(Endpoint::Token), 4);
}

#[tokio::test]
async fn every_forgery_can_be_asked_for_over_http() {
    let rig = google().await;
    let place = format!("{}/_control/forge", rig.provider.origin());
    for (asked, check) in [
        (json!(["unsigned"]), ("alg", json!("none"))),
        (json!([{"type": "at+jwt"}]), ("typ", json!("at+jwt"))),
        (json!([{"header": {"name": "x5c", "value": ["AA=="]}}]), ("x5c", json!(["AA=="]))),
    ] {
        let response = rig.http.post(&place).json(&asked).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let token = rig.id_token(INES).await;
        assert_eq!(decoded(token.split('.').next().unwrap())[check.0], check.1);
    }
    let response = rig.http.post(&place).json(&json!(["nonsense"])).send().await.unwrap();
    assert_eq!(response.status(), 422);
}
