//! What must hold of plans for any workspace, whatever happens in it and however much of it can be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::too_many_lines, reason = "helpers of tests")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rollcall_domain::RunId;
use rollcall_domain::connection::{OffboardOn, Policy, Settings};
use rollcall_domain::mirror::{MemberStanding, Mirror, Read};
use rollcall_domain::plan::confirm::{Answers, confirm};
use rollcall_domain::plan::guard::{Limits, Recent, Verdict, judge};
use rollcall_domain::plan::{self, Caps, Change, Plan, Removal, undo};
use world::*;

fn settings() -> impl Strategy<Value = Settings> {
    let policy = prop_oneof![
        Just(Policy::AllRepositories),
        Just(Policy::AnyRepository),
        Just(Policy::WorkspaceMember)
    ];
    let offboard_on = prop_oneof![Just(OffboardOn::LeftWorkspace), Just(OffboardOn::LostAccess)];
    (policy, offboard_on, prop::collection::btree_set(0_u8..9, 0..2)).prop_map(
        |(policy, offboard_on, ignored)| Settings {
            policy,
            offboard_on,
            ignored: ignored.into_iter().map(account).collect(),
            ..Settings::default()
        },
    )
}

fn faults() -> impl Strategy<Value = Faults> {
    let some = |most| prop::collection::btree_set(0_u8..9, 0..most);
    let flag = || prop::bool::weighted(0.25);
    (flag(), flag(), some(3), some(3), flag(), flag(), some(4), some(3)).prop_map(
        |(
            owners_unreadable,
            groups_unreadable,
            malformed_accounts,
            malformed_groups,
            unnamed_account,
            unnamed_group,
            omitted_accounts,
            contradicted,
        )| Faults {
            owners_unreadable,
            groups_unreadable,
            malformed_accounts,
            malformed_groups,
            unnamed_account,
            unnamed_group,
            omitted_accounts,
            contradicted,
        },
    )
}

fn apply(plan: &Plan, mirror: &mut Mirror) {
    plan.changes.iter().for_each(|change| change.apply(mirror));
}

/// A mirror of an earlier state of the workspace, and the workspace as it is now.
fn earlier_and_now(before: &[Step], since: &[Step], settings: &Settings) -> (Mirror, World) {
    let (mut world, mut mirror) = (World::default(), Mirror::default());
    world.play(&mut mirror, before);
    run(&world, &mut mirror, settings);
    world.play(&mut mirror, since);
    (mirror, world)
}

/// The three lanes' plans against a mirror, each after the one before was applied.
fn lanes(world: &World, mirror: &Mirror, settings: &Settings) -> Vec<(Mirror, Plan)> {
    let mut now = mirror.clone();
    let mut befores = vec![mirror.clone()];
    let plans = run(world, &mut now, settings);
    for plan in &plans {
        let mut next = befores.last().unwrap().clone();
        apply(plan, &mut next);
        befores.push(next);
    }
    befores.into_iter().zip(plans).collect()
}

