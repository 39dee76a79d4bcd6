//! The people who have accounts here.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flavour::MICROSOFT_CONSUMERS;
use crate::keys::base64url;

/// Somebody with an account at this provider, by the claims that the provider tells about them.
///
/// A claim that is `None` is left out of the token. The two that providers send in unexpected types, `email_verified` and
/// `xms_edov`, can be any JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The display name.
    pub name: String,
    /// The provider's id of the account. Unique here.
    pub sub: String,
    /// The address, as the provider gives it out.
    #[serde(default)]
    pub email: Option<String>,
    /// Google: whether the address is verified.
    #[serde(default)]
    pub email_verified: Option<Value>,
    /// Google: the domain of the organisation that manages the account; personal accounts have none.
    #[serde(default)]
    pub hd: Option<String>,
    /// Microsoft: the id of the tenant.
    #[serde(default)]
    pub tid: Option<String>,
    /// Microsoft: the id of the person in the tenant.
    #[serde(default)]
    pub oid: Option<String>,
    /// Microsoft: whether the owner of the address's domain vouches for it (an optional claim).
    #[serde(default)]
    pub xms_edov: Option<Value>,
    /// Further claims; they win over the others.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

impl Person {
    /// Somebody with a Google account and a verified address. Managed by nobody: see [`Person::managed_by`].
    pub fn google(name: &str, email: &str) -> Self {
        let number = digest(&SHA256, email.as_bytes()).as_ref()[..8]
            .iter()
            .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Self {
            name: name.to_owned(),
            sub: format!("1{number:020}"),
            email: Some(email.to_owned()),
            email_verified: Some(true.into()),
            hd: None,
            tid: None,
            oid: None,
            xms_edov: None,
            claims: Map::new(),
        }
    }

    /// Somebody with a Microsoft account in a tenant, whose address the owner of its domain vouches for.
    pub fn microsoft(name: &str, email: &str, tid: &str) -> Self {
        let hash = digest(&SHA256, format!("{tid} {email}").as_bytes());
        let oid: [u8; 16] = hash.as_ref()[..16].try_into().expect("16 of 32 bytes");
        Self {
            name: name.to_owned(),
            sub: base64url(hash.as_ref()),
            email: Some(email.to_owned()),
            email_verified: None,
            hd: None,
            tid: Some(tid.to_owned()),
            oid: Some(uuid(oid)),
            xms_edov: Some(true.into()),
            claims: Map::new(),
        }
    }

    /// The same person with an account managed by a Google Workspace domain.
    #[must_use]
    pub fn managed_by(mut self, domain: &str) -> Self {
        self.hd = Some(domain.to_owned());
        self
    }

    /// The same person with another `email_verified`. `None` leaves it out.
    #[must_use]
    pub fn with_email_verified(mut self, value: Option<Value>) -> Self {
        self.email_verified = value;
        self
    }

    /// The same person with another `xms_edov`. `None` leaves it out.
    #[must_use]
    pub fn with_xms_edov(mut self, value: Option<Value>) -> Self {
        self.xms_edov = value;
        self
    }

    /// Whether a text names this person: their id, name or address.
    pub(crate) fn is_called(&self, text: &str) -> bool {
        self.sub == text
            || self.name.eq_ignore_ascii_case(text)
            || self.oid.as_deref() == Some(text)
            || self.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(text))
    }

    pub(crate) fn given_name(&self) -> &str {
        self.name.split_once(' ').map_or(self.name.as_str(), |(given, _)| given)
    }

    pub(crate) fn family_name(&self) -> Option<&str> {
        self.name.split_once(' ').map(|(_, family)| family)
    }
}

/// The tenant of the example organisation that audits others.
pub const LINDQVIST_AUDIT: &str = "3f6b1c52-8a0e-4d5b-9c51-6f1f0f7a2d10";
/// The tenant of a second, unrelated example organisation.
pub const HARBOUR_STUDIO: &str = "a41d7c08-52e3-4b7f-8f0e-0c2b9e6d5f33";

/// Example people with Google accounts: freelancers and partners, one of them with an address nobody has verified.
pub fn at_google() -> Vec<Person> {
    vec![
        Person::google("Ines Okafor", "ines.okafor@mail.example"),
        Person::google("Tomasz Wrona", "tomasz@wrona-security.example").managed_by("wrona-security.example"),
        Person::google("Mei-Ling Haddad", "meiling@brightpath.example").managed_by("brightpath.example"),
        Person::google("Jonas Achterberg", "jonas.achterberg@mail.example"),
        Person::google("Rosa Delacroix", "rosa.delacroix@mail.example")
            .with_email_verified(Some(false.into())),
    ]
}

/// Example people with Microsoft accounts: two organisations, a personal account, and one whose address nobody vouches for.
pub fn at_microsoft() -> Vec<Person> {
    vec![
        Person::microsoft("Astrid Lindqvist", "astrid@lindqvist-audit.example", LINDQVIST_AUDIT),
        Person::microsoft("Viktor Lindqvist", "viktor@lindqvist-audit.example", LINDQVIST_AUDIT),
        Person::microsoft("Farah Benali", "farah@harbour-studio.example", HARBOUR_STUDIO),
        Person::microsoft("Owen Price", "owen@harbour-studio.example", HARBOUR_STUDIO).with_xms_edov(None),
        Person::microsoft("Nadia Petrov", "nadia.petrov@live.example", MICROSOFT_CONSUMERS),
    ]
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex = crate::keys::hex(&bytes);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_gives_the_same_ids_and_another_gives_others() {
        let one = Person::microsoft("A", "a@x.example", LINDQVIST_AUDIT);
        assert_eq!(one, Person::microsoft("A", "a@x.example", LINDQVIST_AUDIT));
        let other = Person::microsoft("A", "b@x.example", LINDQVIST_AUDIT);
        assert!(one.sub != other.sub && one.oid != other.oid);
        assert_eq!(one.oid.unwrap().len(), 36);
        assert_eq!(Person::google("A", "a@x.example").sub.len(), 21);
    }

    #[test]
    fn a_person_is_found_by_name_address_or_id() {
        let ines = &at_google()[0];
        for text in ["ines okafor", "Ines.Okafor@mail.example", &ines.sub] {
            assert!(ines.is_called(text), "{text}");
        }
        assert!(!ines.is_called("Ines"));
    }
}
