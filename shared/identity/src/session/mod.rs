//! The browser's session.
