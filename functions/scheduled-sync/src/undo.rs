//! Undoing a run: what it removed is brought back, and what would be removed after that waits for approval.

use rollcall_domain::RunId;
use rollcall_domain::plan::{Lane, undo};
use rollcall_store::StoreError;
use rollcall_store::runs::RunStatus;

use crate::run::Run;

pub(crate) async fn undo(run: &mut Run<'_>, target: RunId) -> Result<(), StoreError> {
    let workspace = run.connection().workspace;
    let store = run.engine.ports().store.clone();
    let Some(record) = store.run(workspace, target).await? else {
        run.record.status = RunStatus::Failed;
        run.record.message =
            format!("There is no run {target} in this workspace, so there is nothing to undo.");
        return Ok(());
    };
    let mut found = false;
    for lane in [Lane::Structure, Lane::Grants, Lane::Members] {
        let Some(done) = store.plan(workspace, target, lane).await? else { continue };
        let back = undo::plan(&run.mirror, target, &done);
        found |= !back.changes.is_empty();
        if !back.changes.is_empty() {
            run.record.lanes.push(lane);
            run.state.undone.insert(lane);
        }
        run.record.kept.extend(back.kept.iter().cloned());
        run.keep_plan(&back).await?;
        run.write(back, Vec::new(), true).await?;
    }
    run.record.message = if found {
        format!(
            "What run {target} removed is back, as far as nothing has changed it since. Whatever would be removed next waits for \
             an approval."
        )
    } else if record.held.is_empty() {
        format!("Run {target} removed nothing that could be brought back.")
    } else {
        format!("Run {target} held its removals back, so there is nothing to undo.")
    };
    Ok(())
}
