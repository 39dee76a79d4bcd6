//! What the tests start from.

use std::collections::BTreeMap;

use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::bitbucket::{AccountUuid, BitbucketWorkspaceUuid};
use rollcall_domain::connection::{Connection, CredentialKind, Health, Settings};
use rollcall_domain::event::{Event, EventKind};
use rollcall_domain::identity::Identity;
use rollcall_domain::member::{Member, Origin, Role, State};
use rollcall_domain::{
    AuditId, EventId, MemberId, RunId, Secret, SessionId, Timestamp, TokenHash, WorkspaceId,
};
use rollcall_store::connections::Connected;
use rollcall_store::members::Entering;
use rollcall_store::{Context, Lease, Record, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

pub(crate) fn workspace(n: u8) -> WorkspaceId {
    WorkspaceId::new(NOW, [n; 10])
}

pub(crate) fn account(n: u8) -> AccountUuid {
    AccountUuid::new(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn hash(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

/// Ten bytes that never come twice.
pub(crate) fn ten() -> [u8; 10] {
    let (bytes, mut ten) =
        (Uuid::from_u128(COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into()), [0; 10]);
    ten.copy_from_slice(&bytes.as_bytes()[6..]);
    ten
}

static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

pub(crate) fn record(workspace: WorkspaceId, kind: EventKind) -> Record {
    let audit = AuditEntry {
        id: AuditId::new(NOW, ten()),
        workspace: Some(workspace),
        at: NOW,
        actor: Actor::System,
        action: kind.as_str().to_owned(),
        target: None,
        why: "a test".to_owned(),
        from: None,
        detail: json!({ "list": [1, null, "x"], "nested": { "yes": true } }),
    };
    let event = Event {
        id: EventId::new(NOW, ten()),
        workspace,
        kind,
        at: NOW,
        subject: "s".into(),
        data: Value::Null,
    };
    Record { audit: vec![audit], events: vec![event] }
}

pub(crate) fn connected(workspace: WorkspaceId, bitbucket: u8) -> Connected {
    Connected {
        connection: Connection {
            workspace,
            bitbucket: BitbucketWorkspaceUuid::new(Uuid::from_u128(u128::from(bitbucket))),
            slug: "acme".parse().unwrap(),
            name: "Acme".into(),
            credential: CredentialKind::OauthConsumer,
            settings: Settings::default(),
            health: Health::New,
            created_at: NOW,
            version: 0,
        },
        sealed_credential: "sealed".into(),
    }
}

pub(crate) fn member(workspace: WorkspaceId, n: u8) -> Member {
    Member {
        id: MemberId::new(NOW, [n; 10]),
        workspace,
        identities: vec![Identity::bitbucket("https://bitbucket.org", account(n))],
        origin: Origin::Bitbucket,
        by_bitbucket: true,
        by_invite: None,
        role: Role::Member,
        state: State::Active,
        display_name: format!("Member {n}"),
        email: Some(format!("m{n}@example.com").parse().unwrap()),
        created_at: NOW,
        signed_in_at: Some(NOW),
        epoch: 0,
        version: 0,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
}

/// Lets a member in, with a session named by `token`.
pub(crate) async fn enter(
    store: &Store,
    member: &Member,
    before: Option<&Member>,
    token: &str,
) -> Result<(), StoreError> {
    let session = Session { id: SessionId::new(NOW, ten()) };
    let Record { audit, events } = record(member.workspace, EventKind::MemberOnboarded);
    let ends = NOW.plus(std::time::Duration::from_hours(1));
    let session = (hash(token), &session, ends);
    let entering =
        Entering { member, before, invite: None, connection: None, session, replaces: None, audit, events };
    store.enter(entering).await
}

/// A run's context with evidence of nothing.
pub(crate) fn context(workspace: WorkspaceId, evidence: &BTreeMap<MemberId, Value>) -> Context<'_> {
    let run = RunId::new(NOW, [9; 10]);
    Context { workspace, run, actor: Actor::Sync { run }, now: NOW, clock: &|| NOW, random: &ten, evidence }
}

/// Takes the lease for a run.
pub(crate) async fn lease(store: &Store, ws: WorkspaceId) -> Lease {
    store.take_lease(ws, "run", std::time::Duration::from_mins(15), NOW).await.unwrap().unwrap()
}
