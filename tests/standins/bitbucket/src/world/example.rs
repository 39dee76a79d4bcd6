//! A believable workspace: Fernweh, a company that makes maps for walkers.
//!
//! | who | what about them |
//! |---|---|
//! | `johanna` | owner of the workspace |
//! | `rafael` | an owner as well |
//! | `amira` | an ordinary engineer, who has access to everything |
//! | `mira` | a contractor who cannot read three private repositories: `billing-ledger`, `payroll-export`, `tax-rules` |
//! | `sven` | an intern, who can read what the interns' group can, and no more |
//! | `ivo` | his account is deactivated; he is still listed among the members |
//! | `tomas` | has left: he was a member, and his account still exists |
//! | `release-bot` | an app among the members |
//! | `paula` | somebody with a personal account, who never was in the workspace |

use super::access::Level;
use super::people::Person;
use super::workspace::{On, To};
use super::{Consumer, World};

/// The key of the example's consumer for signing people in. Its callback has to be set.
pub const LOGIN_KEY: &str = "rollcall-login-key";
/// Its secret.
pub const LOGIN_SECRET: &str = "rollcall-login-secret";
/// The key of the example's private consumer, for the sync.
pub const SYNC_KEY: &str = "rollcall-sync-key";
/// Its secret.
pub const SYNC_SECRET: &str = "rollcall-sync-secret";
/// The example's workspace access token.
pub const ACCESS_TOKEN: &str = "ATCTT3xFfGN0-an-example-for-tests";
/// The example's API token, which is `johanna`'s.
pub const API_TOKEN: &str = "ATATT3xFfGF0-an-example-for-tests";

/// The scopes of an access token that can do what the sync does.
const SYNC_SCOPES: &str = "account repository project project:admin repository:admin";
/// The same for an API token.
const GRANULAR_SCOPES: &str = "read:user:bitbucket read:workspace:bitbucket read:repository:bitbucket \
                               read:project:bitbucket";

/// Username, name, and the groups beside `everyone`.
const STAFF: [(&str, &str, &[&str]); 29] = [
    ("rafael", "Rafael Quintana", &["leads", "platform"]),
    ("amira", "Amira Haddad", &["routing"]),
    ("bastian", "Bastian Vogel", &["routing"]),
    ("chloe", "Chloé Fontaine", &["routing", "leads"]),
    ("dmitri", "Dmitri Volkov", &["routing"]),
    ("esther", "Esther Adeyemi", &["tiles"]),
    ("felix", "Felix Brandt", &["tiles"]),
    ("giulia", "Giulia Marchetti", &["tiles", "leads"]),
    ("hanna", "Hanna Korhonen", &["tiles"]),
    ("imran", "Imran Siddiqui", &["mobile"]),
    ("jelena", "Jelena Petrović", &["mobile"]),
    ("kofi", "Kofi Mensah", &["mobile", "leads"]),
    ("lucia", "Lucía Romero", &["mobile"]),
    ("mateusz", "Mateusz Zieliński", &["web"]),
    ("noor", "Noor van Dijk", &["web"]),
    ("oscar", "Oscar Lindgren", &["web", "leads"]),
    ("priya", "Priya Raghunathan", &["web"]),
    ("quentin", "Quentin Dubois", &["data"]),
    ("rosa", "Rosa Ferreira", &["data"]),
    ("samir", "Samir Benali", &["data", "leads"]),
    ("tuuli", "Tuuli Nieminen", &["platform"]),
    ("umberto", "Umberto Sala", &["platform"]),
    ("viktor", "Viktor Horváth", &["platform", "security"]),
    ("wanjiru", "Wanjiru Kamau", &["security"]),
    ("xavier", "Xavier O'Neill", &["security", "leads"]),
    ("yuki", "Yuki Tanaka", &["billing"]),
    ("zofia", "Zofia Nowak", &["billing", "leads"]),
    ("anders", "Anders Holm", &["writers"]),
    ("beatrix", "Beatrix \"Bea\" Molnár", &["writers"]),
];

const INTERNS: [(&str, &str); 5] = [
    ("sven", "Sven Aalto"),
    ("leila", "Leila Nazari"),
    ("pascal", "Pascal Weber"),
    ("thandi", "Thandi Nkosi"),
    ("marcel", "Marcel Dumont"),
];

