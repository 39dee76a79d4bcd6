//! What is asked for when an application or machine is registered.

use std::borrow::Cow;

use rollcall_admin::schema;
use rollcall_admin::text::Name;
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::{Secret, TokenHash, WorkspaceId};
use rollcall_identity::provider::{Client, MachineAccess, RedirectUri};
use rollcall_service::web::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// How far a credential reaches: `"deployment"`, or one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReachView {
    /// Every workspace, and what concerns all of them.
    Deployment,
    /// One workspace.
    Workspace(WorkspaceId),
}

impl PartialSchema for ReachView {
    fn schema() -> RefOr<Schema> {
        let everything = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["deployment"]))
            .description(Some("Every workspace, and what concerns all of them."));
        let one = ObjectBuilder::new()
            .property("workspace", Ref::from_schema_name("WorkspaceId"))
            .required("workspace")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("One workspace."));
        OneOfBuilder::new()
            .item(everything)
            .item(one)
            .description(Some("How far a credential reaches: `\"deployment\"`, or one workspace."))
            .into()
    }
}

impl ToSchema for ReachView {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Reach")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((schema::WorkspaceId::name().into_owned(), schema::WorkspaceId::schema()));
    }
}

impl From<Reach> for ReachView {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Deployment => Self::Deployment,
            Reach::Workspace(workspace) => Self::Workspace(workspace),
        }
    }
}

impl From<ReachView> for Reach {
    fn from(reach: ReachView) -> Self {
        match reach {
            ReachView::Deployment => Self::Deployment,
            ReachView::Workspace(workspace) => Self::Workspace(workspace),
        }
    }
}

/// What a machine may do with the admin API.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MachineAccess)]
pub(crate) struct MachineView {
    /// How far it reaches.
    pub(crate) reach: ReachView,
    /// What it may do there.
    #[schema(value_type = schema::Access)]
    pub(crate) access: Access,
}

/// An application or machine to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClient {
    /// What people call it.
    #[schema(value_type = schema::Name)]
    pub(crate) name: Name,
    /// Whether it cannot keep a secret, as a program on a desktop: it then has none, and proves itself by PKCE alone.
    #[serde(default)]
    pub(crate) public: bool,
    /// Where codes may be sent, to the letter. None: no sign-in through this client.
    #[serde(default)]
    #[schema(value_type = Vec<schema::RedirectUri>, max_items = 20)]
    redirect_uris: Vec<String>,
    /// Where the browser may be sent after logout.
    #[serde(default)]
    #[schema(value_type = Vec<schema::RedirectUri>, max_items = 20)]
    post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are sent.
    #[schema(value_type = Option<schema::RedirectUri>)]
    backchannel_logout_uri: Option<String>,
    /// The audience of its access tokens: the API they are for. Default: the client's own id.
    #[schema(value_type = Option<schema::Audience>)]
    audience: Option<String>,
    /// Whose members may sign in through it. Default: those of every workspace.
    #[schema(value_type = Option<schema::WorkspaceId>)]
    pub(crate) workspace: Option<WorkspaceId>,
    /// What it may do with the admin API by itself. Default: nothing.
    pub(crate) machine: Option<MachineView>,
}

const MOST_URIS: usize = 20;

impl NewClient {
    /// The client as it will be registered.
    pub(crate) fn into_client(
        self,
        id: rollcall_domain::ClientId,
        secret: Option<&Secret>,
        admin_audience: &str,
    ) -> Result<Client, Problem> {
        let mut errors = Vec::new();
        let redirect_uris = uris("/redirect_uris", &self.redirect_uris, &mut errors);
        let post_logout_redirect_uris =
            uris("/post_logout_redirect_uris", &self.post_logout_redirect_uris, &mut errors);
        let backchannel_logout_uri = self.backchannel_logout_uri.as_deref().and_then(|uri| {
            RedirectUri::parse(uri)
                .map_err(|error| errors.push(FieldError::at("/backchannel_logout_uri", error.to_string())))
                .ok()
        });
        if let Some(audience) = &self.audience {
            let plain =
                (1..=255).contains(&audience.len()) && audience.bytes().all(|byte| byte.is_ascii_graphic());
            // A token for an application must never pass for one of the admin API.
            if !plain || audience == admin_audience {
                errors.push(FieldError::at("/audience", "is not an audience that an application can have"));
            }
        }
        if self.machine.is_some() && self.public {
            errors.push(FieldError::at("/machine", "a client without a secret cannot sign in by itself"));
        }
        if redirect_uris.is_empty() && self.machine.is_none() && errors.is_empty() {
            errors.push(FieldError::at(
                "/redirect_uris",
                "names none, and the client has no access as a machine either: it could do nothing",
            ));
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(Client {
            id,
            name: self.name.into(),
            secrets: secret.map(TokenHash::of).into_iter().collect(),
            redirect_uris,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            audience: self.audience,
            workspace: self.workspace,
            machine: self
                .machine
                .map(|machine| MachineAccess { reach: machine.reach.into(), access: machine.access }),
        })
    }
}

fn uris(place: &str, texts: &[String], errors: &mut Vec<FieldError>) -> Vec<RedirectUri> {
    if texts.len() > MOST_URIS {
        errors.push(FieldError::at(place, format!("has more than {MOST_URIS}")));
        return Vec::new();
    }
    texts
        .iter()
        .enumerate()
        .filter_map(|(at, text)| {
            RedirectUri::parse(text)
                .map_err(|error| errors.push(FieldError::at(format!("{place}/{at}"), error.to_string())))
                .ok()
        })
        .collect()
}
