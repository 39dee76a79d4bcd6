use std::collections::BTreeSet;

use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, TokenHash};
use rollcall_service::secrets::{AllowedTenants, DeploymentSecret, KeyState};
use serde_json::{Value, json};

use super::example;

fn refusal(document: &Value) -> String {
    DeploymentSecret::parse(&document.to_string()).err().expect("the document is wrong").to_string()
}

#[test]
fn a_right_document_is_understood() {
    let secret = DeploymentSecret::parse(&example::document().to_string())
        .unwrap_or_else(|defects| panic!("{defects}"));
    assert_eq!(secret.providers.offered().collect::<Vec<_>>(), Provider::ALL);
    let google = secret.providers.get(Provider::Google).unwrap();
    assert_eq!((google.client_id.as_str(), google.client_secret.expose()), ("go", "hunter2-google"));
    let tenants = BTreeSet::from(["72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned()]);
    assert_eq!(secret.providers.allowed_tenants(), &AllowedTenants::Only(tenants));
    let keys: Vec<_> = secret.signing_keys().iter().map(|key| (key.kid(), key.state())).collect();
    assert_eq!(keys, [("2026-11", KeyState::Current), ("2027-02", KeyState::Next)]);
    assert_eq!(secret.sealing_keys.ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
    assert!(
        secret.bootstrap_admin_token.is_some_and(|hash| hash.matches(&TokenHash::of(&Secret::new("hello"))))
    );
}

#[test]
fn only_what_is_needed_must_be_there() {
    let mut document = example::document();
    document["providers"] = json!({ "google": { "client_id": "go", "client_secret": "s" } });
    document.as_object_mut().unwrap().remove("bootstrap_admin_token_sha256");
    let secret = DeploymentSecret::parse(&document.to_string()).unwrap_or_else(|defects| panic!("{defects}"));
    assert!(secret.providers.get(Provider::Bitbucket).is_none() && secret.bootstrap_admin_token.is_none());
    assert_eq!(secret.providers.allowed_tenants(), &AllowedTenants::Only(BTreeSet::new()));
}

#[test]
fn each_defect_is_named_by_its_place_and_no_value_is_shown() {
    let other_curve = example::other_curve();
    let cases: &[(&str, Value, &str)] = &[
        ("/providers", json!({}), "providers must contain at least one"),
        ("/providers", json!("hunter2"), "providers must be an object"),
        (
            "/providers/github",
            json!({"client_secret": "hunter2"}),
            "providers has a member that is not known",
        ),
        ("/providers/google/client_id", json!(""), "providers.google.client_id must be a text"),
        (
            "/providers/google/client_secret",
            json!(" hunter2"),
            "providers.google.client_secret must be a text",
        ),
        ("/providers/google/client_secret", json!(12), "providers.google.client_secret must be a text"),
        (
            "/providers/google/allowed_tenants",
            json!("any"),
            "providers.google has a member that is not known",
        ),
        (
            "/providers/microsoft/allowed_tenants",
            json!([]),
            "providers.microsoft.allowed_tenants must be \"any\"",
        ),
        (
            "/providers/microsoft/allowed_tenants",
            json!("hunter2"),
            "providers.microsoft.allowed_tenants must be",
        ),
        (
            "/providers/microsoft/allowed_tenants/0",
            json!("hunter2"),
            "providers.microsoft.allowed_tenants[0] must be",
        ),
        ("/signing_keys", json!([]), "signing_keys must contain exactly one key whose state is current"),
        ("/signing_keys/0/state", json!("current"), "signing_keys must contain exactly one"),
        (
            "/signing_keys/0/state",
            json!("hunter2"),
            "signing_keys[0].state must be current, next or previous",
        ),
        ("/signing_keys/0/kid", json!("hunter2 hunter2"), "signing_keys[0].kid must be 1 to 64"),
        ("/signing_keys/0/kid", json!("2026-11"), "signing_keys[1].kid is already the kid"),
        ("/signing_keys/0/private_key", json!("hunter2"), "signing_keys[0].private_key must be a P-256"),
        ("/signing_keys/0/private_key", json!(other_curve), "signing_keys[0].private_key must be a P-256"),
        ("/signing_keys/0/hunter2", json!(1), "signing_keys[0] has a member that is not known"),
        ("/sealing_keys", json!([]), "sealing_keys must contain at least one key"),
        ("/sealing_keys", json!({"hunter2": 1}), "sealing_keys must be a list"),
        ("/sealing_keys/0/key", json!("aHVudGVyMg=="), "sealing_keys[0].key must be 32 bytes in base64"),
        ("/sealing_keys/0/id", json!("a.b"), "sealing_keys[0].id must be 1 to 32"),
        ("/sealing_keys/0/id", json!("2026-05"), "sealing_keys[1].id is already the id"),
        (
            "/bootstrap_admin_token_sha256",
            json!("hunter2"),
            "bootstrap_admin_token_sha256 must be the SHA-256",
        ),
        ("/hunter2", json!("hunter2"), "the document has a member that is not known"),
    ];
    for (place, value, expected) in cases {
        let mut document = example::document();
        set(&mut document, place, value.clone());
        let line = refusal(&document);
        assert!(line.starts_with(expected), "{place}: {line}");
        assert!(!line.contains("hunter2") && !line.contains("aHVudGVyMg") && !line.contains('\n'), "{line}");
    }
}

fn set(document: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => _ = parent.as_object_mut().unwrap().insert(name.to_owned(), value),
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let line = refusal(&json!({ "providers": { "google": {} } }));
    assert_eq!(
        line,
        "providers.google.client_id is missing; providers.google.client_secret is missing; signing_keys is missing; \
         sealing_keys is missing"
    );
}

#[test]
fn what_is_not_json_is_told_by_its_position_only() {
    for text in ["", "hunter2", "{\"providers\": hunter2}", "{\"a\":\"hunter2\n\"}"] {
        let line = DeploymentSecret::parse(text).err().expect("not JSON").to_string();
        assert!(line.starts_with("the document is not JSON (line ") && !line.contains("hunter2"), "{line}");
    }
    assert_eq!(refusal(&json!([])), "the document must be an object");
}

#[test]
fn the_application_is_shown_as_its_vendor_wants_it_with_a_logo_that_loads_nothing() {
    let mut document = example::document();
    assert_eq!(DeploymentSecret::parse(&document.to_string()).unwrap().application.name, "Rollcall");
    let logo = "data:image/svg+xml;base64,PHN2Zy8+";
    document["application"] = json!({ "name": "Shop", "logo": logo });
    let application = DeploymentSecret::parse(&document.to_string()).unwrap().application;
    assert_eq!((application.name.as_str(), application.logo.as_deref()), ("Shop", Some(logo)));
    for elsewhere in
        ["https://example.com/logo.png", "data:text/html;base64,PHN2Zy8+", "data:image/png;base64,%%%"]
    {
        document["application"]["logo"] = elsewhere.into();
        assert!(refusal(&document).starts_with("application.logo must be"), "{elsewhere}");
    }
}
