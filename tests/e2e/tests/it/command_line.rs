//! The command line as a program, against the local stack in this process.

use std::process::Stdio;
use std::time::Duration;

use rollcall_e2e::binaries::binary;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::world;
use serde_json::Value;
use standin_bitbucket::{ACCESS_TOKEN, API_TOKEN, Role, SYNC_KEY, SYNC_SECRET, World};
use tokio::process::Command;

/// Time enough for anything; only what goes wrong takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

const CONSUMER: [(&str, &str); 2] = [("BITBUCKET_KEY", SYNC_KEY), ("BITBUCKET_SECRET", SYNC_SECRET)];

/// What came of a command.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    /// Its lines of JSON.
    fn json(&self) -> Vec<Value> {
        assert!(!self.out.contains('\u{1b}'), "no colours in a pipe");
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Somebody with an admin token in a shell.
struct Shell {
    stack: Stack,
}

impl Shell {
    async fn open() -> Self {
        Self { stack: Stack::start(&Settings::for_tests()).await.unwrap() }
    }

    async fn type_with(&self, variables: &[(&str, &str)], command: &str) -> Said {
        let mut process = Command::new(binary("rollcall"));
        process.args(command.split_whitespace()).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        process.env("ROLLCALL_URL", self.stack.url()).env("ROLLCALL_TOKEN", self.stack.admin_token.expose());
        process.envs(variables.iter().copied());
        let output = tokio::time::timeout(PATIENCE, process.output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Types a command that is to end with a status.
    async fn types(&self, command: &str, status: i32) -> Said {
        let said = self.type_with(&[], command).await;
        assert_eq!(said.status, status, "{command}: {said:?}");
        assert_eq!(said.err.is_empty(), [0, 3].contains(&status), "{command}: {said:?}");
        said
    }

    /// A workspace that is connected with the example's consumer.
    async fn connected(&self) -> String {
        let made = self.types("workspaces --create Acme --json", 0).await;
        let workspace = made.json()[0]["id"].as_str().unwrap().to_owned();
        let said = self.type_with(&CONSUMER, &format!("connect {workspace} fernweh")).await;
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{said:?}");
        assert!(said.out.contains("+ read the members") && said.out.contains("applied"), "{said:?}");
        workspace
    }

    async fn sign_in(&self, workspace: &str, name: &str) {
        let mut browser = self.stack.browser();
        let login = format!("{}/login?workspace={workspace}", self.stack.url()).parse().unwrap();
        let chooser = browser.visit(&login).await.unwrap();
        let consent = browser.visit(&chooser.link("Continue with Bitbucket").unwrap()).await.unwrap();
        let page = world::choose(&mut browser, &consent, name).await.unwrap();
        assert_eq!(page.heading(), "You are signed in");
    }

    fn bitbucket(&self, change: impl FnOnce(&mut World)) {
        self.stack.bitbucket.as_ref().unwrap().change(change);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says_and_ends_with_a_status_that_scripts_can_trust() {
    let shell = Shell::open().await;
    let workspace = shell.connected().await;
    assert!(shell.types("workspaces", 0).await.out.contains(&workspace));
    assert_eq!(shell.types(&format!("members {workspace}"), 0).await.out, "There are none.\n");
    assert!(shell.types(&format!("plan {workspace}"), 0).await.out.contains("planned"));

    for name in ["Amira Haddad", "Tuuli Nieminen"] {
        shell.sign_in(&workspace, name).await;
    }
    let members = shell.types(&format!("members {workspace}"), 0).await.out;
    assert!(members.starts_with("ID ") && members.lines().count() == 3, "{members}");
    shell.bitbucket(|world| world.leave("tuuli").unwrap());
    let planned = shell.types(&format!("plan {workspace}"), 0).await.out;
    assert!(planned.contains("- member mem_"), "{planned}");
    let run = shell.types(&format!("sync {workspace} --json"), 0).await.json().remove(0);
    assert_eq!(run["state"], "applied");
    let all = shell.types(&format!("members {workspace} --all --json"), 0).await.json();
    let tuuli = all.iter().find(|member| member["state"] == "suspended").unwrap();
    let why = format!("why {workspace} {}", tuuli["id"].as_str().unwrap());
    let told = shell.types(&why, 0).await.out;
    assert!(told.starts_with("Tuuli Nieminen is not let in"), "{told}");

    shell.bitbucket(|world| world.join("tuuli", Role::Member).unwrap());
    shell.types(&format!("undo {workspace} {}", run["id"].as_str().unwrap()), 0).await;
    let told = shell.types(&why, 0).await.out;
    assert!(told.starts_with("Tuuli Nieminen is let in"), "{told}");

    // Four of twelve teams at once are more than a run removes by itself.
    shell.bitbucket(|world| {
        let slugs: Vec<String> = world.workspace().groups().keys().cloned().collect();
        slugs.iter().take(4).for_each(|slug| world.delete_group(slug).unwrap());
    });
    let frozen = shell.types(&format!("sync {workspace}"), 3).await.out;
    let approve = frozen.lines().find_map(|line| line.split_once("rollcall approve ")).unwrap().1;
    shell.types(&format!("doctor {workspace}"), 3).await;
    let (of, _) = approve.rsplit_once(' ').unwrap();
    let other = shell.types(&format!("approve {of} {}", "0".repeat(64)), 1).await;
    assert!(!other.err.contains("panicked"), "{other:?}");
    let approved = shell.types(&format!("approve {approve}"), 0).await.out;
    assert!(approved.contains("applied"), "{approved}");
    assert!(shell.types(&format!("doctor {workspace}"), 0).await.out.contains("+ find the workspace"));

    let invited = shell.types(&format!("invite {workspace} guest@example.com"), 0).await.out;
    assert!(invited.contains("issued") && invited.contains("/invite#"), "{invited}");
    let trail = shell.types(&format!("audit {workspace} --json --most 1000"), 0).await.json();
    for action in ["connection.made", "member.suspended", "invite.issued"] {
        assert!(trail.iter().any(|entry| entry["action"] == action), "{action} is not in {trail:?}");
    }
    for name in ["bash", "zsh", "fish"] {
        assert!(shell.types(&format!("completions {name}"), 0).await.out.contains("doctor"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_ends_with_its_own_status_and_says_why() {
    let shell = Shell::open().await;
    let nowhere = [("ROLLCALL_URL", "http://api.localhost:9")];
    for (variables, command, status, says) in [
        (&[][..], "members ws_00000000000070008000000000000000", 1, "There is nothing here"),
        (&[("ROLLCALL_TOKEN", "rca_unknown")], "workspaces", 1, "not signed in"),
        (&[("ROLLCALL_TOKEN", "")], "workspaces", 2, "ROLLCALL_TOKEN"),
        (&[("ROLLCALL_URL", "http://rollcall.example.com")], "workspaces", 2, "https"),
        (&[], "members nobody", 2, "nobody"),
        (&[], "memberz", 2, "members"),
        (&nowhere, "workspaces", 4, "cannot be reached"),
    ] {
        let said = shell.type_with(variables, command).await;
        assert_eq!((said.status, said.out.as_str()), (status, ""), "{command}: {said:?}");
        assert!(said.err.contains(says) && !said.err.contains("panicked"), "{command}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_below_localhost_is_this_machine_and_no_proxy_is_asked() {
    let shell = Shell::open().await;
    let url = shell.stack.url().replace("localhost", "api.localhost");
    let variables = [("ROLLCALL_URL", url.as_str()), ("HTTP_PROXY", "http://127.0.0.1:9")];
    let said = shell.type_with(&variables, "workspaces").await;
    assert_eq!((said.status, said.out.as_str()), (0, "There are none.\n"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_explains_each_of_five_broken_set_ups() {
    let shell = Shell::open().await;
    let workspace = shell.connected().await;
    let doctor = format!("doctor {workspace}");
    let healthy = shell.types(&doctor, 0).await.out;
    assert!(healthy.contains("bitbucket.org/fernweh") && !healthy.contains("\n- "), "{healthy}");

    // The consumer's secret was made anew at Bitbucket, and the last token has ended.
    shell.bitbucket(|world| {
        world.change_consumer(SYNC_KEY, |consumer| "made-anew".clone_into(&mut consumer.secret)).unwrap();
    });
    shell.stack.advance(Duration::from_secs(3 * 3600));
    let said = shell.types(&doctor, 1).await;
    assert!(said.err.contains("its key or its secret is wrong"), "{said:?}");
    assert!(said.out.contains("- find the workspace") && said.out.contains("not tried: "), "{said:?}");

    // A token without two scopes.
    let token = [("BITBUCKET_TOKEN", ACCESS_TOKEN)];
    let connect = format!("connect {workspace} fernweh --credential access-token");
    assert_eq!(shell.type_with(&token, &connect).await.status, 0);
    shell.types(&doctor, 0).await;
    shell.bitbucket(|world| world.add_access_token(ACCESS_TOKEN, "account repository project"));
    let said = shell.types(&doctor, 1).await;
    assert!(said.err.contains("lacks the scopes project:admin, repository:admin."), "{said:?}");
    assert!(said.out.contains("+ read the members"), "{said:?}");

    // The token has expired.
    shell.bitbucket(|world| world.revoke_access_token(ACCESS_TOKEN).unwrap());
    let said = shell.types(&doctor, 1).await;
    assert!(said.err.contains("it has expired, was revoked"), "{said:?}");

    // Its owner is an administrator no more.
    let email = shell.stack.bitbucket.as_ref().unwrap().read(|world| {
        world.person("johanna").unwrap().emails.iter().find(|email| email.primary).unwrap().address.clone()
    });
    let token = [("BITBUCKET_EMAIL", email.as_str()), ("BITBUCKET_TOKEN", API_TOKEN)];
    let connect = format!("connect {workspace} fernweh --credential api-token");
    assert_eq!(shell.type_with(&token, &connect).await.status, 0);
    shell.bitbucket(|world| {
        world.set_role("rafael", Role::Owner).unwrap();
        world.set_role("johanna", Role::Member).unwrap();
    });
    let said = shell.types(&doctor, 1).await;
    assert!(said.err.contains("not that of an administrator"), "{said:?}");

    // Another slug: found out before anything is kept.
    let made = shell.types("workspaces --create Other --json", 0).await.json();
    let other = made[0]["id"].as_str().unwrap();
    let token = [("BITBUCKET_EMAIL", email.as_str()), ("BITBUCKET_TOKEN", API_TOKEN)];
    let connect = format!("connect {other} fernwhe --credential api-token");
    let said = shell.type_with(&token, &connect).await;
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("Check the slug") && said.err.contains("Nothing was changed"), "{said:?}");
    let said = shell.types(&format!("doctor {other}"), 1).await;
    assert!(said.err.contains("not connected to Bitbucket"), "{said:?}");
    // The doctor tries a credential before anything is connected, too.
    let said = shell.type_with(&token, &format!("doctor {other} fernwhe --credential api-token")).await;
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("Check the slug"), "{said:?}");
    shell.bitbucket(|world| world.set_role("johanna", Role::Owner).unwrap());
    let said = shell.type_with(&token, &format!("doctor {other} fernweh --credential api-token")).await;
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.contains("+ read the members"), "{said:?}");
    let said = shell.types(&format!("doctor {other}"), 1).await;
    assert!(said.err.contains("not connected to Bitbucket"), "nothing was kept: {said:?}");
}
