//! What a credential can and cannot do, call by call, in words for the admin who connects it.

use core::fmt;
use std::collections::BTreeSet;

use rollcall_domain::bitbucket::GroupSlug;
use rollcall_domain::mirror::SeenProject;

use crate::error::Error;
use crate::session::Session;
use crate::structure::Repository;
use crate::workspace::{BitbucketWorkspace, WorkspaceRef};

/// How much depends on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// Without it something is missing, which the line names.
    Wanted,
    /// It only saves calls.
    Optional,
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It works.
    Works,
    /// It works, with something to know about it.
    WorksBut(String),
    /// It does not work.
    Fails(Error),
    /// It was not tried, and why.
    NotTried(&'static str),
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeLine {
    /// What the credential is to read, as in "read the members".
    pub what: &'static str,
    /// How much depends on it.
    pub need: Need,
    /// What does not work without it.
    pub without: &'static str,
    /// Who may do it, as in "needs a workspace admin".
    pub takes: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// What a credential can and cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// The workspace, if it could be read.
    pub workspace: Option<BitbucketWorkspace>,
    /// The kind of credential, as Bitbucket calls it, where it says so.
    pub credential_type: Option<String>,
    /// The scopes of the credential, where Bitbucket says so.
    pub scopes: Vec<String>,
    /// Call by call.
    pub lines: Vec<ProbeLine>,
}

impl ProbeReport {
    /// Whether everything that is required works: a connection can be made.
    pub fn usable(&self) -> bool {
        self.lines.iter().all(|line| line.need != Need::Required || line.works())
    }

    /// Whether everything works that is worth having.
    pub fn complete(&self) -> bool {
        self.lines.iter().all(|line| line.need == Need::Optional || line.works())
    }
}

impl ProbeLine {
    /// Whether the call works.
    pub fn works(&self) -> bool {
        matches!(self.outcome, Outcome::Works | Outcome::WorksBut(_))
    }
}

impl fmt::Display for ProbeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Works => write!(f, "can {}", self.what),
            Outcome::WorksBut(note) => write!(f, "can {}, but {note}", self.what),
            Outcome::NotTried(why) => write!(f, "not tried: {} ({why})", self.what),
            Outcome::Fails(error) => {
                write!(f, "cannot {}: {}. ", self.what, self.takes)?;
                write!(f, "Without it {}. {error}. {}", self.without, error.advice())
            }
        }
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A thing to try: what it is, how much depends on it and what, and who may do it.
struct Attempt(&'static str, Need, &'static str, &'static str);

const WORKSPACE: Attempt = Attempt(
    "find the workspace",
    Need::Required,
    "nothing can be connected",
    "it needs a credential that belongs to this workspace",
);
const MEMBERS: Attempt =
    Attempt("read the members", Need::Required, "nobody who leaves is noticed", "it needs the scope account");
const OWNERS: Attempt = Attempt(
    "read the owners",
    Need::Wanted,
    "owners are not known to have access to everything",
    "it needs the scope account and a workspace admin",
);
const GROUPS: Attempt = Attempt(
    "read groups",
    Need::Wanted,
    "there are no teams",
    "it needs the scope account and a workspace admin",
);
const PROJECTS: Attempt =
    Attempt("read the projects", Need::Wanted, "repositories have no projects", "it needs the scope project");
const PROJECT_GRANTS: Attempt = Attempt(
    "read who has access to a project",
    Need::Wanted,
    "it is not known who has access to all repositories, nor what a team is responsible for",
    "it needs the scope project:admin and an admin of every project",
);
const REPOSITORIES: Attempt = Attempt(
    "read the repositories",
    Need::Required,
    "nobody can be let in for having access to them",
    "it needs the scope repository",
);
const REPOSITORY_GRANTS: Attempt = Attempt(
    "read who has access to a repository",
    Need::Wanted,
    "it is not known who has access to all repositories, nor what a team is responsible for",
    "it needs the scope repository:admin and an admin of every repository",
);
const EMAILS: Attempt = Attempt(
    "find members by their e-mail addresses",
    Need::Optional,
    "invites to people who are members already are not pointed out",
    "it needs a workspace admin or a workspace access token",
);
const PRIVILEGES: Attempt = Attempt(
    "read what all groups may do in one call",
    Need::Optional,
    "it is read repository by repository",
    "it needs the scope repository:admin and a workspace admin",
);

struct Probe<'s> {
    session: &'s Session,
    report: ProbeReport,
}

impl Session {
    /// Tries every call that the sync makes, once and with a short answer. At most 12 calls; it never fails as a whole.
    pub async fn probe(&self, workspace: &WorkspaceRef) -> ProbeReport {
        let report =
            ProbeReport { workspace: None, credential_type: None, scopes: Vec::new(), lines: Vec::new() };
        let mut probe = Probe { session: self, report };
        probe.run(workspace).await;
        probe.report
    }
}

