//! Issuing invites, up to 100 at once, each answered for itself; and listing them.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use futures_util::{StreamExt as _, stream, try_join};
use rollcall_admin::page::{Limit, List, Page};
use rollcall_admin::{Act, Caller, Failure, InWorkspace, schema};
use rollcall_domain::authority::Principal;
use rollcall_domain::event::EventKind;
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::invite::{Delivery, Invite, InviteState, InviteStatus};
use rollcall_domain::member::{Member, Role, State as MemberState};
use rollcall_domain::{InviteId, TeamId, Timestamp};
use rollcall_service::rfc3339;
use rollcall_service::web::{FieldError, Json, Problem, Query};
use rollcall_store::workspaces::Workspace;
use rollcall_store::{NewInvite, Numbering, Position, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::App;
use crate::input::{Allowed, InviteInput, InvitesInput, Issuers, MOST_INVITES, Wanted};
use crate::limits;
use crate::link::Link;
use crate::mail::{self, Content, Language};
use crate::mailer::{About, Mailer, NotSent};
use crate::view::{InviteView, status};

/// Mails that are handed over at the same time.
const MAILS_AT_ONCE: usize = 8;
/// As many invites are looked at for one page of a filtered list.
const MOST_LOOKED_AT: usize = 1_000;

/// What became of one entry.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The address as it was given.
    email: String,
    /// `issued`; `reissued`, where a pending invite to the same address was replaced; `refused`, with the problem.
    #[schema(pattern = "^(issued|reissued|refused)$")]
    status: &'static str,
    /// The invite.
    #[schema(required)]
    invite: Option<InviteView>,
    /// The link, where no mail was sent: shown this once.
    #[schema(required)]
    link: Option<String>,
    /// Why it was refused, or why no mail was sent.
    #[schema(value_type = Option<schema::Problem>, required)]
    problem: Option<Value>,
}

/// What became of each entry, in the order of the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answers {
    /// One for each entry.
    items: Vec<Answer>,
}

/// Which invites, and where in the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InvitesQuery {
    /// How many entries at most. A page of a filtered list can be shorter although more follow.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<schema::Cursor>, inline)]
    cursor: Option<String>,
    /// Only those of which this has become.
    #[param(value_type = Option<schema::InviteStatus>, inline)]
    status: Option<InviteStatus>,
}

/// Lists the invites, newest first.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/invites", tag = "invites", operation_id = "list_invites",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), InvitesQuery),
    responses((status = 200, description = "A page of the invites.", body = Page<InviteView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<InvitesQuery>,
) -> Result<Json<Page<InviteView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, format!("{}/invites", asked.workspace));
    let mut after: Option<Position> = list.start(query.cursor.as_deref())?;
    app.admin.workspace(asked.workspace).await?;
    let limit = query.limit.unwrap_or_default().get();
    let now = app.admin.now();
    let (mut items, mut looked_at) = (Vec::new(), 0);
    loop {
        let page = app.admin.store().invites(asked.workspace, after.as_ref(), limit).await?;
        looked_at += page.items.len();
        let voided = app.admin.store().voided(&page.items).await?;
        for invite in &page.items {
            let void = voided.contains(&invite.id);
            if query.status.is_some_and(|wanted| wanted != status(invite, void, now)) {
                continue;
            }
            if items.len() == limit {
                return Ok(Json(list.page(items, after.as_ref())?));
            }
            items.push(InviteView::new(invite, void, now));
            after = Some(Position(invite.id.to_string()));
        }
        after = page.next;
        if after.is_none() || items.len() == limit || looked_at >= MOST_LOOKED_AT {
            return Ok(Json(list.page(items, after.as_ref())?));
        }
    }
}

