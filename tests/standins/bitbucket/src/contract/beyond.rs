//! What is so although the description does not say it: each with where it is known from.

use std::sync::OnceLock;

use serde_json::{Value, json};

/// A field that a schema lacks, or describes otherwise than it comes.
struct Beyond {
    schema: &'static str,
    field: &'static str,
    /// The type, or the name of a schema after `#`.
    kind: &'static str,
    /// Whether it may be null.
    nullable: bool,
}

const fn known(schema: &'static str, field: &'static str, kind: &'static str, nullable: bool) -> Beyond {
    Beyond { schema, field, kind, nullable }
}

const BEYOND: &[Beyond] = &[
    // The description's own examples of `/workspaces/{workspace}/permissions` and of `/user/workspaces/{workspace}/permission`; the
    // dates are in the announcement that takes them away from some workspaces.
    known("workspace_membership", "permission", "string", false),
    known("workspace_membership", "added_on", "string", true),
    known("workspace_membership", "last_accessed", "string", true),
    // The text of `/workspaces/{workspace}/members`: for admins who filter by address and ask for the field.
    known("user", "email", "string", false),
    // <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#uuid> shows these.
    known("user", "username", "string", false),
    known("user", "location", "string", true),
    // Null to whoever may not see it (recorded answers).
    known("user", "has_2fa_enabled", "boolean", true),
    known("app_user", "nickname", "string", false),
    known("app_user", "is_staff", "boolean", false),
    known("app_user", "username", "string", false),
    known("app_user", "location", "string", true),
    known("app_user", "has_2fa_enabled", "boolean", true),
    known("app_user", "links", "#user_links", false),
    known("team", "username", "string", false),
    // Every recorded repository, project and link has these.
    known("repository", "slug", "string", false),
    known("repository", "workspace", "#workspace", false),
    known("project", "workspace", "#workspace", false),
    known("project.links", "self", "#link", false),
    known("project.links", "repositories", "#link", false),
    // A missing scope is told as an object (recorded answers); everything else as a text, as described.
    known("error.error", "detail", "object", false),
];

/// The schema of a field, if it is known from elsewhere.
pub(super) fn field(schemas: &[&str], name: &str) -> Option<(Value, bool)> {
    let known = BEYOND.iter().find(|known| known.field == name && schemas.contains(&known.schema))?;
    let schema = match known.kind.strip_prefix('#') {
        Some(schema) => json!({"$ref": format!("#/components/schemas/{schema}")}),
        None => json!({"type": known.kind}),
    };
    Some((schema, known.nullable))
}

/// The answer with status 200 of an operation that describes none: `/user/emails`.
pub(super) fn answer(path: &str) -> &'static Value {
    static EMAILS: OnceLock<Value> = OnceLock::new();
    static NOTHING: Value = Value::Null;
    if path != "/user/emails" {
        return &NOTHING;
    }
    EMAILS.get_or_init(|| {
        let texts = json!({"type": "string"});
        let row = json!({
            "type": "object",
            "properties": {
                "type": texts, "email": texts, "is_primary": {"type": "boolean"}, "is_confirmed": {"type": "boolean"},
                "links": {"type": "object", "properties": {"self": {"$ref": "#/components/schemas/link"}}},
            },
            "required": ["email", "is_confirmed", "is_primary", "type"],
        });
        json!({
            "type": "object",
            "properties": {
                "size": {"type": "integer"}, "page": {"type": "integer"}, "pagelen": {"type": "integer"},
                "next": {"type": "string", "format": "uri"}, "previous": {"type": "string", "format": "uri"},
                "values": {"type": "array", "items": row},
            },
            "additionalProperties": false,
        })
    })
}

/// Kinds that come where another one is described: apps are granted things as people are.
pub(super) fn stands_for(kind: &str, described: &str) -> bool {
    (kind, described) == ("app_user", "user")
}

/// Parameters that only an operation's text speaks of.
pub(super) fn takes(path: &str, parameter: &str) -> bool {
    path == "/workspaces/{workspace}/members" && parameter == "q"
}

/// Fields that only an operation's text says can be sorted by.
pub(super) fn sorts_by(path: &str, field: &str) -> bool {
    path == "/user/workspaces" && field == "slug"
}
