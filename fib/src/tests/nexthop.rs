//! Nexthop objects on the wire: against the bytes of iproute2, against a kernel, and at random.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use ipnet::IpNet;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload, Nla};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use proptest::prelude::*;
use serde_json::Value;

use crate::codec::{
    Body, Dump, Notice, PROTOCOL_BGP, Place, append_object_operation, append_operation,
    ask_for_answer, dump_request, messages,
};
use crate::nexthop::{
    GroupMember, NexthopAttribute, NexthopHeader, NexthopNetlinkMessage, ResilientGroup,
};
use crate::object::{Group, Object, ObjectNotice, ObjectOperation, ObjectVerb};
use crate::reconcile::{Operation, Verb};
use crate::route::{KernelHop, KernelKind, KernelRoute};

const PROTOCOL_STATIC: u8 = 4;

const BGP: Place = Place {
    table: 254,
    protocol: PROTOCOL_BGP,
};

fn hop(gateway: &str, ifindex: u32) -> Object {
    Object::Hop(KernelHop {
        gateway: Some(gateway.parse().unwrap()),
        ifindex,
        weight: 1,
        onlink: false,
    })
}

fn onlink(gateway: &str, ifindex: u32) -> Object {
    Object::Hop(KernelHop {
        gateway: Some(gateway.parse().unwrap()),
        ifindex,
        weight: 1,
        onlink: true,
    })
}

fn link(ifindex: u32) -> Object {
    Object::Hop(KernelHop {
        gateway: None,
        ifindex,
        weight: 1,
        onlink: false,
    })
}

fn members(members: &[(u32, u32)]) -> Vec<GroupMember> {
    let member = |&(id, weight): &(u32, u32)| GroupMember { id, weight };
    members.iter().map(member).collect()
}

fn group(of: &[(u32, u32)]) -> Object {
    Object::Group(Group {
        members: members(of),
        resilient: None,
    })
}

fn resilient(of: &[(u32, u32)]) -> Object {
    Object::Group(Group {
        members: members(of),
        resilient: Some(ResilientGroup {
            buckets: 8,
            idle_timer: 6000,
            unbalanced_timer: 30_000,
        }),
    })
}

fn set(id: u32, object: Object) -> ObjectOperation {
    let verb = ObjectVerb::Set(object);
    ObjectOperation { id, verb }
}

fn delete(id: u32) -> ObjectOperation {
    let verb = ObjectVerb::Delete;
    ObjectOperation { id, verb }
}

fn encoded(operation: &ObjectOperation) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_object_operation(&mut bytes, operation, 1);
    ask_for_answer(&mut bytes, 0);
    bytes
}

fn notices(bytes: &[u8]) -> Vec<ObjectNotice> {
    let object = |body| match body {
        Body::Notice(Notice::Nexthop(notice)) => Some(notice),
        _ => None,
    };
    messages(bytes).filter_map(|m| object(m.body)).collect()
}

/// What `netlink-packet-route` would read, with the attributes in the order of their numbers.
fn read(bytes: &[u8]) -> (u16, u16, NexthopHeader, Vec<NexthopAttribute>) {
    let message = NetlinkMessage::<NexthopNetlinkMessage>::deserialize(bytes).unwrap();
    let NetlinkPayload::InnerMessage(
        NexthopNetlinkMessage::New(mut inner)
        | NexthopNetlinkMessage::Delete(mut inner)
        | NexthopNetlinkMessage::Get(mut inner),
    ) = message.payload
    else {
        panic!("no message about objects: {message:?}");
    };
    inner.attributes.sort_by_key(Nla::kind);
    let header = message.header;
    (
        header.message_type,
        header.flags,
        inner.header,
        inner.attributes,
    )
}

// ===== Against the bytes of iproute2 =====

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(octet).collect()
}

