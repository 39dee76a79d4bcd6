//! Values against schemas: as much of JSON Schema as the description uses.
//!
//! Stricter than the description in one thing: a field that is not described is a breach, although objects may have more. A
//! misspelt name would go unnoticed otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Breach, Contract, beyond};

const REFERENCE: &str = "#/components/schemas/";

/// A schema with everything that it refers to and consists of.
#[derive(Default)]
struct Flat<'c> {
    /// The names of the schemas that it consists of, or for an object within one, `name.field`.
    names: Vec<String>,
    kind: Option<&'c str>,
    format: Option<&'c str>,
    values: Option<&'c Vec<Value>>,
    properties: BTreeMap<&'c str, Vec<&'c Value>>,
    required: BTreeSet<&'c str>,
    items: Option<&'c Value>,
    minimum: Option<u64>,
}

impl<'c> Flat<'c> {
    fn of(contract: &'c Contract, schema: &'c Value, name: Option<String>) -> Self {
        let mut flat = Self::default();
        // What refers to a named schema is called by that name.
        flat.names.extend(name.filter(|_| schema.get("$ref").is_none()));
        flat.add(contract, schema);
        flat
    }

    fn add(&mut self, contract: &'c Contract, schema: &'c Value) {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(REFERENCE)) {
            if !self.names.iter().any(|known| known == name) {
                self.names.push(name.to_owned());
                self.add(contract, contract.schema_named(name));
            }
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.add(contract, part);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.properties.entry(name).or_default().push(property);
        }
        self.required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
        self.kind = schema["type"].as_str().or(self.kind);
        self.format = schema["format"].as_str().or(self.format);
        self.values = schema["enum"].as_array().or(self.values);
        self.items = schema.get("items").or(self.items);
        self.minimum = schema["minimum"].as_u64().or(self.minimum);
    }

    /// Adds the schemas that a value of this one may also be of: the one that its `type` names, or any if it names none.
    fn specialise(&mut self, contract: &'c Contract, kind: Option<&str>) {
        let Some(declared) = self.names.first().cloned() else { return };
        for name in
            contract.document["components"]["schemas"].as_object().into_iter().flatten().map(|(name, _)| name)
        {
            if kind.is_some_and(|kind| kind != name) {
                continue;
            }
            let other = Flat::of(contract, contract.schema_named(name), Some(name.clone()));
            let fits = other.names.contains(&declared) || beyond::stands_for(name, &declared);
            if *name != declared && fits {
                self.names.extend(other.names);
                for (name, properties) in other.properties {
                    self.properties.entry(name).or_default().extend(properties);
                }
            }
        }
    }

    /// Whether this schema is the named one or consists of it.
    fn is(&self, kind: &str) -> bool {
        self.names.iter().any(|name| name == kind)
    }

    fn beyond(&self, field: &str) -> Option<(Value, bool)> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        beyond::field(&names, field)
    }

    /// The name of an object that stands in a field and has no schema of its own.
    fn within(&self, field: &str) -> Option<String> {
        self.names.first().map(|name| format!("{name}.{field}"))
    }
}

/// What is wrong with a value.
pub(super) fn check(contract: &Contract, schema: &Value, value: &Value, is_partial: bool) -> Vec<Breach> {
    let mut checker = Checker { contract, is_partial, breaches: Vec::new() };
    let name = (std::ptr::eq(schema, contract.schema_named("error"))).then(|| "error".to_owned());
    checker.value(&Flat::of(contract, schema, name), value, "");
    checker.breaches
}

/// The schema of a property.
pub(super) fn property<'c>(contract: &'c Contract, schema: &'c Value, name: &str) -> Option<&'c Value> {
    Flat::of(contract, schema, None).properties.get(name)?.first().copied()
}

/// Whether a path of fields, as `fields` and `q` have it, leads to something that is described. `*` is anything.
pub(super) fn leads_somewhere(contract: &Contract, schema: &Value, path: &str) -> bool {
    fn below(contract: &Contract, schema: &Value, name: Option<String>, path: &[&str]) -> bool {
        let mut flat = Flat::of(contract, schema, name);
        flat.specialise(contract, None);
        if let Some(items) = flat.items {
            return below(contract, items, None, path);
        }
        let Some((first, rest)) = path.split_first() else { return true };
        if *first == "*" {
            return true;
        }
        let described = flat.properties.get(first).into_iter().flatten().copied();
        let within = flat.within(first);
        described.clone().any(|schema| below(contract, schema, within.clone(), rest))
            || flat.beyond(first).is_some_and(|(schema, _)| below(contract, &schema, None, rest))
    }
    let path: Vec<&str> = path.split('.').collect();
    below(contract, schema, None, &path)
}

