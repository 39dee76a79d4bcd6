//! The language of `q` and `sort`, as far as the listings here take it
//! (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering>).

use core::cmp::{Ordering, Reverse};
use std::borrow::Cow;

use crate::refusal::Refusal;

/// The value of a field of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A level or role: compared by rank, named by text.
    Ranked(&'static str, u8),
    /// Yes or no.
    Bool(bool),
    /// A time, in milliseconds since 1970.
    Moment(i64),
    /// Nothing.
    Null,
}

/// A row that can be filtered and sorted.
pub(crate) trait Queryable {
    /// The value of a field; `None` where rows of this kind have no such field.
    fn field(&self, path: &str) -> Option<Scalar<'_>>;
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Test { field: String, operator: Operator, literals: Vec<Literal> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Is,
    IsNot,
    Contains,
    ContainsNot,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    In,
    NotIn,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Bool(bool),
    Null,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 11] = ["!=", "!~", ">=", "<=", "=", "~", ">", "<", "(", ")", ","];

fn invalid(why: &str) -> Refusal {
    Refusal::bad_request(&format!("Invalid query: {why}"))
}

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens };
        let query = parser.any()?;
        if parser.tokens.is_empty() { Ok(query) } else { Err(invalid("something follows after its end")) }
    }

    /// Whether a row meets the condition. A field that such rows do not have is refused.
    pub(crate) fn matches(&self, row: &impl Queryable) -> Result<bool, Refusal> {
        match self {
            Self::All(parts) => parts.iter().try_fold(true, |all, part| Ok(part.matches(row)? && all)),
            Self::Any(parts) => parts.iter().try_fold(false, |any, part| Ok(part.matches(row)? || any)),
            Self::Test { field, operator, literals } => {
                let value = row.field(field).ok_or_else(|| invalid(&format!("unknown field {field}")))?;
                test(&value, *operator, literals)
            }
        }
    }

    /// The fields that it asks about.
    pub(crate) fn fields(&self) -> Vec<String> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Test { field, .. } => vec![field.clone()],
        }
    }

    /// The literals of the only condition on a field, if all rows must meet it.
    pub(crate) fn required(&self, name: &str) -> Option<&[Literal]> {
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.required(name)),
            Self::Any(_) => None,
            Self::Test { field, operator: Operator::Is | Operator::In, literals } if field == name => {
                Some(literals)
            }
            Self::Test { .. } => None,
        }
    }
}

fn test(value: &Scalar<'_>, operator: Operator, literals: &[Literal]) -> Result<bool, Refusal> {
    let any = |meets: fn(Ordering) -> bool| -> Result<bool, Refusal> {
        let mut found = false;
        for literal in literals {
            found |= compare(value, literal)?.is_some_and(meets);
        }
        Ok(found)
    };
    match operator {
        Operator::Is | Operator::In => any(Ordering::is_eq),
        Operator::IsNot | Operator::NotIn => any(Ordering::is_eq).map(|equal| !equal),
        Operator::Greater => any(Ordering::is_gt),
        Operator::GreaterOrEqual => any(Ordering::is_ge),
        Operator::Less => any(Ordering::is_lt),
        Operator::LessOrEqual => any(Ordering::is_le),
        Operator::Contains => contains(value, literals),
        Operator::ContainsNot => contains(value, literals).map(|contained| !contained),
    }
}

fn contains(value: &Scalar<'_>, literals: &[Literal]) -> Result<bool, Refusal> {
    match (value, literals) {
        (Scalar::Text(text), [Literal::Text(part)]) => Ok(text.to_lowercase().contains(&part.to_lowercase())),
        (Scalar::Null, [Literal::Text(_)]) => Ok(false),
        _ => Err(invalid("~ takes a text")),
    }
}

fn compare(value: &Scalar<'_>, literal: &Literal) -> Result<Option<Ordering>, Refusal> {
    match (value, literal) {
        (Scalar::Text(text), Literal::Text(other)) => Ok(Some(text.as_ref().cmp(other))),
        (Scalar::Ranked(_, rank), Literal::Text(other)) => {
            let other = rank_of(other).ok_or_else(|| invalid(&format!("unknown value {other}")))?;
            Ok(Some(rank.cmp(&other)))
        }
        (Scalar::Bool(value), Literal::Bool(other)) => Ok(Some(value.cmp(other))),
        (Scalar::Moment(value), Literal::Text(other)) => {
            let other = moment(other).ok_or_else(|| invalid(&format!("{other} is not a time")))?;
            Ok(Some(value.cmp(&other)))
        }
        (Scalar::Null, Literal::Null) => Ok(Some(Ordering::Equal)),
        (Scalar::Null, _) | (_, Literal::Null) => Ok(None),
        _ => Err(invalid("a value of another type")),
    }
}

/// A date, with a time or without one, in milliseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let at: jiff::Timestamp = text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()?;
    Some(at.as_millisecond())
}

