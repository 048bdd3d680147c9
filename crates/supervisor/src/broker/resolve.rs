//! Names to addresses: one look-up per connection, never cached, never searched.
//!
//! A name is asked for as it stands, with its root dot, so that no search domain of the machine can turn
//! `api.internal` into something else.

use crate::config::{Nameservers, StartError};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Addresses of one answer that are looked at; more than any honest name has.
const ADDRESSES_MAX: usize = 64;

pub(crate) struct Resolver(TokioResolver);

impl Resolver {
    pub(crate) fn new(nameservers: Nameservers) -> Result<Self, StartError> {
        let failed = |error: NetError| StartError(format!("cannot set up name look-up: {error}"));
        let mut builder = match nameservers {
            Nameservers::System => TokioResolver::builder_tokio().map_err(failed)?,
            Nameservers::Only(servers) => {
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.into_iter().map(server).collect());
                let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // The effect's deadline is the real limit; these only make a lost packet be sent again.
        options.timeout = Duration::from_secs(2);
        options.attempts = 3;
        builder.build().map(Self).map_err(failed)
    }

    /// Every address of `name`.
    pub(crate) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let absolute = Name::from_ascii(format!("{name}.")).map_err(|error| format!("`{name}` is no name: {error}"))?;
        let found = self.0.lookup_ip(absolute).await.map_err(|error| explain(name, &error))?;
        let addresses: Vec<IpAddr> = found.iter().take(ADDRESSES_MAX + 1).collect();
        match addresses.len() {
            0 => Err(format!("`{name}` has no address")),
            count if count > ADDRESSES_MAX => Err(format!("`{name}` has more than {ADDRESSES_MAX} addresses")),
            _ => Ok(addresses),
        }
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())])
}

fn explain(name: &str, error: &NetError) -> String {
    match error {
        _ if error.is_nx_domain() => format!("`{name}` does not exist (NXDOMAIN)"),
        _ if error.is_no_records_found() => format!("`{name}` has no address"),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("`{name}`: the name server answered {code}"),
        NetError::Timeout => format!("`{name}`: no name server answered"),
        NetError::NoConnections => {
            format!("`{name}`: no name server can be reached; this machine's own network or resolver may be at fault")
        }
        other => format!("`{name}`: {other}"),
    }
}
