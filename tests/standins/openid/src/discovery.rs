//! The metadata (OpenID Connect Discovery 1.0) and the key set.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::behaviour::replace;
use crate::flavour::{Flavour, MICROSOFT_CONSUMERS};
use crate::provider::Provider;

pub(crate) async fn metadata(
    State(provider): State<Arc<Provider>>,
    tenant: Option<Path<String>>,
) -> impl IntoResponse {
    let tenant = tenant.map(|Path(tenant)| tenant).unwrap_or_default();
    let origin = &provider.origin;
    let paths = provider.flavour.paths(&tenant);
    let mut document = json!({
        "issuer": provider.flavour.issuer_in_metadata(origin, &tenant),
        "authorization_endpoint": format!("{origin}{}", paths.authorize),
        "token_endpoint": format!("{origin}{}", paths.token),
        "userinfo_endpoint": format!("{origin}{}", paths.userinfo),
        "jwks_uri": format!("{origin}{}", paths.keys),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": [match provider.flavour {
            Flavour::Google => "public",
            Flavour::Microsoft { .. } => "pairwise",
        }],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["aud", "email", "exp", "iat", "iss", "name", "sub"],
    });
    let members = document.as_object_mut().expect("an object");
    let world = provider.world();
    if world.behaviour.advertise_answer_issuer {
        members.insert("authorization_response_iss_parameter_supported".into(), true.into());
    }
    replace(members, &world.behaviour.metadata);
    cacheable(document)
}

pub(crate) async fn keys(State(provider): State<Arc<Provider>>) -> impl IntoResponse {
    let world = provider.world();
    let set = match &provider.flavour {
        Flavour::Google => world.keys.set(world.behaviour.decoy_keys, None),
        Flavour::Microsoft { .. } => {
            let any_tenant = format!("{}/{{tenantid}}/v2.0", provider.origin);
            let personal = format!("{}/{MICROSOFT_CONSUMERS}/v2.0", provider.origin);
            world.keys.set(world.behaviour.decoy_keys, Some((&any_tenant, &personal)))
        }
    };
    cacheable(set)
}

fn cacheable(document: Value) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(document))
}
