//! Accepting an invite: the page its link opens, choosing a provider, and the login that proves who it is.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::audit::Actor;
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::identity::{Provider, Visitor};
use rollcall_domain::invite::{Invite, InviteRefusal, InviteState, InviteStatus};
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, State as MemberState};
use rollcall_domain::{EventId, MemberId, Secret, TokenHash};
use rollcall_identity::relying_party::{AuthorizeHints, LoginStart, Prompt, Purpose, ReturnTarget};
use rollcall_service::random::new_id;
use rollcall_service::rate::Attempt;
use rollcall_service::rfc3339;
use rollcall_service::web::{ClientAddress, Form, Problem, same_site};
use serde::Deserialize;
use serde_json::json;

use crate::app::{App, Derived};
use crate::audit::{Trail, What};
use crate::callback::Return;
use crate::failure::Failure;
use crate::login::{self, RETURN_PATHS};
use crate::pages::{self, ProviderChoice};
use crate::{enter, redeem};

/// `GET /invite`: the page. It knows nothing of any invite, because the code is in the fragment.
pub async fn page(State(app): State<App>) -> Result<Response, Failure> {
    pages::answer(&pages::OpenInvite::new(app.application()), &[])
}

/// The form of both steps: first the code alone, then with a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    token: Secret,
    provider: Option<Provider>,
}

/// `POST /invite/accept`: shows who invites, and with a provider starts the login. Nothing is used up by either.
pub async fn accept(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form<Accept>, Problem>,
) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    login::limit(&app, &derived, Attempt::Invite, address).await?;
    let outcome = match form {
        Ok(Form(form)) => open(&app, &derived, &headers, form).await,
        Err(_) => Err(Failure::check(None, "invite.parameters")),
    };
    Trail::new(&app, address).settle(&app, outcome).await
}

async fn open(app: &App, derived: &Derived, headers: &HeaderMap, form: Accept) -> Result<Response, Failure> {
    same_site(headers, &app.config().public_url).map_err(|_| Failure::check(None, "invite.cross_site"))?;
    let hash = TokenHash::of(&form.token);
    let invite = pending(app, hash).await?;
    let offered: BTreeSet<Provider> =
        derived.offered().filter(|provider| invite.providers.contains(provider)).collect();
    let Some(provider) = form.provider else {
        let workspace = app.store().workspace(invite.workspace).await?;
        let workspace = workspace.ok_or(Failure::invalid_invite("invite.workspace"))?;
        let page = pages::ChooseForInvite {
            application: app.application(),
            workspace: &workspace.name,
            inviter: &invite.inviter_name,
            admin: invite.role == Role::Admin,
            note: invite.note.as_deref(),
            token: form.token.expose(),
            providers: offered.into_iter().map(ProviderChoice::from).collect(),
            until: rfc3339::format(invite.expires_at).replace('T', " ").chars().take(16).collect(),
        };
        return pages::answer(&page, &provider_origins(app));
    };
    if !offered.contains(&provider) {
        return Err(Failure::check(Some(provider), "invite.provider"));
    }
    let start = LoginStart {
        provider,
        issuer: app.issuer_of(provider).to_owned(),
        purpose: Purpose::AcceptInvite { token: hash },
        return_to: ReturnTarget::parse("/login", &RETURN_PATHS)
            .map_err(|_| Failure::defect("return target"))?,
        workspace: Some(invite.workspace),
        max_age: None,
    };
    // A fresh choice: the account that happens to be signed in may not be the invited one.
    let hints =
        AuthorizeHints { prompt: Some(Prompt::SelectAccount), login_hint: Some(invite.email.to_string()) };
    login::send(app, derived, headers, start, &hints).await
}

