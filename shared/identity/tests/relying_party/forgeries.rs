//! Every bad ID token that the stand-in can make, each refused for what is wrong with it.

use rollcall_identity::FailedCheck as _;
use rollcall_identity::relying_party::{ExchangeFailed, IdTokenRefused as R, SignInFailed, Tenants};
use serde_json::json;
use standin_openid::people::{HARBOUR_STUDIO, LINDQVIST_AUDIT};
use standin_openid::{Endpoint, Flavour, Forgery, MICROSOFT_CONSUMERS, Person};

use crate::rig::{ASTRID, INES, NOW, Rig, later};

async fn expect(rig: &Rig, forgery: Forgery, refusal: R) {
    rig.standin.forge_next(forgery.clone());
    let outcome = rig.sign_in(NOW).await;
    assert_eq!(outcome, Err(SignInFailed::IdToken(refusal)), "{forgery:?}");
    assert!(outcome.unwrap_err().check().starts_with("id_token."));
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let rig = Rig::google().await;
    for (forgery, refusal) in [
        (Forgery::Unsigned, R::Algorithm),
        (Forgery::UnsignedAs("None".into()), R::Algorithm),
        (Forgery::UnsignedAs("nOnE".into()), R::Algorithm),
        (Forgery::SignedWithPublicKey, R::Algorithm),
        (Forgery::SignedWithClientSecret, R::Algorithm),
        (Forgery::OtherAlgorithm("RS384".into()), R::Algorithm),
        (Forgery::OtherAlgorithm("RS512".into()), R::Algorithm),
        (Forgery::OtherAlgorithm("PS256".into()), R::Algorithm),
        (Forgery::BrokenSignature, R::Signature),
        (Forgery::NoSignature, R::Signature),
        (Forgery::ForeignKey, R::Signature),
        (Forgery::ChangedAfterSigning, R::Signature),
        (Forgery::UnknownKid, R::KeyUnknown),
        (Forgery::NoKid, R::KeyUnnamed),
        (Forgery::OwnKeyInHeader, R::KeyUnknown),
        (Forgery::UnknownCritical, R::Critical),
    ] {
        expect(&rig, forgery, refusal).await;
    }
    assert!(rig.sign_in(NOW).await.is_ok(), "and an honest one still passes");
}

#[tokio::test]
async fn keys_that_the_header_points_to_are_not_even_looked_at() {
    let (rig, trap) = (Rig::google().await, Rig::google().await);
    let place = format!("{}/oauth2/v3/certs", trap.standin.origin());
    expect(&rig, Forgery::KeyUrlInHeader(place.clone()), R::KeyUnknown).await;
    expect(&rig, Forgery::CertificateUrlInHeader(place), R::KeyUnknown).await;
    assert_eq!(trap.standin.count(Endpoint::Keys), 0);
}

#[tokio::test]
async fn other_kinds_of_tokens_are_refused() {
    let rig = Rig::google().await;
    for typ in ["logout+jwt", "at+jwt", "application/at+jwt", "secevent+jwt"] {
        expect(&rig, Forgery::Type(typ.into()), R::Type).await;
    }
    expect(&rig, Forgery::LogoutToken, R::Type).await;
    rig.standin.forge_next_in_many_ways(vec![Forgery::LogoutToken, Forgery::Type("JWT".into())]);
    assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::IdToken(R::LogoutToken)));
}

#[tokio::test]
async fn wrong_claims_are_refused() {
    let rig = Rig::google().await;
    for (forgery, refusal) in [
        (Forgery::Issuer("https://evil.example".into()), R::Issuer),
        (Forgery::Issuer(format!("{}/", rig.standin.issuer())), R::Issuer),
        (Forgery::without("iss"), R::Issuer),
        (Forgery::OtherAudience, R::Audience),
        (Forgery::ExtraAudience, R::Audience),
        (Forgery::without("aud"), R::Audience),
        (Forgery::OtherAuthorizedParty, R::AuthorizedParty),
        (Forgery::Expired(60), R::Expired),
        (Forgery::Expired(300), R::Expired),
        (Forgery::ExpiryAsText, R::ExpiryMissing),
        (Forgery::claim("exp", json!(null)), R::ExpiryMissing),
        (Forgery::NoExpiry, R::ExpiryMissing),
        (Forgery::NoIssueTime, R::IssuedAtMissing),
        (Forgery::claim("iat", "1800000000"), R::IssuedAtMissing),
        (Forgery::IssuedInFuture(61), R::IssuedInFuture),
        (Forgery::NotYetValid(61), R::NotYetValid),
        (Forgery::claim("nbf", "0"), R::NotYetValid),
        (Forgery::OtherNonce, R::Nonce),
        (Forgery::NoNonce, R::NonceMissing),
        (Forgery::OtherAccessTokenHash, R::AccessTokenHash),
        (Forgery::NoSubject, R::Subject),
        (Forgery::claim("sub", 5), R::Subject),
        (Forgery::claim("email_verified", "true"), R::EmailVerifiedType),
        (Forgery::claim("email_verified", 1), R::EmailVerifiedType),
        (Forgery::claim("hd", json!(["example.com"])), R::ProfileType),
        (Forgery::Text("not a token".into()), R::Form),
        (Forgery::Text("a.b.c".into()), R::Form),
    ] {
        expect(&rig, forgery, refusal).await;
    }
    rig.standin.forge_next(Forgery::Absent);
    assert_eq!(rig.sign_in(NOW).await, Err(SignInFailed::Exchange(ExchangeFailed::Form)));
}

