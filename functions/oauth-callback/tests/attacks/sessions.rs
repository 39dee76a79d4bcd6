//! Sessions: how they begin, what they are made of, and when they end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use rollcall_domain::event::EventKind;
use rollcall_domain::identity::Provider;
use rollcall_domain::member::{Member, SuspensionReason};
use rollcall_store::Record;

use crate::browser::{Browser, LOGIN, SESSION, at_provider};
use crate::identities;
use crate::rig::{ASTRID, GRACE, INES, Rig};

async fn again(rig: &Rig) -> Browser<'_> {
    let mut browser = rig.browser();
    assert_eq!(browser.sign_in(Provider::Google, INES).await.status, StatusCode::SEE_OTHER);
    browser
}

async fn change(rig: &Rig, change: impl FnOnce(&mut Member)) {
    let before = rig.store.all_members(rig.workspace).await.unwrap().remove(0);
    let mut after = before.clone();
    change(&mut after);
    rig.store.update_member(&after, &before, None, Record::default()).await.unwrap();
}

#[tokio::test]
async fn who_signs_in_in_several_tabs_at_once_is_let_in_in_each_and_is_one_member() {
    let rig = Rig::new().await;
    rig.connect().await;
    let login = format!("/login/bitbucket?workspace={}", rig.workspace);
    let mut tabs: Vec<_> = (0..4).map(|_| rig.browser()).collect();
    // The first time they become a member; the second time they are one.
    for _ in 0..2 {
        let answers = join_all(tabs.iter_mut().map(async |tab| {
            let callback = at_provider(&tab.get(&login).await.location(), GRACE).await;
            tab.get(&callback).await
        }));
        for answer in answers.await {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        }
        assert!(tabs.iter().all(Browser::has_session));
        assert_eq!(rig.members().await, 1);
    }
    let events = rig.store.events_after(rig.workspace, 0, 10).await.unwrap().items;
    let kinds: Vec<_> = events.iter().map(|stored| stored.event.kind).collect();
    assert_eq!(kinds, [EventKind::MemberOnboarded]);
}

#[tokio::test]
async fn a_session_is_a_long_random_text_of_which_the_table_keeps_a_hash() {
    let rig = Rig::new().await;
    let first = identities::member(&rig, Provider::Google, INES).await;
    let mut tokens = BTreeSet::from([first.cookies[SESSION].clone()]);
    for _ in 0..9 {
        tokens.insert(again(&rig).await.cookies[SESSION].clone());
    }
    assert_eq!(tokens.len(), 10);
    let table = rig.table().await;
    for token in &tokens {
        assert!(token.len() * 6 >= 128, "base64url: six bits in each character");
        assert!(!table.contains(token.as_str()));
        let hash = rollcall_domain::TokenHash::of(&rollcall_domain::Secret::new(token.as_str()));
        assert!(table.contains(&hash.to_string()), "it is found by its hash");
    }
}

