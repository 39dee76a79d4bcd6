//! The logins that one browser has under way: the content of the sealed login cookie.

use rollcall_domain::Timestamp;
use rollcall_domain::identity::Provider;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::callback::{Callback, CallbackRefused};
use super::transaction::{LoginTransaction, Written};
use crate::encoding::{base64url, from_base64url, same};

/// How many logins a browser may have under way, one in each tab.
const MOST_LOGINS: usize = 5;
/// The most bytes before sealing, so that the sealed cookie in base64 stays under the 4,096 that browsers keep (RFC 6265 §6.1).
const MOST_BYTES: usize = 2_950;

/// A random name of the browser, the same for all its logins: it joins start and end of a login in the audit trail, and is worth
/// nothing to anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserBinding([u8; 16]);

impl BrowserBinding {
    /// From 16 random bytes.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl core::fmt::Display for BrowserBinding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&base64url(self.0))
    }
}

/// The logins that one browser has under way, oldest first.
///
/// It goes into the cookie sealed by the caller (with authenticated encryption), never in clear.
pub struct PendingLogins {
    binding: BrowserBinding,
    logins: Vec<LoginTransaction>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLogins {
    #[serde(rename = "b")]
    binding: String,
    #[serde(rename = "l")]
    logins: Vec<Written>,
}

impl PendingLogins {
    /// None yet, for a browser that brought no cookie or one that could not be opened.
    pub const fn new(binding: BrowserBinding) -> Self {
        Self { binding, logins: Vec::new() }
    }

    /// Reads what was unsealed; `None` if an older version of the program wrote it in another form.
    pub fn from_unsealed(bytes: &[u8]) -> Option<Self> {
        let written: WrittenLogins = serde_json::from_slice(bytes).ok()?;
        let binding = from_base64url(&written.binding)?.try_into().ok()?;
        let logins = written.logins.into_iter().map(Written::read).collect::<Option<_>>()?;
        Some(Self { binding: BrowserBinding(binding), logins })
    }