#[tokio::test]
async fn what_is_unusual_and_right_passes() {
    let rig = Rig::google().await;
    for forgery in [
        Forgery::AudienceAsList,
        Forgery::Expired(59),
        Forgery::IssuedInFuture(60),
        Forgery::NotYetValid(60),
        Forgery::Type("jwt".into()),
        Forgery::without("at_hash"),
        Forgery::without("azp"),
    ] {
        rig.standin.forge_next(forgery.clone());
        assert!(rig.sign_in(NOW).await.is_ok(), "{forgery:?}");
    }
}

#[tokio::test]
async fn a_microsoft_token_stays_within_its_tenant() {
    let rig = Rig::microsoft().await;
    for (forgery, refusal) in [
        (Forgery::TenantNotOfIssuer(HARBOUR_STUDIO.into()), R::Issuer),
        (Forgery::Issuer(format!("{}/{HARBOUR_STUDIO}/v2.0", rig.standin.origin())), R::Issuer),
        (Forgery::Issuer(rig.standin.issuer()), R::Issuer),
        (Forgery::Issuer(format!("{}/{{tenantid}}/v2.0", rig.standin.origin())), R::Issuer),
        (Forgery::Tenant(MICROSOFT_CONSUMERS.into()), R::Issuer),
        (Forgery::Tenant("{tenantid}".into()), R::Issuer),
        (Forgery::without("tid"), R::Issuer),
        (Forgery::without("oid"), R::ObjectId),
        (Forgery::claim("oid", "somebody"), R::ObjectId),
        (Forgery::KeyOfPersonalAccounts, R::KeyIssuer),
    ] {
        expect(&rig, forgery, refusal).await;
    }
}

#[tokio::test]
async fn only_people_of_allowed_tenants_sign_in() {
    let only = |tenant: &'static str| {
        Rig::new(Flavour::microsoft_organizations(), move |settings| {
            settings.tenants = Tenants::Only([tenant.to_owned()].into());
        })
    };
    assert!(only(LINDQVIST_AUDIT).await.sign_in(NOW).await.is_ok());
    let refused = only(HARBOUR_STUDIO).await.sign_in(NOW).await;
    assert_eq!(refused, Err(SignInFailed::IdToken(R::TenantNotAllowed)));
}

#[tokio::test]
async fn an_address_counts_only_where_the_provider_says_so_in_the_right_type() {
    let google = Rig::google().await;
    for value in [Some(json!(false)), None] {
        google.standin.put_person(Person::google("Ines Okafor", INES).with_email_verified(value));
        assert!(google.sign_in(NOW).await.unwrap().verified_emails.is_empty());
    }
    let microsoft = Rig::microsoft().await;
    for (value, counts) in [
        (Some(json!(true)), true),
        (Some(json!("1")), true),
        (Some(json!("true")), false),
        (Some(json!(1)), false),
        (Some(json!(false)), false),
        (None, false),
    ] {
        let astrid = Person::microsoft("Astrid", ASTRID, LINDQVIST_AUDIT);
        microsoft.standin.put_person(astrid.with_xms_edov(value.clone()));
        let emails = microsoft.sign_in(NOW).await.unwrap().verified_emails;
        assert_eq!(!emails.is_empty(), counts, "{value:?}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute_and_not_by_five() {
    let rig = Rig::google().await;
    for (seconds, passes) in [(-300, true), (-60, true), (60, true), (61, false), (300, false)] {
        rig.standin.set_clock(NOW.as_seconds() + seconds);
        let outcome = rig.sign_in(NOW).await;
        assert_eq!(outcome.is_ok(), passes, "the provider's clock is {seconds} s ahead: {outcome:?}");
    }
    rig.standin.set_clock(NOW.as_seconds());
    rig.standin.change(|behaviour| behaviour.token_lifetime = 300);
    for (seconds, passes) in [(359, true), (360, false)] {
        let now = later(core::time::Duration::from_secs(seconds));
        let login = rig.begin(NOW);
        let query = rig.browse(&login, &format!("_person={INES}"), NOW).await;
        let callback = rollcall_identity::relying_party::Callback::parse(&query).unwrap();
        let outcome = rig.provider.finish(&login, &callback, now).await;
        assert_eq!(outcome.is_ok(), passes, "a token of five minutes after {seconds} s: {outcome:?}");
    }
}
