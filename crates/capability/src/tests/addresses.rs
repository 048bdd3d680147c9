//! Which range an address is in, at every edge of every block, and which words open it.

use crate::address::{Cidr, Range, effective, range};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// The address `steps` further on, where there is one.
fn neighbour(address: IpAddr, steps: i8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => a.to_bits().checked_add_signed(steps.into()).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(a) => a.to_bits().checked_add_signed(steps.into()).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

/// Edges of every block: what the first and last address are, and what stands just before and just after.
#[test]
fn every_edge_of_every_special_purpose_block_is_judged() {
    // First, last, name; then what the neighbours are. `-` stands for no neighbour.
    let table = [
        ("0.0.0.1", "0.255.255.255", "this network", "unspecified", "public"),
        ("10.0.0.0", "10.255.255.255", "private", "public", "public"),
        ("100.64.0.0", "100.100.100.199", "carrier-grade NAT", "public", "cloud metadata"),
        ("100.100.100.201", "100.127.255.255", "carrier-grade NAT", "cloud metadata", "public"),
        ("127.0.0.0", "127.255.255.255", "loopback", "public", "public"),
        ("169.254.0.0", "169.254.169.253", "link-local", "public", "cloud metadata"),
        ("169.254.169.255", "169.254.170.1", "link-local", "cloud metadata", "cloud metadata"),
        ("169.254.170.3", "169.254.170.22", "link-local", "cloud metadata", "cloud metadata"),
        ("169.254.170.24", "169.254.255.255", "link-local", "cloud metadata", "public"),
        ("172.16.0.0", "172.31.255.255", "private", "public", "public"),
        ("192.0.0.0", "192.0.0.191", "protocol assignments", "public", "cloud metadata"),
        ("192.0.0.193", "192.0.0.255", "protocol assignments", "cloud metadata", "public"),
        ("192.0.2.0", "192.0.2.255", "documentation", "public", "public"),
        ("192.88.99.0", "192.88.99.255", "6to4 relay", "public", "public"),
        ("192.168.0.0", "192.168.255.255", "private", "public", "public"),
        ("198.18.0.0", "198.19.255.255", "benchmarking", "public", "public"),
        ("198.51.100.0", "198.51.100.255", "documentation", "public", "public"),
        ("203.0.113.0", "203.0.113.255", "documentation", "public", "public"),
        ("224.0.0.0", "239.255.255.255", "multicast", "public", "reserved"),
        ("240.0.0.0", "255.255.255.254", "reserved", "multicast", "broadcast"),
        ("255.255.255.255", "255.255.255.255", "broadcast", "reserved", "-"),
        ("::", "::", "unspecified", "-", "loopback"),
        ("::1", "::1", "loopback", "unspecified", "this network"),
        ("::1:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", "broadcast", "unspecified"),
        ("64:ff9b::1:0:0", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "reserved", "broadcast", "local NAT64"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64", "reserved", "reserved"),
        ("64:ff9b:2::", "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved", "local NAT64", "discard"),
        ("100::", "100::ffff:ffff:ffff:ffff", "discard", "reserved", "dummy prefix"),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "dummy prefix", "discard", "public"),
        ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol assignments", "unspecified", "public"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation", "public", "public"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation", "public", "public"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment routing", "public", "public"),
        ("fc00::", "fd00:ec2::22", "unique local", "public", "cloud metadata"),
        ("fd00:ec2::24", "fd00:ec2::253", "unique local", "cloud metadata", "cloud metadata"),
        ("fd00:ec2::255", "fd20:ce::253", "unique local", "cloud metadata", "cloud metadata"),
        ("fd20:ce::255", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local", "cloud metadata", "public"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local", "public", "site-local"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local", "link-local", "multicast"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast", "site-local", "-"),
    ];
    for (first, last, name, before, after) in table {
        let shown = |address: Option<IpAddr>| address.map_or("-".to_owned(), |address| range(address).to_string());
        let found = [
            shown(neighbour(ip(first), -1)),
            shown(Some(ip(first))),
            shown(Some(ip(last))),
            shown(neighbour(ip(last), 1)),
        ];
        assert_eq!(found, [before, name, name, after], "{first} to {last}");
    }
}

