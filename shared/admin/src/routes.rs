//! One list of handlers, two things made of it: the router, and the description.
//!
//! A router that describes itself carries the description of every type in it into the function that is deployed.

/// An `axum::Router` of handlers that have a `utoipa::path`, with the methods and paths that it names.
#[macro_export]
macro_rules! router {
    ($($handler:path),* $(,)?) => { utoipa_axum::paste! {{
        use utoipa_axum::PathItemExt as _;
        let router = axum::Router::new();
        $(
            let methods = utoipa_axum::routes!(@path [methods()] of $handler);
            let on = |router: axum::routing::MethodRouter<_>, method: &utoipa::openapi::HttpMethod| {
                router.on(method.to_method_filter(), $handler)
            };
            let methods = methods.iter().fold(axum::routing::MethodRouter::new(), on);
            let router = router.route(&utoipa_axum::routes!(@path [path()] of $handler), methods);
        )*
        router
    }}};
}

/// The description of the same handlers: `utoipa::openapi::OpenApi`.
#[macro_export]
macro_rules! described {
    ($($handler:path),* $(,)?) => {
        utoipa_axum::router::OpenApiRouter::<App>::new()
            $( .routes(utoipa_axum::routes!($handler)) )*
            .split_for_parts().1
    };
}
