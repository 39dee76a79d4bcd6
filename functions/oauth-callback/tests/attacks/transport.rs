//! Who is spoken to: nobody but a server that proves its name by a certificate that is trusted.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use rollcall_domain::identity::Provider;
use serde_json::json;
use standin_openid::{Endpoint, Fault, Times};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::rig::{INES, Rig, object};

/// A key that nobody uses for anything else, and a certificate for `localhost` that it has signed itself, good until 2126.
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgw8K1CMSToclS5FuuRhVYAxCIrbU7z/4Rp2sRduX8xcWhRANCAASgtVc5Lx0eLN\
    rCYz4Z/PDqqQGgr27b1hxljJ92+3c3EEFpcJ7vakpalFaDxADsmyaBYXhoq11V62XTzEsiaiqp";
const CERTIFICATE: &str = "MIIBljCCATugAwIBAgIUPkmyUApkRFzgPVx7kCFXrR9emSkwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzEwMD\
    U1NFoYDzIxMjYxMDMwMTAwNTU0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASgtVc5Lx0eLNrCYz4Z\
    /PDqqQGgr27b1hxljJ92+3c3EEFpcJ7vakpalFaDxADsmyaBYXhoq11V62XTzEsiaiqpo2kwZzAdBgNVHQ4EFgQUGSE8zQAAiujsgGBKLpHzYw\
    y9ZQcwHwYDVR0jBBgwFoAUGSE8zQAAiujsgGBKLpHzYwy9ZQcwDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZI\
    zj0EAwIDSQAwRgIhAIfj19eLjBKk4oyVBq5IfiazYLaaFIlPfbwi3QJEZxIsAiEAy0KXIjc7Pd0Gi6QKsAx2Ca9K1He+NgwQyrQjiqkKzpQ=";

/// A server that says it is `localhost`, and vouches for that itself.
struct Impostor {
    origin: String,
    /// What it was told, once somebody believed it.
    told: Arc<Mutex<Vec<u8>>>,
    /// How many have begun to speak to it.
    visits: Arc<Mutex<usize>>,
}

async fn impostor() -> Impostor {
    let der = |text| STANDARD.decode(text).unwrap();
    let key = PrivateKeyDer::try_from(der(KEY)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der(CERTIFICATE))], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (told, visits) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let impostor = Impostor { origin, told: told.clone(), visits: visits.clone() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *visits.lock().unwrap() += 1;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut bytes = vec![0; 4_096];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                told.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        }
    });
    impostor
}

#[tokio::test]
async fn a_server_without_a_trusted_certificate_gets_no_code() {
    let rig = Rig::new().await;
    let impostor = impostor().await;
    let places = object(json!({ "token_endpoint": format!("{}/token", impostor.origin) }));
    rig.google.change(|behaviour| behaviour.metadata = places);
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Google, INES).await;
    let answer = browser.get(&callback).await;
    assert_eq!((answer.status, browser.has_session()), (StatusCode::SERVICE_UNAVAILABLE, false));
    assert_eq!(rig.failed_checks().await[0], "upstream.unreachable");
    assert_eq!((*impostor.visits.lock().unwrap(), impostor.told.lock().unwrap().len()), (1, 0));

    // The same for its keys and, at the start of a login, for its metadata.
    let other = Rig::new().await;
    let places = object(json!({ "jwks_uri": format!("{}/keys", impostor.origin) }));
    other.google.change(|behaviour| behaviour.metadata = places);
    assert_eq!(other.browser().sign_in(Provider::Google, INES).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(other.failed_checks().await[0], "keys.fetch");
    assert!(*impostor.visits.lock().unwrap() > 1 && impostor.told.lock().unwrap().is_empty());

    // Whoever believes everybody tells it everything: it does listen.
    let credulous =
        reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    let told = credulous.post(format!("{}/token", impostor.origin)).body("code=secret").send().await;
    assert!(told.is_err(), "it never answers");
    assert!(String::from_utf8_lossy(&impostor.told.lock().unwrap()).contains("code=secret"));
}

#[tokio::test]
async fn a_secret_is_never_sent_without_tls_to_another_machine() {
    let rig = Rig::new().await;
    for place in
        ["http://evil.example/token", "http://192.0.2.1/token", "ftp://localhost/token", "file:///etc/passwd"]
    {
        rig.google.change(|behaviour| behaviour.metadata = object(json!({ "token_endpoint": place })));
        let mut browser = rig.browser();
        browser.instance = rig.start_instance();
        let answer = browser.get("/login/google").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{place}");
        assert_eq!(rig.failed_checks().await[0], "discovery.endpoint", "{place}");
    }
    rig.google.fault(Endpoint::Discovery, Fault::Answer { status: 200, body: "{}".into() }, Times::Always);
    let mut browser = rig.browser();
    browser.instance = rig.start_instance();
    assert_eq!(browser.get("/login/google").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.failed_checks().await[0], "discovery.form");
}