/// The rank of a permission or role.
pub(crate) fn rank_of(name: &str) -> Option<u8> {
    match name {
        "none" => Some(0),
        "read" | "collaborator" => Some(1),
        "write" | "member" => Some(2),
        "create-repo" | "create-project" => Some(3),
        "admin" | "owner" => Some(4),
        _ => None,
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Query, Refusal> {
        let mut parts = vec![self.all()?];
        while self.keyword("OR") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Any(parts) })
    }

    fn all(&mut self) -> Result<Query, Refusal> {
        let mut parts = vec![self.one()?];
        while self.keyword("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::All(parts) })
    }

    fn one(&mut self) -> Result<Query, Refusal> {
        if self.symbol("(") {
            let query = self.any()?;
            return if self.symbol(")") { Ok(query) } else { Err(invalid("a bracket is not closed")) };
        }
        let Some(Token::Word(field)) = self.take() else { return Err(invalid("a field is missing")) };
        let field = field.clone();
        if self.keyword("IN") {
            return Ok(Query::Test { field, operator: Operator::In, literals: self.list()? });
        }
        if self.keyword("NOT") {
            return if self.keyword("IN") {
                Ok(Query::Test { field, operator: Operator::NotIn, literals: self.list()? })
            } else {
                Err(invalid("NOT without IN"))
            };
        }
        let Some(Token::Symbol(symbol)) = self.take() else { return Err(invalid("an operator is missing")) };
        let operator = match *symbol {
            "=" => Operator::Is,
            "!=" => Operator::IsNot,
            "~" => Operator::Contains,
            "!~" => Operator::ContainsNot,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            _ => return Err(invalid("not an operator")),
        };
        Ok(Query::Test { field, operator, literals: vec![self.literal()?] })
    }

    fn list(&mut self) -> Result<Vec<Literal>, Refusal> {
        if !self.symbol("(") {
            return Err(invalid("IN takes a list in brackets"));
        }
        let mut literals = vec![self.literal()?];
        while self.symbol(",") {
            literals.push(self.literal()?);
        }
        if self.symbol(")") { Ok(literals) } else { Err(invalid("a list is not closed")) }
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        match self.take() {
            Some(Token::Quoted(text)) => Ok(Literal::Text(text.clone())),
            Some(Token::Word(word)) => Ok(match word.as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                // Numbers and dates are written without quotes.
                other if other.starts_with(|c: char| c.is_ascii_digit()) => Literal::Text(other.to_owned()),
                _ => return Err(invalid("a text must stand in quotes")),
            }),
            _ => Err(invalid("a value is missing")),
        }
    }

    fn take(&mut self) -> Option<&Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn keyword(&mut self, name: &str) -> bool {
        let is = matches!(self.tokens.first(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(name));
        if is {
            self.take();
        }
        is
    }

    fn symbol(&mut self, name: &str) -> bool {
        let is = matches!(self.tokens.first(), Some(Token::Symbol(symbol)) if *symbol == name);
        if is {
            self.take();
        }
        is
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (quoted, after) = quoted(&rest[1..]).ok_or_else(|| invalid("a text is not closed"))?;
            tokens.push(Token::Quoted(quoted));
            rest = after.trim_start();
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = rest[symbol.len()..].trim_start();
        } else {
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '+');
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(invalid("a sign that means nothing"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(tokens)
}

/// A text up to its closing quote, and what follows. A backslash takes the next sign as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((plain, &text[at + 1..])),
            '\\' => plain.push(signs.next()?.1),
            other => plain.push(other),
        }
    }
    None
}

/// What `sort` asks for.
pub(crate) struct Sort {
    field: String,
    descending: bool,
}

impl Sort {
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(field) => Self { field: field.to_owned(), descending: true },
            None => Self { field: text.to_owned(), descending: false },
        }
    }

    /// Sorts rows; those that are alike stay in their order.
    pub(crate) fn apply<R: Queryable>(&self, rows: &mut [R]) -> Result<(), Refusal> {
        if rows.first().is_some_and(|row| row.field(&self.field).is_none()) {
            return Err(Refusal::bad_request(&format!("Invalid sort field: {}", self.field)));
        }
        let key = |row: &R| row.field(&self.field).map(Key::from);
        if self.descending {
            rows.sort_by_cached_key(|row| Reverse(key(row)));
        } else {
            rows.sort_by_cached_key(key);
        }
        Ok(())
    }
}

/// What rows are sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Nothing,
    Text(String),
    Rank(u8),
    Bool(bool),
    Moment(i64),
}

impl From<Scalar<'_>> for Key {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Text(text) => Self::Text(text.into_owned()),
            Scalar::Ranked(_, rank) => Self::Rank(rank),
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Moment(at) => Self::Moment(at),
            Scalar::Null => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Queryable for Row {
        fn field(&self, path: &str) -> Option<Scalar<'_>> {
            match path {
                "name" => Some(Scalar::Text("Tile \"server\"".into())),
                "is_private" => Some(Scalar::Bool(true)),
                "permission" => Some(Scalar::Ranked("write", 2)),
                "updated_on" => Some(Scalar::Moment(1_772_323_200_000)),
                "parent" => Some(Scalar::Null),
                _ => None,
            }
        }
    }

    fn ask(text: &str) -> Result<bool, Refusal> {
        Query::parse(text)?.matches(&Row)
    }

    #[test]
    fn conditions_are_met_or_not() {
        for met in [
            "is_private=true",
            "is_private = true AND permission>\"read\"",
            r#"name = "Tile \"server\"""#,
            "name ~ \"tile\"",
            "name !~ \"router\"",
            "permission IN (\"write\", \"admin\")",
            "permission NOT IN (\"admin\")",
            "is_private=false OR permission<=\"write\"",
            "(is_private=false OR permission=\"write\") AND updated_on > 2026-02-28",
            "parent = null",
            "name != null",
        ] {
            assert_eq!(ask(met), Ok(true), "{met}");
        }
        for unmet in
            ["is_private=false", "permission>\"write\"", "parent != null", "updated_on >= 2026-03-02"]
        {
            assert_eq!(ask(unmet), Ok(false), "{unmet}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_ignored() {
        for bad in [
            "",
            "is_private",
            "is_private=",
            "is_privat=true",
            "is_private=\"true\"",
            "name=tile",
            "name=\"tile",
            "(name=\"a\"",
            "name=\"a\" name=\"b\"",
            "name IN \"a\"",
            "permission=\"boss\"",
            "name;drop",
            "is_private ~ true",
        ] {
            assert!(matches!(ask(bad), Err(Refusal::Json(400, _))), "{bad}");
        }
    }
}