/// What `ip` 6.1 sends, on a machine of the little-endian kind, with the sequence number set
/// to 1. Interface 3 is `e1`.
fn recorded() -> Vec<(&'static str, ObjectOperation, &'static str)> {
    vec![
        (
            "ip nexthop replace id 11 via 10.0.1.2 dev e1 proto bgp",
            set(11, hop("10.0.1.2", 3)),
            "300000006800050501000000000000000200ba0000000000080001000b000000080006000a00010208000500\
             03000000",
        ),
        (
            "ip nexthop replace id 12 via fd00:1::2 dev e1 proto bgp",
            set(12, hop("fd00:1::2", 3)),
            "3c0000006800050501000000000000000a00ba0000000000080001000c00000014000600fd00000100000000\
             00000000000000020800050003000000",
        ),
        (
            "ip nexthop replace id 13 via fe80::7 dev e1 proto bgp",
            set(13, hop("fe80::7", 3)),
            "3c0000006800050501000000000000000a00ba0000000000080001000d00000014000600fe80000000000000\
             00000000000000070800050003000000",
        ),
        (
            "ip nexthop replace id 14 via 203.0.113.9 dev e1 onlink proto bgp",
            set(14, onlink("203.0.113.9", 3)),
            "300000006800050501000000000000000200ba0004000000080001000e00000008000600cb00710908000500\
             03000000",
        ),
        (
            "ip -6 nexthop replace id 15 blackhole proto bgp",
            set(15, Object::Blackhole),
            "240000006800050501000000000000000a00ba0000000000080001000f00000004000400",
        ),
        (
            "ip -6 nexthop replace id 16 dev e1 proto bgp",
            set(16, link(3)),
            "280000006800050501000000000000000a00ba000000000008000100100000000800050003000000",
        ),
        (
            "ip nexthop replace id 20 group 11/12,5/13,256 proto bgp",
            set(20, group(&[(11, 1), (12, 5), (13, 256)])),
            "3c0000006800050501000000000000000000ba000000000008000100140000001c0002000b00000000000000\
             0c000000040000000d000000ff000000",
        ),
        (
            "ip nexthop replace id 21 group 11/14 type resilient buckets 8 idle_timer 60 \
             unbalanced_timer 300 proto bgp",
            set(21, resilient(&[(11, 1), (14, 1)])),
            "580000006800050501000000000000000000ba00000000000800010015000000140002000b00000000000000\
             0e000000000000001c000c800600010008000000080002007017000008000300307500000600030001000000",
        ),
        (
            "ip nexthop del id 20",
            delete(20),
            "2000000069000500010000000000000000000000000000000800010014000000",
        ),
    ]
}

/// The order of the attributes is our own.
#[test]
#[cfg(target_endian = "little")]
fn requests_say_what_those_of_iproute2_say() {
    for (command, operation, bytes) in recorded() {
        let bytes = octets(bytes);
        assert_eq!(read(&encoded(&operation)), read(&bytes), "{command}");
        let notices = notices(&bytes);
        assert_eq!(notices.len(), 1, "{command}");
        assert_eq!(notices[0].id, operation.id, "{command}");
        if let ObjectVerb::Set(object) = operation.verb {
            let expected = ObjectNotice {
                id: operation.id,
                protocol: PROTOCOL_BGP,
                object,
                gone: false,
            };
            assert_eq!(notices[0], expected, "{command}");
        }
    }
}

/// `ip nexthop list`.
#[test]
#[cfg(target_endian = "little")]
fn the_request_to_list_is_that_of_iproute2() {
    let bytes = octets("180000006a00010301000000000000000000000000000000");
    assert_eq!(dump_request(Dump::Nexthops, 1), bytes);
    assert!(notices(&bytes).is_empty());
}