struct Checker<'c> {
    contract: &'c Contract,
    is_partial: bool,
    breaches: Vec<Breach>,
}

impl Checker<'_> {
    fn value(&mut self, flat: &Flat<'_>, value: &Value, place: &str) {
        let is_right = match flat.kind {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => {
                value.as_u64().is_some_and(|number| flat.minimum.is_none_or(|least| number >= least))
            }
            _ => true,
        };
        if !is_right {
            self.wrong(place, flat.kind.unwrap_or_default());
            return;
        }
        if let Some(values) = flat.values.filter(|values| !values.contains(value)) {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            self.wrong(place, &format!("one of {}", values.join(", ")));
        }
        match value {
            Value::String(text) => self.format(flat, text, place),
            Value::Array(items) => {
                if let Some(schema) = flat.items {
                    let flat = Flat::of(self.contract, schema, None);
                    for (at, item) in items.iter().enumerate() {
                        self.value(&flat, item, &format!("{place}[{at}]"));
                    }
                }
            }
            Value::Object(_) => self.object(flat, value, place),
            _ => {}
        }
    }

    fn object(&mut self, declared: &Flat<'_>, value: &Value, place: &str) {
        if declared.names.is_empty() && declared.properties.is_empty() {
            // An object of which nothing is described.
            return;
        }
        let kind = value["type"].as_str();
        // The parts of a schema are seen together: start again with those that the value's type adds.
        let mut flat = Flat {
            names: declared.names.clone(),
            properties: declared.properties.clone(),
            required: declared.required.clone(),
            ..Flat::default()
        };
        if declared.required.contains("type") || kind.is_some() {
            flat.specialise(self.contract, kind);
        }
        let is_named = declared.names.first().is_some_and(|name| !name.contains('.'));
        if let Some(kind) = kind.filter(|kind| is_named && !flat.is(kind)) {
            self.wrong(&at(place, "type"), &format!("{}, not {kind}", declared.names[0]));
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            self.member(&flat, name, member, &at(place, name));
        }
        for name in flat.required.iter().filter(|name| !self.is_partial && value.get(**name).is_none()) {
            self.breaches.push(Breach::Missing(at(place, name)));
        }
    }

    fn member(&mut self, flat: &Flat<'_>, name: &str, member: &Value, place: &str) {
        let beyond = flat.beyond(name);
        if member.is_null() && beyond.as_ref().is_some_and(|(_, nullable)| *nullable) {
            return;
        }
        let Some(described) = flat.properties.get(name) else {
            match beyond {
                Some((schema, _)) => {
                    let found = check(self.contract, &schema, member, self.is_partial);
                    self.breaches.extend(found.into_iter().map(|breach| breach.below(place)));
                }
                None => self.breaches.push(Breach::Undescribed(place.to_owned())),
            }
            return;
        };
        // What the most special schema says of a field counts; a field known to come otherwise may do so.
        let mut kept = Vec::new();
        for schema in described {
            let mut attempt =
                Checker { contract: self.contract, is_partial: self.is_partial, breaches: Vec::new() };
            attempt.value(&Flat::of(self.contract, schema, flat.within(name)), member, place);
            if attempt.breaches.is_empty() {
                return;
            }
            kept = attempt.breaches;
        }
        let otherwise = beyond
            .is_some_and(|(schema, _)| check(self.contract, &schema, member, self.is_partial).is_empty());
        if !otherwise {
            self.breaches.extend(kept);
        }
    }

    fn format(&mut self, flat: &Flat<'_>, text: &str, place: &str) {
        let is_right = match flat.format {
            Some("uri") => url::Url::parse(text).is_ok(),
            Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
            _ => true,
        };
        if !is_right {
            self.wrong(place, flat.format.unwrap_or_default());
        }
    }

    fn wrong(&mut self, place: &str, expected: &str) {
        let place = if place.is_empty() { "the answer" } else { place };
        self.breaches.push(Breach::Value { place: place.to_owned(), expected: expected.to_owned() });
    }
}

impl Breach {
    /// The same, seen from further up.
    fn below(self, above: &str) -> Self {
        match self {
            Self::Undescribed(place) => Self::Undescribed(at(above, &place)),
            Self::Missing(place) => Self::Missing(at(above, &place)),
            Self::Value { place, expected } => Self::Value { place: at(above, &place), expected },
            other => other,
        }
    }
}

fn at(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}
