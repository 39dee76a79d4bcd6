//! Invites: how people without an organisational Bitbucket account come in.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::audit::Actor;
use crate::identity::{EmailAddress, Identity, Provider, Visitor};
use crate::member::Role;
use crate::{InviteId, MemberId, TeamId, Timestamp, TokenHash, WorkspaceId};

/// How long an invite can be accepted if nothing else is asked for.
pub const DEFAULT_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The longest an invite can be accepted.
pub const LONGEST_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// What has become of an invite. That it has expired is not a state of the row: the clock says it, see [`Invite::status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum InviteState {
    /// Waits to be accepted.
    Pending,
    /// Was accepted, once and for all.
    Accepted {
        /// When.
        at: Timestamp,
        /// By whom.
        member: MemberId,
    },
    /// Was revoked.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

/// What an invite looks like at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InviteStatus {
    /// Can be accepted.
    Pending,
    /// Was accepted.
    Accepted,
    /// Was not accepted in time.
    Expired,
    /// Was revoked.
    Revoked,
}

/// How the mail fared, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// No mail was sent: whoever issued the invite got the link.
    #[default]
    LinkReturned,
    /// Handed to the mail service.
    Sent,
    /// The mail service refused it.
    Failed,
    /// Came back.
    Bounced,
    /// The recipient complained.
    Complained,
}

/// An invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// Into which workspace.
    pub workspace: WorkspaceId,
    /// To whom: the address that the provider must vouch for.
    pub email: EmailAddress,
    /// The identity that an admin pinned, where the address does not have to match.
    pub pinned: Option<Identity>,
    /// As what.
    pub role: Role,
    /// Into which teams.
    pub teams: Vec<TeamId>,
    /// By which providers it can be accepted.
    pub providers: BTreeSet<Provider>,
    /// The hash of the token in the link. A re-sent invite has a new one.
    pub token: TokenHash,
    /// When it was issued, or issued anew.
    pub issued_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When the membership it gives ends.
    pub membership_until: Option<Timestamp>,
    /// Who issued it.
    pub issued_by: Actor,
    /// What the inviter calls themselves, for the page and the mail.
    pub inviter_name: String,
    /// What the inviter wrote.
    pub note: Option<String>,
    /// What has become of it.
    pub state: InviteState,
    /// How the mail fared.
    pub delivery: Delivery,
    /// The first of those that it was written together with, if they were many. It is issued once the table says so of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<InviteId>,
    /// Counts the changes of the row, for conditional writes.
    pub version: u64,
}

/// Why an invite is not accepted. The visitor is told the same sentence for all of those that concern the link itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InviteRefusal {
    /// Used, revoked, expired, replaced or never there.
    #[error("the link is not valid")]
    Link,
    /// The provider is not among those the invite allows.
    #[error("the invite does not allow this provider")]
    Provider,
    /// None of the verified addresses is the invite's, and the identity is not the pinned one.
    #[error("the identity is not the one the invite was issued to")]
    NotTheInvited,
    /// The workspace refuses this organisation or domain.
    #[error("the workspace does not accept this organisation or e-mail domain")]
    Domain,
}

impl Invite {
    /// What it looks like now.
    pub fn status(&self, now: Timestamp) -> InviteStatus {
        match self.state {
            InviteState::Accepted { .. } => InviteStatus::Accepted,
            InviteState::Revoked { .. } => InviteStatus::Revoked,
            InviteState::Pending if self.expires_at.has_passed(now) => InviteStatus::Expired,
            InviteState::Pending => InviteStatus::Pending,
        }
    }

    /// Whether this visitor may accept it now. Possession of the link is never enough.
    pub fn may_accept(
        &self,
        visitor: &Visitor,
        rules: &DomainRules,
        now: Timestamp,
    ) -> Result<(), InviteRefusal> {
        if self.status(now) != InviteStatus::Pending
            || self.membership_until.is_some_and(|until| until.has_passed(now))
        {
            return Err(InviteRefusal::Link);
        }
        if !self.providers.contains(&visitor.identity.provider) {
            return Err(InviteRefusal::Provider);
        }
        let is_the_invited = match &self.pinned {
            Some(pinned) => *pinned == visitor.identity,
            None => visitor.verified_emails.contains(&self.email),
        };
        if !is_the_invited {
            return Err(InviteRefusal::NotTheInvited);
        }
        if !rules.accept_email(&self.email) || !rules.accept_organisation(visitor, &self.email) {
            return Err(InviteRefusal::Domain);
        }
        Ok(())
    }
}