/// Key, name, the group that works on it, and the names of its private repositories.
const PROJECTS: [(&str, &str, &str, &[&str]); 10] = [
    (
        "ROUTE",
        "Routing",
        "routing",
        &[
            "route-engine",
            "route-api",
            "route-planner",
            "turn-instructions",
            "elevation-profile",
            "hazard-feed",
            "ferry-timetables",
            "route-benchmarks",
            "profile-editor",
            "isochrones",
            "map-matching",
            "route-fixtures",
        ],
    ),
    (
        "TILES",
        "Tiles",
        "tiles",
        &[
            "tile-server",
            "tile-renderer",
            "tile-cache",
            "hillshade",
            "contour-lines",
            "label-placement",
            "style-compiler",
            "glyph-builder",
            "tile-diff",
            "satellite-mosaic",
            "tile-loadtest",
            "coastlines",
        ],
    ),
    (
        "MOB",
        "Mobile apps",
        "mobile",
        &[
            "android-app",
            "ios-app",
            "mobile-core",
            "offline-maps",
            "gps-recorder",
            "watch-companion",
            "push-gateway",
            "mobile-design",
            "crash-triage",
            "mobile-e2e",
            "beta-channel",
            "app-strings",
        ],
    ),
    (
        "WEB",
        "Web",
        "web",
        &[
            "web-app",
            "web-components",
            "trip-editor",
            "account-pages",
            "marketing-site",
            "search-box",
            "photo-upload",
            "web-e2e",
            "newsletter",
            "feature-flags",
            "embed-widget",
            "web-analytics",
        ],
    ),
    (
        "DATA",
        "Data",
        "data",
        &[
            "trail-importer",
            "data-quality",
            "survey-tools",
            "poi-matcher",
            "change-feed",
            "data-lake",
            "trail-conditions",
            "weather-ingest",
            "community-reports",
            "geo-warehouse",
            "etl-jobs",
            "data-catalog",
        ],
    ),
    (
        "PLAT",
        "Platform",
        "platform",
        &[
            "infrastructure",
            "deploy-pipelines",
            "service-mesh",
            "observability",
            "identity-service",
            "config-service",
            "base-images",
            "cost-reports",
            "incident-bot",
            "dns-zones",
            "build-cache",
            "runbooks",
        ],
    ),
    (
        "SEC",
        "Security",
        "security",
        &[
            "threat-models",
            "secret-scanner",
            "access-reviews",
            "pentest-reports",
            "security-training",
            "vulnerability-feed",
            "hardening",
            "audit-exports",
            "phishing-drills",
            "bug-bounty",
        ],
    ),
    (
        "PAY",
        "Billing",
        "billing",
        &[
            "billing-ledger",
            "payroll-export",
            "tax-rules",
            "checkout",
            "invoice-templates",
            "subscription-api",
            "payment-webhooks",
            "price-lists",
            "dunning",
            "gift-cards",
        ],
    ),
    (
        "DOCS",
        "Documentation",
        "writers",
        &["handbook", "onboarding-guide", "style-guide", "release-notes", "support-macros", "glossary"],
    ),
    ("OPEN", "Open source", "leads", &["open-source-process", "contributor-agreements"]),
];

/// Repositories that everybody may read, by project.
const PUBLIC: [(&str, &[&str]); 3] = [
    (
        "OPEN",
        &[
            "gpx-parser",
            "polyline-codec",
            "mvt-reader",
            "hill-solver",
            "awesome-trails",
            "trail-schema",
            "walking-speed",
            "map-fonts",
        ],
    ),
    ("DOCS", &["api-docs", "developer-portal", "tutorials", "examples", "status-page", "press-kit"]),
    (
        "ROUTE",
        &["routing-profiles", "route-format", "open-hazards", "turn-lexicon", "route-viewer", "bench-data"],
    ),
];

/// What the contractors can read in the billing project, which is not granted to them as a whole.
const BILLING_FOR_CONTRACTORS: [&str; 7] = [
    "checkout",
    "invoice-templates",
    "subscription-api",
    "payment-webhooks",
    "price-lists",
    "dunning",
    "gift-cards",
];

/// The world of the local stack, and of tests that want one with a story.
pub fn example() -> World {
    let mut world = World::seeded("fernweh", 20_261_123);
    world.name_workspace("Fernweh Maps");
    people(&mut world);
    groups(&mut world);
    repositories(&mut world);
    grants(&mut world);
    world.add_consumer(Consumer {
        name: "Rollcall sign-in".into(),
        ..Consumer::for_people(LOGIN_KEY, LOGIN_SECRET, "")
    });
    world.change_consumer(LOGIN_KEY, |consumer| consumer.callback = None).expect("it was just added");
    world.add_consumer(Consumer {
        name: "Rollcall sync".into(),
        ..Consumer::for_itself(SYNC_KEY, SYNC_SECRET)
    });
    world
        .with_access_token(ACCESS_TOKEN, SYNC_SCOPES)
        .with_api_token("johanna", API_TOKEN, GRANULAR_SCOPES)
        .with_person(
            Person::outsider("paula", "Paula Keller")
                .email("paula.keller@home.example")
                .unconfirmed_email("johanna.brandt@fernweh.example")
                .note("has a personal account and never was in the workspace; one of her addresses is unconfirmed"),
        )
        .with_person(
            Person::outsider("tomas", "Tomas Berg")
                .email("tomas@berg.example")
                .note("has left: he was a member until last spring"),
        )
}

