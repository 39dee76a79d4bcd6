//! Events as the application sees them: CloudEvents 1.0 in the JSON format (<https://github.com/cloudevents/spec>).

use rollcall_domain::event::Event;
use rollcall_domain::{EventId, Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;

/// What precedes an event's kind in `type`.
pub const TYPE_PREFIX: &str = "rollcall.";

/// An event. However often it is delivered, its `id` is the same.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CloudEvent {
    /// `1.0`.
    #[schema(pattern = r"^1\.0$")]
    pub specversion: &'static str,
    /// The event's id. Events of a workspace are in the order of their ids.
    #[schema(value_type = schema::EventId)]
    pub id: EventId,
    /// The deployment: its public URL.
    #[schema(format = "uri-reference")]
    pub source: String,
    /// The kind, as in `rollcall.member.onboarded`.
    pub r#type: String,
    /// The id of what it is about.
    pub subject: String,
    /// When it happened.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    pub time: Timestamp,
    /// The workspace: an extension attribute.
    #[schema(value_type = schema::WorkspaceId)]
    pub workspace: WorkspaceId,
    /// `application/json`.
    pub datacontenttype: &'static str,
    /// The rest.
    #[schema(value_type = Value)]
    pub data: Value,
}

impl CloudEvent {
    /// An event of the deployment with this public URL.
    pub fn new(event: &Event, public_url: &str) -> Self {
        Self {
            specversion: "1.0",
            id: event.id,
            source: public_url.to_owned(),
            r#type: format!("{TYPE_PREFIX}{}", event.kind.as_str()),
            subject: event.subject.clone(),
            time: event.at,
            workspace: event.workspace,
            datacontenttype: "application/json",
            data: event.data.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::event::EventKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_attribute_has_a_name_and_form_that_the_specification_allows() {
        let event = Event {
            id: EventId::new(Timestamp::EPOCH, [1; 10]),
            workspace: WorkspaceId::new(Timestamp::EPOCH, [2; 10]),
            kind: EventKind::MemberOnboarded,
            at: Timestamp::from_seconds(1_800_000_000),
            subject: "mem_1".into(),
            data: json!({"role": "member"}),
        };
        let event = serde_json::to_value(CloudEvent::new(&event, "https://rollcall.example.com")).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "rollcall.member.onboarded");
        assert_eq!(event["time"], "2027-01-15T08:00:00.000Z");
        for name in event.as_object().unwrap().keys() {
            assert!(
                name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{name}"
            );
        }
    }
}