/// Invites people, up to 100 at once. Each entry is answered for itself: what is wrong with one does not keep the others.
///
/// A new invite to an address replaces the pending one: its former link is dead. Where mail is configured, the link is sent to the
/// invited and shown to nobody else; else it is returned this once.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/invites", tag = "invites", operation_id = "create_invites",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
    ),
    request_body = InvitesInput,
    responses((status = 200, description = "What became of each entry.", body = Answers)),
)]
pub(crate) async fn create(
    State(app): State<App>,
    asked: InWorkspace,
    Json(input): Json<InvitesInput>,
) -> Result<Json<Answers>, Failure> {
    if input.invites.is_empty() || input.invites.len() > MOST_INVITES {
        let wrong = FieldError::at("/invites", format!("has to name 1 to {MOST_INVITES} people"));
        return Err(Problem::invalid(vec![wrong]).into());
    }
    let keys = app.admin.keys().await?;
    let now = app.admin.now();
    let store = app.admin.store();
    let teams = async {
        let is_asked = input.invites.iter().any(InviteInput::names_teams);
        if is_asked { Ok(store.all_teams(asked.workspace).await?) } else { Ok(Vec::new()) }
    };
    let (workspace, (), issuer, teams, numbering) = try_join!(
        app.admin.workspace(asked.workspace),
        limits::of_issuer(&app.admin, &keys, &asked.caller, now),
        issuer(&app, &asked.caller, now),
        teams,
        async { Ok(store.numbering(asked.workspace).await?) },
    )?;
    let teams: BTreeSet<TeamId> =
        teams.into_iter().filter(|team| !team.removed).map(|team| team.id).collect();

    let mut entries = Entry::check_all(&app, &asked, &workspace, input.invites, &teams, now);
    let recipients: Vec<&EmailAddress> = entries.iter().filter_map(Entry::recipient).collect();
    let addresses: Vec<EmailAddress> = recipients.iter().copied().cloned().collect();
    let (allowed, last) = try_join!(limits::of_recipients(&app.admin, &keys, &recipients, now), async {
        Ok(store.invites_to(asked.workspace, &addresses).await?)
    },)?;
    let allowed: BTreeMap<&EmailAddress, bool> = addresses.iter().zip(allowed).collect();
    for entry in &mut entries {
        if entry.recipient().is_some_and(|recipient| allowed.get(recipient) == Some(&false)) {
            entry.refuse(
                Problem::too_many_requests(3600)
                    .detail("This address was invited too often today. Try again tomorrow, or hand the link over yourself."),
            );
        }
    }
    let inviter = inviter_name(issuer.as_ref());
    let issuing = Issuing { app: &app, asked: &asked, workspace: &workspace, inviter, now };
    issuing.prepare(&mut entries, &last);
    issuing.write(&mut entries, issuer.as_ref(), numbering).await?;
    issuing.mail(&mut entries).await;
    Ok(Json(Answers { items: entries.into_iter().map(|entry| entry.answer(now)).collect() }))
}

/// The member who invites, as they are now; `None` for callers who are no member.
pub(crate) async fn issuer(app: &App, caller: &Caller, now: Timestamp) -> Result<Option<Member>, Failure> {
    match caller.principal() {
        Principal::Member { id, workspace, .. } => {
            let store = app.admin.store();
            let (issuer, void_until) =
                try_join!(store.member(*workspace, *id), store.issuing_void_until(*workspace, *id))?;
            // What somebody issues right after they were let in again would be void with what they issued before.
            if let Some(until) = void_until.filter(|until| *until >= now) {
                let seconds = until.since(now).as_secs() + 1;
                return Err(Problem::too_many_requests(seconds)
                    .detail("Your rights were changed a moment ago. Invites can be issued again in a minute.")
                    .into());
            }
            let may =
                issuer.filter(|issuer| issuer.state == MemberState::Active && issuer.role == Role::Admin);
            Ok(Some(may.ok_or_else(no_admin_any_more)?))
        }
        Principal::Bootstrap | Principal::Token { .. } | Principal::Client { .. } => Ok(None),
    }
}

/// Somebody was suspended, disabled or demoted while they were inviting.
pub(crate) fn no_admin_any_more() -> Problem {
    Problem::forbidden(
        "Your own membership has just been changed. Sign in again, and look whether you may still invite people.",
    )
}

/// What the inviter is called on the page and in the mail.
pub(crate) fn inviter_name(issuer: Option<&Member>) -> String {
    issuer.map_or_else(|| "An administrator".to_owned(), |issuer| issuer.display_name.clone())
}

/// One entry of the request on its way.
struct Entry {
    email: String,
    state: EntryState,
}

enum EntryState {
    Refused(Box<Problem>),
    Wanted(Box<Wanted>),
    Prepared(Box<Prepared>),
}

struct Prepared {
    invite: Invite,
    replaces: Option<Invite>,
    last: Option<InviteId>,
    link: Link,
    not_sent: Option<NotSent>,
}

