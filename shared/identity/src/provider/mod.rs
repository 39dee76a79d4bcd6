//! Signing applications' users in: Rollcall as an OpenID provider.
