//! Browser sign-in and the OpenID provider: start, provider callbacks, accepting an invite, and the endpoints applications use.

pub mod pages;
