//! The API: what every call has in common, and one file for each subject.

mod grants;
mod repositories;
mod routes;
mod rows;
pub(crate) mod shape;
mod user;
mod workspace;

use serde_json::Value;

use crate::auth::{Actor, Caller, CredentialKind};
use crate::fields::Fields;
use crate::paging::{Asked, Lengths, Manner};
use crate::query::{Query, Queryable, Sort};
use crate::refusal::Refusal;
use crate::world::{Reach, Repository, Workspace, World};
use shape::Shape;

pub(crate) use routes::{Route, Who, find};

pub(crate) type Answer = Result<Value, Refusal>;

/// A call that is allowed to ask.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) caller: &'a Caller,
    pub(crate) route: &'static Route,
    pub(crate) values: Vec<String>,
    pub(crate) query: &'a [(String, String)],
    pub(crate) fields: Fields,
    /// As the request reached it, as in `http://127.0.0.1:8000`.
    pub(crate) origin: &'a str,
    /// The path as it came.
    pub(crate) path: &'a str,
}

/// What a listing takes beside pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Neither `q` nor `sort`: both are passed over.
    Nothing,
    /// `q`, but not `sort`.
    Query,
    /// Both.
    QueryAndSort,
}

impl<'a> Call<'a> {
    /// Checks what the path takes, and answers.
    pub(crate) fn answer(&self) -> Answer {
        match (self.route.who, self.caller.actor) {
            (Who::Anyone, Actor::Anonymous) => return self.route.answer_to(self),
            (_, Actor::Anonymous) => return Err(Refusal::not_valid()),
            (Who::Account, Actor::Token { .. }) => return Err(Refusal::mechanism()),
            _ => {}
        }
        let granular = self.caller.kind == CredentialKind::ApiToken;
        let required = if granular { self.route.granular } else { self.route.scopes };
        if !required.iter().all(|scope| self.caller.has(scope)) {
            return Err(Refusal::scopes(&self.caller.scopes, required));
        }
        self.route.answer_to(self)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape { origin: self.origin, fields: &self.fields, behaviour: &self.world.behaviour }
    }

    /// The workspace that the path names first.
    pub(crate) fn workspace(&self) -> Result<&'a Workspace, Refusal> {
        let name = &self.values[0];
        self.world.find_workspace(name).ok_or_else(|| Refusal::no_workspace(name))
    }

    /// The workspace, if the caller is in it.
    pub(crate) fn own_workspace(&self) -> Result<&'a Workspace, Refusal> {
        let workspace = self.workspace()?;
        if self.caller.is_inside(workspace) { Ok(workspace) } else { Err(Refusal::forbidden()) }
    }

    /// The repository that the path names second, if the caller can see it.
    pub(crate) fn repository(&self) -> Result<(&'a Workspace, &'a Repository, Reach), Refusal> {
        let workspace = self.workspace()?;
        let slug = &self.values[1];
        let reach = self.reach(workspace);
        let found = workspace.repository(slug).filter(|repository| reach.sees(repository));
        let found = found.ok_or_else(|| Refusal::no_repository(&format!("{}/{slug}", workspace.slug)))?;
        Ok((workspace, found, reach))
    }

    pub(crate) fn reach(&self, workspace: &Workspace) -> Reach {
        self.caller.reach(self.world, workspace)
    }

    /// A page of rows.
    pub(crate) fn list<R: Queryable>(
        &self,
        mut rows: Vec<R>,
        lengths: Lengths,
        takes: Takes,
        show: impl Fn(&R) -> Value,
    ) -> Answer {
        let behaviour = &self.world.behaviour;
        let manner = Manner {
            opaque: behaviour.opaque_next.contains(self.route.template),
            sized: !behaviour.without_size.contains(self.route.template),
        };
        let asked = Asked::read(self.query, lengths, manner.opaque)?;
        if let Some(text) = self.parameter("q").filter(|_| takes != Takes::Nothing) {
            let query = Query::parse(text)?;
            let mut met = Vec::with_capacity(rows.len());
            for row in rows {
                if query.matches(&row)? {
                    met.push(row);
                }
            }
            rows = met;
        }
        if let Some(text) = self.parameter("sort").filter(|_| takes == Takes::QueryAndSort) {
            Sort::parse(text).apply(&mut rows)?;
        }
        let values = rows.iter().skip(asked.first()).take(asked.length).map(show).collect();
        let place = format!("{}{}", self.origin, self.path);
        Ok(asked.around(values, rows.len(), manner, &place, self.query))
    }
}
