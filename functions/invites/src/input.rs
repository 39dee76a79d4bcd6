//! What is asked for when people are invited: read whole, then checked one by one, so that each is answered for itself.

use core::time::Duration;
use std::collections::BTreeSet;

use rollcall_admin::schema;
use rollcall_admin::text::Note;
use rollcall_domain::bitbucket::AccountUuid;
use rollcall_domain::identity::{EmailAddress, Identity, Provider};
use rollcall_domain::invite::{DEFAULT_LIFETIME, DomainRules, LONGEST_LIFETIME};
use rollcall_domain::member::Role;
use rollcall_domain::{TeamId, Timestamp};
use rollcall_identity::relying_party::IssuerRule;
use rollcall_service::config::Config;
use rollcall_service::rfc3339;
use rollcall_service::web::FieldError;
use serde::Deserialize;
use utoipa::ToSchema;

/// As many people can be invited at once.
pub(crate) const MOST_INVITES: usize = 100;
/// As many teams can be named in an invite.
const MOST_TEAMS: usize = 50;
/// A membership that an invite gives ends at most this long from now, if it ends at all.
const LONGEST_MEMBERSHIP: Duration = Duration::from_hours(24 * 366 * 10);
const DAY: Duration = Duration::from_hours(24);

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitesInput {
    /// One entry for each person: 1 to 100.
    #[schema(min_items = 1, max_items = 100)]
    pub(crate) invites: Vec<InviteInput>,
}

/// The only person who can accept, whatever their address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PinnedIdentity)]
pub(crate) struct PinnedInput {
    /// Which provider vouches for them.
    #[schema(value_type = schema::Provider)]
    provider: Provider,
    /// The provider's immutable id of them: Bitbucket's account UUID, Google's `sub`, Microsoft's `oid`.
    #[schema(min_length = 1, max_length = 255)]
    subject: String,
    /// Microsoft's tenant id. Only for `microsoft`, and required there.
    tenant: Option<String>,
}

/// One person to invite. Whatever is wrong with one entry is answered for that entry, and the others go ahead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvite)]
pub(crate) struct InviteInput {
    /// The address that their provider has to vouch for.
    #[schema(format = "email", max_length = 254)]
    pub(crate) email: String,
    /// As what. Default: `member`.
    #[schema(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// Into which teams of Rollcall's own, beside those of Bitbucket.
    #[schema(value_type = Option<Vec<schema::TeamId>>, max_items = 50)]
    teams: Option<Vec<TeamId>>,
    /// By which providers it can be accepted. Default: all.
    #[schema(value_type = Option<Vec<schema::Provider>>, min_items = 1)]
    providers: Option<BTreeSet<Provider>>,
    /// For how many days it can be accepted: 1 to 30. Default: 7.
    #[schema(minimum = 1, maximum = 30)]
    lifetime_days: Option<u32>,
    /// When the membership ends. Left out: it has no end.
    #[serde(default, with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>)]
    membership_until: Option<Timestamp>,
    /// A few lines to the invited.
    #[schema(value_type = Option<schema::Note>)]
    note: Option<Note>,
    /// The only person who can accept.
    pinned: Option<PinnedInput>,
}

/// An entry that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) email: EmailAddress,
    pub(crate) role: Role,
    pub(crate) teams: Vec<TeamId>,
    pub(crate) providers: BTreeSet<Provider>,
    pub(crate) lifetime: Duration,
    pub(crate) membership_until: Option<Timestamp>,
    pub(crate) note: Option<String>,
    pub(crate) pinned: Option<Identity>,
}

/// What an entry is checked against.
pub(crate) struct Allowed<'a> {
    /// The highest role that the caller may give away.
    pub(crate) highest: Role,
    /// The workspace's rules.
    pub(crate) rules: &'a DomainRules,
    /// The workspace's teams.
    pub(crate) teams: &'a BTreeSet<TeamId>,
    /// Issuers, for pinned identities.
    pub(crate) issuers: &'a Issuers,
    /// The present time.
    pub(crate) now: Timestamp,
}

/// Who vouches for the identities of each provider, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuers {
    bitbucket: String,
    google: String,
    microsoft: IssuerRule,
}

impl Issuers {
    /// Those that the sign-in uses.
    pub(crate) fn configured(config: &Config) -> Self {
        Self {
            bitbucket: config.bitbucket_url.as_str().to_owned(),
            google: config.google_issuer.as_str().to_owned(),
            microsoft: IssuerRule::for_configured(config.microsoft_issuer.as_str()),
        }
    }
}

