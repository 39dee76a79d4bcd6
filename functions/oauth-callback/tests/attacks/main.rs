//! What an attacker, a broken provider or a hostile page might send, over HTTP: the answer, what is written, and what is not asked of
//! anybody. The providers are played on real sockets, and the table is a real one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]

mod browser;
mod headers;
mod honest;
mod hostile;
mod identities;
mod limits;
mod parameters;
mod requests_sent;
mod rig;
mod sessions;
mod shut_out;
mod state;
mod tokens;
mod transport;
