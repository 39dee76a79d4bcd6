//! What is measured. Each is a function that is never inlined, so that callgrind can tell what happens within it.

use std::collections::BTreeSet;

use rollcall_domain::mirror::Mirror;
use rollcall_domain::plan::{self, Plan};

use crate::workspace::{Workspace, apply, now};

/// How large the result is: it keeps the work from being optimised away.
type Measured = fn(&Workspace) -> usize;

/// All of them, by the names under which callgrind and the report know them.
pub(crate) const ALL: [(&str, Measured); 7] = [
    ("members_first", members_first),
    ("members_unchanged", members_unchanged),
    ("members_tenth_left", members_tenth_left),
    ("structure_unchanged", structure_unchanged),
    ("grants_lap_unchanged", grants_lap_unchanged),
    ("coverage", coverage),
    ("apply_tenth_left", apply_tenth_left),
];

fn members(world: &Workspace, mirror: &Mirror, left: bool) -> Plan {
    let snapshot = if left { &world.fewer } else { &world.members };
    plan::members::plan(world.id, mirror, snapshot, &world.settings, now())
}

#[inline(never)]
fn members_first(world: &Workspace) -> usize {
    members(world, &Mirror::default(), false).changes.len()
}

#[inline(never)]
fn members_unchanged(world: &Workspace) -> usize {
    let changes = members(world, &world.mirror, false).changes.len();
    assert_eq!(changes, 0, "nothing has changed");
    changes
}

#[inline(never)]
fn members_tenth_left(world: &Workspace) -> usize {
    let plan = members(world, &world.mirror, true);
    let removed: BTreeSet<_> = plan.changes.iter().filter_map(plan::Change::removal).collect();
    assert!(removed.contains(&plan::Removal::Members), "somebody has left");
    plan.changes.len()
}

#[inline(never)]
fn structure_unchanged(world: &Workspace) -> usize {
    plan::structure::plan(&world.mirror, &world.structure, &world.settings, now()).changes.len()
}

#[inline(never)]
fn grants_lap_unchanged(world: &Workspace) -> usize {
    let read = world.grants.repositories();
    plan::grants::plan(&world.mirror, &world.grants, &read, &world.settings, now()).changes.len()
}

#[inline(never)]
fn coverage(world: &Workspace) -> usize {
    plan::grants::coverages(&world.mirror).len()
}

#[inline(never)]
fn apply_tenth_left(world: &Workspace) -> usize {
    let plan = members(world, &world.mirror, true);
    let mut mirror = world.mirror.clone();
    apply(&plan, &mut mirror);
    mirror.people.len()
}
