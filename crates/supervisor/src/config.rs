//! What a supervisor is told at its start.

use std::net::SocketAddr;

/// Settings of the trusted side, the same for all runs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Whom to ask for names.
    pub nameservers: Nameservers,
    /// Whom to trust.
    pub roots: Roots,
}

/// Whom to ask for names.
#[derive(Clone, Debug, Default)]
pub enum Nameservers {
    /// The system's servers and hosts file.
    #[default]
    System,
    /// These servers and no hosts file.
    Only(Vec<SocketAddr>),
}

/// Which certificate authorities to trust.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// The system's.
    #[default]
    System,
    /// These, in DER.
    Only(Vec<Vec<u8>>),
}

/// The supervisor cannot start.
#[derive(Debug)]
pub struct StartError(pub(crate) String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
