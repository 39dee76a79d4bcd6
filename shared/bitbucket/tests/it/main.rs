//! The client against a Bitbucket that is scripted, and against the one the whole project is tested with.

mod faults;
mod listings;
mod people;
mod support;
mod tokens;
