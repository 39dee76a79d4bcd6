//! What the template says about routes, so that requests go where they would go on AWS.

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// As in the template: `GET /login/{provider}`.
    pub key: String,
    /// The function, by its binary's name.
    pub function: String,
}

/// The template's text.
pub const TEMPLATE: &str = include_str!("../../../infra/template.yaml");

/// The routes of the template. Each stands in a line of its own.
pub fn routes() -> Vec<Route> {
    let routes: Vec<Route> = TEMPLATE.lines().filter_map(route).collect();
    assert_eq!(
        routes.len(),
        TEMPLATE.matches("Type: AWS::ApiGatewayV2::Route").count(),
        "a route is not written as the others are"
    );
    routes
}

fn route(line: &str) -> Option<Route> {
    let (_, rest) = line.split_once("RouteKey: \"")?;
    let (key, rest) = rest.split_once('"')?;
    let (_, rest) = rest.split_once("integrations/${")?;
    let (integration, _) = rest.split_once('}')?;
    let function = match integration {
        "OauthCallbackIntegration" => "oauth-callback",
        "InvitesIntegration" => "invites",
        "AdminApiIntegration" => "admin-api",
        other => panic!("the route {key} leads to {other}, which is no function"),
    };
    Some(Route { key: key.to_owned(), function: function.to_owned() })
}

/// The route that an HTTP API chooses for a request: the most specific one, literal segments before variables, variables before
/// the greedy rest (API Gateway Developer Guide, "Working with routes for HTTP APIs").
pub fn choose<'r>(routes: &'r [Route], method: &str, path: &str) -> Option<&'r Route> {
    routes
        .iter()
        .filter_map(|route| {
            let (route_method, pattern) = route.key.split_once(' ')?;
            let by_method = match route_method {
                "ANY" => 0_usize,
                exact if exact == method => 1,
                _ => return None,
            };
            Some(((fit(pattern, path)?, by_method), route))
        })
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, route)| route)
}

/// How well a pattern fits: for each segment, 2 for a literal one, 1 for a variable; a greedy rest adds nothing.
fn fit(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let mut segments = path.split('/');
    let mut fit = Vec::new();
    for expected in pattern.split('/') {
        if expected.ends_with("+}") {
            return segments.next().map(|_| fit);
        }
        match segments.next()? {
            segment if segment == expected => fit.push(2),
            segment if expected.starts_with('{') && !segment.is_empty() => fit.push(1),
            _ => return None,
        }
    }
    segments.next().is_none().then_some(fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(method: &str, path: &str) -> Option<String> {
        choose(&routes(), method, path).map(|route| format!("{} → {}", route.key, route.function))
    }

    #[test]
    fn the_most_specific_route_is_chosen() {
        let invites = "POST /v1/workspaces/{workspace}/invites → invites";
        assert_eq!(chosen("POST", "/v1/workspaces/ws_1/invites").as_deref(), Some(invites));
        assert_eq!(chosen("GET", "/v1/workspaces").as_deref(), Some("ANY /v1/{proxy+} → admin-api"));
        assert_eq!(chosen("GET", "/login/google").as_deref(), Some("GET /login/{provider} → oauth-callback"));
        assert_eq!(chosen("DELETE", "/login"), None);
        assert_eq!(chosen("GET", "/wp-login.php"), None);
    }
}