impl Entry {
    fn check_all(
        app: &App,
        asked: &InWorkspace,
        workspace: &Workspace,
        inputs: Vec<InviteInput>,
        teams: &BTreeSet<TeamId>,
        now: Timestamp,
    ) -> Vec<Self> {
        let allowed = Allowed {
            highest: asked.caller.principal().highest_role(),
            rules: &workspace.invite_rules,
            teams,
            issuers: &Issuers::configured(app.admin.config()),
            now,
        };
        let mut seen = BTreeSet::new();
        inputs
            .into_iter()
            .map(|input| {
                let email = input.email.clone();
                let state = match input.check(&allowed) {
                    Ok(wanted) if seen.insert(wanted.email.clone()) => EntryState::Wanted(Box::new(wanted)),
                    Ok(_) => {
                        let twice = FieldError::at("/email", "is named twice in this request");
                        EntryState::Refused(Box::new(Problem::invalid(vec![twice])))
                    }
                    Err(errors) => EntryState::Refused(Box::new(Problem::invalid(errors))),
                };
                Self { email, state }
            })
            .collect()
    }

    fn recipient(&self) -> Option<&EmailAddress> {
        match &self.state {
            EntryState::Wanted(wanted) => Some(&wanted.email),
            EntryState::Prepared(_) | EntryState::Refused(_) => None,
        }
    }

    fn refuse(&mut self, problem: Problem) {
        self.state = EntryState::Refused(Box::new(problem));
    }

    fn prepared(&self) -> Option<&Prepared> {
        match &self.state {
            EntryState::Prepared(prepared) => Some(prepared),
            EntryState::Refused(_) | EntryState::Wanted(_) => None,
        }
    }

    fn answer(self, now: Timestamp) -> Answer {
        let refused = |problem: &Problem| Some(problem.to_json(None));
        match self.state {
            EntryState::Prepared(prepared) => {
                let shown = matches!(prepared.invite.delivery, Delivery::LinkReturned | Delivery::Failed);
                Answer {
                    email: self.email,
                    status: if prepared.replaces.is_some() { "reissued" } else { "issued" },
                    invite: Some(InviteView::new(&prepared.invite, false, now)),
                    link: shown.then(|| prepared.link.expose().to_owned()),
                    problem: prepared.not_sent.and_then(|why| refused(&not_sent(&why))),
                }
            }
            EntryState::Refused(problem) => Answer {
                email: self.email,
                status: "refused",
                invite: None,
                link: None,
                problem: refused(&problem),
            },
            // Everything that is wanted was prepared or refused.
            EntryState::Wanted(_) => {
                let problem = refused(&Problem::internal());
                Answer { email: self.email, status: "refused", invite: None, link: None, problem }
            }
        }
    }
}

/// Why no mail was sent, with what to do.
pub(crate) fn not_sent(why: &NotSent) -> Problem {
    Problem::unavailable(format!(
        "The invite stands, and its mail was not sent: {why}. Send it again, or hand over the link."
    ))
}

/// What all entries of a request have in common.
struct Issuing<'a> {
    app: &'a App,
    asked: &'a InWorkspace,
    workspace: &'a Workspace,
    inviter: String,
    now: Timestamp,
}

