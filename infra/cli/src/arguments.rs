//! What can be asked for on the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::{MemberId, RunId, TeamId, WorkspaceId};
use url::Url;

/// Who of a Bitbucket workspace may use your application, in which teams, and who no longer.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Where Rollcall runs.
    #[arg(long, global = true, env = "ROLLCALL_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: Url,
    /// Prints what the API answered, as JSON, for machines.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
The admin token is read from ROLLCALL_TOKEN, so that it stands in no list of processes.

Exit status:
  0  done
  1  refused, the run failed, or the doctor has found something
  2  the command line or the environment is wrong
  3  done so far, and removals wait for an approval
  4  Rollcall could not be reached";

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the workspaces, or makes one.
    Workspaces {
        /// The name of a workspace to make.
        #[arg(long, value_name = "NAME")]
        create: Option<String>,
    },
    /// Connects a workspace to a Bitbucket workspace and shows what the credential can and cannot do.
    Connect(Connect),
    /// Shows what a sync would change, and changes nothing.
    Plan {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Syncs now and waits for the end.
    Sync {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// Approves what a run holds back, by the hash of its plan.
    Approve {
        /// The workspace.
        workspace: WorkspaceId,
        /// The run.
        run: RunId,
        /// The plan's hash, as `plan` and `sync` show it.
        hash: String,
    },
    /// Brings back what a run removed.
    Undo {
        /// The workspace.
        workspace: WorkspaceId,
        /// The run.
        run: RunId,
    },
    /// Lists the members.
    Members {
        /// The workspace.
        workspace: WorkspaceId,
        /// Shows the suspended and disabled as well.
        #[arg(long)]
        all: bool,
        /// Only those of a team.
        #[arg(long)]
        team: Option<TeamId>,
    },
    /// Says why a member is in or out.
    Why {
        /// The workspace.
        workspace: WorkspaceId,
        /// The member.
        member: MemberId,
    },
    /// Invites people.
    Invite(Invite),
    /// Shows the audit trail, newest last.
    Audit {
        /// The workspace.
        workspace: WorkspaceId,
        /// At most this many entries.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        most: u16,
    },
    /// Finds out what is wrong with a connection and says what to do about it.
    Doctor {
        /// The workspace.
        workspace: WorkspaceId,
        /// A Bitbucket workspace, by its slug or UUID, to try the credential on that the environment has; nothing is kept.
        bitbucket_workspace: Option<String>,
        /// How to sign in there; its values are read from the environment.
        #[arg(long, value_enum, default_value = "oauth-consumer", requires = "bitbucket_workspace")]
        credential: CredentialKind,
    },
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How Rollcall signs in to Bitbucket for the sync.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CredentialKind {
    /// A workspace access token, from `BITBUCKET_TOKEN`.
    AccessToken,
    /// A private OAuth consumer, from `BITBUCKET_KEY` and `BITBUCKET_SECRET`.
    OauthConsumer,
    /// An administrator's API token, from `BITBUCKET_EMAIL` and `BITBUCKET_TOKEN`.
    ApiToken,
}

/// Connecting.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The workspace.
    pub(crate) workspace: WorkspaceId,
    /// The Bitbucket workspace: its slug, or its UUID in braces.
    pub(crate) bitbucket_workspace: String,
    /// How to sign in; its values are read from the environment.
    #[arg(long, value_enum, default_value = "oauth-consumer")]
    pub(crate) credential: CredentialKind,
    /// Who is let in: `all_repositories`, `any_repository` or `workspace_member`.
    #[arg(long)]
    pub(crate) policy: Option<String>,
    /// Shows the first plan and waits for its approval, instead of applying it.
    #[arg(long)]
    pub(crate) plan_first: bool,
    /// The Bitbucket account (UUID) that becomes an admin when it first signs in.
    #[arg(long)]
    pub(crate) first_admin: Option<String>,
}

/// Inviting.
#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// Into which workspace.
    pub(crate) workspace: WorkspaceId,
    /// To whom.
    #[arg(required = true)]
    pub(crate) emails: Vec<EmailAddress>,
    /// As an admin.
    #[arg(long)]
    pub(crate) admin: bool,
    /// Into a team; may be given more than once.
    #[arg(long)]
    pub(crate) team: Vec<TeamId>,
    /// By which providers it can be accepted; all if none is named.
    #[arg(long, value_parser = ["google", "microsoft", "bitbucket"])]
    pub(crate) provider: Vec<String>,
    /// When the membership ends, as in 2027-01-31T00:00:00Z.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// A line to the invited.
    #[arg(long)]
    pub(crate) note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_id_of_another_kind_is_refused_before_anything_is_asked() {
        let error = Arguments::try_parse_from(["rollcall", "plan", "mem_00000000000070008000000000000000"])
            .unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
