//! IP addresses: which range one belongs to, and blocks of them.
//!
//! The ranges are those of the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates).
//! Addresses that carry an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo) are judged by the address
//! inside, because that is where packets end up. Cloud metadata services hand out credentials to whoever can
//! connect, so their addresses form a range of their own that only a literal can admit.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Globally reachable.
    Public,
    /// In a special-purpose block; carries the block and its name.
    Special(Cidr, &'static str),
    /// The address of a cloud metadata service.
    Metadata,
    /// Never the address of one machine: unspecified, multicast, broadcast. Cannot be granted.
    Undialable(&'static str),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Special(_, name) | Self::Undialable(name) => f.write_str(name),
            Self::Metadata => f.write_str("cloud metadata"),
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8, name: &'static str) -> (Ipv4Addr, u8, &'static str) {
    (Ipv4Addr::new(a, b, c, d), prefix, name)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8, name: &'static str) -> (Ipv6Addr, u8, &'static str) {
    (Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix, name)
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>: the blocks that are not globally reachable.
const SPECIAL_V4: &[(Ipv4Addr, u8, &str)] = &[
    v4(0, 0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 0, 8, "private"),
    v4(100, 64, 0, 0, 10, "carrier-grade NAT"),
    v4(127, 0, 0, 0, 8, "loopback"),
    v4(169, 254, 0, 0, 16, "link-local"),
    v4(172, 16, 0, 0, 12, "private"),
    v4(192, 0, 0, 0, 24, "protocol assignments"),
    v4(192, 0, 2, 0, 24, "documentation"),
    v4(192, 88, 99, 0, 24, "6to4 relay"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(198, 18, 0, 0, 15, "benchmarking"),
    v4(198, 51, 100, 0, 24, "documentation"),
    v4(203, 0, 113, 0, 24, "documentation"),
    v4(240, 0, 0, 0, 4, "reserved"),
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>, likewise. A block stands before one that holds it.
const SPECIAL_V6: &[(Ipv6Addr, u8, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    v6(0x64, 0xff9b, 1, 0, 48, "local NAT64"),
    v6(0, 0, 0, 0, 8, "reserved"),
    v6(0x100, 0, 0, 0, 64, "discard"),
    v6(0x100, 0, 0, 1, 64, "dummy prefix"),
    v6(0x2001, 0, 0, 0, 23, "protocol assignments"),
    v6(0x2001, 0xdb8, 0, 0, 32, "documentation"),
    v6(0x3fff, 0, 0, 0, 20, "documentation"),
    v6(0x5f00, 0, 0, 0, 16, "segment routing"),
    v6(0xfc00, 0, 0, 0, 7, "unique local"),
    v6(0xfe80, 0, 0, 0, 10, "link-local"),
    v6(0xfec0, 0, 0, 0, 10, "site-local"),
];

/// AWS, GCP, Azure, OpenStack, DigitalOcean; ECS and EKS credentials; Azure's host; Alibaba; Oracle; then IPv6.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Which range `address` belongs to.
#[must_use]
pub fn range(address: IpAddr) -> Range {
    let address = effective(address);
    if METADATA.contains(&address) {
        return Range::Metadata;
    }
    match address {
        _ if address.is_unspecified() => Range::Undialable("unspecified"),
        _ if address.is_multicast() => Range::Undialable("multicast"),
        IpAddr::V4(v4) if v4.is_broadcast() => Range::Undialable("broadcast"),
        _ => special_blocks()
            .find(|(block, _)| block.contains(address))
            .map_or(Range::Public, |(block, name)| Range::Special(block, name)),
    }
}

fn special_blocks() -> impl Iterator<Item = (Cidr, &'static str)> {
    let v4 = SPECIAL_V4.iter().map(|(a, prefix, name)| (Cidr { network: IpAddr::V4(*a), prefix: *prefix }, *name));
    let v6 = SPECIAL_V6.iter().map(|(a, prefix, name)| (Cidr { network: IpAddr::V6(*a), prefix: *prefix }, *name));
    v4.chain(v6)
}

/// The address that packets to `address` reach: the IPv4 address inside, where there is one.
///
/// Mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
#[must_use]
pub fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let join = |hi: u16, lo: u16| {
        let ([w, x], [y, z]) = (hi.to_be_bytes(), lo.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0) && (g, h) != (0, 0) && (g, h) != (0, 1) => join(g, h),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => join(g, h),
        (0x2002, _) => join(b, c),
        (0x2001, 0) => join(!g, !h),
        _ => IpAddr::V6(v6),
    }
}

/// A block of addresses, RFC 4632 notation. A single address is a block of full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not `ADDRESS/LENGTH` at all.
    #[error("`{0}` is not an address block; write it as in `10.0.0.0/8`")]
    Syntax(String),
    /// Bits are set past the prefix.
    #[error("`{0}` has bits set past its prefix; did you mean `{1}`?")]
    HostBits(String, String),
    /// A range that is never the address of one machine.
    #[error("`{0}` is {1}, which can never be granted")]
    Undialable(String, &'static str),
}

impl Cidr {
    /// The block that holds only `address`.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { network: address, prefix }
    }

    /// Whether the block holds one address only.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.prefix == if self.network.is_ipv4() { 32 } else { 128 }
    }

    /// The first address of the block.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.network
    }

    /// The last address of the block.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(a) => {
                let rest = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() | rest))
            }
            IpAddr::V6(a) => {
                let rest = u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() | rest))
            }
        }
    }

    /// Whether `address`, taken literally, lies in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(n), IpAddr::V4(a)) => {
                (n.to_bits() ^ a.to_bits()).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(n), IpAddr::V6(a)) => {
                (n.to_bits() ^ a.to_bits()).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether every address of `self` lies in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.network)
    }

    /// The addresses in both: blocks are nested or disjoint, so this is one of the two or nothing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if self.within(other) {
            Some(*self)
        } else if other.within(self) {
            Some(*other)
        } else {
            None
        }
    }

    /// The block that, as an explicit word, opens what both open: not always what [`Self::meet`] gives, because
    /// `0.0.0.0/0` opens nothing, and so its meet with `10.0.0.0/8` must not either.
    #[must_use]
    pub fn meet_special(&self, other: &Self) -> Option<Self> {
        let both = self.meet(other)?;
        if both.is_host() {
            let opens = |word: &Self| word.admits_special(both.network);
            return Some(both).filter(|_| opens(self) && opens(other));
        }
        let range = special_blocks().map(|(block, _)| block).find(|range| both.within(range))?;
        Some(both).filter(|_| self.within(&range) && other.within(&range))
    }

    /// Whether this block, as a rule, is an explicit word for the special-purpose `address`: it must lie inside
    /// the special range itself, and for a metadata service it must be that very address. So `0.0.0.0/0` opens
    /// no private network, and `169.254.0.0/16` opens no metadata service.
    #[must_use]
    pub fn admits_special(&self, address: IpAddr) -> bool {
        let target = effective(address);
        match range(target) {
            Range::Public => true,
            Range::Undialable(_) => false,
            Range::Metadata => *self == Self::host(target),
            Range::Special(block, _) => self.within(&block) && self.contains(target),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { write!(f, "{}", self.network) } else { write!(f, "{}/{}", self.network, self.prefix) }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let syntax = || CidrError::Syntax(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let network: IpAddr = address.parse().map_err(|_| syntax())?;
        let plain = prefix == "0" || !prefix.starts_with(['0', '+']);
        let prefix: u8 = prefix.parse().ok().filter(|_| plain).ok_or_else(syntax)?;
        let full = Self::host(network).prefix;
        if prefix > full || network.to_string() != address {
            return Err(syntax());
        }
        let masked = mask(network, prefix);
        if masked != network {
            return Err(CidrError::HostBits(text.to_owned(), format!("{masked}/{prefix}")));
        }
        let block = Self { network, prefix };
        match (range(network), range(block.last())) {
            (Range::Undialable(name), Range::Undialable(last)) if name == last => {
                Err(CidrError::Undialable(text.to_owned(), name))
            }
            // Inside `::ffff:0:0/96`: no literal is ever spelled so, hence the block would cover nothing.
            _ if network != network.to_canonical() => Err(syntax()),
            _ => Ok(block),
        }
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & bits))
        }
        IpAddr::V6(a) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & bits))
        }
    }
}
