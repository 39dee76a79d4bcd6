//! Plans as an admin reads them, one situation after another.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod world;

use core::time::Duration;

use rollcall_domain::RunId;
use rollcall_domain::bitbucket::Permission;
use rollcall_domain::connection::{OffboardOn, Policy, Settings};
use rollcall_domain::member::Role;
use rollcall_domain::mirror::{MemberStanding, Mirror};
use rollcall_domain::plan::confirm::{Answer, Answers, confirm};
use rollcall_domain::plan::guard::{Held, Limits, Recent, Verdict, WINDOW, judge};
use rollcall_domain::plan::{self, Caps, Change, Plan, Readable, undo};
use rollcall_domain::run::{Release, release};
use world::*;

/// Ada owns the workspace; Ben, Cem and Dot develop; Dot and Eva operate. All have signed in.
fn acme() -> (World, Mirror) {
    let mut world = World::default();
    for (n, name) in (1..).zip(["Ada", "Ben", "Cem", "Dot", "Eva"]) {
        world.accounts.insert(n, Account { name: name.to_owned(), owner: n == 1, ..Account::default() });
    }
    let group = |slug, name: &str, members: &[u8]| Group {
        slug,
        name: name.to_owned(),
        members: members.iter().copied().collect(),
    };
    world.groups.insert(1, group(1, "Developers", &[2, 3, 4]));
    world.groups.insert(2, group(2, "Operations", &[4, 5]));
    let granted = |group, level| Granted { groups: [(group, level)].into(), ..Granted::default() };
    world.projects.insert(1, granted(1, Permission::Write));
    let repo = |slug: &str, granted| Repo { slug: slug.to_owned(), project: 1, private: true, granted };
    world.repositories.insert(1, repo("app", Granted::default()));
    world.repositories.insert(2, repo("infra", granted(2, Permission::Admin)));
    let mut mirror = Mirror::default();
    run(&world, &mut mirror, &Settings::default());
    for n in 1..=5 {
        let name = world.accounts[&n].name.clone();
        mirror.members.insert(member_id(n), rollcall_domain::mirror::MirroredMember { name, ..member(n) });
    }
    mirror.members.get_mut(&member_id(1)).unwrap().role = Role::Admin;
    run(&world, &mut mirror, &Settings::default());
    (world, mirror)
}

/// What people read, with ids cut to what tells them apart.
fn text(plan: &Plan, mirror: &Mirror) -> String {
    let mut text = Readable::new(plan, mirror).to_string();
    for n in 0..10 {
        text = text.replace(&account(n).to_string(), &format!("account {n}"));
        text = text.replace(&member_id(n).to_string(), &format!("member {n}"));
    }
    text
}

fn assert_text(plan: &Plan, mirror: &Mirror, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(text(plan, mirror).lines().collect::<Vec<_>>(), expected);
}

fn limits(recent: &Recent) -> Limits<'_> {
    Limits { caps: Caps::default(), removals_off: false, recent, undone: false, now: now() }
}

#[test]
fn the_first_plan_lists_everything_there_is() {
    let (world, _) = acme();
    let mut mirror = Mirror::default();
    let plans = run(&world, &mut mirror, &Settings::default());
    assert_text(
        &plans[0],
        &mirror,
        "
        + person Ada (account 1)
        + person Ben (account 2)
        + person Cem (account 3)
        + person Dot (account 4)
        + person Eva (account 5)
        + team Developers (slug-1)
        + team Operations (slug-2)
        + team member Ben (account 2) in Developers
        + team member Cem (account 3) in Developers
        + team member Dot (account 4) in Developers
        + team member Dot (account 4) in Operations
        + team member Eva (account 5) in Operations
    ",
    );
    assert_text(
        &plans[1],
        &mirror,
        "
        + project Project 1 (P1)
        + repository app
        + repository infra
        + responsibility of Developers for app: write
        + responsibility of Developers for infra: write
    ",
    );
    assert_text(
        &plans[2],
        &mirror,
        "
        ~ repository app: grants
        ~ repository infra: grants
        + responsibility of Operations for infra: admin
    ",
    );
}

#[test]
fn nothing_happened() {
    let (world, mut mirror) = acme();
    for plan in run(&world, &mut mirror, &Settings::default()) {
        assert_text(&plan, &mirror, "");
    }
}

