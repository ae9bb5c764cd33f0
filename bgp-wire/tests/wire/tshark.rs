//! What we write, read by another implementation: tshark, where it is
//! installed. Each message is one TCP segment of a capture made by hand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use bgp_wire::{
    Announcement, CodecContext, EncodeError, Family, Message, NextHop, Open, PeerKind, Prefixes,
    SegmentKind, Update,
};
use bytes::BytesMut;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::builder::{context, set};
use crate::strategies::messages_of;

// ===== the capture =====

/// A pcap file of Ethernet frames: one TCP segment per message, in sequence,
/// to port 179.
fn capture(messages: &[BytesMut]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2u16, 4].map(u16::to_le_bytes).concat());
    file.extend([0u32, 0, 65_535, 1].map(u32::to_le_bytes).concat());
    let mut sequence = 1u32;
    for message in messages {
        let frame = frame(sequence, message);
        sequence += message.len() as u32;
        let len = frame.len() as u32;
        file.extend([0, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    file
}

fn frame(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    let total = (40 + payload.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([50_000u16, 179].map(u16::to_be_bytes).concat());
    frame.extend([sequence, 1].map(u32::to_be_bytes).concat());
    frame.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend_from_slice(payload);
    frame
}

// ===== what tshark says =====

/// The fields that are compared; `;` between them, `,` between values.
const FIELDS: &[&str] = &[
    "bgp.type",
    "bgp.length",
    "bgp.open.myas",
    "bgp.open.holdtime",
    "bgp.open.identifier",
    "bgp.cap.type",
    "bgp.cap.4as",
    "bgp.withdrawn_prefix",
    "bgp.nlri_prefix",
    "bgp.mp_reach_nlri_ipv4_prefix",
    "bgp.mp_reach_nlri_ipv6_prefix",
    "bgp.mp_unreach_nlri_ipv6_prefix",
    "bgp.prefix_length",
    "bgp.update.path_attribute.next_hop",
    "bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6",
    "bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6.link_local",
    "bgp.update.path_attribute.origin",
    "bgp.update.path_attribute.as_path_segment.type",
    "bgp.update.path_attribute.as_path_segment.as4",
    "bgp.update.path_attribute.multi_exit_disc",
    "bgp.update.path_attribute.local_pref",
    "bgp.update.path_attribute.aggregator_as",
    "bgp.update.path_attribute.originator_id",
    "bgp.path_attribute.cluster_id",
    "bgp.update.attribute.aigp.accu_igp_metric",
    "bgp.large_communities.ldp2",
    "bgp.notify.major_error",
    "bgp.route_refresh.afi",
    "bgp.route_refresh.subtype",
];

/// One line per message, or none where tshark is not installed.
fn tshark(file: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields"]);
    command.args([
        "-E",
        "separator=;",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=,",
    ]);
    command.args([
        "-o",
        "bgp.asn_len:4 octet",
        "-o",
        "tcp.check_checksum:FALSE",
    ]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    command.args(["-e", "_ws.malformed", "-e", "_ws.expert.message"]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: tshark cannot be run: {error}");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.lines().map(str::to_owned).collect())
}

// ===== what we say =====

/// Values by the name of the field, in the order of [`FIELDS`].
#[derive(Default)]
struct Said(Vec<(&'static str, String)>);

impl Said {
    fn add(&mut self, field: &'static str, value: impl ToString) {
        self.0.push((field, value.to_string()));
    }

    fn line(&self) -> String {
        let mut line = String::new();
        for field in FIELDS {
            let values = self.0.iter().filter(|(name, _)| name == field);
            let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
            write!(line, "{};", values.join(",")).expect("a String");
        }
        line
    }

    fn prefixes(&mut self, field: &'static str, prefixes: &Prefixes) {
        let nets: Vec<ipnet::IpNet> = match prefixes {
            Prefixes::V4(list) => list.iter().map(|n| n.prefix.into()).collect(),
            Prefixes::V6(list) => list.iter().map(|n| n.prefix.into()).collect(),
        };
        for net in nets {
            self.add(field, net.network());
            self.add("bgp.prefix_length", net.prefix_len());
        }
    }

    fn open(&mut self, open: &Open) {
        self.add("bgp.open.myas", open.my_as);
        self.add("bgp.open.holdtime", open.hold_time_secs);
        self.add("bgp.open.identifier", open.bgp_id);
        for capability in &open.capabilities {
            self.add("bgp.cap.type", capability.code());
            if let bgp_wire::Capability::FourOctetAs(asn) = capability {
                self.add("bgp.cap.4as", asn);
            }
        }
    }

    /// In the order of the message: withdrawn, MP_REACH, MP_UNREACH, NLRI.
    fn update(&mut self, update: &Update) {
        for prefixes in &update.withdrawn {
            if prefixes.family() == Family::Ipv4Unicast {
                self.prefixes("bgp.withdrawn_prefix", prefixes);
            }
        }
        let announced = update.announced.first();
        let is_classic = |a: &&Announcement| matches!(a.next_hop, NextHop::V4(_));
        if let Some(announcement) = announced.filter(|a| !is_classic(a)) {
            self.mp_reach(announcement);
        }
        for prefixes in &update.withdrawn {
            if prefixes.family() == Family::Ipv6Unicast {
                self.prefixes("bgp.mp_unreach_nlri_ipv6_prefix", prefixes);
            }
        }
        if let Some(announcement) = announced.filter(is_classic) {
            let next_hop = announcement.next_hop.addr();
            self.add("bgp.update.path_attribute.next_hop", next_hop);
            self.prefixes("bgp.nlri_prefix", &announcement.prefixes);
        }
        if announced.is_some() {
            self.attributes(update);
        }
    }

    fn mp_reach(&mut self, announcement: &Announcement) {
        const NEXT_HOP: &str = "bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6";
        const LINK_LOCAL: &str = "bgp.update.path_attribute.mp_reach_nlri.next_hop.ipv6.link_local";
        if let NextHop::V6 { global, link_local } = announcement.next_hop {
            self.add(NEXT_HOP, global);
            if let Some(link_local) = link_local {
                self.add(LINK_LOCAL, link_local);
            }
        }
        let field = match announcement.prefixes.family() {
            Family::Ipv4Unicast => "bgp.mp_reach_nlri_ipv4_prefix",
            Family::Ipv6Unicast => "bgp.mp_reach_nlri_ipv6_prefix",
        };
        self.prefixes(field, &announcement.prefixes);
    }

    fn attributes(&mut self, update: &Update) {
        let attributes = &update.attributes;
        let origin = attributes.origin as u8;
        self.add("bgp.update.path_attribute.origin", origin);
        for segment in attributes.as_path.segments() {
            let kind = match segment.kind {
                SegmentKind::Set => 1,
                _ => 2,
            };
            self.add("bgp.update.path_attribute.as_path_segment.type", kind);
            for asn in segment.asns {
                self.add("bgp.update.path_attribute.as_path_segment.as4", asn);
            }
        }
        if let Some(med) = attributes.med {
            self.add("bgp.update.path_attribute.multi_exit_disc", med);
        }
        if let Some(local_pref) = attributes.local_pref {
            self.add("bgp.update.path_attribute.local_pref", local_pref);
        }
        if let Some(aggregator) = attributes.aggregator {
            self.add("bgp.update.path_attribute.aggregator_as", aggregator.asn);
        }
        if let Some(id) = attributes.originator_id {
            self.add("bgp.update.path_attribute.originator_id", id);
        }
        for id in &attributes.cluster_list {
            self.add("bgp.path_attribute.cluster_id", id);
        }
        if let Some(aigp) = &attributes.aigp {
            let metric = aigp.metric;
            self.add("bgp.update.attribute.aigp.accu_igp_metric", metric);
        }
        for community in &attributes.large_communities {
            self.add("bgp.large_communities.ldp2", community.local2);
        }
    }
}

fn said(message: &Message, encoded: &[u8]) -> String {
    let mut said = Said::default();
    said.add("bgp.type", encoded[18]);
    said.add("bgp.length", encoded.len());
    match message {
        Message::Open(open) => said.open(open),
        Message::Update(update) => said.update(update),
        Message::Notification(notification) => {
            said.add("bgp.notify.major_error", notification.code);
        }
        Message::Keepalive => {}
        Message::RouteRefresh(refresh) => {
            said.add("bgp.route_refresh.afi", refresh.family.afi);
            said.add("bgp.route_refresh.subtype", encoded[21]);
        }
    }
    said.line()
}

/// Takes out what tshark would look into although the octets are random:
/// attributes and capabilities that we pass on unread, and data. Default routes
/// too: tshark guesses from them that there are path identifiers.
fn tame(message: &mut Message) {
    match message {
        Message::Update(update) => {
            update.attributes.unknown.retain(|raw| raw.code >= 200);
            if let Some(aigp) = &mut update.attributes.aigp {
                aigp.others.clear();
            }
            update.withdrawn.iter_mut().for_each(drop_defaults);
            update.withdrawn.retain(|prefixes| !prefixes.is_empty());
            let announced = update.announced.iter_mut();
            announced.for_each(|a| drop_defaults(&mut a.prefixes));
            update.announced.retain(|a| !a.prefixes.is_empty());
        }
        Message::Open(open) => open
            .capabilities
            .retain(|c| c.code() < 80 || c.code() == 200),
        Message::Notification(notification) => notification.data.clear(),
        _ => {}
    }
}

fn drop_defaults(prefixes: &mut Prefixes) {
    match prefixes {
        Prefixes::V4(list) => list.retain(|n| n.prefix.prefix_len() > 0),
        Prefixes::V6(list) => list.retain(|n| n.prefix.prefix_len() > 0),
    }
}

fn session() -> CodecContext {
    CodecContext {
        extended_next_hop: set(Family::Ipv4Unicast),
        ..context(PeerKind::Internal)
    }
}

#[test]
fn tshark_reads_what_we_write() {
    let ctx = session();
    let mut runner = TestRunner::deterministic();
    let strategy = messages_of(ctx);
    let (mut encoded, mut expected) = (Vec::new(), Vec::new());
    while encoded.len() < 400 {
        let mut message = strategy.new_tree(&mut runner).expect("a message").current();
        tame(&mut message);
        let mut out = BytesMut::new();
        match message.encode(&ctx, &mut out) {
            // Nothing was left of it.
            Err(EncodeError::NotOneUpdate) => continue,
            encoded => encoded.expect("short enough"),
        }
        expected.push(said(&message, &out));
        encoded.push(out);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bgp.pcap");
    std::fs::write(&file, capture(&encoded)).expect("a file");
    let Some(lines) = tshark(&file) else {
        return;
    };
    assert_eq!(lines.len(), expected.len());
    for ((line, expected), encoded) in lines.iter().zip(&expected).zip(&encoded) {
        let octets = crate::builder::to_hex(encoded);
        assert!(!line.contains("alformed"), "{line}\n{octets}");
        assert_eq!(
            line.get(..expected.len()),
            Some(expected.as_str()),
            "{line}\n{octets}"
        );
    }
}