/// Finishes a login that was started to accept an invite.
pub async fn finish(back: &Return<'_>, token: TokenHash) -> Result<Response, Failure> {
    let app = back.app;
    let now = app.now();
    let visitor = redeem::visitor(back).await?;
    let counted = login::limit_account(app, back.derived, &visitor.identity);
    let (counted, invite) = join(counted, pending(app, token)).await;
    counted?;
    let invite = invite?;
    let workspace = app.store().workspace(invite.workspace).await?;
    let workspace = workspace.ok_or(Failure::invalid_invite("invite.workspace"))?;
    if let Err(refusal) = invite.may_accept(&visitor, &workspace.invite_rules, now) {
        let check = match refusal {
            InviteRefusal::Link => "invite.link",
            InviteRefusal::Provider => "invite.provider",
            InviteRefusal::NotTheInvited => "invite.identity",
            InviteRefusal::Domain => "invite.domain",
        };
        return Err(Failure::invalid_invite(check));
    }
    let before = app.store().member_by_identity(invite.workspace, &visitor.identity).await?;
    let mut member = before.clone().unwrap_or_else(|| new_member(app, &invite, &visitor));
    let entitlement = InviteEntitlement {
        invite: invite.id,
        until: invite.membership_until,
        teams: invite.teams.clone(),
        warned_at: None,
    };
    let restored = member
        .admit_by_invite(entitlement, invite.role)
        .map_err(|_| Failure::invalid_invite("invite.member_disabled"))?;
    member.display_name.clone_from(&visitor.display_name);
    // Where the identity is pinned, the invite's address is what an admin has written, and nobody has verified it.
    member.email = visitor
        .verified_emails
        .iter()
        .find(|verified| **verified == invite.email)
        .or(visitor.verified_emails.first())
        .cloned()
        .or(member.email);
    member.signed_in_at = Some(now);
    let accepted = Invite { state: InviteState::Accepted { at: now, member: member.id }, ..invite.clone() };

    let kind = match (&before, restored) {
        (None, _) => EventKind::MemberOnboarded,
        (Some(_), true) => EventKind::MemberRestored,
        (Some(_), false) => EventKind::MemberUpdated,
    };
    let event = |kind, subject: String| Event {
        id: new_id::<EventId>(app.clock(), app.random()),
        workspace: member.workspace,
        kind,
        at: now,
        subject,
        data: about_member(&member, json!({ "invite": invite.id })),
    };
    let events =
        vec![event(kind, member.id.to_string()), event(EventKind::InviteAccepted, invite.id.to_string())];
    let audit = back.trail.entry(
        app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "invite.accepted",
            target: Some(invite.id.to_string()),
            why: "signed in as the person the invite was issued to",
            detail: json!({ "identity": visitor.identity, "member": member.id }),
        },
    );
    enter::by_invite(back, &visitor, member, before, &accepted, audit, events).await
}

/// An invite that can still be accepted. Used, revoked, expired, replaced and unknown ones look alike.
async fn pending(app: &App, token: TokenHash) -> Result<Invite, Failure> {
    let invite = app.store().invite_by_token(token).await?;
    let invite = invite.ok_or(Failure::invalid_invite("invite.unknown"))?;
    match invite.status(app.now()) {
        InviteStatus::Pending => Ok(invite),
        InviteStatus::Accepted => Err(Failure::invalid_invite("invite.used")),
        InviteStatus::Expired => Err(Failure::invalid_invite("invite.expired")),
        InviteStatus::Revoked => Err(Failure::invalid_invite("invite.revoked")),
    }
}

fn new_member(app: &App, invite: &Invite, visitor: &Visitor) -> Member {
    Member {
        id: new_id::<MemberId>(app.clock(), app.random()),
        workspace: invite.workspace,
        identities: vec![visitor.identity.clone()],
        origin: Origin::Invite,
        by_bitbucket: false,
        by_invite: None,
        role: Role::Member,
        state: MemberState::Active,
        display_name: visitor.display_name.clone(),
        email: None,
        created_at: app.now(),
        signed_in_at: None,
        epoch: 0,
        version: 0,
    }
}

/// Where the page's forms lead on to: browsers check the redirect after a form as well.
pub(crate) fn provider_origins(app: &App) -> Vec<url::Url> {
    Provider::ALL.into_iter().filter_map(|provider| url::Url::parse(app.issuer_of(provider)).ok()).collect()
}