/// Which e-mail domains and Microsoft tenants a workspace accepts for invites. Refusals win; an empty list of accepted ones
/// accepts all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainRules {
    /// Only these domains; empty: any.
    pub accepted_domains: BTreeSet<String>,
    /// Never these domains.
    pub refused_domains: BTreeSet<String>,
    /// Only these Microsoft tenants; empty: any.
    pub accepted_tenants: BTreeSet<String>,
    /// Never these Microsoft tenants.
    pub refused_tenants: BTreeSet<String>,
}

impl DomainRules {
    /// Whether an address may be invited. Domains are compared whole and without regard to ASCII case, never by their ending.
    pub fn accept_email(&self, email: &EmailAddress) -> bool {
        let is = |domain: &String| domain.eq_ignore_ascii_case(email.domain());
        !self.refused_domains.iter().any(is)
            && (self.accepted_domains.is_empty() || self.accepted_domains.iter().any(is))
    }

    /// Whether the organisation that manages a visitor's account is accepted for an invite to `email`: their Microsoft tenant, their
    /// Google Workspace domain.
    ///
    /// Somebody may have made a Google account of their own with an address at work, and keeps it when they leave. Only `hd` says that
    /// the owner of a domain manages the account (Google, "Verify the Google ID token on your server side"), so that where only some
    /// domains are accepted, it has to be that of the address. Google's own mail domains are nobody's organisation.
    pub fn accept_organisation(&self, visitor: &Visitor, email: &EmailAddress) -> bool {
        let organisation = visitor.organisation.as_deref();
        let is = |named: &String, organisation: &str| named.eq_ignore_ascii_case(organisation);
        match visitor.identity.provider {
            Provider::Microsoft => {
                let tenant = organisation.unwrap_or("");
                !self.refused_tenants.iter().any(|named| is(named, tenant))
                    && (self.accepted_tenants.is_empty()
                        || self.accepted_tenants.iter().any(|named| is(named, tenant)))
            }
            Provider::Google => {
                let manages = organisation.is_some_and(|domain| domain.eq_ignore_ascii_case(email.domain()));
                let is_refused = organisation
                    .is_some_and(|domain| self.refused_domains.iter().any(|named| is(named, domain)));
                let is_googles = GOOGLES_OWN.iter().any(|own| own.eq_ignore_ascii_case(email.domain()));
                !is_refused && (self.accepted_domains.is_empty() || manages || is_googles)
            }
            Provider::Bitbucket => true,
        }
    }
}

