//! TLS before what stands around the functions: on Lambda, every call goes over TLS, and the first one of each host pays for it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority whose key was thrown away, and what it has signed before: a certificate for `localhost`, good until 2126, and its key.
const AUTHORITY: &str = include_str!("../tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("../tls/localhost.der");
const KEY: &[u8] = include_bytes!("../tls/localhost.key.der");
/// Where systems keep the authorities that they trust.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Opens a socket that speaks TLS and passes everything on. Its origin.
pub(crate) async fn before(upstream: SocketAddr) -> io::Result<String> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(KEY.to_vec()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE.to_vec())], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let origin = format!("https://localhost:{}", listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(upstream).await?;
                let _ = inside.set_nodelay(true);
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    Ok(origin)
}

/// What has to be trusted, in files.
pub(crate) struct Trust {
    /// The authority above alone.
    pub(crate) authority: PathBuf,
    /// All that this system trusts, and the authority above: as many as a client has to read on Lambda.
    pub(crate) bundle: PathBuf,
}

impl Trust {
    /// Writes the files into a folder.
    pub(crate) fn write(folder: &Path) -> io::Result<Self> {
        let trust = Self { authority: folder.join("authority.pem"), bundle: folder.join("trusted.pem") };
        let system = SYSTEM.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        std::fs::write(&trust.authority, AUTHORITY)?;
        std::fs::write(&trust.bundle, format!("{system}\n{AUTHORITY}"))?;
        Ok(trust)
    }
}
