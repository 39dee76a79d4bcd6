//! What the queue carries: which run, of which workspace.

use rollcall_domain::{RunId, Timestamp, WorkspaceId};
use rollcall_store::runs::Mode;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Asks for a run.
///
/// Whoever asks for one on demand writes its record first, which says what it is to do. A message without a record is the
/// schedule's, or carries its mode with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncMessage {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Which run. A message that comes again asks for the same one, and that is done once.
    pub run: RunId,
    /// What it is to do, where no record says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether the schedule asked: then only what is due is read, and a run that is under way makes it needless.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub scheduled: bool,
}

impl SyncMessage {
    /// The schedule's message for a workspace. The same tick always asks for the same run, however often it is delivered.
    pub fn scheduled(workspace: WorkspaceId, tick: Timestamp) -> Self {
        let hash = sha2::Sha256::digest(format!("tick|{workspace}|{tick}"));
        let mut random = [0_u8; 10];
        random.iter_mut().zip(hash).for_each(|(byte, from)| *byte = from);
        Self { workspace, run: RunId::new(tick, random), mode: None, scheduled: true }
    }

    /// A run that somebody asked for.
    pub const fn asked(workspace: WorkspaceId, run: RunId, mode: Mode) -> Self {
        Self { workspace, run, mode: Some(mode), scheduled: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_that_is_delivered_twice_asks_for_the_same_run_and_another_tick_for_another() {
        let workspace = |n| WorkspaceId::new(Timestamp::EPOCH, [n; 10]);
        let tick = |n: i64| Timestamp::from_seconds(900 * n);
        let message = SyncMessage::scheduled(workspace(1), tick(1));
        assert_eq!(message, SyncMessage::scheduled(workspace(1), tick(1)));
        assert_ne!(message.run, SyncMessage::scheduled(workspace(1), tick(2)).run);
        assert_ne!(message.run, SyncMessage::scheduled(workspace(2), tick(1)).run);
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_the_shortest_one_names_workspace_and_run() {
        let workspace = WorkspaceId::new(Timestamp::EPOCH, [1; 10]);
        let run = RunId::new(Timestamp::EPOCH, [2; 10]);
        let message = SyncMessage::asked(workspace, run, Mode::Undo { run });
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<SyncMessage>(&text).unwrap(), message);
        let short: SyncMessage =
            serde_json::from_str(&format!(r#"{{"workspace":"{workspace}","run":"{run}"}}"#)).unwrap();
        assert_eq!((short.mode, short.scheduled), (None, false));
        assert!(serde_json::from_str::<SyncMessage>(r#"{"workspace":"ws_1"}"#).is_err());
    }
}
