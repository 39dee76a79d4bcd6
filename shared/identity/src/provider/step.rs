//! What an authorization request leads to, given who is signed in.

use rollcall_domain::{MemberId, Timestamp, WorkspaceId};

use super::authorize::{AuthorizeRequest, LoginHint};
use super::authorize_error::AuthorizeError;
use super::client::Client;

/// Who is signed in in this browser, if the session has been found sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentSession {
    /// Who.
    pub member: MemberId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// When they showed who they are.
    pub auth_time: Timestamp,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Give the application its code.
    GiveCode,
    /// Let the person sign in, and come back with [`AuthorizeRequest::query_after_sign_in`].
    SignIn {
        /// Whether the provider should ask who they are even if it knows.
        fresh: bool,
        /// Whether they should be shown a choice of accounts.
        choose: bool,
    },
    /// Tell the application that it does not go without a page.
    Tell(AuthorizeError),
}

impl AuthorizeRequest {
    /// Decides what to do next. `expected` is the member of the request's `id_token_hint`, where it has a sound one.
    pub fn next_step(
        &self,
        client: &Client,
        session: Option<&CurrentSession>,
        expected: Option<MemberId>,
        now: Timestamp,
    ) -> Step {
        let fits = |session: &&CurrentSession| {
            let wanted = match &self.login_hint {
                Some(LoginHint::Workspace(workspace)) => Some(*workspace),
                _ => None,
            };
            client.workspace.or(wanted).is_none_or(|workspace| workspace == session.workspace)
                && expected.is_none_or(|member| member == session.member)
        };
        let young = |session: &&CurrentSession| {
            // `max_age=0` asks for a fresh sign-in, whatever the clocks say (OpenID Connect Core 1.0 §3.1.2.1).
            self.max_age.is_none_or(|age| !age.is_zero() && now.since(session.auth_time) <= age)
        };
        let Some(fitting) = session.filter(fits) else {
            return self.sign_in(false, session.is_some());
        };
        if self.prompts.login || !young(&fitting) {
            return self.sign_in(true, self.prompts.select_account);
        }
        if self.prompts.select_account {
            return self.sign_in(false, true);
        }
        Step::GiveCode
    }

    fn sign_in(&self, fresh: bool, choose: bool) -> Step {
        if self.prompts.none {
            Step::Tell(AuthorizeError::LoginRequired)
        } else {
            Step::SignIn { fresh: fresh || self.prompts.login, choose: choose || self.prompts.select_account }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::authorize::Prompts;
    use super::super::client::tests::{REDIRECT, client};
    use super::super::grant::Scopes;
    use super::*;
    use crate::pkce::Verifier;
    use core::time::Duration;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn request() -> AuthorizeRequest {
        AuthorizeRequest {
            client: client(None).id,
            redirect_uri: REDIRECT.into(),
            scopes: Scopes::default(),
            state: None,
            nonce: None,
            challenge: Verifier::new([1; 32]).challenge(),
            prompts: Prompts::default(),
            max_age: None,
            login_hint: None,
            id_token_hint: None,
        }
    }

    fn session() -> CurrentSession {
        CurrentSession {
            member: MemberId::new(NOW, [1; 10]),
            workspace: WorkspaceId::new(NOW, [1; 10]),
            auth_time: NOW.minus(Duration::from_secs(100)),
        }
    }

    fn step(request: &AuthorizeRequest, session: Option<CurrentSession>) -> Step {
        request.next_step(&client(None), session.as_ref(), None, NOW)
    }

    #[test]
    fn who_is_signed_in_goes_straight_through() {
        assert_eq!(step(&request(), Some(session())), Step::GiveCode);
        assert_eq!(step(&request(), None), Step::SignIn { fresh: false, choose: false });
    }

    #[test]
    fn where_no_page_may_be_shown_the_application_is_told() {
        let silent = AuthorizeRequest { prompts: Prompts { none: true, ..Prompts::default() }, ..request() };
        assert_eq!(step(&silent, Some(session())), Step::GiveCode);
        assert_eq!(step(&silent, None), Step::Tell(AuthorizeError::LoginRequired));
        let aged = AuthorizeRequest { max_age: Some(Duration::from_secs(99)), ..silent };
        assert_eq!(step(&aged, Some(session())), Step::Tell(AuthorizeError::LoginRequired));
    }

    #[test]
    fn prompt_and_max_age_ask_for_a_fresh_sign_in() {
        let login = AuthorizeRequest { prompts: Prompts { login: true, ..Prompts::default() }, ..request() };
        assert_eq!(step(&login, Some(session())), Step::SignIn { fresh: true, choose: false });
        let choose =
            AuthorizeRequest { prompts: Prompts { select_account: true, ..Prompts::default() }, ..request() };
        assert_eq!(step(&choose, Some(session())), Step::SignIn { fresh: false, choose: true });
        for (age, expected) in [
            (0, Step::SignIn { fresh: true, choose: false }),
            (99, Step::SignIn { fresh: true, choose: false }),
            (100, Step::GiveCode),
        ] {
            let aged = AuthorizeRequest { max_age: Some(Duration::from_secs(age)), ..request() };
            assert_eq!(step(&aged, Some(session())), expected, "{age}");
        }
    }

    #[test]
    fn a_session_of_another_workspace_or_person_does_not_do() {
        let other = WorkspaceId::new(NOW, [2; 10]);
        let hinted = AuthorizeRequest { login_hint: Some(LoginHint::Workspace(other)), ..request() };
        assert_eq!(step(&hinted, Some(session())), Step::SignIn { fresh: false, choose: true });
        let bound = Client { workspace: Some(other), ..client(None) };
        assert_eq!(
            request().next_step(&bound, Some(&session()), None, NOW),
            Step::SignIn { fresh: false, choose: true }
        );
        let somebody_else = Some(MemberId::new(NOW, [9; 10]));
        assert_eq!(
            request().next_step(&client(None), Some(&session()), somebody_else, NOW),
            Step::SignIn { fresh: false, choose: true }
        );
    }
}
