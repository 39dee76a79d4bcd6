//! Each check of an ID token, with real RS256 signatures: a sound token with one thing changed is refused for that one thing.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::encoding::base64url;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const CLIENT: &str = "our-client";
const GOOGLE: &str = "https://accounts.google.com";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER_TENANT: &str = "00000000-0000-0000-0000-000000000001";
const ACCOUNT: &str = "11111111-2222-3333-4444-555555555555";

struct RsaKey {
    pair: KeyPair,
    jwk: Value,
}

impl RsaKey {
    fn new(kid: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let (n, e) = (
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let jwk = json!({"kty": "RSA", "kid": kid, "use": "sig", "n": base64url(n), "e": base64url(e)});
        Self { pair, jwk }
    }

    fn sign(&self, header: &Value, claims: &Value) -> Secret {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    fn sign_text(&self, header: &str, claims: &str) -> Secret {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        Secret::new(format!("{signed}.{}", base64url(signature)))
    }
}

static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::new("key"));
static STRANGER: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::new("key"));

fn keys(extra: &[(&str, &str)]) -> ProviderKeys {
    let mut jwk = KEY.jwk.clone();
    for (name, value) in extra {
        jwk[*name] = (*value).into();
    }
    ProviderKeys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "key", "typ": "JWT"})
}

fn google() -> Value {
    json!({
        "iss": GOOGLE, "aud": CLIENT, "azp": CLIENT, "sub": "10769150350006150715113082367", "nonce": "the-nonce",
        "iat": 1_800_000_000, "exp": 1_800_003_600, "email": "Ada@Example.com", "email_verified": true,
        "name": "Ada Lovelace", "hd": "Example.com",
    })
}

fn microsoft() -> Value {
    json!({
        "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "aud": CLIENT, "sub": "pairwise",
        "tid": TENANT, "oid": ACCOUNT, "nonce": "the-nonce",
        // Microsoft dates its tokens back by five minutes.
        "iat": 1_799_999_700, "nbf": 1_799_999_700, "exp": 1_800_003_600,
        "email": "ada@example.com", "xms_edov": true, "name": "Ada",
    })
}

struct Check {
    provider: Provider,
    issuer: &'static str,
    tenants: Tenants,
    keys: ProviderKeys,
    now: Timestamp,
    max_age: Option<Duration>,
    answer_issuer: Option<&'static str>,
}

impl Check {
    fn google() -> Self {
        Self {
            provider: Provider::Google,
            issuer: GOOGLE,
            tenants: Tenants::Any,
            keys: keys(&[]),
            now: NOW,
            max_age: None,
            answer_issuer: None,
        }
    }

    fn microsoft() -> Self {
        let issuer = "https://login.microsoftonline.com/organizations/v2.0";
        Self { provider: Provider::Microsoft, issuer, ..Self::google() }
    }

    fn verify(&self, token: &Secret) -> Result<Visitor, IdTokenRefused> {
        let nonce = Secret::new("the-nonce");
        let expected = Expected {
            provider: self.provider,
            rule: &IssuerRule::for_configured(self.issuer),
            tenants: &self.tenants,
            client_id: CLIENT,
            nonce: &nonce,
            max_age: self.max_age,
            answer_issuer: self.answer_issuer,
            access_token: None,
            now: self.now,
        };
        verify(token, &self.keys, &expected)
    }

    fn claims(&self, claims: &Value) -> Result<Visitor, IdTokenRefused> {
        self.verify(&KEY.sign(&header(), claims))
    }

    fn header(&self, header: &Value) -> Result<Visitor, IdTokenRefused> {
        self.verify(&KEY.sign(header, &google()))
    }
}

