//! The description of the API.

use rollcall_admin::testing::{As, Call};
use serde_json::Value;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_open_to_all_and_every_operation_is_there() {
    let world = World::start().await;
    let answer = world.get(&As::Nobody, "/v1/openapi.json").await;
    assert_eq!((answer.status.as_u16(), answer.text_at("/openapi").get(..3)), (200, Some("3.1")));
    let mut seen = std::collections::BTreeSet::new();
    for (path, item) in answer.json["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(seen.insert(id.to_owned()), "{id} stands for two operations");
            assert!(
                !operation["summary"].as_str().unwrap().is_empty() || operation["description"].is_string()
            );
            assert!(operation["responses"]["401"]["content"]["application/problem+json"].is_object(), "{id}");
            let concrete = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let asked = world.send(Call::new(&method.to_uppercase(), concrete)).await;
            assert_eq!(asked.status, 401, "{method} {path} is served, behind the gate");
        }
    }
    assert!(seen.len() >= 33, "{}", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_in_the_description_leads_somewhere() {
    let world = World::start().await;
    let description = world.get(&As::Nobody, "/v1/openapi.json").await.json;
    let mut found = Vec::new();
    references(&description, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let ("$ref", Value::String(reference)) = (name.as_str(), member) {
                    found.push(reference);
                }
                references(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