#[test]
fn somebody_left_somebody_was_deactivated_and_somebody_changed_teams() {
    let (mut world, mut mirror) = acme();
    world.play(
        &mut mirror,
        &[Step::Leave(2), Step::Deactivate(3, true), Step::LeaveGroup(1, 4), Step::JoinGroup(1, 5)],
    );
    let plan = members_plan(&world, &mirror, &Settings::default());
    assert_text(
        &plan,
        &mirror,
        "
        - member Ben (member 2): left the Bitbucket workspace
        - member Cem (member 3): deactivated at Bitbucket
        ~ person Cem (account 3): deactivated
        + team member Eva (account 5) in Developers
        - person Ben (account 2)
        - team member Dot (account 4) in Developers
    ",
    );
}

#[test]
fn somebody_who_comes_back_is_let_in_again_as_the_same_member_if_their_teams_give_them_everything() {
    let (mut world, mut mirror) = acme();
    let lost = Settings { offboard_on: OffboardOn::LostAccess, ..Settings::default() };
    world.play(&mut mirror, &[Step::Leave(2), Step::Leave(5)]);
    run(&world, &mut mirror, &lost);
    assert_eq!(mirror.members[&member_id(2)].standing, MemberStanding::Suspended);
    // Developers can write to everything, Operations can not even read the app.
    world.play(&mut mirror, &[Step::Join(2), Step::JoinGroup(1, 2), Step::Join(5), Step::JoinGroup(2, 5)]);
    let plan = members_plan(&world, &mirror, &lost);
    assert_text(
        &plan,
        &mirror,
        "
        + person Person 2 (account 2)
        + person Person 5 (account 5)
        + team member Person 2 (account 2) in Developers
        + team member Person 5 (account 5) in Operations
        + member Ben (member 2): let in again
    ",
    );
    // While the groups cannot be read, nobody knows what access they would come back to.
    let faults = Faults { groups_unreadable: true, ..Faults::default() };
    let plan = plan::members::plan(workspace(), &mirror, &world.members_snapshot(&faults, []), &lost, now());
    assert_text(
        &plan,
        &mirror,
        "
        + person Person 2 (account 2)
        + person Person 5 (account 5)
        = kept teams: the groups could not be read completely; the teams stay as they are
    ",
    );
}

#[test]
fn groups_are_renamed_deleted_and_their_slugs_taken_over() {
    let (mut world, mirror) = acme();
    world.groups.get_mut(&1).unwrap().name = "Engineers".to_owned();
    world.groups.remove(&2);
    world.groups.insert(3, Group { slug: 2, name: "Auditors".to_owned(), members: [3].into() });
    let plan = members_plan(&world, &mirror, &Settings::default());
    assert_text(
        &plan,
        &mirror,
        "
        + team Auditors (slug-2)
        ~ team Developers (slug-1) renamed to Engineers (slug-1)
        + team member Cem (account 3) in Auditors
        - team member Dot (account 4) in Operations
        - team member Eva (account 5) in Operations
        - responsibility of Operations for infra
        - team Operations (slug-2)
    ",
    );
}

#[test]
fn repositories_are_renamed_moved_made_public_and_deleted() {
    let (mut world, mirror) = acme();
    world.projects.insert(2, Granted::default());
    let app = world.repositories.get_mut(&1).unwrap();
    (app.slug, app.project, app.private) = ("application".to_owned(), 2, false);
    world.repositories.remove(&2);
    let plan = plan::structure::plan(&mirror, &world.structure_snapshot(), &Settings::default(), now());
    assert_text(
        &plan,
        &mirror,
        "
        + project Project 2 (P2)
        ~ repository app renamed to application: moved to another project, now public
        - repository infra
        - responsibility of Operations for infra
        - responsibility of Developers for application
        - responsibility of Developers for infra
    ",
    );
}

#[test]
fn a_malformed_member_and_a_malformed_group_stay_as_they_were_and_the_others_proceed() {
    let (mut world, mut mirror) = acme();
    world.play(
        &mut mirror,
        &[Step::Leave(2), Step::RenamePerson(3, 0), Step::LeaveGroup(1, 4), Step::DropGroup(2)],
    );
    let faults = Faults { malformed_accounts: [3].into(), malformed_groups: [1].into(), ..Faults::default() };
    let plan = plan::members::plan(
        workspace(),
        &mirror,
        &world.members_snapshot(&faults, []),
        &Settings::default(),
        now(),
    );
    assert_text(
        &plan,
        &mirror,
        "
        - member Ben (member 2): left the Bitbucket workspace
        - person Ben (account 2)
        - team member Dot (account 4) in Operations
        - team member Eva (account 5) in Operations
        - responsibility of Operations for infra
        - team Operations (slug-2)
        = kept person account 3: Bitbucket's entry could not be understood; kept as it was
        = kept team slug-1: Bitbucket's entry could not be understood; kept as it was
    ",
    );
}

