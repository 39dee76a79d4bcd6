//! Who somebody is: by the provider's id for ever, by an address only where the provider vouches for it, and never by both mixed up.

use std::collections::BTreeSet;

use http::StatusCode;
use rollcall_domain::audit::Actor;
use rollcall_domain::identity::Provider;
use rollcall_domain::invite::{Delivery, Invite, InviteState};
use rollcall_domain::member::{Member, Role};
use rollcall_domain::{InviteId, Secret, TokenHash};
use rollcall_service::random::{self, SystemRandom};
use rollcall_store::{NewInvite, Numbering, Record};
use serde_json::json;
use standin_openid::people::{HARBOUR_STUDIO, LINDQVIST_AUDIT};
use standin_openid::{MICROSOFT_CONSUMERS, Person};

use crate::browser::{Answer, Browser};
use crate::rig::{ASTRID, GRACE, GRACES_ADDRESS, INES, Rig};

/// Issues an invite to an address, good at any provider; its token.
pub(crate) async fn invite(rig: &Rig, email: &str) -> String {
    invite_with(rig, email, |_| {}).await
}

pub(crate) async fn invite_with(rig: &Rig, email: &str, change: impl FnOnce(&mut Invite)) -> String {
    let token = format!("{:032x}", u128::from_be_bytes(random::bytes(&SystemRandom)));
    let mut invite = Invite {
        id: InviteId::new(rig.now(), random::bytes(&SystemRandom)),
        workspace: rig.workspace,
        email: email.parse().unwrap(),
        pinned: None,
        role: Role::Member,
        teams: vec![],
        providers: BTreeSet::from(Provider::ALL),
        token: TokenHash::of(&Secret::new(token.as_str())),
        issued_at: rig.now(),
        expires_at: rig.now().plus(std::time::Duration::from_hours(24)),
        membership_until: None,
        issued_by: Actor::Bootstrap,
        inviter_name: "Ada".into(),
        note: None,
        state: InviteState::Pending,
        delivery: Delivery::LinkReturned,
        together: None,
        version: 0,
    };
    change(&mut invite);
    rig.store.issue_invites(&[NewInvite::first(invite)], None, Numbering::default()).await.unwrap();
    token
}

/// Makes somebody a member by an invite to the address that the provider vouches for; their browser.
pub(crate) async fn member<'r>(rig: &'r Rig, provider: Provider, person: &str) -> Browser<'r> {
    let address = if provider == Provider::Bitbucket { GRACES_ADDRESS } else { person };
    let token = invite(rig, address).await;
    let mut browser = rig.browser();
    let answer = browser.accept(&token, provider, person).await;
    assert!(browser.has_session(), "{} {}", answer.status, answer.body);
    browser
}

async fn only_member(rig: &Rig) -> Member {
    let mut members = rig.store.all_members(rig.workspace).await.unwrap();
    assert_eq!(members.len(), 1, "{members:#?}");
    members.remove(0)
}

/// Whether an invite to the address is accepted by the person; where not, that nothing has come of it.
async fn is_accepted(rig: &Rig, provider: Provider, person: &str, address: &str) -> bool {
    let token = invite(rig, address).await;
    is_accepted_by(rig, &token, provider, person).await
}

async fn is_accepted_by(rig: &Rig, token: &str, provider: Provider, person: &str) -> bool {
    let before = rig.members().await;
    let mut browser = rig.browser();
    let answer = browser.accept(token, provider, person).await;
    if !browser.has_session() {
        assert!(answer.status.is_client_error(), "{}", answer.status);
        assert_eq!(rig.members().await, before);
    }
    browser.has_session()
}

async fn refused_as_a_stranger(rig: &Rig, provider: Provider, person: &str) {
    let mut browser = rig.browser();
    let answer = browser.sign_in(provider, person).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    assert!(!browser.has_session());
}

