//! What the browser brings back from a provider.

use rollcall_domain::Secret;
use thiserror::Error;

use crate::FailedCheck;
use crate::parameters::{Parameters, RefusedParameters};

/// Longer codes are not sent on.
const LONGEST_CODE: usize = 4096;
/// No state of ours is longer.
const LONGEST_STATE: usize = 128;

/// Why an answer is refused before anybody is asked about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallbackRefused {
    /// The query cannot be read without ambiguity.
    #[error("the answer cannot be read: {0}")]
    Parameters(#[from] RefusedParameters),
    /// No state, or one that cannot be ours.
    #[error("the answer carries no state")]
    StateMissing,
    /// No login of this browser has this state: started elsewhere, or already used.
    #[error("no login of this browser is waiting for this answer")]
    StateUnknown,
    /// The login was started more than ten minutes ago.
    #[error("the login was started too long ago")]
    StateExpired,
    /// The answer came to the callback of another provider than the login was started at.
    #[error("the answer came to another provider's callback")]
    OtherProvider,
    /// A code and an error at once.
    #[error("the answer carries both a code and an error")]
    CodeAndError,
    /// Neither a code nor an error.
    #[error("the answer carries neither a code nor an error")]
    NeitherCodeNorError,
    /// The code is too long or contains what no code contains.
    #[error("the code has a form that no code has")]
    Code,
    /// The answer names another issuer (RFC 9207 §2.4).
    #[error("the answer names another issuer than the login was started at")]
    Issuer,
    /// The provider always names its issuer and the answer does not (RFC 9207 §2.4).
    #[error("the answer names no issuer although the provider always does")]
    IssuerMissing,
}

impl FailedCheck for CallbackRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Parameters(refused) => refused.check(),
            Self::StateMissing => "callback.state.missing",
            Self::StateUnknown => "callback.state.unknown",
            Self::StateExpired => "callback.state.expired",
            Self::OtherProvider => "callback.provider",
            Self::CodeAndError => "callback.code_and_error",
            Self::NeitherCodeNorError => "callback.nothing",
            Self::Code => "callback.code",
            Self::Issuer => "callback.issuer",
            Self::IssuerMissing => "callback.issuer.missing",
        }
    }
}

/// What a provider says instead of giving a code (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderRefusal {
    /// The person said no, or the provider did for them.
    AccessDenied,
    /// The provider cannot serve at the moment.
    TemporarilyUnavailable,
    /// The provider finds our request or registration wrong.
    Registration,
    /// Anything else.
    Other,
}

impl FailedCheck for ProviderRefusal {
    fn check(&self) -> &'static str {
        match self {
            Self::AccessDenied => "provider.access_denied",
            Self::TemporarilyUnavailable => "provider.unavailable",
            Self::Registration => "provider.registration",
            Self::Other => "provider.other_error",
        }
    }
}

/// What an answer consists of besides its state.
pub enum Answer {
    /// A code to be redeemed.
    Code(Secret),
    /// A refusal. The provider's own words are not kept: anybody can put any words there.
    Refused(ProviderRefusal),
}

/// An answer that can be read in one way only. Nothing in it is to be believed yet.
pub struct Callback {
    pub(crate) state: Secret,
    /// The code or the refusal.
    pub answer: Answer,
    /// The issuer that the answer says it comes from (RFC 9207).
    pub(crate) issuer: Option<String>,
}

impl Callback {
    /// Reads the raw query of the callback, without the `?`.
    pub fn parse(query: &str) -> Result<Self, CallbackRefused> {
        let parameters = Parameters::from_query(query)?;
        let state = parameters
            .secret("state")
            .filter(|state| state.expose().len() <= LONGEST_STATE)
            .ok_or(CallbackRefused::StateMissing)?
            .clone();
        let answer = match (parameters.secret("code"), parameters.text("error")) {
            (Some(_), Some(_)) => return Err(CallbackRefused::CodeAndError),
            (None, None) => return Err(CallbackRefused::NeitherCodeNorError),
            (Some(code), None) => {
                // RFC 6749 appendix A.11: visible characters and the space. No provider's code has a space.
                if code.expose().len() > LONGEST_CODE || !code.expose().bytes().all(|b| b.is_ascii_graphic())
                {
                    return Err(CallbackRefused::Code);
                }
                Answer::Code(code.clone())
            }
            (None, Some(error)) => Answer::Refused(refusal(error)),
        };
        Ok(Self { state, answer, issuer: parameters.text("iss").map(str::to_owned) })
    }

