//! The test CA, the identities that it vouches for and those that it does not, and bytes that are not TLS.
//!
//! Keys and certificates are made when the tests run: none is stored, and none can expire in the repository.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Who a TLS server claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// 127.0.0.1, ::1, localhost and *.test.example, signed by the test CA, valid for a year.
    Valid,
    /// As [`Identity::Valid`], but it ran out yesterday.
    Expired,
    /// As [`Identity::Valid`], but it starts tomorrow.
    NotYetValid,
    /// Signed by the test CA, for another name.
    WrongName,
    /// As [`Identity::Valid`], but signed by another CA.
    UnknownIssuer,
    /// As [`Identity::Valid`], but signed by itself.
    SelfSigned,
    /// As [`Identity::Valid`], with this many whole days left (and one hour, for the test to run in).
    ExpiresIn(u64),
}

/// What a TLS server offers in ALPN, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// Nothing: the server ignores ALPN.
    None,
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
    /// `h2`, then `http/1.1`.
    Both,
}

impl Alpn {
    pub(super) fn offers_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Both)
    }

    fn protocols(self) -> Vec<Vec<u8>> {
        let (http1, http2) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Self::None => Vec::new(),
            Self::Http1 => vec![http1],
            Self::Http2 => vec![http2],
            Self::Both => vec![http2, http1],
        }
    }
}

/// The certificate of the test CA, which clients must trust, as DER.
pub fn ca_der() -> Vec<u8> {
    test_ca().certificate.der().to_vec()
}

/// The certificate of the test CA as PEM.
pub fn ca_pem() -> String {
    test_ca().certificate.pem()
}

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("makes the CA's key");
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("signs the CA's certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }
}

fn test_ca() -> &'static Authority {
    static CA: OnceLock<Authority> = OnceLock::new();
    CA.get_or_init(|| Authority::new("Test CA"))
}

/// The configuration of a server with this identity.
pub(super) fn server_config(identity: Identity, alpn: Alpn) -> ServerConfig {
    let key = KeyPair::generate().expect("makes the server's key");
    let params = leaf(identity);
    let certificate = match identity {
        Identity::SelfSigned => params.self_signed(&key),
        Identity::UnknownIssuer => params.signed_by(&key, &Authority::new("Other CA").issuer),
        _ => params.signed_by(&key, &test_ca().issuer),
    };
    let certificate = certificate.expect("signs the server's certificate").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("reads the server's key");
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let config = config.expect("speaks TLS").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).expect("takes the identity");
    config.alpn_protocols = alpn.protocols();
    config
}

fn leaf(identity: Identity) -> CertificateParams {
    let names: &[&str] = match identity {
        Identity::WrongName => &["elsewhere.example"],
        _ => &["127.0.0.1", "::1", "localhost", "*.test.example"],
    };
    let names = names.iter().map(|name| String::from(*name)).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).expect("takes the names");
    params.distinguished_name = common_name("test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 3600));
    let (from, until) = match identity {
        Identity::Expired => (now - 30 * day, now - day),
        Identity::NotYetValid => (now + day, now + 30 * day),
        Identity::ExpiresIn(days) => (now - day, now + Duration::from_secs(days * 24 * 3600 + 3600)),
        _ => (now - day, now + 365 * day),
    };
    (params.not_before, params.not_after) = (from.into(), until.into());
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// Bytes that look random, the same each time. The first is no TLS record type and no letter.
pub(super) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    std::iter::once(0xff).chain(std::iter::repeat_with(&mut next)).take(count).collect()
}

/// Answers whatever the client says first with noise.
pub(super) async fn answer_with_noise(mut tcp: TcpStream) -> io::Result<()> {
    let mut first = [0; 1024];
    if tcp.read(&mut first).await? > 0 {
        tcp.write_all(&noise(200)).await?;
    }
    super::finish(tcp).await
}