#[tokio::test]
async fn an_address_of_google_counts_only_if_it_is_verified_by_the_boolean_true() {
    let rig = Rig::new().await;
    for (verified, accepted) in [
        (Some(json!(true)), true),
        (Some(json!(false)), false),
        (None, false),
        (Some(json!("true")), false),
        (Some(json!("false")), false),
        (Some(json!(1)), false),
        (Some(json!([true])), false),
        (Some(json!(null)), false),
    ] {
        let address = format!("somebody.{}@mail.example", rig.now().as_millis());
        rig.google.put_person(Person::google("Somebody", &address).with_email_verified(verified.clone()));
        assert_eq!(is_accepted(&rig, Provider::Google, &address, &address).await, accepted, "{verified:?}");
    }
}

#[tokio::test]
async fn an_address_of_microsoft_counts_only_if_the_domains_owner_vouches_for_it() {
    let rig = Rig::new().await;
    for (number, (vouched, accepted)) in [
        (Some(json!(true)), true),
        (Some(json!("1")), true),
        (Some(json!("true")), false),
        (Some(json!(1)), false),
        (Some(json!("0")), false),
        (Some(json!(false)), false),
        (None, false),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("somebody{number}@lindqvist-audit.example");
        let mut person =
            Person::microsoft("Somebody", &address, LINDQVIST_AUDIT).with_xms_edov(vouched.clone());
        // What Google would vouch by says nothing here.
        person.claims.insert("email_verified".into(), json!(true));
        rig.microsoft.put_person(person);
        assert_eq!(is_accepted(&rig, Provider::Microsoft, &address, &address).await, accepted, "{vouched:?}");
    }
    // The tenant's admin may have typed anybody's address: nOAuth.
    let mallory = Person::microsoft("Mallory", ASTRID, HARBOUR_STUDIO).with_xms_edov(None);
    let mallorys = mallory.sub.clone();
    rig.microsoft.put_person(mallory);
    assert!(!is_accepted(&rig, Provider::Microsoft, &mallorys, ASTRID).await);
}

#[tokio::test]
async fn an_address_of_bitbucket_counts_only_if_it_is_confirmed() {
    let rig = Rig::new().await;
    let confirm = |confirmed| {
        rig.bitbucket
            .change(|world| {
                world.change_account(GRACE, |account| {
                    for email in &mut account.emails {
                        email.confirmed = confirmed;
                    }
                })
            })
            .unwrap();
    };
    let token = invite(&rig, GRACES_ADDRESS).await;
    confirm(false);
    assert!(!is_accepted_by(&rig, &token, Provider::Bitbucket, GRACE).await);
    confirm(true);
    assert!(!is_accepted_by(&rig, &token, Provider::Bitbucket, "linus").await, "somebody else's address");
    assert!(is_accepted_by(&rig, &token, Provider::Bitbucket, GRACE).await);
}

#[tokio::test]
async fn a_tenant_that_is_not_the_issuers_own_or_that_the_workspace_refuses_lets_nobody_in() {
    let rig = Rig::new().await;
    let mut workspace = rig.store.workspace(rig.workspace).await.unwrap().unwrap();
    workspace.invite_rules.refused_tenants = BTreeSet::from([LINDQVIST_AUDIT.to_owned()]);
    rig.store.update_workspace(&workspace, Record::default()).await.unwrap();
    assert!(!is_accepted(&rig, Provider::Microsoft, ASTRID, ASTRID).await);
    assert_eq!(rig.failed_checks().await[0], "invite.domain");
    // People with personal accounts do not come through the endpoint of organisations, whatever their token says.
    let nadia = Person::microsoft("Nadia", "nadia@live.example", HARBOUR_STUDIO);
    let mut browser = rig.browser();
    rig.microsoft.put_person(nadia);
    let callback = browser.callback(Provider::Microsoft, "nadia@live.example").await;
    rig.microsoft.forge_next(standin_openid::Forgery::Tenant(MICROSOFT_CONSUMERS.into()));
    assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.failed_checks().await[0], "id_token.iss");
}

