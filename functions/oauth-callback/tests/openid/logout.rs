//! `GET`, `POST /logout`, and applications that are told.

use core::time::Duration;

use http::StatusCode;
use rollcall_delivery::logout::{Courier, Delivery};
use rollcall_domain::member::{Member, SuspensionReason};
use rollcall_domain::{Secret, TokenHash, WorkspaceId};
use rollcall_identity::provider::RedirectUri;
use rollcall_oauth_callback::App;
use rollcall_store::{EndedSession, Record};
use serde_json::json;

use crate::receiver::Receiver;
use crate::rig::{AFTER_LOGOUT, Rig, Session, form, header_of, verified};

async fn deliver(app: &App, member: &Member) -> Delivery {
    let derived = app.derived().await.unwrap();
    let courier = Courier {
        store: app.store(),
        issuer: &derived.issuer,
        clock: app.clock(),
        random: app.random(),
        caller: app.caller(),
    };
    courier.deliver(member.workspace, member.id).await.unwrap()
}

const OFFLINE: &str = "openid offline_access";

#[tokio::test]
async fn an_application_that_shows_its_id_token_signs_the_browser_out_and_gets_it_back() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(&[]).await;
    let uri = receiver.uri.clone();
    let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
    let ada = rig.ada().await;
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let code = ada.code(&client, OFFLINE).await;
    let query = form(&[
        ("id_token_hint", tokens["id_token"].as_str().unwrap()),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
        ("state", "s&t"),
    ]);
    let answer = rig.get(&format!("/logout?{query}")).cookie(&ada.session.cookie).send().await;
    assert!(answer.location().as_str().starts_with(AFTER_LOGOUT));
    assert_eq!(answer.location_parameter("state").as_deref(), Some("s&t"));
    assert!(answer.forgets_session());

    // The session is dead, and so is all that was given in it.
    let silent = ada.authorize(&client, &[("prompt", Some("none"))]).await;
    assert_eq!(silent.location_parameter("error").as_deref(), Some("login_required"));
    assert_eq!(rig.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    rig.refresh(&client, &secret, refresh).await.assert_refused(400, "invalid_grant");
    rig.redeem(&client, &secret, &code).await.assert_refused(400, "invalid_grant");

    let told = receiver.tokens().await;
    assert_eq!(told.len(), 1);
    assert_eq!(header_of(&told[0])["typ"], "logout+jwt");
    let claims = verified(&rig, &told[0]).await;
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!(client.id), &json!(ada.id)));
    assert_eq!(claims["sid"], json!(ada.session.id));
    assert_eq!(claims["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert_eq!(claims.get("nonce"), None);
}

#[tokio::test]
async fn a_request_without_proof_asks_the_person_first() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, "openid").await;
    let id = client.id.to_string();
    let fields =
        [("client_id", id.as_str()), ("post_logout_redirect_uri", AFTER_LOGOUT), ("state", "\"><b>")];
    let answer = rig.get(&format!("/logout?{}", form(&fields))).cookie(&ada.session.cookie).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.body.contains("<form method=\"post\" action=\"/logout\">") && !answer.body.contains("<b>")
    );
    assert!(
        answer.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("form-action 'self' https://app.example")
    );
    assert!(!answer.forgets_session());
    assert_eq!(rig.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::OK);

    let confirmed = [fields.as_slice(), &[("confirm", "yes")]].concat();
    let foreign = rig.post("/logout", &confirmed).cookie(&ada.session.cookie);
    let foreign = foreign.header("sec-fetch-site", "cross-site").send().await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let ours = rig.post("/logout", &confirmed).cookie(&ada.session.cookie).sent_by_ourselves().send().await;
    assert_eq!(ours.location_parameter("state").as_deref(), Some("\"><b>"));
    assert!(ours.forgets_session());
    assert_eq!(rig.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_members_id_token_and_another_sessions_prove_nothing() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client().await;
    let (ada, mut eve) = (rig.ada().await, rig.ada().await);
    let eves = eve.tokens(&client, &secret, "openid").await["id_token"].as_str().unwrap().to_owned();
    eve.session = eve.elsewhere().await;
    for (hint, session) in [(&eves, &ada.session), (&eves, &eve.session)] {
        let path = format!("/logout?{}", form(&[("id_token_hint", hint)]));
        let answer = rig.get(&path).cookie(&session.cookie).send().await;
        assert!(answer.status == StatusCode::OK && !answer.forgets_session(), "{}", answer.body);
    }
}

