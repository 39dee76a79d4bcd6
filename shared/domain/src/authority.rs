//! Who may ask the admin API for what: one rule, asked in one place.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::audit::Actor;
use crate::member::Role;
use crate::{ClientId, MemberId, TokenId, WorkspaceId};

/// How far a credential reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reach", content = "workspace", rename_all = "snake_case")]
pub enum Reach {
    /// Every workspace, and what concerns all of them.
    Deployment,
    /// One workspace.
    Workspace(WorkspaceId),
}

/// What a credential may do within its reach. Ordered: who may write may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The holder of the deployment's bootstrap token: may do everything.
    Bootstrap,
    /// The holder of an admin token.
    Token {
        /// Which.
        id: TokenId,
        /// How far it reaches.
        reach: Reach,
        /// What it may do there.
        access: Access,
    },
    /// A machine with an access token of its own.
    Client {
        /// Which.
        id: ClientId,
        /// How far it reaches.
        reach: Reach,
        /// What it may do there.
        access: Access,
    },
    /// A member with a session or access token.
    Member {
        /// Who.
        id: MemberId,
        /// Of which workspace.
        workspace: WorkspaceId,
        /// With which role.
        role: Role,
    },
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Something of one workspace.
    Workspace(WorkspaceId),
    /// Something of the whole deployment: the list of workspaces, tokens, clients.
    Deployment,
}

/// Why it is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// Out of reach. Answered exactly as if it were not there.
    #[error("there is no such thing, or it is not yours to see")]
    OutOfReach,
    /// In reach, but only to look at.
    #[error("this credential may read but not change; use one with write access")]
    ReadOnly,
    /// In reach, but only for admins.
    #[error("only an admin of the workspace may do this")]
    NotAdmin,
}

impl Principal {
    /// Whether this principal may have `access` to `subject`.
    pub fn may(&self, access: Access, subject: Subject) -> Result<(), Denied> {
        match self {
            Self::Bootstrap => Ok(()),
            Self::Token { reach, access: granted, .. } | Self::Client { reach, access: granted, .. } => {
                let reaches = match (reach, subject) {
                    (Reach::Deployment, _) => true,
                    (Reach::Workspace(mine), Subject::Workspace(asked)) => *mine == asked,
                    (Reach::Workspace(_), Subject::Deployment) => false,
                };
                match (reaches, access <= *granted) {
                    (false, _) => Err(Denied::OutOfReach),
                    (true, false) => Err(Denied::ReadOnly),
                    (true, true) => Ok(()),
                }
            }
            Self::Member { workspace, role, .. } => match subject {
                Subject::Workspace(asked) if asked == *workspace && *role == Role::Admin => Ok(()),
                Subject::Workspace(asked) if asked == *workspace => Err(Denied::NotAdmin),
                _ => Err(Denied::OutOfReach),
            },
        }
    }

    /// As the audit trail names them.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Bootstrap => Actor::Bootstrap,
            Self::Token { id, .. } => Actor::Token { id: *id },
            Self::Client { id, .. } => Actor::Client { id: *id },
            Self::Member { id, .. } => Actor::Member { id: *id },
        }
    }

    /// The highest role this principal may give away: nobody grants more than they have.
    pub fn highest_role(&self) -> Role {
        match self {
            Self::Bootstrap => Role::Admin,
            Self::Token { access, .. } | Self::Client { access, .. } if *access == Access::Write => {
                Role::Admin
            }
            Self::Token { .. } | Self::Client { .. } => Role::Member,
            Self::Member { role, .. } => *role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn workspace(n: u8) -> WorkspaceId {
        WorkspaceId::new(Timestamp::EPOCH, [n; 10])
    }

    #[test]
    fn the_table_of_principals_and_subjects() {
        use Access::{Read, Write};
        use Denied::{NotAdmin, OutOfReach, ReadOnly};
        let token =
            |reach, access| Principal::Token { id: TokenId::new(Timestamp::EPOCH, [0; 10]), reach, access };
        let client =
            |reach, access| Principal::Client { id: ClientId::new(Timestamp::EPOCH, [0; 10]), reach, access };
        let member = |role| Principal::Member {
            id: MemberId::new(Timestamp::EPOCH, [0; 10]),
            workspace: workspace(1),
            role,
        };
        let (mine, other) = (Subject::Workspace(workspace(1)), Subject::Workspace(workspace(2)));
        let asked = [
            (Read, mine),
            (Write, mine),
            (Read, other),
            (Write, other),
            (Read, Subject::Deployment),
            (Write, Subject::Deployment),
        ];
        let out = Err(OutOfReach);
        for (principal, expected) in [
            (Principal::Bootstrap, [Ok(()); 6]),
            (token(Reach::Deployment, Write), [Ok(()); 6]),
            (
                token(Reach::Deployment, Read),
                [Ok(()), Err(ReadOnly), Ok(()), Err(ReadOnly), Ok(()), Err(ReadOnly)],
            ),
            (token(Reach::Workspace(workspace(1)), Write), [Ok(()), Ok(()), out, out, out, out]),
            (token(Reach::Workspace(workspace(1)), Read), [Ok(()), Err(ReadOnly), out, out, out, out]),
            (client(Reach::Workspace(workspace(1)), Read), [Ok(()), Err(ReadOnly), out, out, out, out]),
            (member(Role::Admin), [Ok(()), Ok(()), out, out, out, out]),
            (member(Role::Member), [Err(NotAdmin), Err(NotAdmin), out, out, out, out]),
        ] {
            let answers = asked.map(|(access, subject)| principal.may(access, subject));
            assert_eq!(answers, expected, "{principal:?}");
        }
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let reader = Principal::Token {
            id: TokenId::new(Timestamp::EPOCH, [0; 10]),
            reach: Reach::Deployment,
            access: Access::Read,
        };
        assert_eq!(reader.highest_role(), Role::Member);
        let member = Principal::Member {
            id: MemberId::new(Timestamp::EPOCH, [0; 10]),
            workspace: workspace(1),
            role: Role::Member,
        };
        assert_eq!(member.highest_role(), Role::Member);
    }
}
