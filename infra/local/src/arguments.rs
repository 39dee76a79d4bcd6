//! What can be given on the command line. Each flag has a variable of the same meaning.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// The whole of Rollcall on this machine, with stand-ins for Bitbucket, Google, Microsoft and AWS.
///
/// It performs the main job and tells it: a workspace is connected and synced, somebody signs in, somebody is refused with the
/// reason, somebody leaves and is offboarded. Then it stays up, to be tried in a browser.
#[derive(Debug, Clone, Parser)]
#[command(name = "rollcall-local", version, after_help = AFTER_HELP)]
pub struct Arguments {
    /// Ends after the report. Exit status 1 if any step did not do what it says.
    #[arg(long, env = "ROLLCALL_LOCAL_ONCE")]
    pub once: bool,
    /// Shows another story instead of the main job.
    #[arg(long, value_enum, env = "ROLLCALL_LOCAL_SCENARIO")]
    pub scenario: Option<Scenario>,
    /// Keeps the table in this file, and the deployment secret beside it. Without it everything is forgotten at the end.
    #[arg(long, value_name = "FILE", env = "ROLLCALL_LOCAL_DATA")]
    pub data: Option<PathBuf>,
    /// Where to listen; the stand-ins for Bitbucket, Google and Microsoft take the three ports after it. Port 0 takes any free ports.
    /// Default: 127.0.0.1:8080, and with --once any free ports.
    #[arg(long, value_name = "ADDRESS", env = "ROLLCALL_LOCAL_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Workspace, connection, clients and the first admin token, as JSON. The README shows it.
    #[arg(long, value_name = "FILE", env = "ROLLCALL_LOCAL_CONFIG")]
    pub config: Option<PathBuf>,
    /// A real Bitbucket workspace, by its slug, instead of the stand-in. Only the plan is shown unless --apply is given. Nothing is
    /// ever written to Bitbucket.
    #[arg(long, value_name = "SLUG", env = "ROLLCALL_LOCAL_BITBUCKET_WORKSPACE")]
    pub bitbucket_workspace: Option<String>,
    /// With a real Bitbucket: mirrors it here, and keeps doing so on schedule, instead of showing the plan only.
    #[arg(long, env = "ROLLCALL_LOCAL_APPLY")]
    pub apply: bool,
    /// Seconds between two ticks of the schedule.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, env = "ROLLCALL_LOCAL_TICK", value_parser = clap::value_parser!(u32).range(1..))]
    pub tick: u32,
}

const AFTER_HELP: &str = "\
Variables:
  BITBUCKET_KEY, BITBUCKET_SECRET    an OAuth consumer, for the sync and for sign-in
  BITBUCKET_EMAIL, BITBUCKET_TOKEN   instead, for the sync: an administrator's API token
  BITBUCKET_TOKEN                    alone, for the sync: a workspace access token
  GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET
  ROLLCALL_TOKEN                     the first admin token; by default a random one, which is shown
  ROLLCALL_BITBUCKET_URL, ROLLCALL_BITBUCKET_API_URL, ROLLCALL_GOOGLE_ISSUER, ROLLCALL_MICROSOFT_ISSUER
                                     another provider: no stand-in of that kind is started
  ROLLCALL_PUBLIC_URL, ROLLCALL_SIGN_IN_RATE, ROLLCALL_INVITE_SENDER, ROLLCALL_AUDIT_DAYS, ROLLCALL_LOG, NO_COLOR
                                     as everywhere

Exit status:
  0  done
  1  a step did not do what it says
  2  a flag, a variable, a file or a port cannot be used";

/// A story that is told instead of the main job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Too many people leave at once: the run is frozen, and goes on after an approval.
    Freeze,
    /// A run that removed somebody is undone.
    Undo,
    /// A run that is interrupted is taken up by the next tick.
    Resume,
}