impl InviteInput {
    /// Whether the workspace's teams are needed to check it.
    pub(crate) fn names_teams(&self) -> bool {
        self.teams.as_ref().is_some_and(|teams| !teams.is_empty())
    }

    /// Checks the entry: everything that is wrong with it, or what it asks for.
    pub(crate) fn check(self, allowed: &Allowed<'_>) -> Result<Wanted, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |place: &str, detail: String| errors.push(FieldError::at(place, detail));
        let email =
            self.email.parse::<EmailAddress>().map_err(|error| wrong("/email", error.to_string())).ok();
        if email.as_ref().is_some_and(|email| !allowed.rules.accept_email(email)) {
            wrong("/email", "this workspace does not accept invites to this e-mail domain".to_owned());
        }
        let role = self.role.unwrap_or_default();
        if role > allowed.highest {
            wrong("/role", "is more than your own; nobody grants more than they have".to_owned());
        }
        let teams: BTreeSet<TeamId> = self.teams.unwrap_or_default().into_iter().collect();
        if teams.len() > MOST_TEAMS {
            wrong("/teams", format!("has more than {MOST_TEAMS} teams"));
        } else if let Some(unknown) = teams.iter().find(|team| !allowed.teams.contains(team)) {
            wrong("/teams", format!("there is no team {unknown} in this workspace"));
        }
        let providers = self.providers.unwrap_or_else(|| Provider::ALL.into());
        if providers.is_empty() {
            wrong("/providers", "names none; nobody could accept".to_owned());
        }
        let lifetime = self.lifetime_days.map_or(DEFAULT_LIFETIME, |days| DAY.saturating_mul(days));
        if lifetime.is_zero() || lifetime > LONGEST_LIFETIME {
            wrong("/lifetime_days", "is a number from 1 to 30".to_owned());
        }
        if let Some(until) = self.membership_until
            && let Some(why) = end_refused(until, allowed.now)
        {
            wrong("/membership_until", why.to_owned());
        }
        let pinned = self.pinned.and_then(|pinned| match identity(pinned, allowed.issuers) {
            Ok(identity) if !providers.contains(&identity.provider) => {
                wrong("/pinned/provider", "is not among the providers that the invite allows".to_owned());
                None
            }
            Ok(identity) => Some(identity),
            Err((place, why)) => {
                wrong(place, why.to_owned());
                None
            }
        });
        let (Some(email), true) = (email, errors.is_empty()) else { return Err(errors) };
        Ok(Wanted {
            email,
            role,
            teams: teams.into_iter().collect(),
            providers,
            lifetime,
            membership_until: self.membership_until,
            note: self.note.map(String::from),
            pinned,
        })
    }
}

/// Why a membership cannot end at this time.
pub(crate) fn end_refused(until: Timestamp, now: Timestamp) -> Option<&'static str> {
    if until.has_passed(now) {
        Some("is in the past")
    } else if until > now.plus(LONGEST_MEMBERSHIP) {
        Some("is more than ten years away; leave it out for a membership without an end")
    } else {
        None
    }
}

