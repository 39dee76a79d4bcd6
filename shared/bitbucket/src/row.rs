//! Entries of a listing: understood, or kept back and reported.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use rollcall_domain::listing::{Complete, Keyed, Unproven};
use rollcall_domain::mirror::Read;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::Call;
use crate::error::Error;

/// An entry that could not be understood. It counts as an entry all the same: who it is about is neither there nor gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed<K> {
    /// Which entry, if that much could be read.
    pub key: Option<K>,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A listing of which every page was read and every entry accounted for: understood, or kept back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T: Keyed> {
    call: Call,
    seen: Complete<T>,
    malformed: Vec<Malformed<T::Key>>,
}

impl<T: Keyed> Listed<T> {
    /// What was understood.
    pub fn seen(&self) -> &Complete<T> {
        &self.seen
    }

    /// What was not.
    pub fn malformed(&self) -> &[Malformed<T::Key>] {
        &self.malformed
    }

    /// Whether an entry that is neither seen nor malformed is certainly not there: true unless an entry could not even be named.
    pub fn absence_proven(&self) -> bool {
        self.malformed.iter().all(|entry| entry.key.is_some())
    }

    /// The listing as the rules take it.
    pub fn into_read(self) -> Read<T> {
        let absence_proven = self.absence_proven();
        let kept: BTreeSet<T::Key> = self.malformed.into_iter().filter_map(|entry| entry.key).collect();
        Read { seen: self.seen, kept, absence_proven }
    }

    /// The entries, if every one of them was understood: for uses in which a part is worth nothing.
    pub fn whole(self) -> Result<Complete<T>, Error> {
        match self.malformed.first() {
            None => Ok(self.seen),
            Some(first) => Err(Error::Malformed {
                call: self.call,
                count: self.malformed.len(),
                first: first.why.to_owned(),
            }),
        }
    }

    /// Changes each entry, but not what it is about.
    pub fn map<U: Keyed<Key = T::Key>>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed { call: self.call, seen: self.seen.map(change), malformed: self.malformed }
    }

    /// From the entries of a complete listing.
    pub(crate) fn from_rows(call: Call, rows: Complete<Row<T>>) -> Result<Self, Unproven> {
        let mut seen = Vec::with_capacity(rows.len());
        let mut malformed = Vec::new();
        for row in rows.into_entries() {
            match row {
                Row::Understood(entry) => seen.push(entry),
                Row::Malformed { entry, .. } => malformed.push(entry),
            }
        }
        Ok(Self { call, seen: Complete::unpaged(seen)?, malformed })
    }
}

/// An entry of a page.
#[derive(Debug)]
pub(crate) enum Row<T: Keyed> {
    /// As described.
    Understood(T),
    /// Not as described. The place tells those apart that cannot be named.
    Malformed { entry: Malformed<T::Key>, place: (u64, usize) },
}

/// What tells the entries of a page apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey<K> {
    /// Its own key.
    Known(K),
    /// Page and row of an entry that cannot be named.
    Nameless(u64, usize),
}

impl<K: fmt::Display> fmt::Display for RowKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(key) => key.fmt(f),
            Self::Nameless(page, row) => write!(f, "{row} of page {page}"),
        }
    }
}

impl<T: Keyed> Keyed for Row<T> {
    type Key = RowKey<T::Key>;

    fn key(&self) -> RowKey<T::Key> {
        match self {
            Self::Understood(entry) => RowKey::Known(entry.key()),
            Self::Malformed { entry, place: (page, row) } => {
                entry.key.clone().map_or(RowKey::Nameless(*page, *row), RowKey::Known)
            }
        }
    }
}

/// An entry that can be read from a row.
pub(crate) trait FromRow: Keyed<Key: FromStr + Send> + Sized + Send {
    /// The row as it is answered. Fields that are not asked for may be anything.
    type Wire: DeserializeOwned;

    /// Where the key stands in the row (RFC 6901), for rows that cannot be read otherwise.
    const KEY: &'static str;

