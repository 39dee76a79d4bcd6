//! An application's authorization request: no answer leads anywhere but to the registered redirect URI.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rollcall_domain::{ClientId, Timestamp};
use rollcall_identity::provider::{AuthorizeParameters, AuthorizeRefused, Client, RedirectUri};

const REGISTERED: &str = "https://app.example/callback";

static CLIENT: LazyLock<Client> = LazyLock::new(|| Client {
    id: ClientId::new(Timestamp::EPOCH, [1; 10]),
    name: "App".into(),
    secrets: Vec::new(),
    redirect_uris: vec![RedirectUri::parse(REGISTERED).expect("a redirect URI")],
    post_logout_redirect_uris: Vec::new(),
    backchannel_logout_uri: None,
    audience: None,
    workspace: None,
    machine: None,
});

fn ask(query: &str) {
    let Ok(parameters) = AuthorizeParameters::parse(query) else { return };
    match parameters.check(Some(&CLIENT), "https://rollcall.example") {
        Ok(request) => assert_eq!(request.redirect_uri, REGISTERED),
        Err(AuthorizeRefused::Redirect { location, .. }) => {
            assert!(location.as_str().starts_with(REGISTERED), "{location}");
        }
        Err(_) => {}
    }
}

fuzz_target!(|query: &str| {
    ask(query);
    ask(&format!("client_id={}&{query}", CLIENT.id));
    ask(&format!("client_id={}&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&{query}", CLIENT.id));
});
