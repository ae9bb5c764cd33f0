//! What the shell shows of VRFs that the kernel does not know, held against
//! FRR: of those that it knows, this kernel may have none.

use super::harness::{Frr, Holdfast, Router, SOON, Topology, need, wait_until};

const CONFIG: &str = "frr version 8.4.4
frr defaults traditional
hostname router
no ip forwarding
no ipv6 forwarding
service integrated-vtysh-config
!
router bgp 65000
 bgp router-id 192.0.2.1
 neighbor 10.1.0.2 remote-as 65101
exit
!
router bgp 65001 vrf BLUE
 bgp router-id 192.0.2.2
 neighbor 10.2.0.2 remote-as 65102
 neighbor 10.2.0.3 remote-as 65103
exit
!
router bgp 65002 vrf RED
 bgp router-id 192.0.2.3
 !
 address-family ipv4 unicast
  maximum-paths 2
 exit-address-family
exit
!
end
";

/// Which only we say.
const WAITS: &str = "No VRF device and no table: sessions wait";

#[test]
fn vrfs_are_shown_as_frr_shows_them() {
    need!("/usr/lib/frr/bgpd", "/usr/lib/frr/zebra", "/usr/bin/vtysh");
    let topology = Topology::new();
    let [one, two] = ["ours", "theirs"].map(|label| topology.namespace(label));
    let ours = Holdfast::start(&topology, &one, CONFIG);
    let theirs = Frr::start(&topology, &two, CONFIG);
    wait_until(SOON, "FRR's VRFs", || {
        theirs.vtysh("show bgp vrfs").contains("default): 3")
    });
    let shown = ours.vtysh("show bgp vrfs");
    assert_eq!(shown.matches(WAITS).count(), 2, "{shown}");
    let lines = shown.lines().filter(|line| !line.contains(WAITS));
    let shown: String = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(shown, theirs.vtysh("show bgp vrfs"));
    let mut shown = ours.json("show bgp vrfs json");
    for name in ["BLUE", "RED"] {
        let vrf = shown["vrfs"][name].as_object_mut();
        let waiting = vrf.and_then(|vrf| vrf.remove("waiting"));
        assert_eq!(waiting, Some(true.into()), "{shown}");
    }
    assert_eq!(shown, theirs.json("show bgp vrfs json"));
    for command in [
        "show bgp vrf RED ipv4 unicast",
        "show bgp vrf RED ipv4 unicast json",
        "show bgp vrf NONE ipv4 unicast",
        "show bgp vrf NONE summary json",
        "show ip route vrf NONE",
        "show ip route vrf NONE json",
        "show ip route vrf NONE summary",
        "show ip nht vrf NONE",
    ] {
        assert_eq!(ours.vtysh(command), theirs.vtysh(command), "{command}");
    }
    let text = ours.vtysh("show bgp vrf BLUE summary");
    let heading = "IPv4 Unicast Summary (VRF BLUE):\nBGP router identifier 192.0.2.2, \
                   local AS number 65001 vrf-id -1\n";
    assert!(text.contains(heading), "{text}");
    let text = theirs.vtysh("show bgp vrf BLUE summary");
    assert!(text.contains(heading), "{text}");
    let block = |text: String| text[text.find("router bgp").unwrap_or(0)..].to_owned();
    assert_eq!(
        block(ours.vtysh("show running-config")),
        block(theirs.vtysh("show running-config"))
    );
}
