//! Signing in, and tokens.

use serde_json::Value;
use standin_bitbucket::{Consumer, LOGIN_KEY, LOGIN_SECRET, SYNC_KEY, SYNC_SECRET};

use crate::support::{By, CALLBACK, Rig, rig, world};

fn authorize(rest: &str) -> String {
    format!("/site/oauth2/authorize?client_id={LOGIN_KEY}&response_type=code&state=st%26te{rest}")
}

/// Where a browser is sent back to, and with which parameters.
async fn back(rig: &Rig, path: &str) -> (String, Vec<(String, String)>) {
    let response = rig.ask(&By::Nobody, path).await;
    assert_eq!(response.status(), 302, "{path}");
    let to: reqwest::Url = response.headers()["location"].to_str().unwrap().parse().unwrap();
    let parameters = to.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
    (to.as_str().split('?').next().unwrap().to_owned(), parameters)
}

async fn code(rig: &Rig, rest: &str) -> String {
    let (_, parameters) = back(rig, &authorize(rest)).await;
    parameters.into_iter().find(|(name, _)| name == "code").expect("a code").1
}

async fn exchange(rig: &Rig, code: &str) -> (u16, Value) {
    rig.redeem(LOGIN_KEY, LOGIN_SECRET, &[("grant_type", "authorization_code"), ("code", code)]).await
}

#[tokio::test]
async fn a_person_consents_and_their_token_speaks_for_them() {
    let rig = rig(world()).await;
    let (to, parameters) = back(&rig, &authorize("&_person=grace")).await;
    assert_eq!(to, CALLBACK);
    assert!(parameters.contains(&("state".into(), "st&te".into())), "{parameters:?}");
    let code = &parameters.iter().find(|(name, _)| name == "code").unwrap().1;
    let (status, answer) = exchange(&rig, code).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["scope"], "account email repository");
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&"bearer".into(), &7200.into()));
    let token = answer["access_token"].as_str().unwrap();
    assert!(token.len() >= 2_400 && token.matches('.').count() == 2, "it looks like a long JWT");
    let me = rig.json(&By::Bearer(token.into()), "/2.0/user").await;
    assert_eq!((&me["username"], &me["type"]), (&"grace".into(), &"user".into()));
}

#[tokio::test]
async fn the_consent_page_lists_people_and_is_harmless() {
    let mut evil = world();
    evil.change_account("grace", |account| account.display_name = "<script>alert(1)</script>\"'".into())
        .unwrap();
    evil.change_consumer(LOGIN_KEY, |consumer| consumer.name = "<b>\"Evil\" & Co</b>".into()).unwrap();
    let rig = rig(evil).await;
    let response = rig.ask(&By::Nobody, &authorize("&x=%22%3E%3Cscript%3E")).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = response.text().await.unwrap();
    assert!(page.contains("_person=paula") && page.contains("_deny=1") && page.contains("Paula Keller"));
    assert!(!page.contains("<script") && !page.contains("<b>\"Evil\""), "{page}");
}

#[tokio::test]
async fn whoever_denies_is_sent_back_with_an_error() {
    let rig = rig(world()).await;
    let (to, parameters) = back(&rig, &authorize("&_deny=1")).await;
    assert_eq!(to, CALLBACK);
    assert!(parameters.contains(&("error".into(), "access_denied".into())));
    assert!(parameters.contains(&("state".into(), "st&te".into())));
}

#[tokio::test]
async fn only_the_callback_or_a_path_below_it_is_sent_to() {
    let rig = rig(world()).await;
    for good in [CALLBACK, "http://localhost:8080/callback/bitbucket/more"] {
        let (to, _) = back(&rig, &authorize(&format!("&_person=grace&redirect_uri={good}"))).await;
        assert_eq!(to, good);
    }
    for bad in [
        "http://localhost:8080/callback/bitbucketmore",
        "http://localhost:8080/callback",
        "http://localhost:8081/callback/bitbucket",
        "https://localhost:8080/callback/bitbucket",
        "http://localhost.example:8080/callback/bitbucket",
        "http://u@localhost:8080/callback/bitbucket/x",
        "http://localhost:8080/callback/bitbucket/../../evil",
        "http://localhost:8080/callback/bitbucket?x=1",
        "nonsense",
    ] {
        let bad: String = bad.replace('?', "%3F");
        let response = rig.ask(&By::Nobody, &authorize(&format!("&_person=grace&redirect_uri={bad}"))).await;
        assert_eq!(response.status(), 400, "{bad}");
        assert!(response.headers().get("location").is_none());
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    }
}

#[tokio::test]
async fn a_consumer_without_a_callback_cannot_sign_anybody_in() {
    let mut world = world();
    world.change_consumer(LOGIN_KEY, |consumer| consumer.callback = None).unwrap();
    let rig = rig(world).await;
    let response = rig.ask(&By::Nobody, &authorize("&_person=grace")).await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"], "invalid_request");
    assert_eq!(body["error_description"], "No callback uri defined for the OAuth client.");
}