/// Claims with some of them changed; `null` takes one away.
fn with(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn a_sound_google_token_gives_the_person() {
    let visitor = Check::google().claims(&google()).unwrap();
    assert_eq!(visitor.identity.issuer, GOOGLE);
    assert_eq!(visitor.identity.subject, "10769150350006150715113082367");
    assert_eq!(visitor.verified_emails, ["ada@example.com".parse().unwrap()]);
    assert_eq!(visitor.organisation.as_deref(), Some("example.com"));
    assert_eq!(visitor.display_name, "Ada Lovelace");
}

#[test]
fn a_sound_microsoft_token_gives_the_person_by_tenant_and_account() {
    let visitor = Check::microsoft().claims(&microsoft()).unwrap();
    assert_eq!(visitor.identity.subject, format!("{TENANT}/{ACCOUNT}"));
    assert_eq!(visitor.identity.issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
    assert_eq!(visitor.organisation.as_deref(), Some(TENANT));
}

#[test]
fn algorithms_other_than_rs256_are_refused_whatever_key_they_would_use() {
    let check = Check::google();
    for alg in ["none", "None", "HS256", "HS512", "RS384", "PS256", "ES256", "EdDSA", "rs256", ""] {
        let header = json!({"alg": alg, "kid": "key", "typ": "JWT"});
        assert_eq!(check.header(&header), Err(IdTokenRefused::Algorithm), "{alg}");
    }
    // The public key as an HMAC secret: the classic confusion.
    let signed = format!(
        "{}.{}",
        base64url(json!({"alg": "HS256", "kid": "key"}).to_string()),
        base64url(google().to_string())
    );
    let secret = EncodingKey::from_secret(KEY.jwk["n"].as_str().unwrap().as_bytes());
    let mac = jsonwebtoken::crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256).unwrap();
    assert_eq!(check.verify(&Secret::new(format!("{signed}.{mac}"))), Err(IdTokenRefused::Algorithm));
    // No signature at all.
    let bare =
        format!("{}.{}.", base64url(json!({"alg": "none"}).to_string()), base64url(google().to_string()));
    assert_eq!(check.verify(&Secret::new(bare)), Err(IdTokenRefused::Algorithm));
}

#[test]
fn keys_in_the_header_are_never_used() {
    let header = json!({
        "alg": "RS256", "kid": "key", "typ": "JWT", "jwk": STRANGER.jwk, "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u", "x5c": ["AA=="],
    });
    assert_eq!(Check::google().verify(&STRANGER.sign(&header, &google())), Err(IdTokenRefused::Signature));
    assert!(Check::google().verify(&KEY.sign(&header, &google())).is_ok(), "they are ignored, not obeyed");
}

#[test]
fn the_key_has_to_be_named_known_and_the_one_that_signed() {
    let check = Check::google();
    assert_eq!(check.header(&json!({"alg": "RS256"})), Err(IdTokenRefused::KeyUnnamed));
    assert_eq!(check.header(&json!({"alg": "RS256", "kid": "other"})), Err(IdTokenRefused::KeyUnknown));
    assert_eq!(check.verify(&STRANGER.sign(&header(), &google())), Err(IdTokenRefused::Signature));
    let mut token = KEY.sign(&header(), &google()).expose().to_owned();
    token.pop();
    assert_eq!(check.verify(&Secret::new(token)), Err(IdTokenRefused::Signature));
}

#[test]
fn other_kinds_of_tokens_are_refused() {
    let check = Check::google();
    for typ in ["at+jwt", "logout+jwt", "secevent+jwt", "application/at+jwt", "JWE"] {
        assert_eq!(
            check.header(&json!({"alg": "RS256", "kid": "key", "typ": typ})),
            Err(IdTokenRefused::Type),
            "{typ}"
        );
    }
    for header in [json!({"alg": "RS256", "kid": "key"}), json!({"alg": "RS256", "kid": "key", "typ": "jwt"})]
    {
        assert!(check.header(&header).is_ok());
    }
    let logout =
        with(google(), &json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}));
    assert_eq!(check.claims(&logout), Err(IdTokenRefused::LogoutToken));
    let demanding = json!({"alg": "RS256", "kid": "key", "crit": ["exp"]});
    assert_eq!(check.header(&demanding), Err(IdTokenRefused::Critical));
}

