//! Lists, page by page.

use rollcall_service::web::{BadCursor, Cursors, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// Not a number of entries that a page can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is a number from 1 to 100")]
pub struct InvalidLimit;

/// How many entries a page has at most: 1 to 100, which is also what it is if nothing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Limit(u16);

impl Limit {
    /// The number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u16> for Limit {
    type Error = InvalidLimit;

    fn try_from(number: u16) -> Result<Self, InvalidLimit> {
        if (1..=100).contains(&number) { Ok(Self(number)) } else { Err(InvalidLimit) }
    }
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries, in a fixed order.
    pub items: Vec<T>,
    /// Where the list goes on: the value of `cursor` for the next page. `null`: this is the end.
    #[schema(required)]
    pub next: Option<String>,
}

/// One list and all that it depends on: its workspace, its filters. A cursor leads on in its own list only.
pub struct List<'a> {
    cursors: &'a Cursors,
    name: String,
}

impl<'a> List<'a> {
    /// The list of this name.
    pub fn new(cursors: &'a Cursors, name: impl Into<String>) -> Self {
        Self { cursors, name: name.into() }
    }

    /// Where to begin: after the position that the cursor stands for, or at the beginning.
    pub fn start<P: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<P>, BadCursor> {
        cursor.map(|cursor| self.cursors.decode(&self.name, cursor)).transpose()
    }

    /// A page and the cursor of where it ended, unless that was the end.
    pub fn page<T, P: Serialize>(&self, items: Vec<T>, next: Option<&P>) -> Result<Page<T>, Problem> {
        let next = next.map(|position| self.cursors.encode(&self.name, position)).transpose();
        Ok(Page { items, next: next.map_err(|_| Problem::internal())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_100_entries() {
        assert_eq!(Limit::default().get(), 100);
        assert_eq!(Limit::try_from(1).map(Limit::get), Ok(1));
        for bad in [0, 101, u16::MAX] {
            assert_eq!(Limit::try_from(bad), Err(InvalidLimit));
        }
    }
}
