//! HTTP conventions: what every function's answers have in common, so that a handler is only about its subject.
//!
//! A function builds a bare [`axum::Router`]; its `main` hands it to [`lambda::serve`], the local stack merges several and calls
//! [`Web::finish`] once. Routers stay bare because axum cannot merge two that have fallbacks. All routes use the same names for
//! the same place in a path (`{workspace}`, `{member}`), because two names for one place cannot be merged either.
//!
//! Handlers take these extractors, each of which answers bad input with a [`Problem`]:
//!
//! | extractor | what |
//! |---|---|
//! | [`Json`], [`Form`], [`Query`], [`Path`] | the request's parts, strictly |
//! | [`RequestId`], [`ClientAddress`] | which request, and from where |
//! | [`Bearer`] | the token of `Authorization` |
//! | [`IdempotencyKey`], [`IfMatch`] | conditions of a write |

mod accept;
mod authorization;
mod body;
mod caller;
mod conditions;
mod cursor;
mod finish;
mod headers;
pub mod lambda;
mod problem;
mod query;
mod same_site;
mod strict;

pub use accept::prefers_html;
pub use authorization::{Bearer, unauthorized};
pub use body::{BODY_LIMIT, Form, Json};
pub use caller::{ClientAddress, RequestId};
pub use conditions::{EntityTag, IdempotencyKey, IfMatch};
pub use cursor::{BadCursor, Cursors};
pub use finish::Web;
pub use headers::{PagePolicy, see_other};
pub use problem::{FieldError, Problem};
pub use query::{Path, Query};
pub use same_site::{CrossSite, same_site};
