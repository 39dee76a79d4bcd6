//! The first run, and those after which nothing has changed.

use rollcall_domain::connection::Health;
use rollcall_domain::mirror::{Person, Team};
use rollcall_store::runs::RunStatus;
use standin_bitbucket::{Level, On, To};

use crate::rig::{DAY, Rig, acme, changes};

#[tokio::test]
async fn the_first_tick_mirrors_everything() {
    let rig = Rig::empty(acme()).await;
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Applied, "{}", record.message);
    assert_eq!(
        changes(&record),
        [
            "+ person 5",
            "+ project 2",
            "+ repository 5",
            "+ responsibility 7",
            "+ team 3",
            "+ team member 7",
            "~ repository 5",
        ]
        .map(|line| line.to_owned()),
    );
    let mirror = rig.mirror().await;
    let names: Vec<&Person> = mirror.people.values().collect();
    assert_eq!(names.iter().filter(|person| person.owner).count(), 1);
    let responsible: Vec<(String, String, String)> = mirror
        .responsibilities
        .iter()
        .map(|((team, repository), level)| {
            (
                mirror.teams[team].name.clone(),
                mirror.repositories[repository].slug.to_string(),
                level.to_string(),
            )
        })
        .collect();
    for expected in [
        ("Developers", "engine", "write"),
        ("Developers", "terraform", "read"),
        ("Operations", "terraform", "admin"),
        ("Readers", "engine", "read"),
    ] {
        let expected = (expected.0.to_owned(), expected.1.to_owned(), expected.2.to_owned());
        assert!(responsible.contains(&expected), "{expected:?} is not in {responsible:?}");
    }
    assert_eq!(rig.connection().await.health, Health::Healthy);
    assert_eq!(
        record.calls,
        rig.bitbucket
            .requests()
            .iter()
            .filter(|request| request.path.starts_with("/2.0") || request.path.starts_with("/1.0"))
            .count() as u64
    );
}

#[tokio::test]
async fn a_run_that_changes_nothing_writes_its_record_and_nothing_else() {
    let rig = Rig::new(acme()).await;
    rig.sign_in("grace").await;
    rig.run().await;
    rig.run().await;
    for pause in [crate::rig::TICK, DAY] {
        rig.advance(pause);
        let before = rig.rows().await;
        let record = rig.run().await;
        assert_eq!((record.status, record.written), (RunStatus::Applied, 0), "{}", record.message);
        let after = rig.rows().await;
        let written: Vec<&(String, String)> =
            after.iter().filter(|(key, row)| before.get(*key) != Some(row)).map(|(key, _)| key).collect();
        // The lease, the call budget and what one run leaves for the next are kept in place.
        let new: Vec<_> = written.iter().filter(|key| !before.contains_key(**key)).collect();
        assert_eq!(new.len(), 1, "{written:?}");
        assert!(new[0].0.ends_with("#runs"), "{written:?}");
        let in_place: Vec<&str> = written
            .iter()
            .filter(|key| before.contains_key(**key))
            .map(|key| if key.0.starts_with("budget#") { "budget" } else { key.1.as_str() })
            .collect();
        assert!(in_place.iter().all(|name| ["budget", "lease", "state"].contains(name)), "{in_place:?}");
    }
}

#[tokio::test]
async fn a_members_run_takes_four_calls_and_one_for_each_hundred_members() {
    let rig = Rig::new(acme()).await;
    rig.run().await;
    rig.bitbucket.forget_requests();
    let record = rig.run().await;
    assert_eq!(record.lanes.len(), 1);
    assert_eq!(record.calls, 4);
    assert_eq!(rig.bitbucket.count("/2.0/workspaces/{workspace}/members"), 1);
}

#[tokio::test]
async fn teams_and_repositories_are_followed_through_what_happens_to_them() {
    let rig = Rig::new(acme()).await;
    rig.sign_in("grace").await;
    rig.run().await;
    let before = rig.mirror().await;
    let team = |name: &str| -> Team { before.teams.values().find(|team| team.name == name).unwrap().clone() };
    rig.bitbucket
        .change(|world| {
            world.rename_group("developers", "Engineers", Some("engineers"))?;
            world.delete_group("readers")?;
            world.rename_repository("engine", "motor")?;
            world.move_repository("wheels", "INFRA")?;
            world.delete_repository("doors")?;
            world.rename_workspace("acme-inc")?;
            world.grant(On::Project("INFRA"), To::Group("operations"), Level::Read)
        })
        .unwrap();
    rig.advance(DAY);
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Applied, "{}", record.message);
    let after = rig.mirror().await;
    let engineers = &after.teams[&team("Developers").id];
    assert_eq!((engineers.name.as_str(), engineers.slug.as_str()), ("Engineers", "engineers"));
    assert!(after.teams[&team("Readers").id].removed);
    assert_eq!(after.teams.len(), 3, "no team was made anew");
    let slugs: Vec<String> =
        after.repositories.values().filter(|repo| !repo.removed).map(|repo| repo.slug.to_string()).collect();
    assert!(slugs.contains(&"motor".to_owned()) && !slugs.contains(&"doors".to_owned()), "{slugs:?}");
    let wheels = after.repositories.values().find(|repo| repo.slug.as_str() == "wheels").unwrap();
    assert_eq!(after.projects[&wheels.project].key.as_str(), "INFRA");
    assert_eq!(rig.connection().await.slug.as_str(), "acme-inc");
    rig.advance(DAY);
    assert_eq!(rig.run().await.written, 0, "a further run finds nothing to do");
}
