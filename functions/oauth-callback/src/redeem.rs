//! Redeeming the code of a provider: the first of the two legs of a sign-in.

use futures_util::future::join;
use rollcall_bitbucket::{Error, PersonToken, Session};
use rollcall_domain::identity::{Provider, Visitor};
use rollcall_identity::relying_party::Answer;

use crate::callback::{Return, use_up};
use crate::evidence;
use crate::failure::{Failure, Shown};

/// A person at Bitbucket, with their own token: used for this sign-in and dropped with this value.
pub async fn bitbucket(back: &Return<'_>) -> Result<Session, Failure> {
    let provider = Some(Provider::Bitbucket);
    let Answer::Code(code) = &back.callback.answer else { return Err(Failure::defect("no code")) };
    back.callback
        .check_issuer(back.app.issuer_of(Provider::Bitbucket))
        .map_err(|refused| Failure::denied(provider, &refused))?;
    if back.login.issuer != back.app.issuer_of(Provider::Bitbucket) {
        return Err(Failure::check(provider, "login.issuer"));
    }
    let consumer = back.derived.consumer().ok_or_else(Failure::not_found)?;
    let callback = back.app.callback(Provider::Bitbucket);
    // The code is good for one use as well, so that marking the login as used may take its time beside it.
    let (used, exchanged) =
        join(use_up(back), back.app.bitbucket().exchange_code(&consumer, code, &callback)).await;
    used?;
    let (consumer, PersonToken { token, .. }) = match exchanged {
        Ok(token) => (consumer, token),
        Err(error) => match back.app.derived_anew(back.derived).await.and_then(|anew| anew.consumer()) {
            // Our secret has been rotated while this process was warm: once more, with the new one.
            Some(anew) => {
                let token = back.app.bitbucket().exchange_code(&anew, code, &callback).await;
                (anew, token.map_err(|error| unanswered(&error))?)
            }
            None => return Err(unanswered(&error)),
        },
    };
    Ok(back.app.as_person(&consumer, token))
}

/// Somebody whom Google or Microsoft vouches for.
pub async fn openid(back: &Return<'_>) -> Result<Visitor, Failure> {
    let provider = back.login.provider;
    let failed = |failed: &rollcall_identity::relying_party::SignInFailed| Failure {
        shown: if failed.is_temporary() { Shown::Later } else { Shown::StartAgain },
        ..Failure::denied(Some(provider), failed)
    };
    let now = back.app.now();
    let openid = back.derived.openid(provider).ok_or_else(Failure::not_found)?;
    let (used, finished) = join(use_up(back), openid.finish(back.login, back.callback, now)).await;
    used?;
    match finished {
        Ok(visitor) => Ok(visitor),
        Err(refused) if refused.is_about_our_secret() => {
            let anew = back.app.derived_anew(back.derived).await.and_then(|derived| derived.openid(provider));
            let anew = anew.ok_or_else(|| failed(&refused))?;
            anew.finish(back.login, back.callback, now).await.map_err(|refused| failed(&refused))
        }
        Err(refused) => Err(failed(&refused)),
    }
}

/// Who somebody is, at whichever provider they were sent to.
pub async fn visitor(back: &Return<'_>) -> Result<Visitor, Failure> {
    if back.login.provider != Provider::Bitbucket {
        return openid(back).await;
    }
    let session = bitbucket(back).await?;
    session.foresee(2);
    let (person, emails) = evidence::identify(&session).await.map_err(|error| unanswered(&error))?;
    Ok(evidence::visitor(&person, &emails, back.app.issuer_of(Provider::Bitbucket)))
}

/// Bitbucket did not answer what was asked. Never a yes, never a no.
pub fn unanswered(error: &Error) -> Failure {
    tracing::warn!(%error, "Bitbucket did not answer what a sign-in needs");
    Failure { check: "bitbucket.unanswered", provider: Some(Provider::Bitbucket), shown: Shown::Later }
}