#[test]
fn the_blocks_that_iana_calls_globally_reachable_are_public() {
    let table = [
        "1.1.1.1",
        "8.8.8.8",
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        "223.255.255.255",
        "2000::",
        "2606:4700::1111",
        "2620:4f:8000::1",
        "2a00::1",
    ];
    for address in table {
        assert_eq!(range(ip(address)), Range::Public, "{address}");
    }
}

#[test]
fn an_address_that_carries_an_ipv4_address_is_judged_by_it() {
    // The IPv4 address; then it as mapped, compatible, NAT64, 6to4 and Teredo write it.
    let inside =
        ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.255.255", "224.0.0.1", "255.255.255.255", "8.8.8.8"];
    for text in inside {
        let IpAddr::V4(v4) = ip(text) else { panic!("{text}") };
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let clothed = [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2002, high, low, 0xffff, 1, 2, 3, 4),
            Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low),
        ];
        for address in clothed {
            assert_eq!(effective(address.into()), IpAddr::V4(v4), "{address}");
            assert_eq!(range(address.into()), range(v4.into()), "{address}");
        }
    }
    for own in ["::1", "::", "2001:db8::a00:1", "fd00::a00:1", "64:ff9b:1::a00:1", "10.0.0.1"] {
        assert_eq!(effective(ip(own)), ip(own));
    }
}

#[test]
fn every_metadata_service_is_known_in_every_clothing() {
    let table = [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ];
    for address in table {
        assert_eq!(range(ip(address)), Range::Metadata, "{address}");
    }
}