/// The domains of Google's own mail, whose addresses belong to the account itself.
const GOOGLES_OWN: [&str; 2] = ["gmail.com", "googlemail.com"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn visitor(provider: Provider, verified: &[&str]) -> Visitor {
        Visitor {
            identity: Identity { provider, issuer: "issuer".into(), subject: "1".into() },
            display_name: "Grace".into(),
            verified_emails: verified.iter().map(|text| text.parse().unwrap()).collect(),
            organisation: Some("tenant".into()),
        }
    }

    fn invite() -> Invite {
        Invite {
            id: InviteId::new(Timestamp::EPOCH, [1; 10]),
            workspace: WorkspaceId::new(Timestamp::EPOCH, [2; 10]),
            email: "grace@example.com".parse().unwrap(),
            pinned: None,
            role: Role::Member,
            teams: vec![],
            providers: BTreeSet::from([Provider::Google, Provider::Microsoft]),
            token: TokenHash::of(&Secret::new("t")),
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::from_seconds(100),
            membership_until: None,
            issued_by: Actor::Bootstrap,
            inviter_name: "Ada".into(),
            note: None,
            state: InviteState::Pending,
            delivery: Delivery::LinkReturned,
            together: None,
            version: 1,
        }
    }

    #[test]
    fn only_the_invited_with_a_verified_address_at_an_allowed_provider_and_in_time_may_accept() {
        let rules = DomainRules::default();
        let (now, late) = (Timestamp::from_seconds(99), Timestamp::from_seconds(100));
        let ask = |invite: &Invite, visitor: &Visitor, now| invite.may_accept(visitor, &rules, now);
        let grace = visitor(Provider::Google, &["GRACE@example.com"]);
        assert_eq!(ask(&invite(), &grace, now), Ok(()));
        assert_eq!(ask(&invite(), &grace, late), Err(InviteRefusal::Link));
        assert_eq!(ask(&invite(), &visitor(Provider::Google, &[]), now), Err(InviteRefusal::NotTheInvited));
        assert_eq!(
            ask(&invite(), &visitor(Provider::Google, &["eve@example.com"]), now),
            Err(InviteRefusal::NotTheInvited)
        );
        assert_eq!(
            ask(&invite(), &visitor(Provider::Bitbucket, &["grace@example.com"]), now),
            Err(InviteRefusal::Provider)
        );
        let used = Invite {
            state: InviteState::Accepted { at: now, member: MemberId::new(now, [0; 10]) },
            ..invite()
        };
        assert_eq!(ask(&used, &grace, now), Err(InviteRefusal::Link));
        let revoked = Invite { state: InviteState::Revoked { at: now }, ..invite() };
        assert_eq!(ask(&revoked, &grace, now), Err(InviteRefusal::Link));
        let ended = Invite { membership_until: Some(now), ..invite() };
        assert_eq!(ask(&ended, &grace, now), Err(InviteRefusal::Link));
    }

    #[test]
    fn a_pinned_identity_is_the_only_one_whatever_its_address() {
        let pinned = Invite { pinned: Some(visitor(Provider::Google, &[]).identity), ..invite() };
        let rules = DomainRules::default();
        assert_eq!(pinned.may_accept(&visitor(Provider::Google, &[]), &rules, Timestamp::EPOCH), Ok(()));
        let other = visitor(Provider::Microsoft, &["grace@example.com"]);
        assert_eq!(pinned.may_accept(&other, &rules, Timestamp::EPOCH), Err(InviteRefusal::NotTheInvited));
    }

    #[test]
    fn domains_are_compared_whole_and_refusals_win() {
        let set = |text: &str| BTreeSet::from([text.to_owned()]);
        let only = DomainRules { accepted_domains: set("Example.com"), ..DomainRules::default() };
        assert!(only.accept_email(&"a@example.com".parse().unwrap()));
        for other in ["a@evil-example.com", "a@example.com.evil.com", "a@sub.example.com"] {
            assert!(!only.accept_email(&other.parse().unwrap()), "{other}");
        }
        let both = DomainRules { refused_domains: set("example.com"), ..only };
        assert!(!both.accept_email(&"a@example.com".parse().unwrap()));
        let tenant = DomainRules { refused_tenants: set("TENANT"), ..DomainRules::default() };
        let to = "a@example.com".parse().unwrap();
        assert!(!tenant.accept_organisation(&visitor(Provider::Microsoft, &[]), &to));
        assert!(tenant.accept_organisation(&visitor(Provider::Google, &[]), &to));
    }

    #[test]
    fn a_domain_rule_takes_a_google_account_only_from_the_domain_that_manages_it() {
        let set = |text: &str| BTreeSet::from([text.to_owned()]);
        let only = |domain| DomainRules { accepted_domains: set(domain), ..DomainRules::default() };
        let ask = |rules: &DomainRules, managed_by: Option<&str>, to: &str| {
            let organisation = managed_by.map(str::to_owned);
            let grace = Visitor { organisation, ..visitor(Provider::Google, &[to]) };
            rules.accept_organisation(&grace, &to.parse().unwrap())
        };
        for (rules, managed_by, to, accepted) in [
            (only("example.com"), Some("example.com"), "a@example.com", true),
            (only("example.com"), Some("EXAMPLE.com"), "a@Example.com", true),
            (only("example.com"), None, "a@example.com", false),
            (only("example.com"), Some("example.org"), "a@example.com", false),
            (only("example.com"), Some("sub.example.com"), "a@example.com", false),
            (only("gmail.com"), None, "a@gmail.com", true),
            (DomainRules::default(), None, "a@example.com", true),
            (
                DomainRules { refused_domains: set("rival.example"), ..DomainRules::default() },
                None,
                "a@b.example",
                true,
            ),
            (
                DomainRules { refused_domains: set("rival.example"), ..DomainRules::default() },
                Some("rival.example"),
                "a@b.example",
                false,
            ),
        ] {
            assert_eq!(ask(&rules, managed_by, to), accepted, "{rules:?} {managed_by:?} {to}");
        }
    }
}