#[test]
fn every_claim_that_is_wrong_has_its_own_refusal() {
    use IdTokenRefused as R;
    for (change, refusal) in [
        (json!({"iss": "accounts.google.com"}), R::Issuer),
        (json!({"iss": "https://accounts.google.com/"}), R::Issuer),
        (json!({"iss": null}), R::Issuer),
        (json!({"iss": [GOOGLE]}), R::Issuer),
        (json!({"aud": null}), R::Audience),
        (json!({"aud": "other"}), R::Audience),
        (json!({"aud": []}), R::Audience),
        (json!({"aud": [CLIENT, "other"]}), R::Audience),
        (json!({"aud": [CLIENT, CLIENT]}), R::Audience),
        (json!({"aud": [5]}), R::Audience),
        (json!({"azp": "other"}), R::AuthorizedParty),
        (json!({"azp": 5}), R::AuthorizedParty),
        (json!({"exp": null}), R::ExpiryMissing),
        (json!({"exp": "1800003600"}), R::ExpiryMissing),
        (json!({"exp": true}), R::ExpiryMissing),
        (json!({"exp": 1_799_999_940}), R::Expired),
        (json!({"exp": 0}), R::Expired),
        (json!({"iat": null}), R::IssuedAtMissing),
        (json!({"iat": "1800000000"}), R::IssuedAtMissing),
        (json!({"iat": 1_800_000_061}), R::IssuedInFuture),
        (json!({"nbf": 1_800_000_061}), R::NotYetValid),
        (json!({"nbf": "1800000000"}), R::NotYetValid),
        (json!({"nonce": null}), R::NonceMissing),
        (json!({"nonce": "another"}), R::Nonce),
        (json!({"nonce": ""}), R::Nonce),
        (json!({"nonce": ["the-nonce"]}), R::Nonce),
        (json!({"at_hash": "of-another-one"}), R::AccessTokenHash),
        (json!({"sub": null}), R::Subject),
        (json!({"sub": ""}), R::Subject),
        (json!({"sub": 5}), R::Subject),
        (json!({"sub": "a b"}), R::Subject),
        (json!({"sub": "x".repeat(256)}), R::Subject),
        (json!({"email_verified": "true"}), R::EmailVerifiedType),
        (json!({"email_verified": 1}), R::EmailVerifiedType),
        (json!({"email_verified": ["true"]}), R::EmailVerifiedType),
        (json!({"email": ["ada@example.com"]}), R::ProfileType),
        (json!({"hd": true}), R::ProfileType),
        (json!({"name": {}}), R::ProfileType),
    ] {
        assert_eq!(Check::google().claims(&with(google(), &change)), Err(refusal), "{change}");
    }
    assert!(Check::google().claims(&with(google(), &json!({"aud": [CLIENT]}))).is_ok());
}

#[test]
fn an_address_counts_only_if_google_says_so_by_the_boolean_true() {
    for change in [json!({"email_verified": false}), json!({"email_verified": null}), json!({"email": null})]
    {
        let visitor = Check::google().claims(&with(google(), &change)).unwrap();
        assert!(visitor.verified_emails.is_empty(), "{change}");
    }
    for address in ["ada@example.com@evil.example", "adm\u{131}n@example.com", "ada", "ada@example.com\n"] {
        let visitor = Check::google().claims(&with(google(), &json!({"email": address}))).unwrap();
        assert!(visitor.verified_emails.is_empty(), "{address}");
    }
}

#[test]
fn a_microsoft_address_counts_only_if_the_domains_owner_vouches_for_it() {
    let emails =
        |change: Value| Check::microsoft().claims(&with(microsoft(), &change)).unwrap().verified_emails.len();
    for (edov, count) in [
        (json!(true), 1),
        (json!("1"), 1),
        (json!(false), 0),
        (json!(null), 0),
        (json!(1), 0),
        (json!("true"), 0),
        (json!("0"), 0),
        (json!([true]), 0),
    ] {
        assert_eq!(emails(json!({"xms_edov": edov})), count, "{edov}");
    }
    assert_eq!(emails(json!({"xms_edov": null, "email_verified": true})), 0, "not Microsoft's way to say it");
}