    /// Checks the issuer that the answer names, where it names one: exactly `issuer`, or none. For Bitbucket, which has no metadata
    /// that could promise it.
    pub fn check_issuer(&self, issuer: &str) -> Result<(), CallbackRefused> {
        if self.issuer.as_deref().is_none_or(|named| named == issuer) {
            Ok(())
        } else {
            Err(CallbackRefused::Issuer)
        }
    }
}

fn refusal(error: &str) -> ProviderRefusal {
    match error {
        "access_denied"
        | "consent_required"
        | "interaction_required"
        | "login_required"
        | "account_selection_required" => ProviderRefusal::AccessDenied,
        "temporarily_unavailable" | "server_error" => ProviderRefusal::TemporarilyUnavailable,
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => {
            ProviderRefusal::Registration
        }
        _ => ProviderRefusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(query: &str) -> Option<CallbackRefused> {
        Callback::parse(query).err()
    }

    #[test]
    fn a_code_and_what_providers_add_to_it_are_read() {
        let query = "code=4%2F0Ab&state=abc&scope=openid%20email&authuser=0&prompt=none&hd=example.com&session_state=x";
        let callback = Callback::parse(query).ok().unwrap();
        assert!(matches!(&callback.answer, Answer::Code(code) if code.expose() == "4/0Ab"));
        assert_eq!(callback.state.expose(), "abc");
    }

    #[test]
    fn each_ambiguity_has_its_own_refusal() {
        let long = format!("state=s&code={}", "x".repeat(5000));
        let long_state = format!("code=c&state={}", "s".repeat(129));
        for (query, refusal) in [
            ("", CallbackRefused::StateMissing),
            ("code=c", CallbackRefused::StateMissing),
            ("code=c&state=", CallbackRefused::StateMissing),
            (long_state.as_str(), CallbackRefused::StateMissing),
            ("state=s", CallbackRefused::NeitherCodeNorError),
            ("state=s&code=", CallbackRefused::NeitherCodeNorError),
            ("state=s&code=c&error=access_denied", CallbackRefused::CodeAndError),
            ("state=s&code=a+b", CallbackRefused::Code),
            ("state=s&code=%C3%A9", CallbackRefused::Code),
            (long.as_str(), CallbackRefused::Code),
            (
                "state=s&state=s&code=c",
                CallbackRefused::Parameters(RefusedParameters::Repeated("state".into())),
            ),
            (
                "state=s&code=c&code=c",
                CallbackRefused::Parameters(RefusedParameters::Repeated("code".into())),
            ),
            ("state=s&code=c&x=1&x=1", CallbackRefused::Parameters(RefusedParameters::Repeated("x".into()))),
            ("state=s&code=%00", CallbackRefused::Parameters(RefusedParameters::Encoding)),
        ] {
            assert_eq!(refused(query), Some(refusal), "{query:.80}");
        }
    }

    #[test]
    fn the_providers_words_are_reduced_to_what_is_known() {
        for (error, expected) in [
            ("access_denied", ProviderRefusal::AccessDenied),
            ("server_error", ProviderRefusal::TemporarilyUnavailable),
            ("invalid_scope", ProviderRefusal::Registration),
            ("%3Cscript%3E", ProviderRefusal::Other),
        ] {
            let callback =
                Callback::parse(&format!("state=s&error={error}&error_description=x")).ok().unwrap();
            assert!(matches!(callback.answer, Answer::Refused(refusal) if refusal == expected), "{error}");
        }
    }

    #[test]
    fn an_issuer_in_the_answer_has_to_be_the_right_one() {
        let with = |iss: &str| Callback::parse(&format!("state=s&code=c&iss={iss}")).ok().unwrap();
        assert_eq!(with("https%3A%2F%2Fbitbucket.org").check_issuer("https://bitbucket.org"), Ok(()));
        assert_eq!(with("").check_issuer("https://bitbucket.org"), Ok(()));
        assert_eq!(
            with("https%3A%2F%2Fevil.example").check_issuer("https://bitbucket.org"),
            Err(CallbackRefused::Issuer)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn any_query_is_read_in_one_way_or_refused(query in "((state|code|error|iss|x)=[a-z%0-9&=+]{0,6}&?){0,5}|\\PC{0,60}") {
            if let Ok(callback) = Callback::parse(&query) {
                prop_assert!(!callback.state.is_empty());
                if let Answer::Code(code) = &callback.answer {
                    prop_assert!(!code.is_empty() && code.expose().is_ascii());
                }
            }
        }
    }
}