#[test]
fn a_block_is_written_in_one_way() {
    const LIKE: &str = "is not an address block; write it as in `10.0.0.0/8`";
    let syntax = |text: &str| format!("`{text}` {LIKE}");
    let table = [
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/8/8",
        "10.0.0.0/256",
        "10.0.0.0 /8",
        "10.0.0/8",
        "010.0.0.0/8",
        "10.0.0.0/255.0.0.0",
        "::/129",
        "FD00::/8",
        "fd00:0::/8",
        "[fd00::]/8",
        "::ffff:0:0/96",
        "::ffff:10.0.0.0/104",
        "example.org/8",
    ];
    for text in table {
        assert_eq!(text.parse::<Cidr>().unwrap_err().to_string(), syntax(text));
    }
    let table = [
        ("10.0.0.1/8", "`10.0.0.1/8` has bits set past its prefix; did you mean `10.0.0.0/8`?"),
        ("1.0.0.0/0", "`1.0.0.0/0` has bits set past its prefix; did you mean `0.0.0.0/0`?"),
        ("fd00::1/64", "`fd00::1/64` has bits set past its prefix; did you mean `fd00::/64`?"),
        ("0.0.0.0/32", "`0.0.0.0/32` is unspecified, which can never be granted"),
        ("::/128", "`::/128` is unspecified, which can never be granted"),
        ("224.0.0.0/4", "`224.0.0.0/4` is multicast, which can never be granted"),
        ("239.1.2.0/24", "`239.1.2.0/24` is multicast, which can never be granted"),
        ("ff02::/16", "`ff02::/16` is multicast, which can never be granted"),
        ("255.255.255.255/32", "`255.255.255.255/32` is broadcast, which can never be granted"),
    ];
    for (text, message) in table {
        assert_eq!(text.parse::<Cidr>().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_block_holds_its_first_and_last_address_and_not_their_neighbours() {
    let table = [
        ("10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
        ("192.168.1.128/25", "192.168.1.128", "192.168.1.255"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.1"),
        ("128.0.0.0/1", "128.0.0.0", "255.255.255.255"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fd00::/8", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::4/126", "2001:db8::4", "2001:db8::7"),
    ];
    for (text, first, last) in table {
        let block: Cidr = text.parse().unwrap();
        assert_eq!((block.first(), block.last()), (ip(first), ip(last)), "{text}");
        assert!(block.contains(ip(first)) && block.contains(ip(last)), "{text}");
        for outside in [neighbour(ip(first), -1), neighbour(ip(last), 1)].into_iter().flatten() {
            assert!(!block.contains(outside), "{text} {outside}");
        }
    }
}

#[test]
fn only_a_block_inside_a_special_range_opens_it() {
    let table = [
        ("0.0.0.0/0", "10.0.0.1", false),
        ("0.0.0.0/0", "127.0.0.1", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("0.0.0.0/1", "10.0.0.1", false),
        ("8.0.0.0/5", "10.0.0.1", false),
        ("10.0.0.0/7", "10.0.0.1", false),
        ("10.0.0.0/8", "10.0.0.1", true),
        ("10.1.0.0/16", "10.1.2.3", true),
        ("10.1.0.0/16", "10.2.0.1", false),
        ("10.0.0.0/8", "192.168.0.1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("10.0.0.0/8", "64:ff9b::a00:1", true),
        ("10.0.0.0/8", "2002:a00:1::1", true),
        ("::/0", "::1", false),
        ("::/0", "fd00::1", false),
        ("::/0", "::ffff:10.0.0.1", false),
        ("::/8", "::1", false),
        ("::/8", "64:ff9b:1::1", false),
        ("64:ff9b:1::/48", "64:ff9b:1::1", true),
        ("2002::/16", "2002:a00:1::1", false),
        ("64:ff9b::/96", "64:ff9b::a00:1", false),
        ("::1/128", "::1", true),
        ("::1/128", "127.0.0.1", false),
        ("fd00::/8", "fd00::1", true),
        ("fe80::/10", "fe80::1", true),
        ("fe80::/9", "fe80::1", false),
        // Metadata: its own literal and nothing wider.
        ("169.254.0.0/16", "169.254.1.1", true),
        ("169.254.0.0/16", "169.254.169.254", false),
        ("169.254.169.254/31", "169.254.169.254", false),
        ("169.254.169.254/32", "169.254.169.254", true),
        ("169.254.169.254/32", "::ffff:169.254.169.254", true),
        ("169.254.169.254/32", "169.254.170.2", false),
        ("168.63.129.16/32", "168.63.129.16", true),
        ("168.63.129.0/24", "168.63.129.16", false),
        ("fd00::/8", "fd00:ec2::254", false),
        ("fd00:ec2::254/128", "fd00:ec2::254", true),
        // Never.
        ("0.0.0.0/0", "0.0.0.0", false),
        ("0.0.0.0/0", "224.0.0.1", false),
        ("240.0.0.0/4", "255.255.255.255", false),
        ("::/0", "ff02::1", false),
        ("::/0", "::", false),
    ];
    for (block, address, opens) in table {
        let word: Cidr = block.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(word.admits_special(ip(address)), opens, "{block} {address}");
    }
}

#[test]
fn nothing_admits_an_address_that_is_never_one_machine() {
    for text in
        ["0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0", "2002::1"]
    {
        let address = ip(text);
        for prefix in [Cidr::host(address), Cidr::host(effective(address))] {
            assert!(!prefix.admits_special(address), "{text}");
        }
        assert!(matches!(range(address), Range::Undialable(_)), "{text}");
    }
}

#[test]
fn two_words_together_open_what_each_opens() {
    let table = [
        ("0.0.0.0/0", "10.0.0.0/8", None),
        ("169.254.0.0/16", "169.254.169.254/32", None),
        ("169.254.169.254/32", "169.254.169.254/32", Some("169.254.169.254")),
        ("168.63.129.0/24", "168.63.129.16/32", None),
        ("10.0.0.0/8", "10.1.0.0/16", Some("10.1.0.0/16")),
        ("10.0.0.0/8", "10.1.2.3/32", Some("10.1.2.3")),
        ("10.0.0.0/7", "10.0.0.0/8", None),
        ("10.0.0.0/8", "192.168.0.0/16", None),
        ("::/0", "::1/128", None),
        ("::/8", "64:ff9b:1::/64", None),
        ("64:ff9b:1::/48", "64:ff9b:1::/64", Some("64:ff9b:1::/64")),
        ("fc00::/7", "fd00::/8", Some("fd00::/8")),
    ];
    for (a, b, both) in table {
        let [x, y]: [Cidr; 2] = [a, b].map(|text| text.parse().unwrap());
        assert_eq!(x.meet_special(&y).map(|block| block.to_string()).as_deref(), both, "{a} {b}");
        assert_eq!(x.meet_special(&y), y.meet_special(&x), "{a} {b}");
    }
}