/// What Linux 6.18 answers to `ip nexthop list` after the commands above and
///
/// ```text
/// ip nexthop add id 17 dev e1 proto static
/// ip nexthop add id 22 encap ip id 7 dst 198.51.100.1 dev e1
/// ip nexthop add id 23 via 10.0.1.2 fdb
/// ip nexthop add id 24 group 23 fdb
/// ip nexthop add id 25 blackhole
/// ```
#[test]
#[cfg(target_endian = "little")]
fn the_list_of_the_kernel_is_read() {
    const LIST: &[&str] = &[
        "3000000068000200010000000000000002fdba0000000000080001000b000000080005000300000008000600\
         0a000102",
        "3c0000006800020001000000000000000afdba0000000000080001000c000000080005000300000014000600\
         fd000001000000000000000000000002",
        "3c0000006800020001000000000000000afdba0000000000080001000d000000080005000300000014000600\
         fe800000000000000000000000000007",
        "3000000068000200010000000000000002fdba0004000000080001000e000000080005000300000008000600\
         cb007109",
        "240000006800020001000000000000000a00ba0000000000080001000f00000004000400",
        "280000006800020001000000000000000afdba000000000008000100100000000800050003000000",
        "2800000068000200010000000000000002fe04000000000008000100110000000800050003000000",
        "4c0000006800020001000000000000000000ba0000000000080001001400000006000300000000001c000200\
         0b000000000000000c000000040000000d000000ff00000008000e0000000080",
        "6c0000006800020001000000000000000000ba00000000000800010015000000060003000100000014000200\
         0b000000000000000e0000000000000028000c80060001000800000008000200701700000800030030750000\
         0c000400000000000000000008000e0000000080",
        "6800000068000200010000000000000002fe0000000000000800010016000000080005000300000038000800\
         0c000100000000000000000708000200c6336401080003000000000005000500000000000500040000000000\
         06000600000000000600070002000000",
        "2c00000068000200010000000000000002fd000000000000080001001700000004000b00080006000a000102",
        "400000006800020001000000000000000000000000000000080001001800000004000b000600030000000000\
         0c000200170000000000000008000e0000000080",
        "240000006800020001000000000000000200000000000000080001001900000004000400",
    ];
    let expected = [
        (11, PROTOCOL_BGP, hop("10.0.1.2", 3)),
        (12, PROTOCOL_BGP, hop("fd00:1::2", 3)),
        (13, PROTOCOL_BGP, hop("fe80::7", 3)),
        (14, PROTOCOL_BGP, onlink("203.0.113.9", 3)),
        (15, PROTOCOL_BGP, Object::Blackhole),
        (16, PROTOCOL_BGP, link(3)),
        (17, PROTOCOL_STATIC, link(3)),
        (20, PROTOCOL_BGP, group(&[(11, 1), (12, 5), (13, 256)])),
        (21, PROTOCOL_BGP, resilient(&[(11, 1), (14, 1)])),
        (22, 0, Object::Other),
        (23, 0, Object::Other),
        (24, 0, Object::Other),
        (25, 0, Object::Blackhole),
    ];
    let bytes = octets(&LIST.concat());
    let read: Vec<_> = notices(&bytes);
    let gone = false;
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(id, protocol, object)| ObjectNotice {
            id,
            protocol,
            object,
            gone,
        })
        .collect();
    assert_eq!(read, expected);
    // One datagram or many, the types of the library read the same.
    for (message, notice) in LIST.iter().zip(&read) {
        let (.., attributes) = self::read(&octets(message));
        assert_eq!(attributes[0], NexthopAttribute::Id(notice.id));
    }
}

/// What Linux 6.18 tells when `ip nexthop del id 11` empties group 27 and leaves group 26 with
/// a member of weight 65,535.
#[test]
#[cfg(target_endian = "little")]
fn a_deleted_member_is_told_with_the_groups_it_was_in() {
    const HEARD: &[&str] = &[
        "300000006900050041e1016b0d4b000002fdba0000000000080001000b000000080005000300000008000600\
         0a000102",
        "3c0000006900050041e1016b0d4b00000000ba0000000000080001001b00000006000300000000000c000200\
         0b0000000000000008000e0000000080",
        "3c0000006800050041e1016b0d4b00000000ba0000000000080001001a00000006000300000000000c000200\
         0c000000feff000008000e0000000080",
    ];
    let notice = |id, object, gone| ObjectNotice {
        id,
        protocol: PROTOCOL_BGP,
        object,
        gone,
    };
    let expected = [
        notice(11, hop("10.0.1.2", 3), true),
        notice(27, group(&[(11, 1)]), true),
        notice(26, group(&[(12, 65_535)]), false),
    ];
    assert_eq!(notices(&octets(&HEARD.concat())), expected);
}

// ===== At random =====

fn any_hop() -> impl Strategy<Value = Object> {
    (
        prop::option::of(any::<IpAddr>()),
        1..u32::MAX,
        any::<bool>(),
    )
        .prop_map(|(gateway, ifindex, onlink)| {
            Object::Hop(KernelHop {
                gateway,
                ifindex,
                weight: 1,
                onlink,
            })
        })
}

fn any_group() -> impl Strategy<Value = Object> {
    let members = prop::collection::btree_map(any::<u32>(), 1..=GroupMember::MAX_WEIGHT, 1..40);
    let resilient = any::<(u16, u32, u32)>().prop_map(|(buckets, idle, unbalanced)| {
        let (idle_timer, unbalanced_timer) = (idle, unbalanced);
        ResilientGroup {
            buckets,
            idle_timer,
            unbalanced_timer,
        }
    });
    (members, prop::option::of(resilient)).prop_map(|(members, resilient)| {
        let member = |(id, weight)| GroupMember { id, weight };
        let members = members.into_iter().map(member).collect();
        Object::Group(Group { members, resilient })
    })
}