fn identity(pinned: PinnedInput, issuers: &Issuers) -> Result<Identity, (&'static str, &'static str)> {
    const SUBJECT: &str = "/pinned/subject";
    let PinnedInput { provider, subject, tenant } = pinned;
    let plain =
        |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if tenant.is_some() != (provider == Provider::Microsoft) {
        return Err(("/pinned/tenant", "is required for microsoft, and for no other provider"));
    }
    match provider {
        Provider::Bitbucket => {
            let account: AccountUuid =
                subject.parse().map_err(|_| (SUBJECT, "is not the UUID of a Bitbucket account"))?;
            Ok(Identity::bitbucket(issuers.bitbucket.clone(), account))
        }
        Provider::Google if plain(&subject) => {
            Ok(Identity { provider, issuer: issuers.google.clone(), subject })
        }
        Provider::Google => Err((SUBJECT, "is not an id of Google")),
        Provider::Microsoft => {
            let uuid = |text: &str| text.len() == 36 && text.parse::<AccountUuid>().is_ok();
            let tenant = tenant.unwrap_or_default().to_ascii_lowercase();
            if !uuid(&tenant) {
                return Err(("/pinned/tenant", "is not the id of a Microsoft tenant"));
            }
            if !uuid(&subject) {
                return Err((SUBJECT, "is not an object id (oid) of Microsoft"));
            }
            let account = subject.to_ascii_lowercase();
            let issuer = issuers.microsoft.in_metadata().replace("{tenantid}", &tenant);
            Ok(Identity { provider, issuer, subject: format!("{tenant}/{account}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_service::config;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn team(n: u8) -> TeamId {
        TeamId::new(Timestamp::EPOCH, [n; 10])
    }

    fn checked(entry: Value, highest: Role, rules: &DomainRules) -> Result<Wanted, Vec<String>> {
        let config = config::Config::from_map([
            (config::PUBLIC_URL, "https://rollcall.example.com"),
            (config::TABLE, "rollcall"),
            (config::SECRET_ID, "rollcall"),
        ])
        .unwrap();
        let allowed = Allowed {
            highest,
            rules,
            teams: &BTreeSet::from([team(1)]),
            issuers: &Issuers::configured(&config),
            now: NOW,
        };
        let entry: InviteInput = serde_json::from_value(entry).unwrap();
        let places = |errors: Vec<FieldError>| errors.into_iter().filter_map(|error| error.pointer).collect();
        entry.check(&allowed).map_err(places)
    }

    fn refused(entry: Value) -> Vec<String> {
        checked(entry, Role::Member, &DomainRules::default()).unwrap_err()
    }

    #[test]
    fn an_address_alone_is_enough() {
        let wanted =
            checked(json!({"email": "Grace@example.com"}), Role::Member, &DomainRules::default()).unwrap();
        assert_eq!(wanted.email.as_str(), "grace@example.com");
        assert_eq!((wanted.role, wanted.lifetime), (Role::Member, DEFAULT_LIFETIME));
        assert_eq!(wanted.providers, Provider::ALL.into());
    }

    #[test]
    fn everything_that_is_wrong_with_an_entry_is_named() {
        assert_eq!(
            refused(json!({
                "email": "a@b@example.com", "role": "admin", "teams": [team(2)], "providers": [], "lifetime_days": 31,
                "membership_until": "2020-01-01T00:00:00Z",
            })),
            ["/email", "/role", "/teams", "/providers", "/lifetime_days", "/membership_until"]
        );
        for days in [0, 31, u32::MAX] {
            assert_eq!(refused(json!({"email": "a@example.com", "lifetime_days": days})), ["/lifetime_days"]);
        }
        let rules =
            DomainRules { refused_domains: BTreeSet::from(["example.com".into()]), ..DomainRules::default() };
        assert_eq!(checked(json!({"email": "a@example.com"}), Role::Admin, &rules).unwrap_err(), ["/email"]);
    }

    #[test]
    fn a_pinned_identity_is_named_as_the_sign_in_will_name_it() {
        let uuid = "f3f1c2a4-0b0e-4a55-9d7e-2f8f6a1c9b10";
        let pinned = |pinned: Value| {
            checked(
                json!({"email": "a@example.com", "pinned": pinned}),
                Role::Member,
                &DomainRules::default(),
            )
            .map(|wanted| wanted.pinned.unwrap())
        };
        let bitbucket = pinned(json!({"provider": "bitbucket", "subject": uuid})).unwrap();
        assert_eq!(
            (bitbucket.issuer.as_str(), bitbucket.subject),
            ("https://bitbucket.org", format!("{{{uuid}}}"))
        );
        let microsoft =
            pinned(json!({"provider": "microsoft", "subject": uuid, "tenant": uuid.to_uppercase()})).unwrap();
        assert_eq!(microsoft.issuer, format!("https://login.microsoftonline.com/{uuid}/v2.0"));
        assert_eq!(microsoft.subject, format!("{uuid}/{uuid}"));
        for (bad, place) in [
            (json!({"provider": "google", "subject": ""}), "/pinned/subject"),
            (json!({"provider": "google", "subject": "1", "tenant": uuid}), "/pinned/tenant"),
            (json!({"provider": "microsoft", "subject": uuid}), "/pinned/tenant"),
            (json!({"provider": "microsoft", "subject": "x", "tenant": uuid}), "/pinned/subject"),
            (json!({"provider": "bitbucket", "subject": "ada"}), "/pinned/subject"),
        ] {
            assert_eq!(pinned(bad).unwrap_err(), [place]);
        }
    }
}