    /// The bytes to be sealed.
    pub fn to_sealable(&self) -> Zeroizing<Vec<u8>> {
        let written = WrittenLogins {
            binding: self.binding.to_string(),
            logins: self.logins.iter().map(Written::from).collect(),
        };
        // A struct of texts and numbers always has a JSON form.
        Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// The browser's name.
    pub const fn binding(&self) -> BrowserBinding {
        self.binding
    }

    /// Whether nothing is under way, so that the cookie can be removed.
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// Adds a login. The expired ones are dropped, and the oldest where there are too many or the cookie would become too long.
    pub fn add(&mut self, login: LoginTransaction, now: Timestamp) {
        self.logins.retain(|pending| !pending.is_expired(now));
        self.logins.push(login);
        while self.logins.len() > 1
            && (self.logins.len() > MOST_LOGINS || self.to_sealable().len() > MOST_BYTES)
        {
            self.logins.remove(0);
        }
    }

    /// Takes out the login that an answer of `provider` belongs to. It is gone afterwards even if it is refused: a state is used
    /// once.
    pub fn take(
        &mut self,
        callback: &Callback,
        provider: Provider,
        now: Timestamp,
    ) -> Result<LoginTransaction, CallbackRefused> {
        // Every login is compared to its end, whichever it is.
        let found = self.logins.iter().enumerate().fold(None, |found, (at, login)| {
            if same(login.state.expose(), callback.state.expose()) { Some(at) } else { found }
        });
        let login = found.map(|at| self.logins.remove(at)).ok_or(CallbackRefused::StateUnknown)?;
        if login.is_expired(now) {
            return Err(CallbackRefused::StateExpired);
        }
        if login.provider != provider {
            return Err(CallbackRefused::OtherProvider);
        }
        Ok(login)
    }

    /// Takes out every login that an answer speaks of, for one that is refused before it is known whose it is: an answer that can be
    /// read in two ways, or came to the wrong place, must not be tried again in another form.
    pub fn spend(&mut self, query: &str) -> Vec<LoginTransaction> {
        let values: Vec<_> = form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value).collect();
        let logins = core::mem::take(&mut self.logins);
        let (spent, kept) = logins
            .into_iter()
            .partition(|login| values.iter().any(|value| same(login.state.expose(), value)));
        self.logins = kept;
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::super::transaction::tests::login;
    use super::super::{LoginStart, Purpose, ReturnTarget};
    use super::*;
    use crate::session::{CookieName, set_cookie};
    use core::time::Duration;
    use proptest::prelude::*;
    use rollcall_domain::{Secret, TokenHash};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn pending(logins: Vec<LoginTransaction>) -> PendingLogins {
        let mut pending = PendingLogins::new(BrowserBinding::new([9; 16]));
        for login in logins {
            pending.add(login, NOW);
        }
        pending
    }

    fn answer(state: &str) -> Callback {
        Callback::parse(&format!("code=c&state={state}")).ok().unwrap()
    }

    fn refusal(
        pending: &mut PendingLogins,
        state: &str,
        provider: Provider,
        now: Timestamp,
    ) -> Option<CallbackRefused> {
        pending.take(&answer(state), provider, now).err()
    }

    #[test]
    fn the_cookie_reads_back_as_it_was_written() {
        let start = LoginStart {
            provider: Provider::Microsoft,
            issuer: "https://login.microsoftonline.com/organizations/v2.0".into(),
            purpose: Purpose::AcceptInvite { token: TokenHash::of(&Secret::new("t")) },
            return_to: ReturnTarget::parse("/authorize?x=1", &["/authorize"]).unwrap(),
            workspace: Some(rollcall_domain::WorkspaceId::new(NOW, [1; 10])),
            max_age: Some(core::time::Duration::from_mins(1)),
        };
        let login = LoginTransaction::begin(start, NOW, [[1; 32], [2; 32], [3; 32]]);
        let (state, marker) = (login.state.expose().to_owned(), login.marker());
        let before = pending(vec![login]);
        let mut after = PendingLogins::from_unsealed(&before.to_sealable()).unwrap();
        assert_eq!(after.binding(), before.binding());
        let login = after.take(&answer(&state), Provider::Microsoft, NOW).ok().unwrap();
        assert_eq!(login.purpose, Purpose::AcceptInvite { token: TokenHash::of(&Secret::new("t")) });
        assert_eq!(login.return_to.as_str(), "/authorize?x=1");
        assert_eq!(login.max_age, Some(core::time::Duration::from_mins(1)));
        assert_eq!(login.marker(), marker);
        assert!(login.proof.is_some());
    }

    #[test]
    fn every_login_that_an_ambiguous_answer_speaks_of_is_spent_and_the_others_stay() {
        let logins = || (1..=3).map(|n| login(Provider::Google, n, NOW)).collect::<Vec<_>>();
        let states: Vec<String> = logins().iter().map(|login| login.state.expose().to_owned()).collect();
        let (first, second) = (&states[0], &states[1]);
        let encoded = format!("%{:02x}{}", first.as_bytes()[0], &first[1..]);
        for (query, spent) in [
            (format!("state={first}&state={second}&code=c"), 2),
            (format!("code=c&error=e&state={first}"), 1),
            (format!("st%61te={encoded}&code=c&code=d&x=%zz"), 1),
            (format!("state={first}x&code={}", &second[1..]), 0),
            (String::new(), 0),
        ] {
            let mut pending = pending(logins());
            assert_eq!(pending.spend(&query).len(), spent, "{query}");
            assert_eq!(pending.logins.len(), 3 - spent, "{query}");
        }
    }

    #[test]
    fn a_state_is_found_once() {
        let login = login(Provider::Google, 1, NOW);
        let state = login.state.expose().to_owned();
        let mut pending = pending(vec![login]);
        assert!(pending.take(&answer(&state), Provider::Google, NOW).is_ok());
        assert!(pending.is_empty());
        assert_eq!(refusal(&mut pending, &state, Provider::Google, NOW), Some(CallbackRefused::StateUnknown));
    }

    #[test]
    fn another_state_leaves_the_pending_logins_alone() {
        let mut pending = pending(vec![login(Provider::Google, 1, NOW)]);
        let other = login(Provider::Google, 2, NOW);
        assert_eq!(
            refusal(&mut pending, other.state.expose(), Provider::Google, NOW),
            Some(CallbackRefused::StateUnknown)
        );
        assert!(!pending.is_empty());
    }

    #[test]
    fn an_answer_at_another_providers_callback_is_refused_and_the_state_is_spent() {
        let login = login(Provider::Google, 1, NOW);
        let state = login.state.expose().to_owned();
        let mut pending = pending(vec![login]);
        assert_eq!(
            refusal(&mut pending, &state, Provider::Bitbucket, NOW),
            Some(CallbackRefused::OtherProvider)
        );
        assert_eq!(refusal(&mut pending, &state, Provider::Google, NOW), Some(CallbackRefused::StateUnknown));
    }

    #[test]
    fn an_expired_login_is_refused_although_the_cookie_still_has_it() {
        let login = login(Provider::Google, 1, NOW);
        let (state, end) = (login.state.expose().to_owned(), login.expires_at());
        let mut pending = pending(vec![login]);
        assert_eq!(refusal(&mut pending, &state, Provider::Google, end), Some(CallbackRefused::StateExpired));
    }

    #[test]
    fn tabs_do_not_disturb_each_other_up_to_the_limit() {
        let logins: Vec<_> = (0..8).map(|seed| login(Provider::Google, seed, NOW)).collect();
        let states: Vec<_> = logins.iter().map(|login| login.state.expose().to_owned()).collect();
        let mut pending = pending(logins);
        let found = |pending: &mut PendingLogins, state: &String| {
            pending.take(&answer(state), Provider::Google, NOW).is_ok()
        };
        let kept = states.iter().filter(|state| found(&mut pending, state)).count();
        assert_eq!(kept, MOST_LOGINS);
    }

    #[test]
    fn the_cookie_never_grows_beyond_what_browsers_keep() {
        let mut pending = PendingLogins::new(BrowserBinding::new([9; 16]));
        for seed in 0..20 {
            let start = LoginStart {
                provider: Provider::Google,
                issuer: "https://login.microsoftonline.com/organizations/v2.0".into(),
                purpose: Purpose::AcceptInvite { token: TokenHash::of(&Secret::new("t")) },
                return_to: ReturnTarget::parse(&format!("/authorize?{}", "x".repeat(2380)), &["/authorize"])
                    .unwrap(),
                workspace: Some(rollcall_domain::WorkspaceId::new(NOW, [1; 10])),
                max_age: Some(Duration::from_hours(24)),
            };
            pending.add(LoginTransaction::begin(start, NOW, [[seed; 32]; 3]), NOW);
            assert!(!pending.is_empty());
            // With a nonce of 12 bytes and a tag of 16, in base64url, with name and attributes.
            let sealed = (pending.to_sealable().len() + 28).div_ceil(3) * 4;
            let header =
                set_cookie(CookieName::Login, &Secret::new("x".repeat(sealed)), Duration::from_mins(10));
            assert!(header.len() <= 4096, "{}", header.len());
        }
    }

    #[test]
    fn an_openid_login_without_nonce_and_verifier_is_not_read() {
        let cookie = pending(vec![login(Provider::Bitbucket, 1, NOW)]).to_sealable();
        let forged = String::from_utf8(cookie.to_vec()).unwrap().replace("bitbucket", "google");
        assert!(PendingLogins::from_unsealed(forged.as_bytes()).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_mutated_cookie_yields_no_panic_and_no_other_state(at in 0_usize..400, byte in any::<u8>(), state in "[A-Za-z0-9_-]{0,50}") {
            let mut cookie = pending(vec![login(Provider::Google, 1, NOW)]).to_sealable().to_vec();
            if let Some(place) = cookie.get_mut(at) {
                *place = byte;
            }
            if let Some(mut pending) = PendingLogins::from_unsealed(&cookie)
                && let Ok(callback) = Callback::parse(&format!("code=c&state={state}"))
            {
                prop_assert!(pending.take(&callback, Provider::Google, NOW).is_err());
            }
        }
    }
}
