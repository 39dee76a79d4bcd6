//! How large a Bitbucket workspace is.

use serde::Serialize;

/// The size of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) members: usize,
    pub(crate) repositories: usize,
    pub(crate) projects: usize,
    pub(crate) groups: usize,
}

/// A team, a company, a large one.
pub(crate) const SIZES: [Size; 3] = [
    Size { name: "small", members: 100, repositories: 100, projects: 10, groups: 10 },
    Size { name: "medium", members: 1_000, repositories: 1_500, projects: 60, groups: 60 },
    Size { name: "large", members: 5_000, repositories: 5_000, projects: 200, groups: 150 },
];

impl Size {
    /// A line of a table.
    pub(crate) fn label(&self) -> String {
        format!("{} members, {} repositories, {} projects", self.members, self.repositories, self.projects)
    }
}