/// The mirror against the world, asked the long way round.
fn check_equals(world: &World, mirror: &Mirror, settings: &Settings) -> Result<(), TestCaseError> {
    let ignored = |n: &u8| settings.ignored.contains(&account(*n));
    let people: BTreeMap<_, _> = mirror
        .people
        .values()
        .filter(|person| !person.left)
        .filter(|person| {
            !settings.ignored.contains(&person.uuid)
                || world.accounts.keys().any(|n| account(*n) == person.uuid)
        })
        .map(|person| (person.uuid, (person.display_name.clone(), person.owner, person.inactive)))
        .collect();
    let expected: BTreeMap<_, _> = world
        .accounts
        .iter()
        .filter(|(_, found)| !found.bot)
        .map(|(n, found)| (account(*n), (found.name.clone(), found.owner, found.deactivated)))
        .collect();
    prop_assert_eq!(people, expected, "people");

    let team_of: BTreeMap<_, _> =
        mirror.teams.values().filter(|team| !team.removed).map(|team| (team.slug.clone(), team.id)).collect();
    let teams: BTreeMap<_, _> = mirror
        .teams
        .values()
        .filter(|team| !team.removed)
        .map(|team| {
            let people =
                mirror.people.values().filter(|person| !person.left && person.teams.contains(&team.id));
            let people = people.filter(|person| world.accounts.keys().any(|n| account(*n) == person.uuid));
            (
                team.slug.clone(),
                (team.name.clone(), people.map(|person| person.uuid).collect::<BTreeSet<_>>()),
            )
        })
        .collect();
    let expected: BTreeMap<_, _> = world
        .groups
        .values()
        .map(|group| {
            let people =
                group.members.iter().filter(|n| world.accounts.get(n).is_some_and(|found| !found.bot));
            (slug(group.slug), (group.name.clone(), people.map(|n| account(*n)).collect::<BTreeSet<_>>()))
        })
        .collect();
    prop_assert_eq!(teams, expected, "teams");
    prop_assert_eq!(team_of.len(), mirror.teams.values().filter(|team| !team.removed).count());

    let repositories: BTreeMap<_, _> = mirror
        .repositories
        .values()
        .filter(|repo| !repo.removed)
        .map(|repo| (repo.uuid, (repo.slug.to_string(), repo.project, repo.private)))
        .collect();
    let expected: BTreeMap<_, _> = world
        .repositories
        .iter()
        .map(|(n, repo)| (repository(*n), (repo.slug.clone(), project(repo.project), repo.private)))
        .collect();
    prop_assert_eq!(repositories, expected, "repositories");
    let projects: BTreeSet<_> = mirror.projects.values().filter(|p| !p.removed).map(|p| p.uuid).collect();
    prop_assert_eq!(projects, world.projects.keys().map(|n| project(*n)).collect(), "projects");

    let mut expected = BTreeMap::new();
    for (n, repo) in &world.repositories {
        let project = world.projects.get(&repo.project);
        for (group, level) in
            repo.granted.groups.iter().chain(project.iter().flat_map(|granted| &granted.groups))
        {
            let team = team_of[&slug(world.groups[group].slug)];
            let had = expected.entry((team, repository(*n))).or_insert(*level);
            *had = (*had).max(*level);
        }
    }
    prop_assert_eq!(&mirror.responsibilities, &expected, "responsibilities");

    let coverages = plan::grants::coverages(mirror);
    for (n, found) in world.accounts.iter().filter(|(n, found)| !found.bot && !ignored(n)) {
        let Some(coverage) = coverages.get(&member_id(*n)) else { continue };
        let standing = mirror.members[&member_id(*n)].standing;
        let private: Vec<_> = world.repositories.iter().filter(|(_, repo)| repo.private).collect();
        let missing: BTreeSet<_> = private
            .iter()
            .filter(|(_, repo)| !world.can_read(*n, repo))
            .map(|(r, _)| repository(**r))
            .collect();
        prop_assert_eq!(coverage.of, private.len());
        if standing != MemberStanding::Disabled {
            let named: BTreeSet<_> = coverage.examples.iter().copied().collect();
            prop_assert_eq!(&named, &missing, "what {} misses; owner {}", n, found.owner);
            prop_assert_eq!((coverage.missing, coverage.unread), (missing.len(), 0));
            let verified = plan::grants::verified_set(mirror).contains(&account(*n));
            prop_assert_eq!(verified, !private.is_empty() && missing.is_empty() && !found.deactivated);
        }
    }
    for (n, member) in (0..9).filter_map(|n| Some((n, mirror.members.get(&member_id(n))?))) {
        let is_here = world.is_in_use(n);
        if member.standing == MemberStanding::Active && member.by_bitbucket && !member.has_valid_invite(now())
        {
            prop_assert!(is_here || ignored(&n), "{} should have been suspended", n);
        }
        if settings.policy == Policy::WorkspaceMember && member.by_bitbucket && is_here && !ignored(&n) {
            prop_assert!(member.standing != MemberStanding::Suspended, "{} should be back", n);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn after_a_full_run_the_mirror_equals_the_world_and_a_further_run_changes_nothing(
        before in steps(0..60), since in steps(0..40), settings in settings(),
    ) {
        let (mut mirror, world) = earlier_and_now(&before, &since, &settings);
        run(&world, &mut mirror, &settings);
        check_equals(&world, &mirror, &settings)?;
        // Whoever was shut out and has been granted access again comes back as soon as the members lane knows of the grant.
        for change in run(&world, &mut mirror, &settings).iter().flat_map(|plan| &plan.changes) {
            prop_assert!(matches!(change, Change::RestoreMember { .. }), "{change}");
        }
        for plan in run(&world, &mut mirror, &settings) {
            prop_assert!(plan.is_empty(), "{plan}");
        }
    }

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_plan(before in steps(0..60), since in steps(0..40), settings in settings()) {
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let mut after = mirror.clone();
        apply(&members_plan(&world, &mirror, &settings), &mut after);
        let again = members_plan(&world, &after, &settings);
        prop_assert!(again.is_empty(), "{again}");
        let snapshot = world.structure_snapshot();
        apply(&plan::structure::plan(&after.clone(), &snapshot, &settings, now()), &mut after);
        let again = plan::structure::plan(&after, &snapshot, &settings, now());
        prop_assert!(again.is_empty(), "{again}");
        let snapshot = world.grants_snapshot(&plan::grants::to_read(&after, false));
        apply(&plan::grants::plan(&after.clone(), &snapshot, &snapshot.repositories(), &settings, now()), &mut after);
        let again = plan::grants::plan(&after, &snapshot, &snapshot.repositories(), &settings, now());
        prop_assert!(again.is_empty(), "{again}");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_in_whatever_order_it_was_listed(
        before in steps(0..60), since in steps(0..40), settings in settings(), seed: u64,
    ) {
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let shuffle = |n: usize| { let mut order: Vec<usize> = (0..n).collect(); order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17)); order };
        let mut snapshot = world.members_snapshot(&Faults::default(), []);
        let one = plan::members::plan(workspace(), &mirror, &snapshot, &settings, now());
        snapshot.people = Read::whole(complete(shuffle(snapshot.people.seen.len()).iter().map(|at| snapshot.people.seen.entries()[*at].clone()).collect()));
        let groups = snapshot.groups.take().unwrap();
        snapshot.groups = Some(Read::whole(complete(shuffle(groups.seen.len()).iter().map(|at| groups.seen.entries()[*at].clone()).collect())));
        let other = plan::members::plan(workspace(), &mirror, &snapshot, &settings, now());
        prop_assert_eq!(serde_json::to_vec(&one).unwrap(), serde_json::to_vec(&other).unwrap());
        prop_assert_eq!(one.hash(), other.hash());

        let mut snapshot = world.structure_snapshot();
        let one = plan::structure::plan(&mirror, &snapshot, &settings, now());
        snapshot.repositories = Read::whole(complete(shuffle(snapshot.repositories.seen.len()).iter().map(|at| snapshot.repositories.seen.entries()[*at].clone()).collect()));
        snapshot.projects = Read::whole(complete(shuffle(snapshot.projects.seen.len()).iter().map(|at| snapshot.projects.seen.entries()[*at].clone()).collect()));
        let other = plan::structure::plan(&mirror, &snapshot, &settings, now());
        prop_assert_eq!(serde_json::to_vec(&one).unwrap(), serde_json::to_vec(&other).unwrap());
        let back: Plan = serde_json::from_slice(&serde_json::to_vec(&one).unwrap()).unwrap();
        prop_assert_eq!(back, one, "a plan is kept with its run and read again");
    }

    #[test]
    fn a_run_interrupted_anywhere_and_repeated_ends_as_one_clean_run(
        before in steps(0..60), since in steps(0..40), settings in settings(), cut: prop::sample::Index,
    ) {
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let mut clean = mirror.clone();
        let plans = run(&world, &mut clean, &settings);
        let changes: Vec<&Change> = plans.iter().flat_map(|plan| &plan.changes).collect();
        let mut interrupted = mirror;
        changes.iter().take(cut.index(changes.len() + 1)).for_each(|change| change.apply(&mut interrupted));
        run(&world, &mut interrupted, &settings);
        prop_assert_eq!(interrupted, clean);
    }

    #[test]
    fn nobody_who_is_in_the_world_and_in_use_is_suspended_whatever_could_not_be_read(
        before in steps(0..60), since in steps(0..40), settings in settings(), faults in faults(),
    ) {
        let settings = Settings { offboard_on: OffboardOn::LeftWorkspace, ..settings };
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let snapshot = world.members_snapshot(&faults, []);
        let plan = plan::members::plan(workspace(), &mirror, &snapshot, &settings, now());
        let confirmed = confirm(plan.clone(), &world.answers(&plan));
        for change in &confirmed.plan.changes {
            let shut_out = match change {
                Change::SuspendMember { account, .. } => *account,
                Change::RemovePerson { person } => Some(person.uuid),
                _ => None,
            };
            let still_here = (0_u8..9).find(|n| Some(account(*n)) == shut_out).filter(|n| world.is_in_use(*n));
            let by_clock = matches!(change, Change::SuspendMember { member, .. } if !mirror.members[member].by_bitbucket);
            prop_assert!(still_here.is_none() || by_clock, "{change}");
        }
        // Where what was read is true as far as it goes, the plan alone is safe too.
        if faults.omitted_accounts.is_empty() && faults.contradicted.is_empty() {
            let plain = confirm(plan.clone(), &world.answers(&plan));
            prop_assert_eq!(&plain.plan.changes, &plan.changes);
        }
        // Who cannot be asked for by name stays.
        let unasked = confirm(plan.clone(), &Answers::default());
        let gone = |change: &Change| matches!(change.removal(), Some(Removal::Members | Removal::People));
        prop_assert!(!unasked.plan.changes.iter().any(gone));
        prop_assert_eq!(plan.changes.len() - unasked.plan.changes.len(), unasked.plan.kept.len() - plan.kept.len());
    }

    #[test]
    fn the_invited_the_disabled_the_ignored_and_bots_are_never_touched(
        before in steps(0..60), since in steps(0..40), settings in settings(), faults in faults(),
    ) {
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let snapshot = world.members_snapshot(&faults, []);
        let mut plans = vec![plan::members::plan(workspace(), &mirror, &snapshot, &settings, now())];
        plans.extend(lanes(&world, &mirror, &settings).into_iter().map(|(_, plan)| plan));
        for change in plans.iter().flat_map(|plan| &plan.changes) {
            let (Change::SuspendMember { member, .. } | Change::RestoreMember { member, .. }) = change else { continue };
            let member = &mirror.members[member];
            let account = member.account.unwrap();
            prop_assert!(member.standing != MemberStanding::Disabled, "{change}");
            prop_assert!(!settings.ignored.contains(&account), "{change}");
            prop_assert!(!matches!(change, Change::SuspendMember { .. }) || !member.has_valid_invite(now()), "{change}");
            let bot = world.accounts.iter().find(|(n, _)| crate::account(**n) == account).is_some_and(|(_, found)| found.bot);
            let by_clock = !member.by_bitbucket;
            prop_assert!(!bot || by_clock, "{change}");
        }
    }

    #[test]
    fn two_groups_never_share_a_team_and_a_group_that_changes_one_thing_at_a_time_keeps_its_team(
        before in steps(5..60), since in steps(1..40),
    ) {
        let settings = Settings::default();
        let (mut world, mut mirror) = (World::default(), Mirror::default());
        world.play(&mut mirror, &before);
        run(&world, &mut mirror, &settings);
        let team_of = |world: &World, mirror: &Mirror| -> BTreeMap<u8, rollcall_domain::TeamId> {
            let of_slug: BTreeMap<_, _> = mirror.teams.values().filter(|t| !t.removed).map(|t| (t.slug.clone(), t.id)).collect();
            world.groups.iter().map(|(n, group)| (*n, of_slug[&slug(group.slug)])).collect()
        };
        let mut were = team_of(&world, &mirror);
        for step in since {
            let same = world.groups.clone();
            world.play(&mut mirror, std::slice::from_ref(&step));
            run(&world, &mut mirror, &settings);
            let are = team_of(&world, &mirror);
            prop_assert_eq!(are.values().collect::<BTreeSet<_>>().len(), are.len(), "no two groups are one team");
            for (group, team) in &are {
                let Some(was) = were.get(group).filter(|_| same.contains_key(group)) else { continue };
                let (one, other) = (&same[group], &world.groups[group]);
                let people = |group: &Group| group.members.iter().filter(|n| world.accounts.get(n).is_some_and(|a| !a.bot)).count();
                let empty = people(one) == 0 && people(other) == 0;
                // A group that nobody is in and that has another name under another slug is not told from another by anything.
                let alone = are.len() == were.len() || one.name == other.name && one.slug == other.slug;
                if one.slug == other.slug || (one.name == other.name && alone && !empty && same.values().filter(|g| g.name == one.name).count() == 1) {
                    prop_assert_eq!(team, was, "{:?}: {:?} became {:?}", step, one, other);
                }
            }
            were = are;
        }
    }

    #[test]
    fn the_guard_lets_at_most_a_quarter_go_in_a_day_never_all_and_never_the_last_admin(
        before in steps(10..80), changes in prop::collection::vec(steps(0..15), 1..6), settings in settings(),
        admin in 0_u8..9, least in 0_usize..4, percent in 0_usize..50,
    ) {
        let caps = Caps { least, percent };
        let (mut mirror, mut world) = earlier_and_now(&before, &[], &settings);
        if let Some(member) = mirror.members.get_mut(&member_id(admin)) { member.role = rollcall_domain::member::Role::Admin; }
        let is_admin = |mirror: &Mirror| mirror.members.values().any(|m| m.role == rollcall_domain::member::Role::Admin
            && m.standing == MemberStanding::Active && (m.by_bitbucket || m.has_valid_invite(now())));
        let mut recent = Recent::default();
        let mut removed: BTreeMap<Removal, usize> = BTreeMap::new();
        for since in changes {
            world.play(&mut mirror, &since);
            let had_admin = is_admin(&mirror);
            let plan = members_plan(&world, &mirror, &settings);
            let limits = Limits { caps, removals_off: false, recent: &recent, undone: false, now: now() };
            let (rest, removals) = match judge(&mirror, &plan, &limits) {
                Verdict::Free => (plan.clone(), Some(plan.clone())),
                Verdict::Hold(why) => { prop_assert!(!why.is_empty()); (plan.clone().part_removals().0, None) }
            };
            let people_before = mirror.people.values().filter(|person| !person.left).count();
            apply(&rest, &mut mirror);
            if let Some(plan) = removals {
                recent.note(&plan.changes, now());
                for change in plan.changes.iter().filter(|change| change.counts()) {
                    if let Some(kind) = change.removal() { *removed.entry(kind).or_default() += 1; }
                }
                let gone = plan.changes.iter().filter(|c| c.removal() == Some(Removal::People)).count();
                prop_assert!(gone == 0 || gone < people_before, "never all");
            }
            prop_assert!(!had_admin || is_admin(&mirror) , "never the last admin: {plan}");
            let people = mirror.people.values().filter(|person| !person.left).count();
            let gone = removed.get(&Removal::People).copied().unwrap_or(0);
            prop_assert!(gone <= caps.allowed(people_before + gone).max(caps.allowed(people + gone)), "{gone} of {people_before}");
        }
    }

    #[test]
    fn removals_that_are_held_back_block_nothing_else_and_wait_under_one_hash(
        before in steps(0..60), since in steps(0..40), settings in settings(),
    ) {
        let (mut mirror, world) = earlier_and_now(&before, &since, &settings);
        let plan = members_plan(&world, &mirror, &settings);
        let (rest, held) = plan.part_removals();
        apply(&rest, &mut mirror);
        let (nothing, still) = members_plan(&world, &mirror, &settings).part_removals();
        prop_assert!(nothing.is_empty(), "{nothing}");
        prop_assert_eq!(still.hash(), held.hash());
        apply(&held, &mut mirror);
        let done = members_plan(&world, &mirror, &settings);
        prop_assert!(done.is_empty(), "{done}");

        let snapshot = world.structure_snapshot();
        let (rest, held) = plan::structure::plan(&mirror, &snapshot, &settings, now()).part_removals();
        apply(&rest, &mut mirror);
        let (nothing, still) = plan::structure::plan(&mirror, &snapshot, &settings, now()).part_removals();
        prop_assert!(nothing.is_empty(), "{nothing}");
        prop_assert_eq!(still.hash(), held.hash());
    }

    #[test]
    fn undoing_a_run_brings_back_exactly_what_it_removed(before in steps(0..60), since in steps(0..40), settings in settings()) {
        let (mirror, world) = earlier_and_now(&before, &since, &settings);
        let id = RunId::new(now(), [1; 10]);
        for (before, plan) in lanes(&world, &mirror, &settings) {
            let mut only_added = before.clone();
            apply(&plan.clone().part_removals().0, &mut only_added);
            let mut done = before;
            apply(&plan, &mut done);
            for change in &plan.changes {
                if let Change::SuspendMember { member, reason, .. } = change {
                    if matches!(reason, rollcall_domain::member::SuspensionReason::InviteEnded) { continue; }
                    done.members.get_mut(member).unwrap().suspended_by = Some(id);
                }
            }
            let back = undo::plan(&done, id, &plan);
            prop_assert!(back.kept.is_empty(), "{back}");
            apply(&back, &mut done);
            prop_assert_eq!(&done, &only_added);
            // Undone once, there is nothing to undo: what is there again counts as changed since.
            prop_assert!(undo::plan(&done, id, &plan).changes.is_empty());
        }
    }
}
