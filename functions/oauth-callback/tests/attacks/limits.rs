//! How often somebody may try, counted where all instances of the function see it.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use rollcall_domain::identity::Provider;
use standin_openid::Endpoint;

use crate::browser::Browser;
use crate::identities;
use crate::rig::{INES, Rig};

const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// A browser at an address, whose requests come to an instance.
fn at<'r>(rig: &'r Rig, instance: usize, address: &str) -> Browser<'r> {
    let mut browser = rig.browser();
    browser.instance = instance;
    browser.address = address.parse::<IpAddr>().unwrap();
    browser
}

/// Waits for the beginning of a minute, so that no window ends within the test.
fn at_a_full_minute(rig: &Rig) {
    let into = u64::try_from(rig.now().as_seconds().rem_euclid(60)).unwrap();
    rig.advance(Duration::from_secs(61 - into));
}

#[tokio::test]
async fn attempts_of_an_address_are_counted_across_instances() {
    let rig = Rig::with_rate("6").await;
    let instances = [0, rig.start_instance()];
    at_a_full_minute(&rig);
    for attempt in 0..6 {
        let answer = at(&rig, instances[attempt % 2], "192.0.2.7").get("/login/google").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{attempt}");
    }
    for instance in instances {
        for path in ["/login/google", "/login/bitbucket", "/callback/google?code=a&state=b"] {
            let answer = at(&rig, instance, "192.0.2.7").get(path).await;
            assert_eq!(answer.status, TOO_MANY, "{path}");
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
        // A header that anybody can write is nobody's address.
        let lies = [
            ("x-forwarded-for", "198.51.100.9"),
            ("x-real-ip", "198.51.100.9"),
            ("forwarded", "for=198.51.100.9"),
        ];
        assert_eq!(at(&rig, instance, "192.0.2.7").get_with("/login/google", &lies).await.status, TOO_MANY);
        // The same address in the other notation.
        assert_eq!(at(&rig, instance, "::ffff:192.0.2.7").get("/login/google").await.status, TOO_MANY);
        assert_eq!(at(&rig, instance, "192.0.2.8").get("/login/google").await.status, StatusCode::SEE_OTHER);
    }
    let denied = rig.failed_checks().await;
    assert!(denied.is_empty(), "whoever is over the limit does not fill the trail: {denied:?}");
    rig.advance(Duration::from_mins(1));
    assert_eq!(at(&rig, 0, "192.0.2.7").get("/login/google").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_whole_block_of_ipv6_addresses_counts_as_one() {
    let rig = Rig::with_rate("4").await;
    at_a_full_minute(&rig);
    let mut answers = Vec::new();
    for host in 0..6 {
        answers.push(at(&rig, 0, &format!("2001:db8:1:2::{host}")).get("/login/google").await.status);
    }
    assert_eq!(answers.iter().filter(|status| **status == TOO_MANY).count(), 2, "{answers:?}");
    assert_eq!(at(&rig, 0, "2001:db8:1:3::1").get("/login/google").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sign_ins_with_an_account_are_counted_across_instances_and_addresses() {
    let rig = Rig::with_rate("5").await;
    let instances = [0, rig.start_instance()];
    identities::member(&rig, Provider::Google, INES).await;
    at_a_full_minute(&rig);
    let mut outcomes = Vec::new();
    for attempt in 0..8 {
        let mut browser = at(&rig, instances[attempt % 2], &format!("192.0.2.{}", 20 + attempt));
        outcomes.push((browser.sign_in(Provider::Google, INES).await.status, browser.has_session()));
    }
    assert_eq!(outcomes[..5], [(StatusCode::SEE_OTHER, true); 5]);
    assert_eq!(outcomes[5..], [(TOO_MANY, false); 3]);
    assert_eq!(rig.failed_checks().await[0], "rate.account");
    // Somebody else with the same provider is not held up, and strangers are counted as well.
    let stranger = "jonas.achterberg@mail.example";
    let mut refused = Vec::new();
    for attempt in 0..7 {
        let mut browser = at(&rig, instances[attempt % 2], &format!("192.0.2.{}", 40 + attempt));
        refused.push(browser.sign_in(Provider::Google, stranger).await.status);
    }
    assert_eq!(refused[..5], [StatusCode::FORBIDDEN; 5]);
    assert_eq!(refused[5..], [TOO_MANY; 2]);
    rig.advance(Duration::from_mins(1));
    assert_eq!(at(&rig, 0, "192.0.2.60").sign_in(Provider::Google, INES).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn guesses_of_an_invites_code_are_counted_across_instances() {
    let rig = Rig::with_rate("5").await;
    let instances = [0, rig.start_instance()];
    let token = identities::invite(&rig, INES).await;
    at_a_full_minute(&rig);
    for attempt in 0..5 {
        let guess = format!("{attempt}").repeat(32);
        let answer =
            at(&rig, instances[attempt % 2], "192.0.2.9").post("/invite/accept", &[("token", &guess)]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    for instance in instances {
        let answer = at(&rig, instance, "192.0.2.9").post("/invite/accept", &[("token", &token)]).await;
        assert_eq!(answer.status, TOO_MANY, "even the right one");
    }
    assert_eq!(
        at(&rig, 0, "192.0.2.10").post("/invite/accept", &[("token", &token)]).await.status,
        StatusCode::OK
    );
    let checks = rig.failed_checks().await;
    assert_eq!(checks, vec!["invite.unknown"; 5], "each guess is in the trail");
}

#[tokio::test]
async fn clients_that_do_not_prove_themselves_are_counted_across_instances() {
    let rig = Rig::with_rate("5").await;
    let instances = [0, rig.start_instance()];
    at_a_full_minute(&rig);
    let id = rollcall_domain::ClientId::new(rig.now(), [9; 10]).to_string();
    let mut statuses = Vec::new();
    for (attempt, path) in ["/token", "/introspect", "/revoke"].into_iter().cycle().take(9).enumerate() {
        let fields = [
            ("grant_type", "client_credentials"),
            ("token", "x"),
            ("client_id", id.as_str()),
            ("client_secret", "rck_guess"),
        ];
        statuses
            .push(at(&rig, instances[attempt % 2], "192.0.2.11").post(path, &fields).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429, 429]);
}

#[tokio::test]
async fn whoever_has_to_wait_costs_the_providers_nothing() {
    let rig = Rig::with_rate("2").await;
    at_a_full_minute(&rig);
    let mut browser = at(&rig, 0, "192.0.2.12");
    let callback = browser.callback(Provider::Google, INES).await;
    browser.get("/login/google").await;
    let before = browser.cookies.clone();
    assert_eq!(browser.get(&callback).await.status, TOO_MANY);
    assert_eq!(rig.google.count(Endpoint::Token), 0);
    assert_eq!(browser.cookies, before, "the login is still under way");
}