#[tokio::test]
async fn a_code_is_good_for_one_use_by_its_consumer_and_for_ten_minutes() {
    let mut world = world();
    world.add_consumer(Consumer::for_people("other", "other-secret", CALLBACK));
    let rig = rig(world).await;
    let invalid =
        |answer: (u16, Value)| (answer.0, answer.1["error"].clone()) == (400, "invalid_grant".into());

    let used = code(&rig, "&_person=grace").await;
    assert_eq!(exchange(&rig, &used).await.0, 200);
    assert!(invalid(exchange(&rig, &used).await), "a second time");

    let stolen = code(&rig, "&_person=grace").await;
    let form = [("grant_type", "authorization_code"), ("code", stolen.as_str())];
    assert!(invalid(rig.redeem("other", "other-secret", &form).await), "by another consumer");

    let old = code(&rig, "&_person=grace").await;
    rig.bitbucket.advance_clock(600);
    assert!(invalid(exchange(&rig, &old).await), "too late");

    let bound = code(&rig, &format!("&_person=grace&redirect_uri={CALLBACK}")).await;
    assert!(invalid(exchange(&rig, &bound).await), "without the redirect URI that it was asked for with");
}

#[tokio::test]
async fn only_a_form_is_read() {
    let rig = rig(world()).await;
    let request = rig.http.post(rig.url("/site/oauth2/access_token")).basic_auth(SYNC_KEY, Some(SYNC_SECRET));
    let response =
        request.json(&serde_json::json!({"grant_type": "client_credentials"})).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error_description"], "Unsupported grant type: None");
}

#[tokio::test]
async fn a_consumer_may_name_itself_in_the_form_and_a_wrong_secret_is_refused() {
    let rig = rig(world()).await;
    let ask = async |secret| {
        let form = [("grant_type", "client_credentials"), ("client_id", SYNC_KEY), ("client_secret", secret)];
        let request = rig.http.post(rig.url("/site/oauth2/access_token")).form(&form);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(ask(SYNC_SECRET).await.0, 200);
    let (status, body) = ask("wrong").await;
    assert_eq!((status, &body["error"]), (400, &"unauthorized_client".into()));
}

#[tokio::test]
async fn a_private_consumer_acts_as_an_app_without_a_refresh_token_and_a_public_one_does_not() {
    let rig = rig(world()).await;
    let form = [("grant_type", "client_credentials")];
    let (status, answer) = rig.redeem(SYNC_KEY, SYNC_SECRET, &form).await;
    assert_eq!((status, answer.get("refresh_token")), (200, None));
    let me = rig.json(&rig.app().await, "/2.0/user").await;
    assert_eq!(me["type"], "app_user");

    let (status, refused) = rig.redeem(LOGIN_KEY, LOGIN_SECRET, &form).await;
    assert_eq!((status, &refused["error"]), (400, &"invalid_grant".into()));
    assert!(refused["error_description"].as_str().unwrap().starts_with("Cannot use client_credentials"));
}

#[tokio::test]
async fn a_refresh_token_rotates_and_the_old_one_locks_out_where_bitbucket_does() {
    let rig = rig(world().behaving(|behaviour| behaviour.refresh_lockout = 120)).await;
    let (_, first) = exchange(&rig, &code(&rig, "&_person=grace").await).await;
    let refresh = async |token: &Value| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())];
        rig.redeem(LOGIN_KEY, LOGIN_SECRET, &form).await
    };
    let (status, second) = refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let valid = By::Bearer(second["access_token"].as_str().unwrap().into());
    assert_eq!(rig.status(&valid, "/2.0/user").await, 200);

    let (status, reused) = refresh(&first["refresh_token"]).await;
    assert_eq!((status, &reused["error"]), (400, &"unauthorized_client".into()));
    assert_eq!(reused["error_description"], "Invalid OAuth client credentials");
    assert_eq!(rig.status(&valid, "/2.0/user").await, 401, "valid tokens fail too for a while");
    rig.bitbucket.advance_clock(121);
    assert_eq!(rig.status(&valid, "/2.0/user").await, 200);
}

#[tokio::test]
async fn tokens_end_with_their_time_and_with_their_person() {
    let rig = rig(world()).await;
    let grace = rig.person("grace");
    assert_eq!(rig.status(&grace, "/2.0/user").await, 200);
    rig.bitbucket.change(|world| world.deactivate("grace")).unwrap();
    assert_eq!(rig.status(&grace, "/2.0/user").await, 401);
    rig.bitbucket.change(|world| world.reactivate("grace")).unwrap();
    assert_eq!(rig.status(&grace, "/2.0/user").await, 200);
    rig.bitbucket.advance_clock(7_200);
    let body: Value = rig.ask(&grace, "/2.0/user").await.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Access token expired"));
}

#[tokio::test]
async fn old_consumers_get_short_tokens_and_the_old_name_of_the_scope() {
    let old = world().behaving(|behaviour| {
        behaviour.token_length = 92;
        behaviour.old_scopes_key = true;
    });
    let rig = rig(old).await;
    let (_, answer) = exchange(&rig, &code(&rig, "&_person=grace").await).await;
    assert_eq!(answer["access_token"].as_str().unwrap().len(), 92);
    assert_eq!((answer.get("scope"), &answer["scopes"]), (None, &"account email repository".into()));
}

#[tokio::test]
async fn whoever_is_deactivated_or_an_app_cannot_sign_in() {
    let rig = rig(world()).await;
    rig.bitbucket.change(|world| world.deactivate("grace")).unwrap();
    for who in ["grace", &format!("app-{SYNC_KEY}"), "nobody"] {
        assert_eq!(rig.status(&By::Nobody, &authorize(&format!("&_person={who}"))).await, 400, "{who}");
    }
}
