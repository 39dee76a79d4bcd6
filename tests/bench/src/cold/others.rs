//! The same callback in Node.js and in Python, where these are installed.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::WorkspaceId;
use tokio::process::Command;

use super::CALLBACK;
use super::contender::{Asked, Contender, Instance};
use crate::report::Section;
use crate::surroundings::Surroundings;
use crate::tls::Trust;

pub(super) const NODE: &str = "Node.js";
pub(super) const PYTHON: &str = "Python";

/// The connection, as the two handlers keep it.
pub(super) async fn seed(around: &Surroundings, workspace: WorkspaceId) {
    let uuid = around.bitbucket.read(|world| world.workspace().uuid);
    for language in ["node", "python"] {
        around
            .store
            .client()
            .put_item()
            .table_name(around.store.table())
            .item("pk", AttributeValue::S(format!("{language}#connection")))
            .item("sk", AttributeValue::S(workspace.to_string()))
            .item("uuid", AttributeValue::S(format!("{{{uuid}}}")))
            .send()
            .await
            .unwrap();
    }
}

/// Installs what the handlers need. One that cannot be is left out, and the report says so.
pub(super) async fn all(
    environment: &[(String, String)],
    trust: &Trust,
    folder: &Path,
    section: &mut Section,
) -> Vec<Contender> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    let trusted = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let of_path = |folder: Option<PathBuf>| {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = folder.map_or(path.clone(), |folder| format!("{}:{path}", folder.display()));
        ("PATH".to_owned(), path)
    };
    match node(here).await {
        Ok(version) => {
            section.say(format!("Node.js is {version}, with the AWS SDK v3 of `tests/bench/node`."));
            let environment =
                [environment, &[trusted("NODE_EXTRA_CA_CERTS", &trust.authority), of_path(None)]].concat();
            all.push(contender(NODE, here.join("node/handler.mjs"), environment).await);
        }
        Err(why) => section.say(format!("Node.js was left out: {why}.")),
    }
    match python(here, folder).await {
        Ok((version, programs)) => {
            section.say(format!("Python is {version}, with boto3 and requests of `tests/bench/python`."));
            let environment = [
                environment,
                &[
                    trusted("AWS_CA_BUNDLE", &trust.bundle),
                    trusted("REQUESTS_CA_BUNDLE", &trust.bundle),
                    of_path(Some(programs)),
                ],
            ]
            .concat();
            all.push(contender(PYTHON, here.join("python/handler.py"), environment).await);
        }
        Err(why) => section.say(format!("Python was left out: {why}.")),
    }
    all
}

async fn contender(name: &'static str, program: PathBuf, environment: Vec<(String, String)>) -> Contender {
    let begins = Instance::spawn(&program, &environment).await;
    Contender {
        name,
        what: CALLBACK,
        program,
        environment,
        asked: Asked::Callback(begins),
        status: Some(303),
    }
}

async fn node(here: &Path) -> Result<String, String> {
    let version = run("node", &["--version"], here).await?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("version 20 or later is needed, and this is {version}"));
    }
    let folder = here.join("node");
    if !folder.join("node_modules/@aws-sdk/client-secrets-manager").exists() {
        println!("npm ci …");
        run("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], &folder)
            .await?;
    }
    Ok(version)
}

/// The version, and the folder of the programs of an environment with the packages.
async fn python(here: &Path, folder: &Path) -> Result<(String, PathBuf), String> {
    let version = run("python3", &["--version"], here).await?;
    let environment = folder.join("python");
    let pip = environment.join("bin/pip").display().to_string();
    let wanted = std::fs::read(here.join("python/requirements.txt")).map_err(|error| error.to_string())?;
    let installed = environment.join("installed");
    if std::fs::read(&installed).ok().as_ref() != Some(&wanted) {
        println!("pip install …");
        run("python3", &["-m", "venv", "--clear", &environment.display().to_string()], here).await?;
        let requirements = here.join("python/requirements.txt").display().to_string();
        run(&pip, &["install", "--quiet", "--requirement", &requirements], here).await?;
        std::fs::write(installed, wanted).map_err(|error| error.to_string())?;
    }
    Ok((version.trim_start_matches("Python ").to_owned(), environment.join("bin")))
}

/// Runs a program to its end. What it has printed, or one line that says why not.
async fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<String, String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().await;
    let output = output.map_err(|error| format!("{program} does not start ({error})"))?;
    let line =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().lines().last().unwrap_or_default().to_owned();
    if output.status.success() {
        Ok(line(&output.stdout))
    } else {
        Err(format!("{program} {} fails: {}", arguments.join(" "), line(&output.stderr)))
    }
}
