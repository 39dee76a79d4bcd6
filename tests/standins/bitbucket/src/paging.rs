//! Listings in pages (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination>).

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// How a listing is paged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) default: usize,
    pub(crate) most: usize,
}

pub(crate) const USUAL: Lengths = Lengths { default: 10, most: 100 };
pub(crate) const PEOPLE: Lengths = Lengths { default: 50, most: 100 };
pub(crate) const OWN_WORKSPACES: Lengths = Lengths { default: 25, most: 100 };

/// The page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) page: usize,
    pub(crate) length: usize,
}

/// How a listing of this world shows its pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Whether `next` has a token instead of a number.
    pub(crate) opaque: bool,
    /// Whether it tells its size.
    pub(crate) sized: bool,
}

impl Asked {
    pub(crate) fn read(query: &[(String, String)], lengths: Lengths, opaque: bool) -> Result<Self, Refusal> {
        let value =
            |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let length = match value("pagelen") {
            None => lengths.default,
            Some(text) => {
                let length = text.parse().ok().filter(|length| (1..=lengths.most).contains(length));
                length.ok_or_else(|| Refusal::bad_request("Invalid pagelen"))?
            }
        };
        let page = match value("page") {
            None => Some(1),
            Some(token) if opaque => number_of(token),
            Some(text) => text.parse().ok().filter(|page| *page >= 1),
        };
        Ok(Self { page: page.ok_or_else(|| Refusal::bad_request("Invalid page"))?, length })
    }

    /// The place of the first row.
    pub(crate) fn first(self) -> usize {
        (self.page - 1).saturating_mul(self.length)
    }

    /// The page around its rows.
    pub(crate) fn around(
        self,
        values: Vec<Value>,
        size: usize,
        manner: Manner,
        place: &str,
        query: &[(String, String)],
    ) -> Value {
        let mut page = Map::new();
        if manner.sized {
            page.insert("size".into(), size.into());
        }
        page.insert("pagelen".into(), self.length.into());
        if !manner.opaque {
            page.insert("page".into(), self.page.into());
        }
        let link = |number: usize| {
            let token = if manner.opaque { token_of(number) } else { number.to_string() };
            let others = query.iter().filter(|(name, _)| name != "page");
            let pairs: Vec<(&str, &str)> = others
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain([("page", token.as_str())])
                .collect();
            format!("{place}?{}", serde_urlencoded::to_string(pairs).expect("pairs of texts"))
        };
        if self.first().saturating_add(self.length) < size {
            page.insert("next".into(), link(self.page + 1).into());
        }
        if self.page > 1 && !manner.opaque {
            page.insert("previous".into(), link(self.page - 1).into());
        }
        page.insert("values".into(), values.into());
        Value::Object(page)
    }
}

/// The page that a request asks for, by number or by token, whatever its listing is like.
pub(crate) fn number(query: &[(String, String)]) -> u64 {
    let asked = query.iter().find(|(name, _)| name == "page");
    let number = asked.and_then(|(_, page)| page.parse().ok().or_else(|| number_of(page)));
    number.unwrap_or(1) as u64
}

/// A page's number as a word that tells nothing.
fn token_of(number: usize) -> String {
    let letters = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'q')).collect::<String>();
    format!("8xhd{letters}")
}

fn number_of(token: &str) -> Option<usize> {
    let letters = token.strip_prefix("8xhd")?;
    let digits: Option<String> = letters
        .bytes()
        .map(|letter| letter.checked_sub(b'q').filter(|d| *d < 10).map(|d| char::from(d + b'0')))
        .collect();
    digits?.parse().ok().filter(|page| *page >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_a_page_is_read_back_and_a_number_is_not_taken_for_one() {
        for number in [1, 9, 10, 4711] {
            assert_eq!(number_of(&token_of(number)), Some(number));
        }
        assert_eq!(number_of("2"), None);
    }

    #[test]
    fn page_lengths_beyond_the_limit_are_refused() {
        let asked = |length: &str| Asked::read(&[("pagelen".into(), length.into())], USUAL, false);
        assert_eq!(asked("100"), Ok(Asked { page: 1, length: 100 }));
        for bad in ["101", "0", "-1", "ten"] {
            assert_eq!(asked(bad), Err(Refusal::bad_request("Invalid pagelen")), "{bad}");
        }
    }
}
