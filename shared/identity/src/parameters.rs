//! The parameters of a request, read strictly: queries and forms of OAuth 2.0 endpoints.

use rollcall_domain::Secret;
use thiserror::Error;

use crate::FailedCheck;

/// The longest query that is read, in bytes. Authorization codes of up to 4 KiB are known.
const LONGEST_QUERY: usize = 8 * 1024;
/// The longest form that is read, in bytes. It may carry an ID token as a hint.
const LONGEST_FORM: usize = 16 * 1024;
/// More parameters than any of the protocols knows.
const MOST_PARAMETERS: usize = 50;

/// Why the parameters of a request are not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RefusedParameters {
    /// Longer than any honest request.
    #[error("the parameters are too long")]
    TooLong,
    /// More than any honest request has.
    #[error("there are too many parameters")]
    TooMany,
    /// The same parameter twice (RFC 6749 §3.1 forbids it): two readers could each take another one.
    #[error("the parameter {0} is given more than once")]
    Repeated(String),
    /// Not percent-encoded UTF-8, or with control characters in it.
    #[error("the parameters are not validly encoded")]
    Encoding,
}

impl FailedCheck for RefusedParameters {
    fn check(&self) -> &'static str {
        match self {
            Self::TooLong => "parameters.length",
            Self::TooMany => "parameters.count",
            Self::Repeated(_) => "parameters.repeated",
            Self::Encoding => "parameters.encoding",
        }
    }
}

/// The parameters of one request, each at most once.
///
/// A parameter without a value counts as absent (RFC 6749 §3.1), and still as given when it is repeated.
pub struct Parameters(Vec<(String, Secret)>);

impl Parameters {
    /// Reads the raw query of a URL, without the `?`.
    pub fn from_query(query: &str) -> Result<Self, RefusedParameters> {
        Self::parse(query.as_bytes(), LONGEST_QUERY)
    }

    /// Reads a body of type `application/x-www-form-urlencoded`.
    pub fn from_form(body: &[u8]) -> Result<Self, RefusedParameters> {
        Self::parse(body, LONGEST_FORM)
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.secret(name).map(Secret::expose)
    }

    /// The value of a parameter that is a secret.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value)
    }

    fn parse(bytes: &[u8], longest: usize) -> Result<Self, RefusedParameters> {
        if bytes.len() > longest {
            return Err(RefusedParameters::TooLong);
        }
        let mut parameters: Vec<(String, Secret)> = Vec::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(RefusedParameters::Repeated(printable(&name)));
            }
            if parameters.len() == MOST_PARAMETERS {
                return Err(RefusedParameters::TooMany);
            }
            parameters.push((name, Secret::new(value)));
        }
        Ok(Self(parameters))
    }
}

/// Decodes one name or value of `application/x-www-form-urlencoded`, without the leniency of browsers.
pub(crate) fn decode(encoded: &[u8]) -> Result<String, RefusedParameters> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|digit| char::from(*digit).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                high.zip(low)
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                    .ok_or(RefusedParameters::Encoding)?
            }
            other => *other,
        });
    }
    let text = String::from_utf8(decoded).map_err(|_| RefusedParameters::Encoding)?;
    if text.chars().any(char::is_control) { Err(RefusedParameters::Encoding) } else { Ok(text) }
}

/// A name that came from outside, if it can go into a log line as it is.
fn printable(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.len() <= 40 && name.bytes().all(plain) { name.to_owned() } else { "(not printable)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(query: &str) -> Option<RefusedParameters> {
        Parameters::from_query(query).err()
    }

    #[test]
    fn values_are_decoded_and_a_parameter_without_a_value_counts_as_absent() {
        let parameters = Parameters::from_query("a=1%2B2+3&&empty=&bare&b=%C3%A9").ok().unwrap();
        assert_eq!(parameters.text("a"), Some("1+2 3"));
        assert_eq!(parameters.text("b"), Some("é"));
        assert_eq!(parameters.text("empty"), None);
        assert_eq!(parameters.text("bare"), None);
        assert_eq!(parameters.text("missing"), None);
    }

    #[test]
    fn a_repeated_parameter_is_refused_however_it_is_written() {
        for query in
            ["state=a&state=a", "state=&state=a", "state&state=a", "st%61te=b&state=a", "x=1&y=2&x=3"]
        {
            assert!(matches!(refusal(query), Some(RefusedParameters::Repeated(_))), "{query}");
        }
        assert_eq!(
            refusal("a%20b%3C=1&a%20b%3C=2"),
            Some(RefusedParameters::Repeated("(not printable)".to_owned()))
        );
    }

    #[test]
    fn broken_encodings_and_control_characters_are_refused() {
        for query in
            ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "a=%00", "a=%0d%0aSet-Cookie", "%7f=1", "a=%C2%85"]
        {
            assert_eq!(refusal(query), Some(RefusedParameters::Encoding), "{query}");
        }
    }

    #[test]
    fn length_and_number_are_bounded() {
        assert_eq!(refusal(&format!("a={}", "x".repeat(9000))), Some(RefusedParameters::TooLong));
        let many = (0..60).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(refusal(&many), Some(RefusedParameters::TooMany));
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parameters::from_form(&bytes);
        }

        #[test]
        fn what_was_encoded_reads_back(value in "\\PC{0,40}") {
            let encoded: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("v", &value).finish();
            let parameters = Parameters::from_query(&encoded);
            prop_assume!(!value.chars().any(char::is_control));
            let parameters = parameters.ok().unwrap();
            prop_assert_eq!(parameters.text("v").unwrap_or_default(), value);
        }
    }
}