#[test]
fn an_entry_without_an_id_may_be_anybodys_so_nobody_goes() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Leave(2), Step::DropGroup(2)]);
    let faults =
        Faults { unnamed_account: true, unnamed_group: true, owners_unreadable: true, ..Faults::default() };
    let plan = plan::members::plan(
        workspace(),
        &mirror,
        &world.members_snapshot(&faults, []),
        &Settings::default(),
        now(),
    );
    assert_text(
        &plan,
        &mirror,
        "
        - team member Ben (account 2) in Developers
        = kept people: an entry without a readable id came, so nobody's absence is proven; nobody is removed
        = kept owners: the owners could not be read completely; they stay as they are
        = kept teams: a group without a readable slug came, so no team's absence is proven; none is removed
    ",
    );
}

#[test]
fn a_malformed_group_under_a_new_slug_may_be_any_team_so_no_team_goes() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::MoveGroup(2, 5)]);
    let faults = Faults { malformed_groups: [2].into(), ..Faults::default() };
    let plan = plan::members::plan(
        workspace(),
        &mirror,
        &world.members_snapshot(&faults, []),
        &Settings::default(),
        now(),
    );
    assert_text(&plan, &mirror, "
        = kept team slug-5: Bitbucket's entry could not be understood and may be any team's; no team is removed
    ");
}

#[test]
fn what_was_said_of_an_account_in_an_earlier_run_shuts_nobody_out_now() {
    let (mut world, mut mirror) = acme();
    mirror.people.get_mut(&account(3)).unwrap().inactive = true;
    world.play(&mut mirror, &[Step::LeaveGroup(1, 3)]);
    let plan = plan::members::plan(
        workspace(),
        &mirror,
        &world.members_snapshot(&Faults::default(), []),
        &Settings::default(),
        now(),
    );
    assert_text(&plan, &mirror, "- team member Cem (account 3) in Developers");
    // Asked for by name, the account is in use again.
    let asked = world.members_snapshot(&Faults::default(), [3]);
    let plan = plan::members::plan(workspace(), &mirror, &asked, &Settings::default(), now());
    assert_text(
        &plan,
        &mirror,
        "
        ~ person Cem (account 3): in use again
        - team member Cem (account 3) in Developers
    ",
    );
}

#[test]
fn a_leaver_who_is_still_found_by_name_or_cannot_be_asked_for_stays() {
    let (mut world, mirror) = acme();
    world.accounts.remove(&2);
    world.accounts.remove(&3);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let why = "Bitbucket asks for a pause (429)".to_owned();
    let answers = [(account(2), Answer::Present), (account(3), Answer::Unknown { why })].into();
    let confirmed = confirm(plan, &Answers { people: answers, ..Answers::default() });
    assert!(confirmed.evidence.is_empty());
    let text = text(&confirmed.plan, &mirror);
    assert_eq!(
        text.replace("member member", "member"),
        "= kept - member 2: left the Bitbucket workspace: asked for by name, it is still there\n\
         = kept - member 3: left the Bitbucket workspace: Bitbucket asks for a pause (429)\n\
         = kept - person Ben (account 2): asked for by name, it is still there\n\
         = kept - person Cem (account 3): Bitbucket asks for a pause (429)\n"
    );
}

#[test]
fn an_invite_keeps_somebody_in_who_has_left_until_the_invite_ends() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Leave(2), Step::Invite(2, Some(10)), Step::Invite(7, Some(10))]);
    let at = |seconds: i64| rollcall_domain::Timestamp::from_seconds(now().as_seconds() + seconds);
    let snapshot = world.members_snapshot(&Faults::default(), []);
    let plan = |now| plan::members::plan(workspace(), &mirror, &snapshot, &Settings::default(), now);
    assert_text(&plan(at(9)), &mirror, "- person Ben (account 2)");
    assert_text(
        &plan(at(10)),
        &mirror,
        "
        - member Ben (member 2): left the Bitbucket workspace
        - member Person 7 (member 7): the invited membership has ended
        - person Ben (account 2)
    ",
    );
}

