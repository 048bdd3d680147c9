//! What a certificate says, for a report.

use health_watch_capability::message::Certificate;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Names of one certificate that are reported.
const NAMES_MAX: usize = 100;

/// Reads a certificate. What cannot be parsed is reported with its fingerprint only.
pub(crate) fn describe(der: &[u8]) -> Certificate {
    let sha256 = hex(&Sha256::digest(der));
    let Ok((_, parsed)) = X509Certificate::from_der(der) else {
        return Certificate { sha256, subject: "(cannot be parsed)".to_owned(), ..Certificate::default() };
    };
    let not_after = parsed.validity().not_after.timestamp();
    Certificate {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names(&parsed),
        not_before: parsed.validity().not_before.timestamp(),
        not_after,
        days_left: i32::try_from((not_after - now_s()).div_euclid(86_400)).unwrap_or(i32::MAX),
        sha256,
    }
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).take(NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(address.to_string())
}

#[expect(clippy::disallowed_methods, reason = "how many days a certificate has left is counted from today")]
fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