    /// Reads the row, or says what is wrong with it.
    fn from_row(row: Self::Wire) -> Result<Self, &'static str>;

    /// The UUID of the workspace that the row says it belongs to.
    fn workspace(_: &Self::Wire) -> Option<&str> {
        None
    }
}

/// Reads one row, and the workspace it says it belongs to.
pub(crate) fn read<T: FromRow>(raw: &RawValue, place: (u64, usize)) -> (Row<T>, Option<String>) {
    let (why, workspace) = match serde_json::from_str::<T::Wire>(raw.get()) {
        Ok(wire) => {
            let workspace = T::workspace(&wire).map(str::to_owned);
            match T::from_row(wire) {
                Ok(entry) => return (Row::Understood(entry), workspace),
                Err(why) => (why, workspace),
            }
        }
        Err(_) => ("a field has another type than described", None),
    };
    let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    let key = value.pointer(T::KEY).and_then(Value::as_str).and_then(|text| text.parse().ok());
    (Row::Malformed { entry: Malformed { key, why }, place }, workspace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollcall_domain::bitbucket::AccountUuid;
    use rollcall_domain::listing::{Listing, Page};
    use rollcall_domain::mirror::SeenPerson;

    const ADA: &str = "{00000000-0000-0000-0000-00000000000a}";
    const BOB: &str = "{00000000-0000-0000-0000-00000000000b}";

    fn listed(rows: &[&str]) -> Result<Listed<SeenPerson>, Unproven> {
        let mut listing = Listing::new(1);
        let row = |(at, text): (usize, &&str)| {
            read::<SeenPerson>(&RawValue::from_string((*text).to_owned()).unwrap(), (1, at)).0
        };
        listing.page(Page {
            entries: rows.iter().enumerate().map(row).collect(),
            size: None,
            more: false,
        })?;
        Listed::from_rows(Call::get("/x"), listing.finish()?)
    }

    #[test]
    fn an_entry_that_is_not_understood_is_kept_and_the_others_proceed() {
        let listed = listed(&[
            &format!(r#"{{"user":{{"uuid":"{ADA}","type":"user","display_name":"Ada","new":[1]}}}}"#),
            &format!(r#"{{"user":{{"uuid":"{BOB}","type":"user","display_name":7}}}}"#),
        ])
        .unwrap();
        assert_eq!(listed.seen().len(), 1);
        assert!(listed.absence_proven());
        let read = listed.into_read();
        assert!(!read.proves_gone(&BOB.parse::<AccountUuid>().unwrap(), &BTreeSet::new()));
    }

    #[test]
    fn an_entry_that_cannot_be_named_leaves_everybody_elses_absence_open() {
        for row in [r#"{"user":null}"#, "7", r#"{"user":{"uuid":"nobody","type":"user"}}"#, r#"{"user":[]}"#]
        {
            let listed = listed(&[row, row]).unwrap();
            assert_eq!((listed.malformed().len(), listed.absence_proven()), (2, false), "{row}");
            assert_eq!(listed.whole().unwrap_err().code(), "malformed");
        }
    }

    #[test]
    fn an_account_of_an_unknown_kind_is_neither_a_person_nor_a_bot() {
        let row = format!(r#"{{"user":{{"uuid":"{ADA}","type":"cyborg"}}}}"#);
        let listed = listed(&[&row]).unwrap();
        assert_eq!(listed.malformed().first().and_then(|entry| entry.key), ADA.parse().ok());
    }

    #[test]
    fn the_same_key_twice_is_a_repetition_even_if_one_is_malformed() {
        let good = format!(r#"{{"user":{{"uuid":"{ADA}","type":"user"}}}}"#);
        let bad = format!(r#"{{"user":{{"uuid":"{ADA}","type":7}}}}"#);
        assert_eq!(listed(&[&good, &bad]), Err(Unproven::Repeated(ADA.to_owned())));
    }
}
