//! TOML in and out, through the library.

use holdfast_config::frr::to_frr;
use holdfast_config::{Leniency, Spelling, parse_str, to_toml, to_toml_with_defaults};

const LAB: &str = r#"
hostname = "router"

[bgp]
asn = 65000
router-id = "192.168.10.200"
ebgp-requires-policy = false
multipath-relax = true
graceful-restart = true

[bgp.peer-group.CILIUM]
remote-as = "external"

[bgp.neighbor."192.168.10.100"]
peer-group = "CILIUM"
timers = { keepalive-secs = 3, hold-secs = 9 }
shutdown = "maintenance until noon"
ipv4-unicast = { next-hop-self = "force" }

[bgp.neighbor."2001:db8::2"]
remote-as = 65002
update-source = "lo"

[bgp.neighbor."2001:db8::2".ipv6-unicast]
activate = true

[bgp.ipv4-unicast]
network = ["10.10.1.0/24"]
redistribute = ["connected", { source = "static", metric = 5 }]
maximum-paths = 4
"#;

#[test]
fn toml_and_frr_text_say_the_same() {
    let toml = parse_str("lab.toml", LAB, Spelling::Toml, Leniency::Strict)
        .unwrap()
        .config;
    let text = to_frr(&toml);
    let frr = " neighbor 192.168.10.100 peer-group CILIUM
 neighbor 192.168.10.100 shutdown message maintenance until noon
 neighbor 192.168.10.100 timers 3 9
 neighbor 2001:db8::2 remote-as 65002
 neighbor 2001:db8::2 update-source lo
";
    assert!(text.contains(frr), "{text}");
    let back = parse_str("frr.conf", &text, Spelling::Frr, Leniency::Strict)
        .unwrap()
        .config;
    assert_eq!(back, toml);
}

#[test]
fn vrfs_are_tables_by_name() {
    let text = r#"[vrf.BLUE]
table = 100

[vrf.EMPTY]

[bgp]
asn = 65000

[vrf.BLUE.bgp]
asn = 65001

[vrf.BLUE.bgp.ipv4-unicast]
import-vrf = ["RED", "default"]

[vrf.RED.bgp]
asn = 65001
"#;
    let read = parse_str("vrfs.toml", text, Spelling::Toml, Leniency::Strict);
    assert_eq!(to_toml(&read.unwrap().config), text);
}

#[test]
fn views_are_tables_by_name() {
    let text = r#"frr-defaults = "datacenter"

[bgp]
asn = 65000

[view.BLUE]
asn = 65001
router-id = "192.0.2.1"
timers = { keepalive-secs = 10, hold-secs = 30 }

[view.BLUE.ipv4-unicast]
network = ["10.9.0.0/16"]

[view.BLUE.peer-group.G]
remote-as = "external"

[view.BLUE.neighbor."10.0.0.2"]
peer-group = "G"

[view."a.b"]
asn = 65001
"#;
    let toml = parse_str("views.toml", text, Spelling::Toml, Leniency::Strict)
        .unwrap()
        .config;
    assert_eq!(to_toml(&toml), text);
    let frr = to_frr(&toml);
    assert!(frr.contains("\nrouter bgp 65001 view a.b\n"), "{frr}");
    let back = parse_str("frr.conf", &frr, Spelling::Frr, Leniency::Strict);
    assert_eq!(back.unwrap().config, toml);
}

#[test]
fn both_writers_read_back() {
    let toml = parse_str("lab.toml", LAB, Spelling::Toml, Leniency::Strict)
        .unwrap()
        .config;
    for text in [to_toml(&toml), to_toml_with_defaults(&toml)] {
        let back = parse_str("lab.toml", &text, Spelling::Toml, Leniency::Strict);
        println!("{text}");
        let back = back.unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
        // With defaults, the API's place is said instead of implied.
        let mut config = back.config;
        config.api = toml.api.clone();
        assert_eq!(config, toml, "{text}");
    }
}
