//! What Atlassian's own description of the API says, to hold requests and answers against.
//!
//! The description beside this crate (`openapi/bitbucket-2.0.json`) is pruned to the operations used and to their shapes.
//!
//! ```
//! use standin_bitbucket::contract::{Contract, Asking};
//!
//! let members = Asking::get("/2.0/workspaces/acme/members").query("fields", "next,size,values.user.uuid");
//! assert_eq!(Contract::official().check_request(&members.scopes(&["account"])), []);
//! assert!(!Contract::official().check_request(&Asking::get("/2.0/workspaces/acme/member")).is_empty());
//! ```

mod beyond;
mod schema;

use std::sync::OnceLock;

use serde_json::Value;
use thiserror::Error;

use crate::query::Query;

/// A disagreement with the description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Breach {
    /// There is no such operation.
    #[error("the description has no {method} {path}")]
    Operation {
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// The operation takes no such parameter.
    #[error("{operation} takes no parameter {name:?}")]
    Parameter {
        /// The operation's path.
        operation: String,
        /// The parameter.
        name: String,
    },
    /// The parameter takes no such value.
    #[error("the parameter {name:?} cannot be {value:?}")]
    ParameterValue {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
    },
    /// A parameter names a field that answers do not have.
    #[error("the parameter {parameter:?} names the field {field:?}, which answers do not have")]
    Field {
        /// `fields`, `q` or `sort`.
        parameter: String,
        /// The field.
        field: String,
    },
    /// There is no such scope at all.
    #[error("there is no scope {0:?}")]
    Scope(String),
    /// The operation needs a scope that is not there.
    #[error("{operation} needs the scope {scope:?}")]
    MissingScope {
        /// The operation's path.
        operation: String,
        /// The scope.
        scope: String,
    },
    /// An answer has a field that the description does not.
    #[error("{0} is not described")]
    Undescribed(String),
    /// An answer lacks a field.
    #[error("{0} is missing")]
    Missing(String),
    /// A value is not what it should be.
    #[error("{place} should be {expected}")]
    Value {
        /// Where, as in `values[3].user.uuid`.
        place: String,
        /// What it should be.
        expected: String,
    },
}

/// A request to be checked.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    method: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
    scopes: Option<Vec<&'a str>>,
}

impl<'a> Asking<'a> {
    /// A request for a path that begins with `/2.0`: with values, as it is sent, or the template.
    pub fn get(path: &'a str) -> Self {
        Self::with_method("GET", path)
    }

    /// The same with another method.
    pub fn with_method(method: &'a str, path: &'a str) -> Self {
        Self { method, path, query: Vec::new(), scopes: None }
    }

    /// With a parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With these parameters.
    #[must_use]
    pub fn queries(mut self, query: &[(String, String)]) -> Self {
        self.query.extend_from_slice(query);
        self
    }

    /// By a credential with these scopes. Without this, scopes are not checked.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&'a str]) -> Self {
        self.scopes = Some(scopes.to_vec());
        self
    }
}

/// The description.
pub struct Contract {
    document: Value,
}

/// An operation of the description, with its path.
struct Operation<'c> {
    path: &'c str,
    description: &'c Value,
}

