//! The Lambda runtime API, as AWS documents it for custom runtimes, and the process that talks to it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use standin_aws::{LambdaRuntime, event::{HttpAnswer, HttpEvent}};
//!
//! let lambda = LambdaRuntime::start().await?;
//! let function = lambda.spawn("target/debug/rollcall-oauth-callback", [("ROLLCALL_TABLE", "rollcall")])?;
//! let event = HttpEvent::get("/login").query("workspace", "acme").build();
//! let answer = HttpAnswer::read(&lambda.invoke(event, Duration::from_secs(5)).await?)?;
//! assert_eq!(answer.status, 200, "{:?}", function.lines());
//! # Ok(())
//! # }
//! ```
//!
//! One runtime stands for one function instance: invocations go to whoever asks for the next one, in order. Like Lambda, it
//! gives a process nothing of its parent's environment, ends an invocation at its deadline, and kills the process then.

mod api;
mod invocation;
mod process;

pub use api::LambdaRuntime;
pub use invocation::InvocationError;
pub use process::{Function, Line, Stream};
