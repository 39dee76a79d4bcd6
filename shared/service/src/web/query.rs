//! Query strings and path parameters, strictly: nothing twice, nothing broken, and errors that name the parameter.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::{FieldError, Problem};

/// The parameters of the query string, none of them twice (RFC 6749 §3.1). Types that are read should `deny_unknown_fields`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The parameters of the path. What is not the id it should be is not there: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        from_pairs(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(Problem::not_found()),
            Err(_) => Err(Problem::internal()),
        }
    }
}

/// Reads `application/x-www-form-urlencoded` pairs, from a query or a body.
pub(super) fn from_pairs<T: DeserializeOwned>(pairs: &[u8]) -> Result<T, Problem> {
    if !is_well_encoded(pairs) {
        return Err(Problem::bad_request("The parameters are not percent-encoded UTF-8."));
    }
    let mut seen = BTreeSet::new();
    for (name, _) in form_urlencoded::parse(pairs) {
        if !seen.insert(name.clone()) {
            return Err(refused(&name, "is given more than once".to_owned()));
        }
    }
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(pairs));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        refused(if name == "." { "" } else { &name }, error.into_inner().to_string())
    })
}

fn refused(name: &str, detail: String) -> Problem {
    let name = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
    Problem::bad_request("A parameter is not acceptable.").errors(vec![FieldError {
        pointer: None,
        parameter: name,
        detail,
    }])
}

/// Whether every percent sign is followed by two digits and all of it is UTF-8 without control characters. The parser itself is
/// lenient, and two parties that repair a text differently see two different texts.
fn is_well_encoded(pairs: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(pairs.len());
    let mut rest = pairs;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let Some((digits, after)) = rest.split_first_chunk::<2>() else { return false };
        let value =
            core::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let Some(value) = value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        decoded.push(value);
        rest = after;
    }
    String::from_utf8(decoded).is_ok_and(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Paging {
        limit: Option<u8>,
        cursor: Option<String>,
    }

    fn read(query: &str) -> Result<Paging, serde_json::Value> {
        from_pairs(query.as_bytes()).map_err(|problem| problem.to_json(None))
    }

    #[test]
    fn parameters_are_read_by_name_and_type() {
        let both = Paging { limit: Some(5), cursor: Some("é".into()) };
        assert_eq!(read("limit=5&cursor=%C3%A9"), Ok(both));
        assert_eq!(read(""), Ok(Paging { limit: None, cursor: None }));
    }

    #[test]
    fn a_parameter_that_is_repeated_unknown_or_broken_is_named() {
        for (query, parameter) in [
            ("limit=5&limit=5", "limit"),
            ("cursor=a&%63ursor=b", "cursor"),
            ("limit=300", "limit"),
            ("limit=x", "limit"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!(
                (&problem["status"], &problem["errors"][0]["parameter"]),
                (&400.into(), &parameter.into()),
                "{query}"
            );
        }
        assert!(read("lmit=5").unwrap_err()["errors"][0]["detail"].as_str().unwrap().contains("lmit"));
        for broken in ["cursor=%", "cursor=%4", "cursor=%zz", "cursor=%+1", "cursor=%ff", "cursor=%00"] {
            assert_eq!(read(broken).unwrap_err()["status"], 400, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_either_read_exactly_or_refused(query in "[a-z%&=+0-9A-Fé]{0,40}") {
            if let Ok(paging) = read(&query) {
                let mut again = form_urlencoded::Serializer::new(String::new());
                if let Some(limit) = paging.limit {
                    again.append_pair("limit", &limit.to_string());
                }
                if let Some(cursor) = &paging.cursor {
                    again.append_pair("cursor", cursor);
                }
                prop_assert_eq!(read(&again.finish()), Ok(paging));
            }
        }
    }
}