#[test]
fn lost_access_shuts_out_only_for_a_repository_that_was_just_read() {
    let (mut world, mut mirror) = acme();
    let settings = Settings { offboard_on: OffboardOn::LostAccess, ..Settings::default() };
    let caps = |policy| Settings { policy, ..settings.clone() };
    // Eva operates: she never had the app. Dot is in both groups.
    let plan = plan::structure::plan(&mirror, &world.structure_snapshot(), &settings, now());
    assert_text(&plan, &mirror, "- member Eva (member 5): lost the access that the policy asks for");
    let mut stale = world.structure_snapshot();
    stale.grants.clear();
    assert_text(&plan::structure::plan(&mirror, &stale, &settings, now()), &mirror, "");
    let any =
        plan::structure::plan(&mirror, &world.structure_snapshot(), &caps(Policy::AnyRepository), now());
    assert_text(&any, &mirror, "");
    let member =
        plan::structure::plan(&mirror, &world.structure_snapshot(), &caps(Policy::WorkspaceMember), now());
    assert_text(&member, &mirror, "");
    // A grant on the project to a group that no team is known for yet: nothing is known of the project any more than before.
    world.groups.insert(3, Group { slug: 3, name: "New".to_owned(), members: [5].into() });
    world.play(&mut mirror, &[Step::GrantProject(1, 3, true, Some(Permission::Read))]);
    let plan = plan::structure::plan(&mirror, &world.structure_snapshot(), &Settings::default(), now());
    assert_text(&plan, &mirror, "
        = kept project P1: it grants something to group slug-3, which no team is known for yet; its grants stay as they are
    ");
}

#[test]
fn an_emptied_answer_is_held_back_and_an_approval_releases_exactly_what_was_shown() {
    let (mut world, mirror) = acme();
    let recent = Recent::default();
    world.groups.clear();
    let plan = members_plan(&world, &mirror, &Settings::default());
    let Verdict::Hold(why) = judge(&mirror, &plan, &limits(&recent)) else { panic!("not held") };
    let why: Vec<String> = why.iter().map(ToString::to_string).collect();
    assert_eq!(why, ["all 2 teams would be removed"]);

    world.accounts.retain(|n, _| *n == 5);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let verdict = judge(&mirror, &plan, &limits(&recent));
    let Verdict::Hold(why) = verdict.clone() else { panic!("not held") };
    let why: Vec<String> = why.iter().map(ToString::to_string).collect();
    assert_eq!(
        why,
        [
            "4 of 5 members would be removed, and at most 3 may go without approval".to_owned(),
            "4 of 5 people would be removed, and at most 3 may go without approval".to_owned(),
            "all 2 teams would be removed".to_owned(),
            format!("{} is the last admin who is let in", member_id(1)),
        ]
    );
    let (_, removals) = plan.part_removals();
    assert_eq!(release(verdict.clone(), &removals, Some(&removals.hash())), Release::Approved);

    // One more leaves after the plan was shown: the approval was not for that.
    world.accounts.clear();
    world.accounts.insert(6, Account::default());
    let (_, changed) = members_plan(&world, &mirror, &Settings::default()).part_removals();
    let now_asked = release(verdict, &changed, Some(&removals.hash()));
    assert!(matches!(now_asked, Release::Hold { approval_void: true, .. }));
    let off = release(Verdict::Hold(vec![Held::TurnedOff]), &removals, Some(&removals.hash()));
    assert!(matches!(off, Release::Hold { .. }), "the switch is not overridden");
}

#[test]
fn many_invited_members_make_no_room_for_the_removal_of_the_others() {
    let (mut world, mut mirror) = acme();
    for n in 20..60 {
        world.play(&mut mirror, &[Step::Invite(n, None)]);
    }
    for n in 2..=5 {
        world.accounts.remove(&n);
    }
    world.accounts.extend((6..40).map(|n| (n, Account::default())));
    let mut before = mirror.clone();
    run(&world, &mut before, &Settings { ignored: (2..=5).map(account).collect(), ..Settings::default() });
    let plan = members_plan(&world, &before, &Settings::default());
    let Verdict::Hold(why) = judge(&before, &plan, &limits(&Recent::default())) else { panic!("not held") };
    assert!(why[0].to_string().starts_with("4 of 5 members"), "{why:?}");
}

#[test]
fn a_quarter_may_go_in_a_day_however_many_runs_it_takes() {
    let (mut world, mut mirror) = acme();
    let mut recent = Recent::default();
    for n in 2..=4 {
        world.accounts.remove(&n);
        let plan = members_plan(&world, &mirror, &Settings::default());
        assert_eq!(judge(&mirror, &plan, &limits(&recent)), Verdict::Free);
        plan.changes.iter().for_each(|change| change.apply(&mut mirror));
        recent.note(&plan.changes, now());
    }
    world.accounts.insert(6, Account::default());
    world.accounts.remove(&5);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let Verdict::Hold(why) = judge(&mirror, &plan, &limits(&recent)) else { panic!("not held") };
    assert_eq!(
        why[0].to_string(),
        "1 of 2 members would be removed after 3 within the last day, and at most 3 may go in a day without approval"
    );
    let tomorrow = Limits { now: now().plus(WINDOW), ..limits(&recent) };
    assert_eq!(judge(&mirror, &plan, &tomorrow), Verdict::Free);
    let almost = Limits { now: now().plus(WINDOW).minus(Duration::from_millis(1)), ..limits(&recent) };
    assert_ne!(judge(&mirror, &plan, &almost), Verdict::Free);
}

#[test]
fn an_admin_whose_invite_has_ended_is_no_admin_to_count_on() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Invite(7, Some(-1)), Step::Leave(1)]);
    mirror.members.get_mut(&member_id(7)).unwrap().role = Role::Admin;
    let plan = members_plan(&world, &mirror, &Settings::default());
    let held = judge(&mirror, &plan, &limits(&Recent::default()));
    assert_eq!(held, Verdict::Hold(vec![Held::LastAdmin { member: member_id(1) }]));
    mirror.members.get_mut(&member_id(2)).unwrap().role = Role::Admin;
    assert_eq!(judge(&mirror, &plan, &limits(&Recent::default())), Verdict::Free);
}