#[tokio::test]
async fn a_sign_in_makes_a_new_session_and_ends_the_one_that_the_browser_had() {
    let rig = Rig::new().await;
    let mut browser = identities::member(&rig, Provider::Google, INES).await;
    let mut former = browser.clone();
    let mut elsewhere = again(&rig).await;
    assert_eq!(browser.sign_in(Provider::Google, INES).await.status, StatusCode::SEE_OTHER);
    assert_ne!(browser.cookies[SESSION], former.cookies[SESSION]);
    assert!(browser.is_signed_in().await && !former.is_signed_in().await);
    assert!(elsewhere.is_signed_in().await, "other browsers' sessions are not touched");
    // A session that somebody else has planted in the browser is not the one that is signed in with.
    for planted in [elsewhere.cookies[SESSION].clone(), "A".repeat(43)] {
        let mut victim = rig.browser();
        victim.cookies.insert(SESSION.into(), planted.clone());
        victim.sign_in(Provider::Google, INES).await;
        assert_ne!(victim.cookies[SESSION], planted);
        let mut attacker = rig.browser();
        attacker.cookies.insert(SESSION.into(), planted);
        assert!(victim.is_signed_in().await && !attacker.is_signed_in().await);
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_for_eight_hours() {
    let rig = Rig::new().await;
    let mut browser = identities::member(&rig, Provider::Google, INES).await;
    rig.advance(Duration::from_hours(8) - Duration::from_mins(1));
    assert!(browser.is_signed_in().await);
    rig.advance(Duration::from_hours(8) - Duration::from_mins(1));
    assert!(browser.is_signed_in().await, "the use before was noted");
    rig.advance(Duration::from_hours(8));
    assert!(!browser.is_signed_in().await);
    rig.advance(Duration::from_mins(1));
    assert!(!browser.is_signed_in().await, "asking has not woken it");
}

#[tokio::test]
async fn a_session_ends_after_a_day_however_much_it_is_used() {
    let rig = Rig::new().await;
    let mut browser = identities::member(&rig, Provider::Google, INES).await;
    for _ in 0..3 {
        rig.advance(Duration::from_hours(7));
        assert!(browser.is_signed_in().await);
    }
    rig.advance(Duration::from_hours(3) - Duration::from_mins(1));
    assert!(browser.is_signed_in().await);
    rig.advance(Duration::from_mins(1));
    assert!(!browser.is_signed_in().await);
    assert!(again(&rig).await.is_signed_in().await, "and a new one begins by signing in again");
}

#[tokio::test]
async fn a_clock_that_is_five_minutes_off_ends_no_session() {
    let rig = Rig::new().await;
    let mut browser = identities::member(&rig, Provider::Google, INES).await;
    let now = rig.now();
    rig.clock.set(now.minus(Duration::from_mins(5)));
    assert!(browser.is_signed_in().await);
    rig.clock.set(now.plus(Duration::from_mins(5)));
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn whoever_is_disabled_or_suspended_is_out_of_every_session_at_the_next_request_and_stays_out() {
    for disable in [true, false] {
        let rig = Rig::new().await;
        let mut browsers = vec![identities::member(&rig, Provider::Google, INES).await];
        for _ in 0..3 {
            browsers.push(again(&rig).await);
        }
        // Another instance is as strict as the one that knows of the change.
        let other = rig.start_instance();
        let now = rig.now();
        change(&rig, |member| {
            let changed = if disable {
                member.disable(now)
            } else {
                member.suspend(SuspensionReason::LeftWorkspace, None, now)
            };
            assert!(changed);
        })
        .await;
        for (number, browser) in browsers.iter_mut().enumerate() {
            browser.instance = if number % 2 == 0 { 0 } else { other };
            assert!(!browser.is_signed_in().await, "{number}");
        }
        // Signing in does not undo it.
        let mut browser = rig.browser();
        assert_eq!(browser.sign_in(Provider::Google, INES).await.status, StatusCode::FORBIDDEN);
        assert!(!browser.has_session());
        // What was issued before stays dead when they are let in again.
        change(&rig, |member| assert!(if disable { member.enable(now) } else { member.restore().unwrap() }))
            .await;
        for browser in &mut browsers {
            assert!(!browser.is_signed_in().await);
        }
        assert!(again(&rig).await.is_signed_in().await);
    }
}

#[tokio::test]
async fn whoever_signs_out_leaves_a_cookie_that_opens_nothing() {
    let rig = Rig::new().await;
    let mut browser = identities::member(&rig, Provider::Google, INES).await;
    let mut kept = browser.clone();
    assert_eq!(browser.post("/logout", &[("confirm", "yes")]).await.status, StatusCode::OK);
    assert!(!browser.has_session() && !kept.is_signed_in().await);
}

#[tokio::test]
async fn a_cookie_that_is_not_the_sessions_own_opens_nothing() {
    let rig = Rig::new().await;
    let ines = identities::member(&rig, Provider::Google, INES).await;
    identities::member(&rig, Provider::Microsoft, ASTRID).await;
    let token = ines.cookies[SESSION].clone();
    let mut login = rig.browser();
    login.start(Provider::Google).await;
    let hash = rollcall_domain::TokenHash::of(&rollcall_domain::Secret::new(token.as_str())).to_string();
    let mut lower = token.to_ascii_lowercase();
    lower.push(' ');
    for value in [
        &token[..token.len() - 1],
        &format!("{token}="),
        &format!("{token}A"),
        &format!("\"{token}\""),
        &format!("%{}", &token[1..]),
        lower.trim(),
        &hash,
        &login.cookies[LOGIN],
        "null",
        "{}",
        "session#1",
        &"A".repeat(8_000),
    ] {
        let mut browser = rig.browser();
        browser.cookies.insert(SESSION.into(), value.to_owned());
        assert!(!browser.is_signed_in().await, "{value}");
    }
    for header in [
        format!("{SESSION}={token}; {SESSION}={token}"),
        format!("{SESSION}=x; {SESSION}={token}"),
        format!("{}={token}", SESSION.to_ascii_lowercase()),
        format!("rollcall-session={token}"),
        format!("{SESSION} ={token}"),
        format!("x={SESSION}={token}"),
    ] {
        let answer = rig.browser().get_with("/login", &[("cookie", &header)]).await;
        assert!(!answer.body.contains("You are signed in"), "{header}");
    }
    let answer = rig.browser().get_with("/login", &[("cookie", &format!("a=b; {SESSION}={token}; c"))]).await;
    assert!(answer.body.contains("You are signed in"), "and the session's own does");
}
