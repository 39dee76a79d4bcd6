//! What every operation's description has in common, added in one place: who may ask, and how each refusal looks.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, Required};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::schema;

/// The media type of problem details (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// Adds the security schemes, the schema of problem details, and to each operation the refusals that it can answer with.
///
/// Operations of the paths in `open` need no credential.
#[must_use]
pub fn finish(mut description: OpenApi, open: &[&str]) -> OpenApi {
    let components = description.components.get_or_insert_with(Components::new);
    components.schemas.insert("Problem".to_owned(), schema::Problem::schema());
    let mut more = Vec::new();
    schema::Problem::schemas(&mut more);
    components.schemas.extend(more);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An admin token (`rca_…`), the bootstrap token, or a machine's access token from `POST /token` with \
             `grant_type=client_credentials`.",
        ))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(
        "__Host-rollcall-session",
        "The session of a member who is an admin. Writes have to come from our own pages.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));

    for (path, item) in &mut description.paths.paths {
        let is_open = open.contains(&path.as_str());
        if let Some(post) = &mut item.post {
            post.parameters.get_or_insert_default().push(idempotency_key().into());
            for (status, response) in &mut post.responses.responses {
                if status.starts_with('2')
                    && let RefOr::T(response) = response
                {
                    add_header(
                        response,
                        "Idempotency-Replayed",
                        "`true`: the answer to the first attempt under this key.",
                    );
                }
            }
        }
        for (writes, operation) in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter
                    && parameter.name == "If-Match"
                {
                    parameter.schema = Some(schema::EntityTags::schema());
                }
            }
            if is_open {
                operation.security = Some(Vec::new());
                continue;
            }
            operation.security = Some(vec![
                SecurityRequirement::new("token", Vec::<String>::new()),
                SecurityRequirement::new("session", Vec::<String>::new()),
            ]);
            refusals(operation, writes);
        }
    }
    description
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!#-~]+$"))
        .build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The caller's name for this attempt: under the same name, a repetition is answered and not done again."))
        .schema(Some(schema))
        .build()
}

fn add_header(response: &mut Response, name: &str, why: &str) {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(text)).description(Some(why)).build();
    response.headers.insert(name.to_owned(), header.into());
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    [
        (false, item.get.as_mut()),
        (true, item.put.as_mut()),
        (true, item.post.as_mut()),
        (true, item.patch.as_mut()),
        (true, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(writes, operation)| operation.map(|operation| (writes, operation)))
}

fn refusals(operation: &mut Operation, writes: bool) {
    let mut add = |status: &str, why: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let mut response = ResponseBuilder::new().description(why).content(PROBLEM, content).build();
        match status {
            "401" => add_header(&mut response, "WWW-Authenticate", "How to sign in (RFC 6750)."),
            "429" | "503" => add_header(
                &mut response,
                "Retry-After",
                "After how many seconds to try again, where that is known.",
            ),
            _ => {}
        }
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    };
    add("400", "The request cannot be understood.");
    add("401", "No credential, or one that is unknown, expired or revoked.");
    add("403", "The credential may not do this.");
    add("404", "There is no such thing, or it is not yours to see.");
    add("429", "Too many attempts with credentials that were refused.");
    add("500", "A fault on our side.");
    add("503", "Something that is needed does not answer; try again later.");
    if writes {
        add("409", "The present state does not allow this.");
        add("412", "It has changed since it was read (`If-Match`).");
    }
    if operation.request_body.is_some() {
        add("413", "The body has more than 256 KiB.");
        add("415", "The body is not `application/json`.");
        add("422", "The body is understood and not acceptable; `errors` says where and why.");
    }
}