#[tokio::test]
async fn where_only_some_domains_are_accepted_a_google_account_has_to_be_managed_by_that_domain() {
    let rig = Rig::new().await;
    let mut workspace = rig.store.workspace(rig.workspace).await.unwrap().unwrap();
    workspace.invite_rules.accepted_domains = BTreeSet::from(["example.com".to_owned()]);
    rig.store.update_workspace(&workspace, Record::default()).await.unwrap();
    let own = |name: &str| Person::google(name, &format!("{name}@example.com"));
    for (person, accepted) in [
        // Made with the address at work, by whoever could read its mail then.
        (own("left"), false),
        (own("elsewhere").managed_by("example.org"), false),
        (own("works-there").managed_by("example.com"), true),
    ] {
        let address = person.email.clone().unwrap();
        rig.google.put_person(person);
        assert_eq!(is_accepted(&rig, Provider::Google, &address, &address).await, accepted, "{address}");
        if !accepted {
            assert_eq!(rig.failed_checks().await[0], "invite.domain");
        }
    }
}

#[tokio::test]
async fn a_member_is_the_providers_id_whatever_becomes_of_name_and_address() {
    let rig = Rig::new().await;
    member(&rig, Provider::Google, INES).await;
    let known = only_member(&rig).await;
    let ines = rig.google.people().into_iter().find(|person| person.email.as_deref() == Some(INES)).unwrap();
    // A new address and a new name: the same member.
    let renamed =
        Person { email: Some("i.okafor@new.example".into()), name: "Ines O.".into(), ..ines.clone() };
    rig.google.put_person(renamed);
    let mut browser = rig.browser();
    assert_eq!(browser.sign_in(Provider::Google, "i.okafor@new.example").await.status, StatusCode::SEE_OTHER);
    assert_eq!(only_member(&rig).await.id, known.id);
    // Somebody else who gets the former address: a stranger.
    let heir = Person { sub: "199999999999999999999".into(), ..ines };
    rig.google.put_person(heir);
    refused_as_a_stranger(&rig, Provider::Google, "199999999999999999999").await;
    assert_eq!(only_member(&rig).await.identities, known.identities);
}

#[tokio::test]
async fn a_microsoft_account_is_its_tenant_and_object_id() {
    let rig = Rig::new().await;
    member(&rig, Provider::Microsoft, ASTRID).await;
    let known = only_member(&rig).await;
    let astrid =
        rig.microsoft.people().into_iter().find(|person| person.email.as_deref() == Some(ASTRID)).unwrap();
    // `sub` is another one for each client, and the address is what the tenant's admin types.
    rig.microsoft.remove_person(&astrid.sub);
    rig.microsoft.put_person(Person {
        sub: "another-sub".into(),
        email: Some("a@b.example".into()),
        ..astrid.clone()
    });
    let mut browser = rig.browser();
    assert_eq!(browser.sign_in(Provider::Microsoft, "another-sub").await.status, StatusCode::SEE_OTHER);
    assert_eq!(only_member(&rig).await.id, known.id);
    rig.microsoft.remove_person("another-sub");
    for stranger in [
        Person { sub: "one".into(), tid: Some(HARBOUR_STUDIO.into()), ..astrid.clone() },
        Person { sub: "two".into(), oid: Some("11111111-2222-4333-8444-555555555555".into()), ..astrid },
    ] {
        let sub = stranger.sub.clone();
        rig.microsoft.put_person(stranger);
        refused_as_a_stranger(&rig, Provider::Microsoft, &sub).await;
        rig.microsoft.remove_person(&sub);
    }
}

#[tokio::test]
async fn a_bitbucket_account_is_its_uuid_and_a_name_that_is_taken_over_is_nobodys() {
    let rig = Rig::new().await;
    member(&rig, Provider::Bitbucket, GRACE).await;
    let known = only_member(&rig).await;
    rig.bitbucket.change(|world| world.change_username(GRACE, "hopper")).unwrap();
    rig.bitbucket.change(|world| world.change_username("linus", GRACE)).unwrap();
    refused_as_a_stranger(&rig, Provider::Bitbucket, GRACE).await;
    let mut browser = rig.browser();
    assert_eq!(browser.sign_in(Provider::Bitbucket, "hopper").await.status, StatusCode::SEE_OTHER);
    assert_eq!(only_member(&rig).await.id, known.id);
}

async fn link(browser: &mut Browser<'_>, provider: Provider, person: &str) -> Answer {
    let start = browser.post("/login/link", &[("provider", provider.as_str())]).await.location();
    let callback = crate::browser::at_provider(&start, person).await;
    browser.get(&callback).await
}

