//! Paging cursors: opaque, sealed, and good for one list only.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{FieldError, Problem};
use crate::seal::{Purpose, Sealer, SealingKeys};

/// The longest cursor that is looked at.
const LIMIT: usize = 4_096;

/// The cursor is not one that this list has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a cursor of this list")]
pub struct BadCursor;

impl From<BadCursor> for Problem {
    fn from(_: BadCursor) -> Self {
        Self::bad_request("The cursor is not one that this list has given. Start again without it.")
            .errors(vec![FieldError::parameter("cursor", "is not a cursor of this list")])
    }
}

/// Seals where a list goes on. Sealed, because a cursor is a key of the table, and a forged one could point into another workspace.
#[derive(Clone)]
pub struct Cursors(Sealer);

impl Cursors {
    /// With the deployment's keys.
    pub fn new(keys: &SealingKeys) -> Self {
        Self(Sealer::new(keys, Purpose::Cursor))
    }

    /// The cursor of a position in a list. `list` names the list and all that it depends on: the workspace, the filter.
    pub fn encode<T: Serialize>(&self, list: &str, position: &T) -> Result<String, BadCursor> {
        let position = serde_json::to_vec(position).map_err(|_| BadCursor)?;
        self.0.seal(list, &position).map_err(|_| BadCursor)
    }

    /// The position in this list.
    pub fn decode<T: DeserializeOwned>(&self, list: &str, cursor: &str) -> Result<T, BadCursor> {
        if cursor.len() > LIMIT {
            return Err(BadCursor);
        }
        let position = self.0.open(list, cursor).map_err(|_| BadCursor)?;
        serde_json::from_slice(&position).map_err(|_| BadCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealingKey;

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let cursors = Cursors::new(&SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), Vec::new()));
        let cursor = cursors.encode("ws_1/members", &("MEMBER#7", 3)).unwrap();
        assert!(
            cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
            "{cursor}"
        );
        assert_eq!(cursors.decode::<(String, u8)>("ws_1/members", &cursor), Ok(("MEMBER#7".to_owned(), 3)));
        assert_eq!(cursors.decode::<(String, u8)>("ws_2/members", &cursor), Err(BadCursor));
        assert_eq!(cursors.decode::<u8>("ws_1/members", &cursor), Err(BadCursor));
        for bad in ["", "x", "1.k.", &"x".repeat(5_000), &format!("{cursor}A")] {
            assert_eq!(cursors.decode::<(String, u8)>("ws_1/members", bad), Err(BadCursor), "{bad}");
        }
    }
}