impl Issuing<'_> {
    fn prepare(&self, entries: &mut [Entry], last: &BTreeMap<EmailAddress, Invite>) {
        for entry in entries {
            let EntryState::Wanted(wanted) = &entry.state else { continue };
            let admin = &self.app.admin;
            let link = Link::new(&admin.config().public_url, admin.random());
            let id: InviteId = admin.new_id(self.now);
            let last = last.get(&wanted.email);
            let replaces = last
                .filter(|last| last.state == InviteState::Pending)
                .map(|last| Invite { state: InviteState::Revoked { at: self.now }, ..last.clone() });
            let last = last.map(|last| last.id);
            let invite = Invite {
                id,
                workspace: self.asked.workspace,
                email: wanted.email.clone(),
                pinned: wanted.pinned.clone(),
                role: wanted.role,
                teams: wanted.teams.clone(),
                providers: wanted.providers.clone(),
                token: link.hash(),
                issued_at: self.now,
                expires_at: self.now.plus(wanted.lifetime),
                membership_until: wanted.membership_until,
                issued_by: self.asked.caller.principal().actor(),
                inviter_name: self.inviter.clone(),
                note: wanted.note.clone(),
                state: InviteState::Pending,
                delivery: if self.app.mailer.is_some() { Delivery::Sent } else { Delivery::LinkReturned },
                together: None,
                version: 0,
            };
            entry.state =
                EntryState::Prepared(Box::new(Prepared { invite, replaces, last, link, not_sent: None }));
        }
    }

    /// Writes the invites. Those in whose way somebody else is are refused.
    async fn write(
        &self,
        entries: &mut [Entry],
        issuer: Option<&Member>,
        numbering: Numbering,
    ) -> Result<(), Failure> {
        let new: Vec<NewInvite> =
            entries.iter().filter_map(Entry::prepared).map(|one| self.with_record(one)).collect();
        let written = self.app.admin.store().issue_invites(&new, issuer, numbering).await;
        let in_the_way = written.map_err(|error| match error {
            error if error.is_conflict() => Failure::from(no_admin_any_more()),
            error => error.into(),
        })?;
        for entry in entries {
            if entry.prepared().is_some_and(|prepared| in_the_way.contains(&prepared.invite.id)) {
                entry.refuse(Problem::conflict(
                    "Somebody else has invited this person at the same time, or they have just accepted.",
                ));
            }
        }
        Ok(())
    }

    /// A row with what is told of it.
    fn with_record(&self, one: &Prepared) -> NewInvite {
        let Prepared { invite, replaces, last, .. } = one;
        let told = told_of(invite, replaces.as_ref().map(|former| former.id));
        let subject = invite.id.to_string();
        let act = Act {
            workspace: Some(self.asked.workspace),
            action: "invite.issued",
            target: Some(subject.clone()),
            why: "An admin invited somebody.".to_owned(),
            detail: told.clone(),
        };
        let admin = &self.app.admin;
        let record = Record {
            audit: vec![admin.audit(&self.asked.caller, self.now, act)],
            events: vec![admin.event(self.asked.workspace, EventKind::InviteIssued, self.now, subject, told)],
        };
        NewInvite { invite: invite.clone(), replaces: replaces.clone(), last: *last, record }
    }

    async fn mail(&self, entries: &mut [Entry]) {
        let Some(mailer) = self.app.mailer.as_deref() else { return };
        let sends = entries.iter_mut().filter_map(|entry| match &mut entry.state {
            EntryState::Prepared(prepared) => Some(prepared),
            EntryState::Refused(_) | EntryState::Wanted(_) => None,
        });
        stream::iter(sends)
            .for_each_concurrent(MAILS_AT_ONCE, async |prepared| {
                if let Err(why) =
                    send(self.app, mailer, self.workspace, &prepared.invite, &prepared.link).await
                {
                    prepared.invite.delivery = Delivery::Failed;
                    prepared.not_sent = Some(why);
                }
            })
            .await;
    }
}

/// Sends an invite's mail, and marks the invite where that does not work.
pub(crate) async fn send(
    app: &App,
    mailer: &dyn Mailer,
    workspace: &Workspace,
    invite: &Invite,
    link: &Link,
) -> Result<(), NotSent> {
    let keys = app.admin.keys().await;
    let keys =
        keys.map_err(|_| NotSent::Unavailable { why: "the deployment's keys cannot be read".to_owned() })?;
    let content = Content {
        to: &invite.email,
        workspace: &workspace.name,
        inviter: &invite.inviter_name,
        application: &keys.application,
        note: invite.note.as_deref(),
        link: link.expose(),
        until: invite.expires_at,
        ends: invite.membership_until,
    };
    let about = About { workspace: invite.workspace, invite: invite.id };
    let sent = match mail::write(&content, Language::from_tag(&workspace.language)) {
        Ok(mail) => mailer.send(&mail, about).await,
        Err(error) => Err(NotSent::Refused { code: error.to_string() }),
    };
    if let Err(error) = &sent {
        tracing::warn!(%error, invite = %invite.id, "an invite's mail was not sent");
        crate::feedback::mark(&app.admin, about, Delivery::Failed).await;
    }
    sent
}

/// What the trail and the application are told of an invite.
pub(crate) fn told_of(invite: &Invite, replaces: Option<InviteId>) -> Value {
    json!({
        "email": invite.email,
        "role": invite.role,
        "teams": invite.teams,
        "providers": invite.providers,
        "expires_at": rfc3339::format(invite.expires_at),
        "membership_until": invite.membership_until.map(rfc3339::format),
        "replaces": replaces,
    })
}