#[tokio::test]
async fn nobody_is_sent_to_a_place_that_is_not_registered() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, "openid").await;
    let (hint, id) = (tokens["id_token"].as_str().unwrap(), client.id.to_string());
    for fields in [
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example/bye")],
        vec![("client_id", id.as_str()), ("post_logout_redirect_uri", "https://app.example/bye?x")],
        vec![("post_logout_redirect_uri", AFTER_LOGOUT)],
        vec![("id_token_hint", "made.up.token"), ("post_logout_redirect_uri", AFTER_LOGOUT)],
    ] {
        let path = format!("/logout?{}", form(&fields));
        for call in [rig.get(&path), rig.get(&path).cookie(&ada.session.cookie)] {
            let answer = call.send().await;
            assert!(answer.headers.get("location").is_none(), "{fields:?}");
            assert!(!answer.body.contains("evil.example"), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_form_of_an_application_is_taken_up_as_a_navigation_that_brings_the_cookie() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, "openid").await;
    let fields =
        [("id_token_hint", tokens["id_token"].as_str().unwrap()), ("post_logout_redirect_uri", AFTER_LOGOUT)];
    let answer = rig.post("/logout", &fields).header("sec-fetch-site", "cross-site").send().await;
    let next = answer.location();
    assert_eq!(next.path(), "/logout");
    let next = format!("{}?{}", next.path(), next.query().unwrap());
    let answer = rig.get(&next).cookie(&ada.session.cookie).send().await;
    assert!(answer.location().as_str().starts_with(AFTER_LOGOUT) && answer.forgets_session());
}

#[tokio::test]
async fn a_member_ends_one_of_their_own_sessions_and_nobody_elses() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client().await;
    let (mut ada, eve) = (rig.ada().await, rig.ada().await);
    let eves = eve.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    let phones = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    let phone = ada.session.clone();
    ada.session = ada.elsewhere().await;
    let desks = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();

    let end = |id: String, from: &str| {
        rig.post("/logout", &[("session", id.as_str())])
            .cookie(&ada.session.cookie)
            .header("sec-fetch-site", from)
    };
    let foreign = end(phone.id.to_string(), "cross-site").send().await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    for id in [eve.session.id, phone.id, phone.id] {
        assert_eq!(end(id.to_string(), "same-origin").send().await.location().path(), "/login");
    }
    rig.refresh(&client, &secret, &phones).await.assert_refused(400, "invalid_grant");
    assert_eq!(rig.refresh(&client, &secret, &eves).await.status, StatusCode::OK);
    assert_eq!(rig.refresh(&client, &secret, &desks).await.status, StatusCode::OK);

    let own = end(ada.session.id.to_string(), "same-origin").send().await;
    assert!(own.status == StatusCode::OK && own.forgets_session());
    let silent = ada.authorize(&client, &[("prompt", Some("none"))]).await;
    assert_eq!(silent.location_parameter("error").as_deref(), Some("login_required"));
}

/// The rest of a session that is over, as when somebody has signed in anew in the same browser.
async fn is_over(rig: &Rig, session: &Session) {
    let cookie = session.cookie.split_once('=').unwrap().1;
    rig.store.end_session(TokenHash::of(&Secret::new(cookie))).await.unwrap();
}

#[tokio::test]
async fn what_an_application_keeps_of_a_session_that_is_over_is_shown_to_its_owner_who_can_end_it() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client().await;
    let mut ada = rig.ada().await;
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let (access, kept) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let old = ada.session.clone();
    ada.session = ada.elsewhere().await;
    let page = async || rig.get("/login").cookie(&ada.session.cookie).send().await.body;
    assert!(!page().await.contains("without you"), "while the session is there, it stands for all of it");
    is_over(&rig, &old).await;
    let shown = page().await;
    assert!(shown.contains("without you") && shown.contains(&old.id.to_string()), "{shown}");

    // Somebody else's is not theirs to end.
    let eve = rig.ada().await;
    let ends = async |cookie: &str| {
        let fields = [("session", old.id.to_string())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer =
            rig.post("/logout", &fields).cookie(cookie).header("sec-fetch-site", "same-origin").send().await;
        assert_eq!(answer.location().path(), "/login");
    };
    ends(&eve.session.cookie).await;
    assert_eq!(rig.userinfo(access).await.status, StatusCode::OK);
    for _ in 0..2 {
        ends(&ada.session.cookie).await;
        assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
        rig.refresh(&client, &secret, kept).await.assert_refused(400, "invalid_grant");
    }
    assert!(!page().await.contains("without you"));
}

#[tokio::test]
async fn a_session_whose_grants_could_not_all_be_removed_is_ended_all_the_same() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client().await;
    let ada = rig.ada().await;
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let (access, kept) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    // As when the process dies after the first of its transactions, which had no room for this grant.
    let ended =
        EndedSession { id: ada.session.id, hash: None, until: rig.now().plus(Duration::from_hours(1)) };
    rig.store.end_session_and_grants(ended, &[], Record::default()).await.unwrap();
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.introspect(&client, &secret, kept).await["active"], false);
    assert_eq!(rig.introspect(&client, &secret, access).await["active"], false);
    rig.refresh(&client, &secret, kept).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_and_all_that_applications_keep_and_tells_them() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(&[]).await;
    let uri = receiver.uri.clone();
    let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
    let mut ada = rig.ada().await;
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let (access, kept) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    let phone = ada.session.clone();
    ada.session = ada.elsewhere().await;
    is_over(&rig, &phone).await;
    let everywhere = |from: &str| {
        rig.post("/logout", &[("everywhere", "yes")])
            .cookie(&ada.session.cookie)
            .header("sec-fetch-site", from)
    };
    assert_eq!(everywhere("cross-site").send().await.status, StatusCode::FORBIDDEN);
    assert_eq!(rig.userinfo(access).await.status, StatusCode::OK);

    let done = everywhere("same-origin").send().await;
    assert!(done.status == StatusCode::OK && done.forgets_session(), "{}", done.body);
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    rig.refresh(&client, &secret, kept).await.assert_refused(400, "invalid_grant");
    let silent = ada.authorize(&client, &[("prompt", Some("none"))]).await;
    assert_eq!(silent.location_parameter("error").as_deref(), Some("login_required"));
    assert_eq!(receiver.tokens().await.len(), 1);
    // Nothing but that: they can sign in again.
    assert!(ada.member().await.is_let_in(rig.now()));
}