fn any_object() -> impl Strategy<Value = Object> {
    prop_oneof![4 => any_hop(), 4 => any_group(), 1 => Just(Object::Blackhole)]
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Gives the length of a message again, after something was added to it.
fn grown(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

proptest! {
    #[test]
    fn objects_survive_the_way_through_bytes(
        objects in prop::collection::vec((any::<u32>(), any_object()), 1..5),
    ) {
        let mut bytes = Vec::new();
        for (id, object) in &objects {
            append_object_operation(&mut bytes, &set(*id, object.clone()), 1);
        }
        let expected: Vec<_> = objects
            .into_iter()
            .map(|(id, object)| ObjectNotice { id, protocol: PROTOCOL_BGP, object, gone: false })
            .collect();
        prop_assert_eq!(notices(&bytes), expected);
    }

    /// A kernel of tomorrow may say more than we know.
    #[test]
    fn attributes_that_are_not_known_change_nothing(
        id in any::<u32>(),
        object in any_object(),
        kind in 13..0x4000u16,
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = encoded(&set(id, object));
        let before = notices(&bytes);
        bytes.extend(attribute(kind, &value));
        let bytes = grown(bytes);
        prop_assert_eq!(notices(&bytes), before);
        prop_assert!(NetlinkMessage::<NexthopNetlinkMessage>::deserialize(&bytes).is_ok());
    }

    /// What the types of the library write is what they read.
    #[test]
    fn messages_survive_the_way_through_bytes(id in any::<u32>(), object in any_object()) {
        let bytes = encoded(&set(id, object));
        let message = NetlinkMessage::<NexthopNetlinkMessage>::deserialize(&bytes).unwrap();
        let mut again = vec![0; message.buffer_len()];
        message.serialize(&mut again);
        prop_assert_eq!(again, bytes);
    }

    /// Neither reader stumbles, and what the stricter one understands the other does too.
    #[test]
    fn any_attributes_are_survived(
        kind in 104..107u16,
        header in any::<[u8; 8]>(),
        family in prop::sample::select(vec![0, 2, 10, 28]),
        attributes in prop::collection::vec(
            (0..16u16, prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        rest in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&header);
        bytes[16] = family;
        for (kind, value) in attributes {
            bytes.extend(attribute(kind, &value));
        }
        bytes.extend_from_slice(&rest);
        let bytes = grown(bytes);
        prop_assert_eq!(messages(&bytes).count(), 1);
        let strict = NetlinkMessage::<NexthopNetlinkMessage>::deserialize(&bytes);
        if let Ok(NetlinkPayload::InnerMessage(
            NexthopNetlinkMessage::New(message) | NexthopNetlinkMessage::Delete(message),
        )) = strict.map(|message| message.payload)
        {
            let ids = message.attributes.iter().filter(|a| matches!(a, NexthopAttribute::Id(_)));
            prop_assert_eq!(notices(&bytes).len(), ids.count().min(1));
        }
    }
}

#[test]
fn weights_out_of_range_are_clamped() {
    let written = |weight| {
        let found = notices(&encoded(&set(1, group(&[(2, weight)]))));
        let [notice] = found.as_slice() else {
            panic!("{found:?}");
        };
        notice.object.clone()
    };
    assert_eq!(written(0), group(&[(2, 1)]));
    assert_eq!(written(65_536), group(&[(2, 65_535)]));
    assert_eq!(written(u32::MAX), group(&[(2, 65_535)]));
}

// ===== Against a kernel =====

/// A namespace of its own with an interface `e1`, and sockets in it.
struct Live {
    name: String,
    e1: u32,
    requests: Socket,
    listener: Socket,
}

impl Live {
    /// `None`, with the reason printed, where namespaces cannot be made.
    fn new(purpose: &str) -> Option<Self> {
        let name = format!("hf-nexthop-{}-{purpose}", std::process::id());
        if let Err(reason) = run(&["netns", "add", &name]) {
            eprintln!("skipped: cannot make a network namespace: {reason}");
            return None;
        }
        for command in [
            "link set lo up",
            "link add e1 type veth peer name p1",
            "link set p1 up",
            "link set e1 up",
            "addr add 10.0.1.1/24 dev e1",
            "addr add fd00:1::1/64 dev e1 nodad",
        ] {
            ip(&name, command);
        }
        let file = std::fs::File::open(format!("/run/netns/{name}")).unwrap();
        let sockets = std::thread::spawn(move || {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            (socket(), socket())
        });
        let (requests, listener) = sockets.join().unwrap();
        listener.set_non_blocking(true).unwrap();
        // RTNLGRP_NEXTHOP
        listener.add_membership(32).unwrap();
        requests.set_netlink_get_strict_chk(true).unwrap();
        let links = ip(&name, "-j link show e1");
        let links: Vec<Value> = serde_json::from_str(&links).unwrap();
        let e1 = u32::try_from(links[0]["ifindex"].as_u64().unwrap()).unwrap();
        Some(Self {
            name,
            e1,
            requests,
            listener,
        })
    }

    /// The answer to one message.
    fn send(&self, mut bytes: Vec<u8>) -> Result<(), Errno> {
        ask_for_answer(&mut bytes, 0);
        let kernel = SocketAddr::new(0, 0);
        self.requests.send_to(&bytes, &kernel, 0).unwrap();
        let answer = received(&self.requests).unwrap();
        match messages(&answer).next().unwrap().body {
            Body::Ack(0) => Ok(()),
            Body::Ack(errno) => Err(Errno::from_raw(errno)),
            other => panic!("{other:?}"),
        }
    }

    fn write(&self, operation: &ObjectOperation) -> Result<(), Errno> {
        self.send(encoded(operation))
    }

    fn set(&self, id: u32, object: &Object) {
        let written = self.write(&set(id, object.clone()));
        assert_eq!(written, Ok(()), "{id}: {object:?}");
    }

    fn route(&self, prefix: &str, object: u32) -> Result<(), Errno> {
        let route = KernelRoute {
            metric: 20,
            kind: KernelKind::Nexthop(object),
            prefsrc: None,
        };
        let operation = Operation::<IpNet> {
            prefix: prefix.parse().unwrap(),
            verb: Verb::Replace(Arc::new(route)),
        };
        let mut bytes = Vec::new();
        append_operation(&mut bytes, &operation, BGP, 1);
        self.send(bytes)
    }

    fn dump(&self, dump: Dump) -> Vec<Notice> {
        let kernel = SocketAddr::new(0, 0);
        let request = dump_request(dump, 1);
        self.requests.send_to(&request, &kernel, 0).unwrap();
        let mut found = Vec::new();
        loop {
            for message in messages(&received(&self.requests).unwrap()) {
                match message.body {
                    Body::Notice(notice) => found.push(notice),
                    Body::Done(0) => return found,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// All objects, as the kernel lists them to us.
    fn objects(&self) -> BTreeMap<u32, Object> {
        let object = |notice| match notice {
            Notice::Nexthop(notice) => {
                assert_eq!((notice.protocol, notice.gone), (PROTOCOL_BGP, false));
                (notice.id, notice.object)
            }
            other => panic!("{other:?}"),
        };
        self.dump(Dump::Nexthops).into_iter().map(object).collect()
    }

    /// All objects, as `ip` lists them.
    fn objects_of_ip(&self) -> BTreeMap<u32, Object> {
        let text = ip(&self.name, "-j nexthop");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap();
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
        list.iter()
            .map(|value| {
                assert_eq!(value["protocol"], "bgp");
                (number(&value["id"]), object_of_ip(value, self.e1))
            })
            .collect()
    }

    /// Our routes, by what they lead to.
    fn routes(&self, ipv6: bool) -> BTreeMap<IpNet, KernelKind> {
        let route = |notice| match notice {
            Notice::Route(route) if route.protocol == PROTOCOL_BGP => {
                Some((route.prefix, route.route.kind))
            }
            _ => None,
        };
        let table = 254;
        let notices = self.dump(Dump::Routes { ipv6, table });
        notices.into_iter().filter_map(route).collect()
    }

    /// What was told meanwhile. The kernel tells before it answers.
    fn heard(&self) -> Vec<(u32, Object, bool)> {
        let datagrams = std::iter::from_fn(|| received(&self.listener));
        datagrams
            .flat_map(|datagram| notices(&datagram))
            .map(|notice| (notice.id, notice.object, notice.gone))
            .collect()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = run(&["netns", "del", &self.name]);
    }
}

fn run(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn ip(netns: &str, arguments: &str) -> String {
    let mut all = vec!["-n", netns];
    all.extend(arguments.split_whitespace());
    run(&all).unwrap_or_else(|error| panic!("ip {arguments}: {error}"))
}

fn socket() -> Socket {
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.bind_auto().unwrap();
    socket
}

/// The next datagram; `None` where nothing waits.
fn received(socket: &Socket) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64 << 10);
    match socket.recv(&mut bytes, 0) {
        Ok(_) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

fn object_of_ip(value: &Value, e1: u32) -> Object {
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    if value.get("blackhole").is_some() {
        return Object::Blackhole;
    }
    if let Some(list) = value["group"].as_array() {
        let member = |member: &Value| GroupMember {
            id: number(&member["id"]).unwrap(),
            weight: number(&member["weight"]).unwrap_or(1),
        };
        let arguments = &value["resilient_args"];
        let resilient = (value["type"] == "resilient").then(|| ResilientGroup {
            buckets: u16::try_from(arguments["buckets"].as_u64().unwrap()).unwrap(),
            idle_timer: 100 * number(&arguments["idle_timer"]).unwrap(),
            unbalanced_timer: 100 * number(&arguments["unbalanced_timer"]).unwrap(),
        });
        let members = list.iter().map(member).collect();
        return Object::Group(Group { members, resilient });
    }
    assert_eq!(value["dev"], "e1");
    let flags = value["flags"].as_array().unwrap();
    Object::Hop(KernelHop {
        gateway: value["gateway"].as_str().map(|g| g.parse().unwrap()),
        ifindex: e1,
        weight: 1,
        onlink: flags.iter().any(|flag| flag == "onlink"),
    })
}

#[test]
fn a_kernel_takes_each_kind_of_object() {
    let Some(live) = Live::new("kinds") else {
        return;
    };
    let mut wanted = BTreeMap::from([
        (1, hop("10.0.1.2", live.e1)),
        (2, hop("fd00:1::2", live.e1)),
        (3, hop("fe80::7", live.e1)),
        (4, onlink("203.0.113.9", live.e1)),
        (5, onlink("2001:db8:9::9", live.e1)),
        (6, link(live.e1)),
        (7, Object::Blackhole),
        (10, group(&[(1, 1), (2, 1), (4, 7)])),
        (11, group(&[(2, 3), (3, 1), (5, 1), (6, 1)])),
        (12, group(&[(7, 1)])),
        (13, resilient(&[(1, 1), (3, 200)])),
    ]);
    wanted.extend((1..=256).map(|weight| (1000 + weight, group(&[(1, weight), (2, 1)]))));
    for (&id, object) in &wanted {
        live.set(id, object);
    }
    assert_eq!(live.objects(), wanted);
    assert_eq!(live.objects_of_ip(), wanted);
    // Changed in place.
    for (id, object) in [
        (1, hop("10.0.1.3", live.e1)),
        (10, group(&[(4, 1), (5, 9)])),
        (13, resilient(&[(3, 1), (4, 1)])),
    ] {
        live.set(id, &object);
        wanted.insert(id, object);
    }
    for id in 1001..1257 {
        assert_eq!(live.write(&delete(id)), Ok(()));
        wanted.remove(&id);
    }
    assert_eq!(live.objects(), wanted);
    assert_eq!(live.objects_of_ip(), wanted);
}

#[test]
fn a_kernel_takes_weights_above_256() {
    let Some(live) = Live::new("weights") else {
        return;
    };
    live.set(1, &hop("10.0.1.2", live.e1));
    live.set(2, &hop("10.0.1.3", live.e1));
    if live.write(&set(3, group(&[(1, 257)]))) == Err(Errno::EINVAL) {
        eprintln!("skipped: this kernel has no weights above 256 (Linux 6.12 has)");
        return;
    }
    for weight in [257, 300, 512, 40_000, 65_535] {
        for object in [
            group(&[(1, weight), (2, 1)]),
            resilient(&[(1, 1), (2, weight)]),
        ] {
            let _ = live.write(&delete(3));
            live.set(3, &object);
            assert_eq!(live.objects()[&3], object);
        }
    }
}

#[test]
fn a_kernel_refuses_what_no_object_can_be() {
    let Some(live) = Live::new("refusals") else {
        return;
    };
    live.set(1, &hop("10.0.1.2", live.e1));
    live.set(2, &hop("10.0.1.3", live.e1));
    live.set(3, &group(&[(1, 1)]));
    live.set(4, &resilient(&[(1, 1)]));
    let before = live.objects();
    let many: Vec<_> = (1..=8192).map(|id| (id, 1)).collect();
    for (id, object) in [
        (9, Object::Other),
        (1, Object::Other),
        (9, group(&[])),
        (9, group(&many)),
        // A group of groups, of what does not exist, and of one object twice.
        (9, group(&[(3, 1)])),
        (9, group(&[(77, 1)])),
        (9, group(&[(1, 1), (1, 1)])),
        // What an object is cannot change.
        (1, group(&[(2, 1)])),
        (3, hop("10.0.1.2", live.e1)),
        (3, resilient(&[(1, 1)])),
        (4, group(&[(1, 1)])),
    ] {
        let written = live.write(&set(id, object.clone()));
        assert_eq!(written, Err(Errno::EINVAL), "{id}: {object:?}");
    }
    assert_eq!(live.write(&delete(9)), Err(Errno::ENOENT));
    assert_eq!(live.objects(), before);
}

#[test]
fn routes_of_both_families_use_objects() {
    let Some(live) = Live::new("routes") else {
        return;
    };
    live.set(1, &hop("10.0.1.2", live.e1));
    live.set(2, &hop("fe80::7", live.e1));
    live.set(3, &link(live.e1));
    live.set(4, &Object::Blackhole);
    live.set(5, &group(&[(2, 300), (3, 1)]));
    live.set(6, &group(&[(1, 1), (2, 1)]));
    let v4 = |n: u32| format!("198.51.{n}.0/24");
    let v6 = |n: u32| format!("2001:db8:{n}::/48");
    for object in 1..=6 {
        assert_eq!(live.route(&v4(object), object), Ok(()), "{object}");
        let only_v4 = object == 1 || object == 6;
        let expected = if only_v4 { Err(Errno::EINVAL) } else { Ok(()) };
        assert_eq!(live.route(&v6(object), object), expected, "{object}");
    }
    let kind = |object| match object {
        4 => KernelKind::Blackhole,
        _ => KernelKind::Nexthop(object),
    };
    let all_v4 = (1..=6).map(|n| (v4(n).parse().unwrap(), kind(n))).collect();
    let all_v6 = (2..=5).map(|n| (v6(n).parse().unwrap(), kind(n))).collect();
    // In one mode the kernel says beside the number what the object is, in the other it does not.
    for mode in [1, 0] {
        let value = format!("net.ipv4.nexthop_compat_mode={mode}");
        run(&["netns", "exec", &live.name, "sysctl", "-qw", &value]).unwrap();
        assert_eq!(live.routes(false), all_v4);
        assert_eq!(live.routes(true), all_v6);
    }
}

#[test]
fn a_kernel_tells_what_becomes_of_objects() {
    let Some(live) = Live::new("notices") else {
        return;
    };
    let (a, b) = (hop("10.0.1.2", live.e1), hop("fe80::7", live.e1));
    live.set(1, &a);
    live.set(2, &b);
    live.set(3, &group(&[(1, 1)]));
    live.set(4, &group(&[(1, 1), (2, 5)]));
    live.set(4, &group(&[(1, 6), (2, 5)]));
    assert_eq!(
        live.heard(),
        [
            (1, a.clone(), false),
            (2, b.clone(), false),
            (3, group(&[(1, 1)]), false),
            (4, group(&[(1, 1), (2, 5)]), false),
            (4, group(&[(1, 6), (2, 5)]), false),
        ]
    );
    // A member goes: it is told, and then its groups, gone when they are empty.
    live.write(&delete(1)).unwrap();
    let heard = live.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard[0], (1, a, true));
    assert!(heard.contains(&(3, group(&[(1, 1)]), true)), "{heard:?}");
    assert!(heard.contains(&(4, group(&[(2, 5)]), false)), "{heard:?}");
    let left = BTreeMap::from([(2, b.clone()), (4, group(&[(2, 5)]))]);
    assert_eq!(live.objects(), left);
    // A link that goes takes its objects along, and nobody is told.
    ip(&live.name, "link set e1 down");
    assert_eq!(live.heard(), []);
    assert_eq!(live.objects(), BTreeMap::new());
    assert_eq!(live.write(&set(2, b)), Err(Errno::ENETDOWN));
}
