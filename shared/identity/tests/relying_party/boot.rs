//! The crypto library picks its backend at the first use and panics if the build gave it none or two: this is the first use.

use rollcall_domain::identity::Provider;
use rollcall_domain::member::Role;
use rollcall_domain::{ClientId, GrantId, MemberId, SessionId, WorkspaceId};
use rollcall_identity::provider::{
    About, Client, Grant, Issue, Scopes, SigningKeys, TokenIssuer, generate_signing_key,
};

use crate::rig::{NOW, Rig};

#[tokio::test]
async fn real_rs256_tokens_are_checked_in_this_build() {
    assert!(Rig::google().await.sign_in(NOW).await.is_ok());
}

#[test]
fn real_es256_tokens_are_made_and_checked_in_this_build() {
    let keys = SigningKeys::load(&generate_signing_key().unwrap(), None, &[]).unwrap();
    let issuer = TokenIssuer::new("https://rollcall.example", keys);
    let client = Client {
        id: ClientId::new(NOW, [1; 10]),
        name: "The application".into(),
        secrets: vec![],
        redirect_uris: vec![],
        post_logout_redirect_uris: vec![],
        backchannel_logout_uri: None,
        audience: None,
        workspace: None,
        machine: None,
    };
    let grant = Grant {
        id: GrantId::new(NOW, [2; 10]),
        client: client.id,
        member: MemberId::new(NOW, [3; 10]),
        workspace: WorkspaceId::new(NOW, [4; 10]),
        epoch: 0,
        session: SessionId::new(NOW, [5; 10]),
        provider: Provider::Google,
        auth_time: NOW,
        nonce: None,
        scopes: Scopes::default(),
    };
    let about = About { role: Role::Member, teams: vec![], name: "Ada".into(), email: None };
    let issue = Issue { grant: &grant, scopes: grant.scopes, about: &about, client: &client, refresh: None };
    let answer = serde_json::to_value(issuer.answer(&issue, NOW, [6; 16]).unwrap()).unwrap();
    let token = issuer.member_token(answer["access_token"].as_str().unwrap(), NOW).unwrap();
    assert_eq!(token.member, grant.member);
}
