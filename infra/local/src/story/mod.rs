//! The stories that the local stack tells. Each step does something over HTTP, as an admin or a person in front of a browser would, and
//! is told only after what came of it was looked at.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value without the member gives null, which no step takes for success"
)]

mod freeze;
mod main_job;
mod outside;
mod resume;
mod steps;
mod undo;

use rollcall_scheduled_sync::EngineError;
use thiserror::Error;

use crate::api::ApiError;
use crate::arguments::Scenario;
use crate::browser::BrowserError;
use crate::report::Report;
use crate::settings::{BitbucketPlayed, Settings};
use crate::stack::Stack;

pub use steps::{Connected, Person, Steps};

/// A step did not do what it says.
#[derive(Debug, Error)]
pub enum StepError {
    /// The admin API refused something.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A page did not come.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// The schedule's tick failed.
    #[error(transparent)]
    Tick(#[from] EngineError),
    /// The stand-in's world could not be changed.
    #[error("the stand-in Bitbucket: {0}")]
    World(#[from] standin_bitbucket::Refused),
    /// What came of it is not what should have.
    #[error("{0}")]
    Wrong(String),
}

/// Tells the story that the settings ask for. Whether every step did what it says.
pub async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> bool {
    let told = match (settings.scenario, &settings.bitbucket) {
        (_, BitbucketPlayed::ByOther { .. }) => outside::tell(stack, settings, report).await,
        (None, BitbucketPlayed::ByStandIn) => main_job::tell(stack, settings, report).await,
        (Some(Scenario::Freeze), BitbucketPlayed::ByStandIn) => freeze::tell(stack, settings, report).await,
        (Some(Scenario::Undo), BitbucketPlayed::ByStandIn) => undo::tell(stack, settings, report).await,
        (Some(Scenario::Resume), BitbucketPlayed::ByStandIn) => resume::tell(stack, settings, report).await,
    };
    report.rest();
    if let Err(error) = told {
        report.bad(&error.to_string());
    }
    report.failures() == 0
}