#[tokio::test]
async fn two_accounts_are_one_member_only_after_both_have_signed_in_for_it() {
    let rig = Rig::new().await;
    // The same verified address at two providers is still two accounts.
    rig.microsoft.put_person(Person::microsoft("Ines", INES, LINDQVIST_AUDIT));
    let mut browser = member(&rig, Provider::Google, INES).await;
    refused_as_a_stranger(&rig, Provider::Microsoft, INES).await;
    let before = browser.cookies.clone();
    assert_eq!(link(&mut browser, Provider::Microsoft, INES).await.status, StatusCode::SEE_OTHER);
    assert_ne!(before, browser.cookies, "linking is a sign-in, and a sign-in makes a new session");
    assert_eq!(only_member(&rig).await.identities.len(), 2);
    for provider in [Provider::Google, Provider::Microsoft] {
        assert_eq!(rig.browser().sign_in(provider, INES).await.status, StatusCode::SEE_OTHER, "{provider}");
    }
}

#[tokio::test]
async fn an_account_is_linked_only_by_the_session_that_asked_for_it_and_never_taken_from_another_member() {
    let rig = Rig::new().await;
    let mut ines = member(&rig, Provider::Google, INES).await;
    let mut astrid = member(&rig, Provider::Microsoft, ASTRID).await;
    let answer = link(&mut ines, Provider::Microsoft, ASTRID).await;
    assert_eq!(
        (answer.status, rig.failed_checks().await[0].as_str()),
        (StatusCode::BAD_REQUEST, "link.taken")
    );
    // Nobody is signed in: there is nothing to link to.
    assert_eq!(
        rig.browser().post("/login/link", &[("provider", "google")]).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(rig.failed_checks().await[0], "link.session");
    // Started by Ines; when it comes back, another session is in the browser, or none.
    for other in [Some(astrid.cookies.clone()), None] {
        let start = ines.post("/login/link", &[("provider", "bitbucket")]).await.location();
        let callback = crate::browser::at_provider(&start, GRACE).await;
        let mut mixed = ines.clone();
        mixed.cookies.remove(crate::browser::SESSION);
        mixed.cookies.extend(other.into_iter().flatten());
        assert_eq!(mixed.get(&callback).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(rig.failed_checks().await[0], "link.session");
    }
    assert!(ines.is_signed_in().await && astrid.is_signed_in().await);
    let members = rig.store.all_members(rig.workspace).await.unwrap();
    assert!(members.iter().all(|member| member.identities.len() == 1), "{members:#?}");
}

#[tokio::test]
async fn a_session_that_was_left_open_gives_no_account_a_way_in_and_takes_none_away() {
    let rig = Rig::new().await;
    let mut browser = member(&rig, Provider::Google, INES).await;
    link(&mut browser, Provider::Microsoft, ASTRID).await;
    let first = only_member(&rig).await.identities.remove(0);
    rig.clock.advance(std::time::Duration::from_mins(6));
    let anew = "/login?choose=true&fresh=true&return_to=%2Flogin";
    let linking = browser.post("/login/link", &[("provider", "bitbucket")]).await;
    let unlinking =
        browser.post("/login/unlink", &[("provider", "google"), ("subject", &first.subject)]).await;
    for answer in [linking, unlinking] {
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.headers["location"], anew);
    }
    assert_eq!(only_member(&rig).await.identities.len(), 2);

    // After another sign-in it is done.
    browser.sign_in(Provider::Google, INES).await;
    link(&mut browser, Provider::Bitbucket, GRACE).await;
    assert_eq!(only_member(&rig).await.identities.len(), 3);
}

#[tokio::test]
async fn no_link_and_no_form_of_another_site_begins_to_link_an_account() {
    let rig = Rig::new().await;
    let mut browser = member(&rig, Provider::Google, INES).await;
    let link = browser.get("/login/bitbucket?link=true").await;
    assert_eq!(link.status, StatusCode::BAD_REQUEST);
    for from in ["cross-site", "same-site", "none"] {
        let foreign = http::Request::post("/login/link")
            .header("content-type", crate::browser::FORM)
            .header("sec-fetch-site", from);
        let fields = crate::browser::form(&[("provider", "bitbucket")]);
        assert_eq!(browser.send(foreign, fields).await.status, StatusCode::BAD_REQUEST, "{from}");
        assert_eq!(rig.failed_checks().await[0], "link.cross_site");
    }
}

#[tokio::test]
async fn an_account_that_is_unlinked_signs_nobody_in_any_more_and_the_last_one_stays() {
    let rig = Rig::new().await;
    let mut browser = member(&rig, Provider::Google, INES).await;
    let first = only_member(&rig).await.identities.remove(0);
    let unlink = |provider: Provider, subject: &str| {
        [("provider", provider.to_string()), ("subject", subject.to_owned())]
    };
    let send = async |browser: &mut Browser<'_>, fields: [(&str, String); 2]| {
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.post("/login/unlink", &fields).await
    };
    assert_eq!(
        send(&mut browser, unlink(Provider::Google, &first.subject)).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(rig.failed_checks().await[0], "unlink.last");
    link(&mut browser, Provider::Microsoft, ASTRID).await;
    let page = browser.get("/login").await.body;
    assert!(page.contains("Unlink Google") && page.contains("Unlink Microsoft"), "{page}");
    let second = only_member(&rig).await.identities.into_iter().find(|identity| *identity != first).unwrap();

    // Another site's form, a form without a session, somebody else's account.
    let foreign = http::Request::post("/login/unlink")
        .header("content-type", crate::browser::FORM)
        .header("sec-fetch-site", "cross-site");
    let fields = crate::browser::form(&[("provider", "google"), ("subject", &first.subject)]);
    assert_eq!(browser.send(foreign, fields).await.status, StatusCode::BAD_REQUEST);
    let mut nobody = rig.browser();
    assert_eq!(
        send(&mut nobody, unlink(Provider::Google, &first.subject)).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(send(&mut browser, unlink(Provider::Google, "1")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.failed_checks().await[..3], ["unlink.identity", "unlink.session", "unlink.cross_site"]);
    assert_eq!(only_member(&rig).await.identities.len(), 2);

    let mut elsewhere = rig.browser();
    elsewhere.sign_in(Provider::Google, INES).await;
    assert!(elsewhere.is_signed_in().await);
    assert_eq!(send(&mut browser, unlink(Provider::Google, &first.subject)).await.status, StatusCode::OK);
    assert!(
        !browser.has_session() && !elsewhere.is_signed_in().await,
        "every session may have been opened with it"
    );
    assert_eq!(only_member(&rig).await.identities, std::slice::from_ref(&second));
    refused_as_a_stranger(&rig, Provider::Google, INES).await;
    assert_eq!(browser.sign_in(Provider::Microsoft, ASTRID).await.status, StatusCode::SEE_OTHER);
    let last = send(&mut browser, unlink(Provider::Microsoft, &second.subject)).await;
    assert_eq!(
        (last.status, rig.failed_checks().await[0].as_str()),
        (StatusCode::BAD_REQUEST, "unlink.last")
    );
    let trail = rig.store.audit_page(Some(rig.workspace), None, 50, false).await.unwrap().items;
    assert!(trail.iter().any(|entry| entry.action == "member.identity_unlinked"));
}

#[tokio::test]
async fn nobody_takes_away_the_account_that_lets_them_in() {
    let rig = Rig::new().await;
    let mut browser = member(&rig, Provider::Google, INES).await;
    link(&mut browser, Provider::Bitbucket, GRACE).await;
    // They stand on Bitbucket alone from now on.
    let before = only_member(&rig).await;
    let after = Member { by_bitbucket: true, by_invite: None, ..before.clone() };
    rig.store.update_member(&after, &before, None, Record::default()).await.unwrap();
    let account = before.identities.iter().find(|identity| identity.provider == Provider::Bitbucket).unwrap();
    let answer =
        browser.post("/login/unlink", &[("provider", "bitbucket"), ("subject", &account.subject)]).await;
    assert_eq!(
        (answer.status, rig.failed_checks().await[0].as_str()),
        (StatusCode::BAD_REQUEST, "unlink.ground")
    );
    assert_eq!(only_member(&rig).await.identities.len(), 2);
    assert!(browser.is_signed_in().await);
}
