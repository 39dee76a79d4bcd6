//! Ending sessions, and what was given in them.

use std::time::Duration;

use rollcall_domain::{GrantId, SessionId, Timestamp, TokenHash};
use rollcall_store::{EndedSession, Record, Store, StoreError, testing};
use serde::{Deserialize, Serialize};

use crate::support::{NOW, Session, enter, hash, member, ten, workspace};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Code {
    redeemed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    current: TokenHash,
}

const ENDS: Timestamp = Timestamp::from_seconds(1_800_003_600);
const USED: Code = Code { redeemed_at: Some(NOW) };

/// Redeems a code of a session; the grant that begins with it.
async fn redeem(store: &Store, code: &str, session: &str) -> (GrantId, Result<bool, StoreError>) {
    let (ada, grant) = (member(workspace(1), 1), GrantId::new(NOW, ten()));
    store.put_code(hash(code), &Code { redeemed_at: None }, ENDS).await.unwrap();
    let family = Family { current: hash("current") };
    let begun = (grant, ada.workspace, ada.id, &family, ENDS);
    (grant, store.redeem_code(hash(code), &USED, ENDS, hash(session), begun).await)
}

fn ended() -> EndedSession {
    EndedSession {
        id: SessionId::new(NOW, [7; 10]),
        hash: Some(hash("session")),
        until: NOW.plus(Duration::from_hours(1)),
    }
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_only_while_its_session_is_there() {
    let store = testing::store().await;
    enter(&store, &member(workspace(1), 1), None, "session").await.unwrap();
    let (grant, first) = redeem(&store, "code", "session").await;
    assert_eq!(first, Ok(true));
    let family = Family { current: hash("other") };
    let again = (GrantId::new(NOW, ten()), workspace(1), member(workspace(1), 1).id, &family, ENDS);
    assert_eq!(store.redeem_code(hash("code"), &USED, ENDS, hash("session"), again).await, Ok(false));
    assert_eq!(store.family::<Family>(grant).await.unwrap().unwrap().current, hash("current"));

    store.end_session_and_grants(ended(), &[grant], Record::default()).await.unwrap();
    assert_eq!(store.family::<Family>(grant).await.unwrap(), None);
    let (late, refused) = redeem(&store, "late", "session").await;
    assert_eq!(refused, Err(StoreError::Conflict { what: "session" }));
    assert_eq!(store.family::<Family>(late).await.unwrap(), None);
    let untouched = store.code::<Code>(hash("late")).await.unwrap().unwrap();
    assert_eq!(untouched.redeemed_at, None);
}

#[tokio::test]
async fn a_session_with_more_grants_than_a_transaction_takes_ends_with_all_of_them() {
    let store = testing::store().await;
    let ada = member(workspace(1), 1);
    enter(&store, &ada, None, "session").await.unwrap();
    let mut grants = Vec::new();
    for n in 0..105 {
        let (grant, redeemed) = redeem(&store, &format!("code {n}"), "session").await;
        assert_eq!(redeemed, Ok(true));
        grants.push(grant);
    }
    assert_eq!(store.families_of::<Family>(ada.workspace, ada.id).await.unwrap().len(), 105);
    store.end_session_and_grants(ended(), &grants, Record::default()).await.unwrap();
    assert_eq!(store.families_of::<Family>(ada.workspace, ada.id).await.unwrap(), []);
    assert_eq!(store.session::<Session>(hash("session")).await.unwrap(), None);
}

#[tokio::test]
async fn a_family_is_rotated_only_from_the_token_that_is_current() {
    let store = testing::store().await;
    enter(&store, &member(workspace(1), 1), None, "session").await.unwrap();
    let (grant, _) = redeem(&store, "code", "session").await;
    let next = Family { current: hash("next") };
    assert_eq!(store.rotate_family(grant, &next, hash("current"), ENDS).await, Ok(true));
    assert_eq!(store.rotate_family(grant, &next, hash("current"), ENDS).await, Ok(false));
    store.revoke_family(grant).await.unwrap();
    assert_eq!(store.rotate_family(grant, &next, hash("next"), ENDS).await, Ok(false), "gone is gone");
}