#[test]
fn removals_turned_off_or_after_an_undo_hold_everything_back_and_additions_go_on() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Leave(2), Step::Join(6)]);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let recent = Recent::default();
    for (limits, why) in [
        (Limits { removals_off: true, ..limits(&recent) }, Held::TurnedOff),
        (Limits { undone: true, ..limits(&recent) }, Held::Undone),
    ] {
        assert_eq!(judge(&mirror, &plan, &limits), Verdict::Hold(vec![why]));
    }
    let (rest, removals) = plan.part_removals();
    assert_text(&rest, &mirror, "+ person Person 6 (account 6)");
    assert_text(
        &removals,
        &mirror,
        "
        - member Ben (member 2): left the Bitbucket workspace
        - person Ben (account 2)
    ",
    );
}

#[test]
fn undo_brings_back_what_a_run_removed_except_what_has_changed_since() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Leave(2), Step::Leave(3), Step::Leave(5), Step::DropGroup(2)]);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let run = RunId::new(now(), [7; 10]);
    plan.changes.iter().for_each(|change| change.apply(&mut mirror));
    for n in [2, 3, 5] {
        mirror.members.get_mut(&member_id(n)).unwrap().suspended_by = Some(run);
    }
    // Since then, an admin has disabled Cem, and a later run has shut out Eva for something else.
    mirror.members.get_mut(&member_id(3)).unwrap().standing = MemberStanding::Disabled;
    mirror.members.get_mut(&member_id(5)).unwrap().suspended_by = Some(RunId::new(now(), [8; 10]));
    let undone = undo::plan(&mirror, run, &plan);
    let text = text(&undone, &mirror).replace("member member", "member");
    assert_eq!(
        text,
        "+ team Operations (slug-2)\n\
         + person Ben (account 2)\n\
         + person Cem (account 3)\n\
         + person Eva (account 5)\n\
         + team member Dot (account 4) in Operations\n\
         + responsibility of Operations for infra: admin\n\
         + member Ben (member 2): let in again\n\
         = kept - member 3: left the Bitbucket workspace: an admin has disabled the member since the run\n\
         = kept - member 5: left the Bitbucket workspace: it has been changed since the run\n"
    );
    assert!(undone.changes.iter().all(|change| change.removal().is_none()), "an undo removes nothing");
}

#[test]
fn a_name_from_outside_cannot_break_out_of_its_line_or_turn_it_round() {
    let (mut world, mirror) = acme();
    world.accounts.get_mut(&2).unwrap().name = "Ben\n- member everybody\u{202e}\u{1b}[31m".to_owned();
    let plan = members_plan(&world, &mirror, &Settings::default());
    assert_text(
        &plan,
        &mirror,
        "~ person Ben\u{fffd}- member everybody\u{fffd}\u{fffd}[31m (account 2): renamed",
    );
}

#[test]
fn the_hash_is_of_what_is_done_and_not_of_what_was_kept() {
    let (mut world, mut mirror) = acme();
    world.play(&mut mirror, &[Step::Leave(2)]);
    let plan = members_plan(&world, &mirror, &Settings::default());
    let mut noted = plan.clone();
    noted.kept.push(plan::Kept::new("a", "b"));
    assert_eq!(plan.hash(), noted.hash());
    let mut other = plan.clone();
    other.changes.push(Change::RestoreMember { member: member_id(2), account: None });
    assert_ne!(plan.hash(), other.hash());
    assert_eq!(plan.hash().as_str().len(), 64);
    assert_ne!(Plan::empty(plan::Lane::Members).hash(), Plan::empty(plan::Lane::Grants).hash());
}