impl Probe<'_> {
    async fn run(&mut self, which: &WorkspaceRef) {
        let found = self.session.workspace_with_headers(which).await;
        let found = self.note(WORKSPACE, found, |_| None);
        let Some((workspace, body)) = found else {
            let why = "the workspace was not found";
            for attempt in [
                MEMBERS,
                OWNERS,
                GROUPS,
                PROJECTS,
                PROJECT_GRANTS,
                REPOSITORIES,
                REPOSITORY_GRANTS,
                EMAILS,
                PRIVILEGES,
            ] {
                self.skip(attempt, why);
            }
            return;
        };
        self.report.credential_type = body.header("x-credential-type").map(crate::error::line);
        self.report.scopes = body
            .header("x-oauth-scopes")
            .unwrap_or_default()
            .split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .map(crate::error::line)
            .collect();
        self.report.workspace = Some(workspace.clone());

        let members = self.session.first_member(&workspace).await;
        self.note(MEMBERS, members, |_| None);
        let owners = self.session.owners(&workspace).await;
        self.note(OWNERS, owners, |_| None);
        let groups = self.session.groups(&workspace).await;
        let groups_at = self.report.lines.len();
        let groups = self.note(GROUPS, groups, |groups| {
            (groups.seen().is_empty() && groups.malformed().is_empty()).then(|| {
                "there are none. If the workspace has groups, it is managed at admin.atlassian.com, and its groups are not \
                 shown here"
                    .to_owned()
            })
        });
        let mut granted: BTreeSet<GroupSlug> = BTreeSet::new();

        let project = self.session.first_project(&workspace).await;
        match self.note(PROJECTS, project, |_| None) {
            Some(Some(project)) => granted.extend(self.project_grants(&workspace, &project).await),
            Some(None) => self.skip(PROJECT_GRANTS, "there is no project"),
            None => self.skip(PROJECT_GRANTS, "no project could be read"),
        }
        let repository = self.session.first_repository(&workspace).await;
        match self.note(REPOSITORIES, repository, |_| None) {
            Some(Some(repository)) => granted.extend(self.repository_grants(&workspace, &repository).await),
            Some(None) => self.skip(REPOSITORY_GRANTS, "there is no repository"),
            None => self.skip(REPOSITORY_GRANTS, "no repository could be read"),
        }
        if let Some(groups) = groups {
            let known: BTreeSet<&GroupSlug> =
                groups.seen().entries().iter().map(|group| &group.slug).collect();
            let lacking = granted.iter().find(|slug| !known.contains(slug));
            if let (Some(slug), Some(line)) = (lacking, self.report.lines.get_mut(groups_at)) {
                line.outcome = Outcome::WorksBut(format!(
                    "not all of them: the group {slug} has access to repositories and is not among them"
                ));
            }
        }
        let nobody = "nobody@example.com".parse().map_or_else(|_| Vec::new(), |address| vec![address]);
        let emails = self.session.members_by_email(&workspace, &nobody).await;
        self.note(EMAILS, emails, |_| None);
        let privileges = self.session.group_privileges(&workspace).await;
        self.note(PRIVILEGES, privileges, |_| None);
    }

    async fn project_grants(
        &mut self,
        workspace: &BitbucketWorkspace,
        project: &SeenProject,
    ) -> Vec<GroupSlug> {
        let grants = self.session.project_grants(workspace, project).await;
        let grants = self.note(PROJECT_GRANTS, grants, |_| None);
        grants.map_or_else(Vec::new, |grants| grants.groups.into_keys().collect())
    }

    async fn repository_grants(
        &mut self,
        workspace: &BitbucketWorkspace,
        repository: &Repository,
    ) -> Vec<GroupSlug> {
        let groups = self.session.repository_group_grants(workspace, &repository.seen);
        let users = self.session.repository_user_grants(workspace, &repository.seen);
        let both = futures_util::future::try_join(groups, users).await;
        let both = self.note(REPOSITORY_GRANTS, both, |_| None);
        both.map_or_else(Vec::new, |(groups, _)| groups.into_keys().collect())
    }

    /// Writes a line, and hands back what was read.
    fn note<T>(
        &mut self,
        attempt: Attempt,
        answer: Result<T, Error>,
        but: impl FnOnce(&T) -> Option<String>,
    ) -> Option<T> {
        let (outcome, read) = match answer {
            Ok(read) => (but(&read).map_or(Outcome::Works, Outcome::WorksBut), Some(read)),
            Err(error) => (Outcome::Fails(error), None),
        };
        self.line(attempt, outcome);
        read
    }

    fn skip(&mut self, attempt: Attempt, why: &'static str) {
        self.line(attempt, Outcome::NotTried(why));
    }

    fn line(&mut self, Attempt(what, need, without, takes): Attempt, outcome: Outcome) {
        self.report.lines.push(ProbeLine { what, need, without, takes, outcome });
    }
}
