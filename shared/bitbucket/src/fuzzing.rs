//! The readers of Bitbucket's answers, for a fuzzer: what it sends in place of an answer is read as each kind there is.

use rollcall_domain::listing::Complete;
use rollcall_domain::mirror::{SeenGroup, SeenPerson, SeenProject};
use serde_json::value::RawValue;
use url::Url;

use crate::answer;
use crate::call::Call;
use crate::page::PageRead;
use crate::person::{Email, OwnPermission, OwnRepository};
use crate::row::{FromRow, Listed, Row, read};
use crate::structure::Repository;
use crate::workspace::{AccountWire, Owner};

const CALL: Call = Call::get("/2.0/workspaces/{workspace}/members");

/// Reads a page of every kind of entry, and its entries as a listing of that one page. A listing that comes of it names each entry
/// once.
pub fn page(bytes: &[u8]) {
    rows::<SeenPerson>(bytes);
    rows::<Owner>(bytes);
    rows::<Repository>(bytes);
    rows::<SeenProject>(bytes);
    rows::<Email>(bytes);
    rows::<OwnRepository>(bytes);
    rows::<OwnPermission>(bytes);
}

fn rows<T: FromRow>(bytes: &[u8]) {
    let Ok(asked) = Url::parse("https://api.bitbucket.org/2.0/workspaces/acme/members?pagelen=100") else {
        return;
    };
    let Ok(page) = PageRead::<T>::read(bytes, &asked, CALL, 1, None) else { return };
    if let Some(next) = &page.next {
        assert_eq!(next.url.origin(), asked.origin(), "the next page is at the same place");
    }
    let entries = page.rows.len();
    if let Ok(listed) = Complete::unpaged(page.rows).and_then(|rows| Listed::from_rows(CALL, rows)) {
        assert_eq!(listed.seen().len() + listed.malformed().len(), entries, "no entry is lost");
    }
}

/// Reads an answer of version 1.0: groups without pages.
pub fn groups(bytes: &[u8]) {
    let Ok(raw) = answer::json::<Vec<&RawValue>>(bytes, CALL) else { return };
    let rows: Vec<Row<SeenGroup>> =
        raw.into_iter().enumerate().map(|(at, raw)| read(raw, (1, at)).0).collect();
    let _ = Complete::unpaged(rows).and_then(|rows| Listed::from_rows(CALL, rows));
}

/// Reads somebody's own account.
pub fn account(bytes: &[u8]) {
    if let Ok(wire) = answer::json::<AccountWire>(bytes, CALL) {
        let _ = wire.person();
    }
}

/// Reads a refusal of any status, and tells it in a line that a log can take.
pub fn refusal(status: u16, bytes: &[u8]) {
    let told = answer::refusal(status, bytes, CALL).to_string();
    assert!(!told.chars().any(char::is_control), "{told:?}");
}