fn people(world: &mut World) {
    let johanna = Person::owner("johanna", "Johanna Brandt").note("owner of the workspace");
    let staff = STAFF.iter().map(|(username, name, _)| match *username {
        "rafael" => Person::owner(username, name).note("owner of the workspace as well"),
        "amira" => Person::member(username, name).note("engineer with access to every repository"),
        "noor" => Person::member(username, name)
            .email("noor@fernweh.example")
            .unconfirmed_email("noor.vandijk@home.example")
            .note("has an address that she never confirmed"),
        _ => Person::member(username, name),
    });
    let interns = INTERNS.iter().map(|(username, name)| match *username {
        "sven" => Person::member(username, name).note("intern who can read two projects"),
        _ => Person::member(username, name),
    });
    let others = [
        Person::member("mira", "Mira Lindqvist")
            .note("contractor who cannot read three repositories of the billing project"),
        Person::member("ivo", "Ivo Marek").deactivated().note("his account is deactivated"),
        Person::app("release-bot", "Release Bot").note("an app, nobody signs in as it"),
    ];
    for person in std::iter::once(johanna).chain(staff).chain(interns).chain(others) {
        let address = format!("{}@fernweh.example", person.username);
        let person = if person.emails.is_empty() { person.email(&address) } else { person };
        world.add_person(person).expect("usernames differ");
    }
}

fn groups(world: &mut World) {
    const KNOWN: &str = "groups and people were made before";
    for name in [
        "Everyone",
        "Leads",
        "Routing",
        "Tiles",
        "Mobile",
        "Web",
        "Data",
        "Platform",
        "Security",
        "Billing",
        "Writers",
        "Contractors and interns",
    ] {
        world.add_group(name).expect("group names differ");
    }
    for (username, _, groups) in STAFF {
        for group in groups.iter().copied().chain(["everyone"]) {
            world.add_to_group(group, username).expect(KNOWN);
        }
    }
    let guests = INTERNS.iter().map(|(username, _)| *username).chain(["mira"]);
    for username in guests {
        world.add_to_group("contractors-and-interns", username).expect(KNOWN);
    }
    for (group, username) in [("everyone", "johanna"), ("everyone", "ivo"), ("tiles", "ivo")] {
        world.add_to_group(group, username).expect(KNOWN);
    }
}

fn repositories(world: &mut World) {
    for (key, name, _, private) in PROJECTS {
        world.add_project(key, name).expect("keys differ");
        for slug in private {
            world.add_repository(key, slug, true).expect("slugs differ");
        }
    }
    for (key, public) in PUBLIC {
        for slug in public {
            world.add_repository(key, slug, false).expect("slugs differ");
        }
    }
}

fn grants(world: &mut World) {
    const KNOWN: &str = "both sides of the grant were made before";
    for (key, _, group, _) in PROJECTS {
        let on = On::Project(key);
        world.grant(on, To::Group("everyone"), Level::Read).expect(KNOWN);
        world.grant(on, To::Group(group), Level::Write).expect(KNOWN);
        if key != "OPEN" {
            world.grant(on, To::Group("leads"), Level::Admin).expect(KNOWN);
        }
        // Mira has all of these by herself; the interns have two projects through their group.
        if key != "PAY" {
            world.grant(on, To::Person("mira"), Level::Write).expect(KNOWN);
        }
    }
    for key in ["DOCS", "WEB"] {
        world.grant(On::Project(key), To::Group("contractors-and-interns"), Level::Read).expect(KNOWN);
    }
    for slug in BILLING_FOR_CONTRACTORS {
        world.grant(On::Repository(slug), To::Person("mira"), Level::Read).expect(KNOWN);
    }
    for (slug, group, level) in [
        ("incident-bot", "security", Level::Write),
        ("identity-service", "security", Level::Admin),
        ("checkout", "web", Level::Write),
        ("app-strings", "writers", Level::Write),
        ("marketing-site", "writers", Level::Write),
    ] {
        world.grant(On::Repository(slug), To::Group(group), level).expect(KNOWN);
    }
    for slug in ["release-notes", "deploy-pipelines"] {
        world.grant(On::Repository(slug), To::Person("release-bot"), Level::Write).expect(KNOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_large_as_it_says_and_tells_its_story() {
        let world = example();
        let workspace = world.workspace();
        assert_eq!(workspace.groups().len(), 12);
        assert_eq!(workspace.projects().count(), 10);
        assert_eq!(workspace.repositories().count(), 120);
        assert!((36..=44).contains(&workspace.members().count()));
        assert!(workspace.repositories().filter(|repository| !repository.private).count() >= 10);

        let missing = |username: &str| {
            let mut missing = workspace.missing_to(world.person(username).unwrap().uuid);
            missing.sort_unstable();
            missing
        };
        assert_eq!(missing("mira"), ["billing-ledger", "payroll-export", "tax-rules"]);
        assert!(missing("amira").is_empty() && missing("johanna").is_empty());
        assert!(missing("sven").len() > 50);
        let short_of_three = world.accounts().filter(|account| {
            workspace.member(account.uuid).is_some() && workspace.missing_to(account.uuid).len() == 3
        });
        assert_eq!(short_of_three.count(), 1);
        assert!(workspace.member(world.person("tomas").unwrap().uuid).is_none());
        assert!(!world.person("ivo").unwrap().active);
        assert!(workspace.member(world.person("ivo").unwrap().uuid).is_some());
    }

    #[test]
    fn it_is_the_same_every_time() {
        assert_eq!(example().workspace(), example().workspace());
    }
}