#[tokio::test]
async fn an_application_that_fails_is_tried_again_and_one_that_refuses_is_not() {
    let rig = Rig::new().await;
    for (answers, attempts, told) in [
        (vec![503], 2, 1),
        (vec![500, 429], 3, 1),
        (vec![500, 500, 500], 3, 0),
        (vec![400], 1, 0),
        (vec![302], 1, 0),
    ] {
        let receiver = Receiver::start(&answers).await;
        let uri = receiver.uri.clone();
        let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
        let ada = rig.ada().await;
        ada.tokens(&client, &secret, "openid").await;
        let outcome = deliver(&rig.app, &ada.member().await).await;
        assert_eq!(outcome, Delivery { told, not_told: 1 - told }, "{answers:?}");
        let tokens = receiver.tokens().await;
        assert_eq!(tokens.len(), attempts, "{answers:?}");
        assert!(tokens.iter().all(|token| *token == tokens[0]), "a repetition is known by its id");
        rig.store.delete_client(client.id, Record::default()).await.unwrap();
    }
}

#[tokio::test]
async fn every_application_of_a_suspended_member_is_told_and_one_that_is_away_holds_nothing_up() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(&[]).await;
    let uri = receiver.uri.clone();
    let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
    // Nobody listens on port 1.
    let nowhere = RedirectUri::parse("http://127.0.0.1:1/logout").unwrap();
    let (away, aways) = rig.client_with(|client| client.backchannel_logout_uri = Some(nowhere)).await;
    let (silent, silents) = rig.client().await;
    let ada = rig.ada().await;
    for (client, secret) in [(&client, &secret), (&client, &secret), (&away, &aways), (&silent, &silents)] {
        ada.tokens(client, secret, "openid").await;
    }
    ada.change(|member| assert!(member.suspend(SuspensionReason::LeftWorkspace, None, rig.now()))).await;
    let outcome = deliver(&rig.app, &ada.member().await).await;
    assert_eq!(outcome, Delivery { told: 1, not_told: 1 });
    let told = receiver.tokens().await;
    assert_eq!(told.len(), 1, "once, however many grants it holds");
    let claims = verified(&rig, &told[0]).await;
    assert_eq!((&claims["sub"], claims.get("sid")), (&json!(ada.id), None), "all sessions are meant");
}

#[tokio::test]
async fn an_application_whose_own_session_outlives_what_it_was_given_is_told_too() {
    let rig = Rig::new().await;
    let receiver = Receiver::start(&[]).await;
    let uri = receiver.uri.clone();
    let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
    let elsewhere = WorkspaceId::new(rig.now(), [9; 10]);
    let theirs = Receiver::start(&[]).await;
    let uri = theirs.uri.clone();
    rig.client_with(|client| {
        client.backchannel_logout_uri = Some(uri);
        client.workspace = Some(elsewhere);
    })
    .await;
    let ada = rig.ada().await;
    ada.tokens(&client, &secret, "openid").await;
    rig.clock.advance(core::time::Duration::from_hours(7 * 24));
    ada.change(|member| assert!(member.suspend(SuspensionReason::LeftWorkspace, None, rig.now()))).await;
    assert_eq!(deliver(&rig.app, &ada.member().await).await, Delivery { told: 1, not_told: 0 });
    assert_eq!(theirs.tokens().await, Vec::<String>::new(), "another workspace's application hears nothing");
}

#[tokio::test]
async fn a_deployment_on_the_internet_calls_nothing_on_the_inside() {
    let rig = Rig::with("https://rollcall.example", "1000").await;
    let receiver = Receiver::start(&[]).await;
    let port = receiver.uri.as_str().rsplit_once(':').unwrap().1.to_owned();
    for inside in [
        receiver.uri.as_str().to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        "https://169.254.169.254/latest".to_owned(),
        "https://10.0.0.1/logout".to_owned(),
    ] {
        let uri = RedirectUri::parse(&inside).unwrap();
        let (client, secret) = rig.client_with(|client| client.backchannel_logout_uri = Some(uri)).await;
        let ada = rig.ada().await;
        ada.tokens(&client, &secret, "openid").await;
        let outcome = deliver(&rig.app, &ada.member().await).await;
        assert_eq!(outcome, Delivery { told: 0, not_told: 1 }, "{inside}");
        rig.store.delete_client(client.id, Record::default()).await.unwrap();
    }
    assert_eq!(receiver.tokens().await, Vec::<String>::new());
}
