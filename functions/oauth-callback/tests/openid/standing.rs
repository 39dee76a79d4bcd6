//! Whoever is shut out is refused from the next request on, whatever their tokens say.

use core::time::Duration;

use http::StatusCode;
use rollcall_domain::member::{Member, SuspensionReason};
use rollcall_store::Record;
use serde_json::json;

use crate::rig::{Rig, request};

const OFFLINE: &str = "openid offline_access";

/// Everything that a member and their application hold is tried after a change of the member, and all of it is refused.
async fn is_refused_everywhere(change: impl FnOnce(&Rig, &mut Member)) {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let code = ada.code(&client, OFFLINE).await;
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(rig.userinfo(access).await.status, StatusCode::OK);
    assert_eq!(rig.introspect(&client, &secret, refresh).await["active"], true);

    ada.change(|member| change(&rig, member)).await;

    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.introspect(&client, &secret, access).await, json!({ "active": false }));
    assert_eq!(rig.introspect(&client, &secret, refresh).await, json!({ "active": false }));
    rig.refresh(&client, &secret, refresh).await.assert_refused(400, "invalid_grant");
    rig.redeem(&client, &secret, &code).await.assert_refused(400, "invalid_grant");
    let silent = ada.authorize(&client, &[("prompt", Some("none"))]).await;
    assert_eq!(silent.location_parameter("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn a_suspended_member_is_refused_everywhere_at_once() {
    is_refused_everywhere(|rig, member| {
        assert!(member.suspend(SuspensionReason::LeftWorkspace, None, rig.now()));
    })
    .await;
}

#[tokio::test]
async fn a_disabled_member_is_refused_everywhere_at_once() {
    is_refused_everywhere(|rig, member| assert!(member.disable(rig.now()))).await;
}

#[tokio::test]
async fn what_was_given_before_a_suspension_stays_dead_after_the_return() {
    is_refused_everywhere(|rig, member| {
        assert!(member.suspend(SuspensionReason::LeftWorkspace, None, rig.now()));
        assert!(member.restore().unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_member_whose_invite_has_ended_is_refused_everywhere_at_once() {
    is_refused_everywhere(|rig, member| {
        member.by_invite.as_mut().unwrap().until = Some(rig.now());
    })
    .await;
}

#[tokio::test]
async fn what_a_deleted_client_holds_is_refused() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    rig.store.delete_client(client.id, Record::default()).await.unwrap();
    assert_eq!(rig.userinfo(tokens["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    rig.refresh(&client, &secret, refresh).await.assert_refused(401, "invalid_client");
    assert_eq!(rig.get(&request(&client, &[])).send().await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_for_somebody_present_ends_with_the_session_and_one_for_offline_use_does_not() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    rig.clock.advance(Duration::from_hours(8).saturating_sub(Duration::from_mins(2)));
    // Nothing uses the browser's session but the sign-in that asks for the codes: it is used now for the last time.
    let present = ada.tokens(&client, &secret, "openid").await;
    let offline = ada.tokens(&client, &secret, OFFLINE).await;
    // The session's row goes, as when somebody signs in anew in the same browser.
    let hash = rollcall_domain::TokenHash::of(&rollcall_domain::Secret::new(
        ada.session.cookie.split_once('=').unwrap().1,
    ));
    rig.store.end_session(hash).await.unwrap();
    assert_eq!(
        rig.userinfo(present["access_token"].as_str().unwrap()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(rig.userinfo(offline["access_token"].as_str().unwrap()).await.status, StatusCode::OK);
    let refresh = offline["refresh_token"].as_str().unwrap();
    assert_eq!(rig.refresh(&client, &secret, refresh).await.status, StatusCode::OK);
}
