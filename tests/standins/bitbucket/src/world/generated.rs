//! Worlds of any size, the same for the same numbers.

use super::access::Level;
use super::people::Person;
use super::workspace::{On, Role, To};
use super::{Consumer, SYNC_KEY, SYNC_SECRET, World};

const GIVEN: [&str; 16] = [
    "Ana", "Bruno", "Chiara", "Deniz", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luca",
    "Mina", "Noor", "Oscar", "Priya",
];
const FAMILY: [&str; 16] = [
    "Abreu", "Bianchi", "Costa", "Demir", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jensen", "Kaya",
    "Lopez", "Moreau", "Nowak", "Okafor", "Patel",
];

impl World {
    /// A workspace `acme` of this size. People are `person-1`…, groups `group-1`…, projects `P1`…, repositories `repository-1`….
    ///
    /// `person-1` owns it. Every group has a dozen or so members, every project is granted to two groups and one person, every tenth
    /// repository is public and every seventh has grants of its own. The private consumer [`SYNC_KEY`] can read all of it.
    pub fn generated(seed: u64, members: usize, repositories: usize, projects: usize, groups: usize) -> Self {
        const FITS: &str = "numbers make names that differ";
        let mut world = Self::seeded("acme", seed);
        world.behaviour.hourly_limit = u64::MAX;
        world.behaviour.scaled_limit = u64::MAX;
        world.add_consumer(Consumer::for_itself(SYNC_KEY, SYNC_SECRET));
        for n in 1..=members {
            let role = if n == 1 { Role::Owner } else { Role::Member };
            let name = format!("{} {}", world.pick(&GIVEN), world.pick(&FAMILY));
            let person = Person { role: Some(role), ..Person::member(&format!("person-{n}"), &name) };
            world.add_person(person).expect(FITS);
        }
        for n in 1..=groups {
            let slug = world.add_group(&format!("Group {n}")).expect(FITS);
            for _ in 0..12.min(members) {
                let who = world.below(members) + 1;
                world.add_to_group(&slug, &format!("person-{who}")).expect(FITS);
            }
        }
        for n in 1..=projects {
            let key = format!("P{n}");
            world.add_project(&key, &format!("Project {n}")).expect(FITS);
            for level in [Level::Read, Level::Write] {
                world.grant_somebody(On::Project(&key), groups, 0, level);
            }
            world.grant_somebody(On::Project(&key), 0, members, Level::Admin);
        }
        for n in 1..=repositories {
            let slug = format!("repository-{n}");
            let project = format!("P{}", world.below(projects.max(1)) + 1);
            world.add_repository(&project, &slug, !n.is_multiple_of(10)).expect("at least one project");
            if n.is_multiple_of(7) {
                world.grant_somebody(On::Repository(&slug), groups, 0, Level::Write);
                world.grant_somebody(On::Repository(&slug), 0, members, Level::Read);
            }
        }
        world
    }

    fn grant_somebody(&mut self, on: On<'_>, groups: usize, members: usize, level: Level) {
        const KNOWN: &str = "both sides of the grant were made before";
        if groups > 0 {
            let group = format!("group-{}", self.below(groups) + 1);
            self.grant(on, To::Group(&group), level).expect(KNOWN);
        }
        if members > 0 {
            let person = format!("person-{}", self.below(members) + 1);
            self.grant(on, To::Person(&person), level).expect(KNOWN);
        }
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_number() % bound.max(1) as u64).expect("smaller than a usize")
    }
}
