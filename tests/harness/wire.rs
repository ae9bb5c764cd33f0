//! BGP messages as bytes, right and wrong.
//!
//! Written apart from the project's own codec on purpose: a mistake shared by
//! both ends of a test would not be seen.

use std::net::{IpAddr, Ipv4Addr};

pub(crate) const OPEN: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const NOTIFICATION: u8 = 3;
pub(crate) const KEEPALIVE: u8 = 4;
pub(crate) const ROUTE_REFRESH: u8 = 5;

/// Optional.
pub(crate) const O: u8 = 0x80;
/// Transitive: set for well-known attributes.
pub(crate) const T: u8 = 0x40;

/// A whole message with its header.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("a message that fits");
    raw_message([0xff; 16], length, kind, body)
}

/// A message whose header says what the test wants.
pub(crate) fn raw_message(marker: [u8; 16], length: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = marker.to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

pub(crate) fn keepalive() -> Vec<u8> {
    message(KEEPALIVE, &[])
}

/// NOTIFICATION with no data.
pub(crate) fn notification(code: u8, subcode: u8) -> Vec<u8> {
    message(NOTIFICATION, &[code, subcode])
}

/// The fields of an OPEN, each of which may be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) version: u8,
    /// The two-octet field.
    pub(crate) asn: u16,
    /// Seconds.
    pub(crate) hold_time: u16,
    pub(crate) id: Ipv4Addr,
    /// The optional parameters as they go out, without their length.
    pub(crate) parameters: Vec<u8>,
}

impl Open {
    /// A good OPEN: IPv4 and IPv6 unicast, route refresh, 4-octet AS numbers.
    pub(crate) fn good(asn: u32, id: &str) -> Self {
        let mut capabilities = capability(1, &[0, 1, 0, 1]);
        capabilities.extend(capability(1, &[0, 2, 0, 1]));
        capabilities.extend(capability(2, &[]));
        capabilities.extend(capability(65, &asn.to_be_bytes()));
        Self {
            version: 4,
            asn: u16::try_from(asn).unwrap_or(23456),
            hold_time: 90,
            id: id.parse().expect("a router ID"),
            parameters: parameter(2, &capabilities),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = vec![self.version];
        body.extend(self.asn.to_be_bytes());
        body.extend(self.hold_time.to_be_bytes());
        body.extend(self.id.octets());
        body.push(u8::try_from(self.parameters.len()).expect("parameters that fit"));
        body.extend(&self.parameters);
        message(OPEN, &body)
    }
}

/// An optional parameter of an OPEN.
pub(crate) fn parameter(kind: u8, value: &[u8]) -> Vec<u8> {
    tlv(kind, value)
}

/// A capability, to be put into a parameter of type 2.
pub(crate) fn capability(code: u8, value: &[u8]) -> Vec<u8> {
    tlv(code, value)
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, u8::try_from(value.len()).expect("a value that fits")];
    bytes.extend(value);
    bytes
}

/// A path attribute; the length octets follow the flags.
pub(crate) fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags, code];
    if flags & 0x10 == 0 {
        bytes.push(u8::try_from(value.len()).expect("a value that fits"));
    } else {
        bytes.extend(
            u16::try_from(value.len())
                .expect("a value that fits")
                .to_be_bytes(),
        );
    }
    bytes.extend(value);
    bytes
}

pub(crate) fn origin(value: u8) -> Vec<u8> {
    attribute(T, 1, &[value])
}

/// AS_PATH of one AS_SEQUENCE in four octets; empty for no AS at all.
pub(crate) fn as_path(numbers: &[u32]) -> Vec<u8> {
    let mut value = Vec::new();
    if !numbers.is_empty() {
        value.extend([2, u8::try_from(numbers.len()).expect("a short path")]);
        value.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
    attribute(T, 2, &value)
}

pub(crate) fn next_hop(address: &str) -> Vec<u8> {
    attribute(
        T,
        3,
        &address
            .parse::<Ipv4Addr>()
            .expect("an IPv4 address")
            .octets(),
    )
}

pub(crate) fn local_pref(value: u32) -> Vec<u8> {
    attribute(T, 5, &value.to_be_bytes())
}

/// A prefix as NLRI, cut to as many octets as its length needs.
pub(crate) fn nlri(prefix: &str) -> Vec<u8> {
    let (address, length) = prefix.split_once('/').expect("address/length");
    let length: u8 = length.parse().expect("a length");
    let octets = match address.parse::<IpAddr>().expect("an address") {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut bytes = vec![length];
    bytes.extend(&octets[..usize::from(length.div_ceil(8))]);
    bytes
}

/// An UPDATE of IPv4 unicast from its three fields.
pub(crate) fn update(withdrawn: &[&str], attributes: &[Vec<u8>], announced: &[&str]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = u16::try_from(attributes.len()).expect("attributes that fit");
    update_with_length(withdrawn, length, &attributes, announced)
}

/// An UPDATE whose attribute length says what the test wants.
pub(crate) fn update_with_length(
    withdrawn: &[&str],
    attribute_length: u16,
    attributes: &[u8],
    announced: &[&str],
) -> Vec<u8> {
    let withdrawn: Vec<u8> = withdrawn.iter().flat_map(|prefix| nlri(prefix)).collect();
    let mut body = u16::try_from(withdrawn.len())
        .expect("routes that fit")
        .to_be_bytes()
        .to_vec();
    body.extend(withdrawn);
    body.extend(attribute_length.to_be_bytes());
    body.extend(attributes);
    body.extend(announced.iter().flat_map(|prefix| nlri(prefix)));
    message(UPDATE, &body)
}

/// A received UPDATE of IPv4 unicast, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) withdrawn: Vec<String>,
    /// Flags, code, value.
    pub(crate) attributes: Vec<(u8, u8, Vec<u8>)>,
    pub(crate) announced: Vec<String>,
}

impl Update {
    /// Takes apart the body of an UPDATE; panics if it does not parse, since
    /// the router under test sent it.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let (withdrawn, rest) = field(body);
        let (mut attributes, announced) = field(rest);
        let mut update = Self {
            withdrawn: prefixes(withdrawn),
            attributes: Vec::new(),
            announced: prefixes(announced),
        };
        while let [flags, code, after @ ..] = attributes {
            let (length, after) = if flags & 0x10 == 0 {
                (usize::from(after[0]), &after[1..])
            } else {
                (
                    usize::from(u16::from_be_bytes([after[0], after[1]])),
                    &after[2..],
                )
            };
            update
                .attributes
                .push((*flags, *code, after[..length].to_vec()));
            attributes = &after[length..];
        }
        update
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, code: u8) -> Option<&[u8]> {
        self.attributes
            .iter()
            .find(|(_, known, _)| *known == code)
            .map(|(_, _, value)| value.as_slice())
    }
}

fn field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    (&bytes[2..2 + length], &bytes[2 + length..])
}

fn prefixes(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let [length, rest @ ..] = bytes {
        let octets = usize::from(length.div_ceil(8));
        let mut address = [0; 4];
        address[..octets].copy_from_slice(&rest[..octets]);
        found.push(format!("{}/{length}", Ipv4Addr::from(address)));
        bytes = &rest[octets..];
    }
    found
}