impl Contract {
    /// Atlassian's description, pruned.
    pub fn official() -> &'static Self {
        static OFFICIAL: OnceLock<Contract> = OnceLock::new();
        OFFICIAL.get_or_init(|| {
            let text = include_str!("../../openapi/bitbucket-2.0.json");
            Self { document: serde_json::from_str(text).expect("the pruned description is JSON") }
        })
    }

    /// The paths, with names instead of values, each with `/2.0` before it.
    pub fn paths(&self) -> impl Iterator<Item = String> + '_ {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.map(|(path, _)| format!("/2.0{path}"))
    }

    /// The OAuth scopes that an operation needs, all of them.
    pub fn scopes(&self, method: &str, path: &str) -> Result<Vec<&str>, Breach> {
        let operation = self.operation(method, path)?;
        let security = operation.description["security"].as_array().into_iter().flatten();
        let scopes = security.filter_map(|need| need["oauth2"].as_array()).flatten();
        Ok(scopes.filter_map(Value::as_str).collect())
    }

    /// The granular scopes that an operation needs of an API token, all of them.
    pub fn granular_scopes(&self, method: &str, path: &str) -> Result<Vec<&str>, Breach> {
        let operation = self.operation(method, path)?;
        let scopes = operation.description["x-granular-scopes"].as_array().into_iter().flatten();
        Ok(scopes.filter_map(Value::as_str).collect())
    }

    /// What is wrong with a request.
    pub fn check_request(&self, asking: &Asking<'_>) -> Vec<Breach> {
        let operation = match self.operation(asking.method, asking.path) {
            Ok(operation) => operation,
            Err(breach) => return vec![breach],
        };
        let mut breaches = Vec::new();
        for (name, value) in &asking.query {
            self.check_parameter(&operation, name, value, &mut breaches);
        }
        if let Some(granted) = &asking.scopes {
            self.check_scopes(asking, &operation, granted, &mut breaches);
        }
        breaches
    }

    /// What is wrong with an answer to a request. With `fields`, it may lack whatever is not asked for.
    pub fn check_answer(&self, asking: &Asking<'_>, status: u16, answer: &Value) -> Vec<Breach> {
        let operation = match self.operation(asking.method, asking.path) {
            Ok(operation) => operation,
            Err(breach) => return vec![breach],
        };
        let is_partial = asking.query.iter().any(|(name, _)| name == "fields");
        let schema = if status == 200 { self.good_answer(&operation) } else { self.schema_named("error") };
        schema::check(self, schema, answer, is_partial)
    }

    fn operation(&self, method: &str, path: &str) -> Result<Operation<'_>, Breach> {
        let unknown = || Breach::Operation { method: method.to_owned(), path: path.to_owned() };
        let bare = path.strip_prefix("/2.0").ok_or_else(unknown)?;
        let parts: Vec<&str> = bare.split('/').collect();
        let is_it = |template: &str| {
            let names: Vec<&str> = template.split('/').collect();
            names.len() == parts.len()
                && names
                    .iter()
                    .zip(&parts)
                    .all(|(name, part)| name == part || (name.starts_with('{') && !part.is_empty()))
        };
        let paths = self.document["paths"].as_object().ok_or_else(unknown)?;
        // The path with the fewest names is the one that is meant: `/user/emails` before `/user/{anything}`.
        let found = paths.iter().filter(|(template, _)| is_it(template));
        let (path, methods) =
            found.min_by_key(|(template, _)| template.matches('{').count()).ok_or_else(unknown)?;
        let description = methods.get(method.to_ascii_lowercase()).ok_or_else(unknown)?;
        Ok(Operation { path, description })
    }

    /// The schema of the answer with status 200.
    fn good_answer(&self, operation: &Operation<'_>) -> &Value {
        let described = self.document["paths"][operation.path]["get"]["responses"]
            .get("200")
            .and_then(|answer| answer.pointer("/content/application~1json/schema"));
        described.unwrap_or_else(|| beyond::answer(operation.path))
    }

    /// The schema of a row, where the answer is a page of rows.
    fn row(&self, operation: &Operation<'_>) -> Option<&Value> {
        schema::property(self, self.good_answer(operation), "values")?.get("items")
    }

    fn schema_named(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }

    fn check_parameter(
        &self,
        operation: &Operation<'_>,
        name: &str,
        value: &str,
        breaches: &mut Vec<Breach>,
    ) {
        let row = self.row(operation);
        let unknown = Breach::Parameter { operation: operation.path.to_owned(), name: name.to_owned() };
        match name {
            // Every operation takes it; what it names must be there.
            "fields" => {
                let names = value.split(',').map(|field| field.trim_start_matches(['+', '-', ' ']));
                for field in names.filter(|field| !field.is_empty()) {
                    if !schema::leads_somewhere(self, self.good_answer(operation), field) {
                        breaches.push(Breach::Field { parameter: name.to_owned(), field: field.to_owned() });
                    }
                }
            }
            "page" | "pagelen" if row.is_some() => {
                let length = value.parse::<u64>().ok().filter(|number| (1..=100).contains(number));
                if name == "pagelen" && length.is_none() {
                    breaches.push(Breach::ParameterValue { name: name.to_owned(), value: value.to_owned() });
                }
            }
            _ => {
                let described = operation.description["parameters"].as_array().into_iter().flatten();
                let described = described.filter(|one| one["in"] == "query").find(|one| one["name"] == name);
                match described {
                    Some(parameter) => {
                        let schema = &parameter["schema"];
                        let allowed = schema["enum"].as_array();
                        if allowed.is_some_and(|allowed| !allowed.iter().any(|one| one == value)) {
                            breaches.push(Breach::ParameterValue {
                                name: name.to_owned(),
                                value: value.to_owned(),
                            });
                        }
                    }
                    None if beyond::takes(operation.path, name) => {}
                    None => {
                        breaches.push(unknown);
                        return;
                    }
                }
                if let ("q" | "sort", Some(row)) = (name, row) {
                    self.check_named_fields(operation, row, name, value, breaches);
                }
            }
        }
    }

    fn check_named_fields(
        &self,
        operation: &Operation<'_>,
        row: &Value,
        parameter: &str,
        value: &str,
        breaches: &mut Vec<Breach>,
    ) {
        let fields = if parameter == "sort" {
            vec![value.trim_start_matches('-').to_owned()]
        } else if let Ok(query) = Query::parse(value) {
            query.fields()
        } else {
            breaches.push(Breach::ParameterValue { name: parameter.to_owned(), value: value.to_owned() });
            return;
        };
        for field in fields {
            let is_there = schema::leads_somewhere(self, row, &field);
            if !is_there && !beyond::sorts_by(operation.path, &field) {
                breaches.push(Breach::Field { parameter: parameter.to_owned(), field });
            }
        }
    }

    fn check_scopes(
        &self,
        asking: &Asking<'_>,
        operation: &Operation<'_>,
        granted: &[&str],
        breaches: &mut Vec<Breach>,
    ) {
        let known = self.document["x-scopes"].as_array().map(Vec::as_slice).unwrap_or_default();
        for scope in granted {
            if !known.iter().any(|known| known == scope) {
                breaches.push(Breach::Scope((*scope).to_owned()));
            }
        }
        let granted = granted.iter().map(|scope| (*scope).to_owned()).collect();
        for scope in self.scopes(asking.method, asking.path).unwrap_or_default() {
            if !crate::world::imply(&granted, scope) {
                let operation = operation.path.to_owned();
                breaches.push(Breach::MissingScope { operation, scope: scope.to_owned() });
            }
        }
    }
}
