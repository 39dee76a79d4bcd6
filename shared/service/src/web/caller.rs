//! Which request it is, and where it comes from.

use core::convert::Infallible;
use core::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The id of a request: a UUID in its usual form. It stands in the log, in the audit trail and in problem details.
///
/// On Lambda it is the invocation's own, so that it leads to everything the platform says about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// Takes over an id of the platform, if it has a UUID's form.
    pub fn from_platform(id: &str) -> Option<Self> {
        let well_formed = id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        well_formed.then(|| Self(id.to_owned()))
    }

    /// A new one from random bytes (UUID version 4, RFC 9562 §5.4).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let value = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{value:032x}");
        let dashed = hex.char_indices().fold(String::with_capacity(36), |mut text, (at, digit)| {
            if matches!(at, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
            text
        });
        Self(dashed)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for RequestId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    /// The id that [`Web::finish`](super::Web::finish) has given to the request; a fixed one where that was left out.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::from_random([0; 16])))
    }
}

/// The address of whoever is connected: API Gateway's view of it, or the socket's.
///
/// Never from `X-Forwarded-For` or its kin, which anybody can write. It comes into the request as an extension, from
/// [`lambda::serve`](super::lambda::serve) or from whoever accepts the connections (axum's `ConnectInfo`). `None`: nobody has said; such requests share
/// one rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_a_version_4_uuid_and_reads_as_one_of_the_platform() {
        for bytes in [[0; 16], [0xff; 16], [0x5a; 16]] {
            let id = RequestId::from_random(bytes);
            assert_eq!(RequestId::from_platform(id.as_str()).as_ref(), Some(&id), "{id}");
            assert_eq!(&id.as_str()[14..15], "4");
            assert!("89ab".contains(&id.as_str()[19..20]), "{id}");
        }
        for bad in ["", "x", "../../../../../../../../../../../../", &"a".repeat(36)] {
            assert_eq!(RequestId::from_platform(bad), None);
        }
    }
}