#[test]
fn the_tenant_is_the_issuers_own_and_an_allowed_one() {
    use IdTokenRefused as R;
    let consumers = crate::relying_party::MICROSOFT_CONSUMERS;
    for (change, refusal) in [
        (json!({"tid": OTHER_TENANT}), R::Issuer),
        (json!({"tid": null}), R::Issuer),
        (json!({"tid": 5}), R::Tenant),
        (json!({"tid": format!("{TENANT}/../{OTHER_TENANT}")}), R::Issuer),
        (json!({"iss": "https://login.microsoftonline.com/organizations/v2.0"}), R::Issuer),
        (json!({"iss": "https://login.microsoftonline.com/{tenantid}/v2.0", "tid": "{tenantid}"}), R::Issuer),
        (
            json!({"iss": format!("https://login.microsoftonline.com/{consumers}/v2.0"), "tid": consumers}),
            R::Issuer,
        ),
        (json!({"iss": format!("https://sts.windows.net/{TENANT}/")}), R::Issuer),
        (json!({"oid": null}), R::ObjectId),
        (json!({"oid": "not-an-id"}), R::ObjectId),
    ] {
        assert_eq!(Check::microsoft().claims(&with(microsoft(), &change)), Err(refusal), "{change}");
    }
    let listed =
        |tenant: &str| Check { tenants: Tenants::Only([tenant.to_owned()].into()), ..Check::microsoft() };
    assert!(listed(TENANT).claims(&microsoft()).is_ok());
    assert_eq!(listed(OTHER_TENANT).claims(&microsoft()), Err(R::TenantNotAllowed));
}

#[test]
fn a_key_of_another_issuer_does_not_sign_for_this_one() {
    for (issuer, sound) in [
        ("https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(), true),
        (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
        (format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"), false),
    ] {
        let check = Check { keys: keys(&[("issuer", &issuer)]), ..Check::microsoft() };
        let outcome = check.claims(&microsoft());
        assert_eq!(outcome.err(), (!sound).then_some(IdTokenRefused::KeyIssuer), "{issuer}");
    }
}

#[test]
fn clocks_may_differ_by_a_minute_and_not_by_five() {
    for (seconds, sound) in
        [(-300, false), (-61, false), (-60, true), (0, true), (3600, true), (3659, true), (3660, false)]
    {
        let now = Timestamp::from_seconds(1_800_000_000 + seconds);
        let check = Check { now, ..Check::google() };
        assert_eq!(check.claims(&google()).is_ok(), sound, "{seconds} s after the token was issued");
    }
}

#[test]
fn where_the_age_of_the_sign_in_matters_it_has_to_be_there() {
    let check = Check { max_age: Some(Duration::from_mins(10)), ..Check::google() };
    assert_eq!(check.claims(&google()), Err(IdTokenRefused::AuthTimeMissing));
    for (auth_time, refusal) in [
        (json!(1_799_999_400), None),
        (json!(1_799_999_339), Some(IdTokenRefused::AuthTooOld)),
        (json!("1799999400"), Some(IdTokenRefused::AuthTimeMissing)),
    ] {
        assert_eq!(
            check.claims(&with(google(), &json!({"auth_time": auth_time}))).err(),
            refusal,
            "{auth_time}"
        );
    }
}

#[test]
fn the_answers_issuer_and_the_tokens_have_to_be_the_same() {
    let other = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0";
    let check = Check { answer_issuer: Some(other), ..Check::microsoft() };
    assert_eq!(check.claims(&microsoft()), Err(IdTokenRefused::Issuer));
}

#[test]
fn a_name_cannot_disturb_a_page_or_a_log() {
    let name =
        |name: &str| Check::google().claims(&with(google(), &json!({"name": name}))).unwrap().display_name;
    assert_eq!(name("Ada\r\n\u{202E}Lovelace\u{200B}"), "AdaLovelace");
    assert_eq!(name(&"x".repeat(500)).len(), 100);
    assert_eq!(name("  "), "ada@example.com");
    let nameless = with(google(), &json!({"name": null, "email": null}));
    assert_eq!(Check::google().claims(&nameless).unwrap().display_name, "Somebody from Google");
}

#[test]
fn repeated_claims_are_refused() {
    let claims = google().to_string().replacen('{', r#"{"sub":"somebody-else","#, 1);
    assert_eq!(
        Check::google().verify(&KEY.sign_text(&header().to_string(), &claims)),
        Err(IdTokenRefused::Claims)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn a_mutated_token_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        static TOKEN: LazyLock<Secret> = LazyLock::new(|| KEY.sign(&header(), &google()));
        thread_local!(static CHECK: Check = Check::google());
        let mut text = TOKEN.expose().as_bytes().to_vec();
        let at = at.index(text.len());
        prop_assume!(text[at] != byte);
        text[at] = byte;
        let mutated = Secret::new(String::from_utf8(text).unwrap());
        prop_assert!(CHECK.with(|check| check.verify(&mutated)).is_err());
    }
}
