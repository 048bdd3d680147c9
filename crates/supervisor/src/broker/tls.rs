//! TLS: who is trusted, what a handshake showed, and why it failed.
//!
//! No session is ever resumed, so a server cannot recognise one channel from another, and no setting turns
//! verification off.

use super::Fault;
use super::certificate::describe;
use super::wire::Counted;
use crate::config::Roots;
use health_watch_capability::Host;
use health_watch_capability::message::{Certificate, EffectFailure, TlsProblem, TlsSession};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Tls {
    roots: Roots,
    trust: OnceLock<Result<Trust, String>>,
}

/// Made once, at the first encrypted connection: reading a system's roots takes milliseconds.
struct Trust {
    config: ClientConfig,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Tls {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots, trust: OnceLock::new() }
    }

    /// Shakes hands as a client of `host`.
    pub(crate) async fn handshake(&self, stream: Counted, host: &Host) -> Result<TlsStream<Counted>, Fault> {
        let trust = self.trust.get_or_init(|| Trust::new(&self.roots)).as_ref();
        let trust = trust.map_err(|why| failed(TlsProblem::Handshake, why.clone(), None))?;
        let seen = Arc::new(Witness { verifier: Arc::clone(&trust.verifier), leaf: Mutex::new(None) });
        let mut config = trust.config.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>);
        let connector = TlsConnector::from(Arc::new(config));
        match connector.connect(server_name(host)?, stream).await {
            Ok(stream) => Ok(stream),
            Err(error) => Err(explain(&error, host, seen.leaf().map(|der| describe(&der)))),
        }
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Fault> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => {
            let invalid = || failed(TlsProblem::Handshake, format!("`{name}` cannot be a server name"), None);
            ServerName::try_from(name.as_str().to_owned()).map_err(|_| invalid())
        }
    }
}

/// What a finished handshake showed.
pub(crate) fn session(stream: &TlsStream<Counted>) -> TlsSession {
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    TlsSession {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            _ => String::new(),
        },
        cipher: connection.negotiated_cipher_suite().map(|suite| iana(suite.suite())).unwrap_or_default(),
        alpn: connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        certificate: leaf.map(|der| describe(der)).unwrap_or_default(),
    }
}

/// rustls writes `TLS13_AES…`; the IANA registry has `TLS_AES…`.
fn iana(suite: rustls::CipherSuite) -> String {
    suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1)
}

impl Trust {
    fn new(roots: &Roots) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let store = Arc::new(root_store(roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(&provider))
            .build()
            .map_err(|error| format!("cannot use the trusted roots: {error}"))?;
        Ok(Self { config: client_config(provider, store)?, verifier })
    }
}

fn client_config(provider: Arc<CryptoProvider>, store: Arc<RootCertStore>) -> Result<ClientConfig, String> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot set up TLS: {error}"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn root_store(roots: &Roots) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let ders = match roots {
        Roots::Only(ders) => ders.iter().map(|der| CertificateDer::from(der.clone())).collect(),
        Roots::System => rustls_native_certs::load_native_certs().certs,
    };
    store.add_parsable_certificates(ders);
    if store.is_empty() {
        return Err(
            "this system has no trusted roots; install its CA certificates (package `ca-certificates`)".to_owned()
        );
    }
    Ok(store)
}

/// Verifies as rustls does, and remembers what was presented, so that a refused certificate can be reported.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    leaf: Mutex<Option<Vec<u8>>>,
}

impl Witness {
    fn leaf(&self) -> Option<Vec<u8>> {
        self.leaf.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn failed(problem: TlsProblem, message: String, certificate: Option<Certificate>) -> Fault {
    Fault::Failed(EffectFailure::Tls { problem, message, certificate: certificate.map(Box::new) })
}

fn expired(days_left: i32) -> String {
    match days_left {
        0.. => "a certificate of the chain, not the peer's own, has expired".to_owned(),
        days => format!("the certificate expired {} days ago", -i64::from(days)),
    }
}

fn explain(error: &io::Error, host: &Host, certificate: Option<Certificate>) -> Fault {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        let message = format!("the connection broke during the handshake: {}", super::connect::plain(error));
        return failed(TlsProblem::Handshake, message, certificate);
    };
    let days = certificate.as_ref().map_or(0, |certificate| certificate.days_left);
    let names = certificate.as_ref().map(|certificate| certificate.names.join(", ")).unwrap_or_default();
    let issuer = certificate.as_ref().map(|certificate| certificate.issuer.clone()).unwrap_or_default();
    let (problem, message) = match cause {
        Error::InvalidCertificate(fault) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (TlsProblem::Expired, expired(days)),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                (TlsProblem::Expired, "the certificate is not valid yet".to_owned())
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (TlsProblem::WrongName, format!("the certificate is for {names}, not for {host}"))
            }
            CertificateError::UnknownIssuer => {
                (TlsProblem::UnknownIssuer, format!("the certificate's issuer is not trusted: {issuer}"))
            }
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                let why = "the server presents the certificate of an authority, as self-signed ones often are";
                (TlsProblem::UnknownIssuer, format!("the certificate's issuer is not trusted: {why}: {issuer}"))
            }
            CertificateError::Revoked => (TlsProblem::Revoked, "the certificate was revoked".to_owned()),
            other => (TlsProblem::Certificate, format!("the certificate is not acceptable: {other}")),
        },
        other => (TlsProblem::Handshake, format!("the handshake failed: {other}")),
    };
    failed(problem, message, certificate)
}
