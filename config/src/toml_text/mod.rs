//! The TOML spelling: the native file.
//!
//! Each key is declared once, as a row with the function that reads it, the one
//! that writes it, and the sentence that documents it.
//!
//! | file | content |
//! | --- | --- |
//! | `reader` | values with their places, and errors about them |
//! | `keys` | what a row is, and reading a table by its rows |
//! | `global`, `statics`, `rpki`, `instance`, `origination`, `peer`, `filter` | the rows |
//! | `policy` | lists and route maps |
//! | `writer` | the text of a configuration |

mod filter;
mod global;
mod instance;
mod keys;
mod origination;
mod peer;
mod policy;
mod reader;
mod rpki;
mod statics;
mod writer;

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::instances::InstanceName;
use crate::load::{Leniency, Parsed};
use crate::model::{Bgp, Config, Neighbor, PeerSettings, Vrf};
use crate::validate::Subject;

use keys::read_keys;
use reader::{Item, Sink};

pub use writer::{reference, to_toml, to_toml_with_defaults};

/// Reads a whole file, and goes on after an error.
pub(crate) fn parse(name: &str, text: &str, leniency: Leniency) -> Parsed {
    let mut sink = Sink::new(name, text, leniency);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        sink.syntax(error);
    }
    let mut config = Config::default();
    // What follows a syntax error is guesswork: no errors about that.
    if errors.is_empty() {
        read_config(&mut config, table.get_ref(), &mut sink);
    }
    config.normalize();
    sink.finish(config)
}

/// The tables that are not read by rows, because they depend on others.
const BGP: &str = "bgp";
const VRF: &str = "vrf";
const VIEW: &str = "view";
const PEER_GROUP: &str = "peer-group";
const NEIGHBOR: &str = "neighbor";
const ASN: &str = "asn";

fn read_config(config: &mut Config, table: &DeTable<'_>, sink: &mut Sink<'_>) {
    let elsewhere = [&[BGP, VRF, VIEW], policy::TABLES.as_slice()].concat();
    read_keys(global::KEYS, &elsewhere, config, table, sink);
    policy::read(config, table, sink);
    if let Some((key, value)) = entry(table, BGP)
        && let Some(table) = (Item { value, sink }).table()
    {
        config.bgp = read_instance(InstanceName::Default, key.span(), table, config, sink);
    }
    for (name, span, table) in named_tables(table, VRF, sink) {
        let vrf = InstanceName::Vrf(name.clone());
        sink.instance = vrf.clone();
        sink.place(Subject::Vrf, span);
        let mut read = Vrf::default();
        read_keys(instance::VRF, &[BGP], &mut read, table, sink);
        if let Some((key, value)) = entry(table, BGP)
            && let Some(table) = (Item { value, sink }).table()
        {
            read.bgp = read_instance(vrf, key.span(), table, config, sink);
        }
        config.vrfs.insert(name, read);
    }
    for (name, span, table) in named_tables(table, VIEW, sink) {
        let view = InstanceName::View(name);
        let bgp = read_instance(view.clone(), span, table, config, sink);
        config.set_instance(&view, bgp);
    }
}

/// Reads an instance whose table's name is at `span`.
fn read_instance(
    name: InstanceName,
    span: Range<usize>,
    table: &DeTable<'_>,
    config: &Config,
    sink: &mut Sink<'_>,
) -> Option<Bgp> {
    let title = match &name {
        InstanceName::Default => BGP.to_owned(),
        InstanceName::Vrf(name) => format!("{VRF}.{name}.{BGP}"),
        InstanceName::View(name) => format!("{VIEW}.{name}"),
    };
    sink.instance = name;
    sink.place(Subject::Bgp, span.clone());
    let asn = match entry(table, ASN) {
        Some((_, value)) => (Item { value, sink }).number(1..=u32::MAX),
        None => {
            sink.error(span, &format!("[{title}] has no asn, the local AS number"));
            None
        }
    };
    // Without its number the instance is read for its errors alone.
    let mut bgp = Bgp::new(asn.unwrap_or_default(), &config.defaults());
    read_bgp(&mut bgp, table, sink);
    asn.map(|_| bgp)
}

fn read_bgp(bgp: &mut Bgp, table: &DeTable<'_>, sink: &mut Sink<'_>) {
    read_keys(
        instance::KEYS,
        &[ASN, PEER_GROUP, NEIGHBOR],
        bgp,
        table,
        sink,
    );
    for (name, span, value) in named_tables(table, PEER_GROUP, sink) {
        sink.place(Subject::PeerGroup(name.clone()), span);
        let mut group = PeerSettings::default();
        read_keys(peer::KEYS, &[], &mut group, value, sink);
        bgp.peer_groups.insert(name, group);
    }
    for (name, span, value) in named_tables(table, NEIGHBOR, sink) {
        let Ok(address) = name.parse::<IpAddr>() else {
            sink.expected(
                span,
                &format!("\"{name}\" is not a neighbor"),
                &["an IP address"],
            );
            continue;
        };
        sink.place(Subject::Neighbor(address), span);
        let mut neighbor = Neighbor::default();
        if let Some((_, value)) = entry(value, PEER_GROUP) {
            neighbor.peer_group = (Item { value, sink }).text();
        }
        read_keys(
            peer::KEYS,
            &[PEER_GROUP],
            &mut neighbor.settings,
            value,
            sink,
        );
        bgp.neighbors.insert(address, neighbor);
    }
}

fn entry<'t, 'i>(
    table: &'t DeTable<'i>,
    key: &str,
) -> Option<(
    &'t Spanned<std::borrow::Cow<'i, str>>,
    &'t Spanned<DeValue<'i>>,
)> {
    table.iter().find(|(name, _)| name.get_ref() == key)
}

/// The tables under `[KEY.NAME]` of a table, each with the place of its name.
fn named_tables<'t, 'i>(
    table: &'t DeTable<'i>,
    key: &str,
    sink: &mut Sink<'_>,
) -> Vec<(String, Range<usize>, &'t DeTable<'i>)> {
    let Some((_, value)) = entry(table, key) else {
        return Vec::new();
    };
    let Some(table) = (Item { value, sink }).table() else {
        return Vec::new();
    };
    let mut tables = Vec::new();
    for (name, value) in table.iter() {
        if let Some(table) = (Item { value, sink }).table() {
            tables.push((name.get_ref().to_string(), name.span(), table));
        }
    }
    tables
}
