//! Files as the daemon loads them: spelling, leniency, places.

use std::path::Path;

use holdfast_config::{Leniency, Loaded, Spelling, load, parse_str, toml_reference};

#[test]
fn the_extension_or_the_content_says_the_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| -> Loaded {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        load(&path, Leniency::Strict).unwrap()
    };
    let toml = "# a comment\n[bgp]\nasn = 65000\n";
    let frr = "! a comment\n# another\nrouter bgp 65000\n";
    for (name, text, spelling) in [
        ("a.toml", toml, Spelling::Toml),
        ("a.conf", frr, Spelling::Frr),
        ("toml", toml, Spelling::Toml),
        ("frr", frr, Spelling::Frr),
        ("empty", "", Spelling::Frr),
    ] {
        let loaded = read(name, text);
        assert_eq!(loaded.spelling, spelling, "{name}");
        assert_eq!(loaded.config.bgp.is_some(), name != "empty", "{name}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let errors = load(Path::new("/nonexistent/frr.conf"), Leniency::Strict).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .to_string()
            .starts_with("/nonexistent/frr.conf: No such file")
    );
}

#[test]
fn the_mark_that_some_editors_write_first_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frr.conf");
    std::fs::write(&path, "\u{feff}frr version 8.4.4\nhostname r1\n").unwrap();
    let loaded = load(&path, Leniency::Strict).unwrap();
    assert_eq!(loaded.config.hostname.as_deref(), Some("r1"));
}

#[test]
fn text_that_is_not_utf8_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frr.conf");
    std::fs::write(&path, b"hostname r1\n! caf\xe9\n").unwrap();
    let errors = load(&path, Leniency::Lenient).unwrap_err();
    let expected = format!("{}:2:6: this is not UTF-8", path.display());
    assert_eq!(errors[0].to_string(), expected);
}

#[test]
fn the_lenient_go_on_past_what_is_not_understood() {
    let text = "hostname r1
interface eth0
 ip address 10.0.0.1/24
exit
!
router bgp 65000
 neighbor 10.0.0.1 remote-as 65001
 neighbor 10.0.0.1 bfd
 address-family l2vpn evpn
  advertise-all-vni
 exit-address-family
 address-family ipv4 unicast
  network 10.0.0.0/8
 exit-address-family
exit
";
    let strict = parse_str("frr.conf", text, Spelling::Frr, Leniency::Strict).unwrap_err();
    let loaded = parse_str("frr.conf", text, Spelling::Frr, Leniency::Lenient).unwrap();
    assert_eq!(loaded.warnings, strict);
    let lines: Vec<usize> = strict.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 8, 9]);
    let bgp = loaded.config.bgp.unwrap();
    assert_eq!(
        (bgp.neighbors.len(), bgp.ipv4_unicast.networks.len()),
        (1, 1)
    );

    let text = "[bgp]\nasn = 65000\nfancy = true\n";
    let loaded = parse_str("a.toml", text, Spelling::Toml, Leniency::Lenient).unwrap();
    assert_eq!(
        loaded.warnings[0].to_string(),
        "a.toml:3:1: unknown key \"fancy\""
    );
}

#[test]
fn what_is_understood_and_wrong_stays_wrong_for_the_lenient() {
    let text = "router bgp 65000\n neighbor 10.0.0.1 passive\n";
    let errors = parse_str("frr.conf", text, Spelling::Frr, Leniency::Lenient).unwrap_err();
    assert_eq!(errors[0].line, 2);
    let text = "[bgp]\nasn = \"many\"\n";
    assert!(parse_str("a.toml", text, Spelling::Toml, Leniency::Lenient).is_err());
}

#[test]
fn files_without_exit_or_indentation_are_read() {
    let text = "router bgp 65000\nneighbor 10.0.0.1 remote-as 65001\n!\naddress-family ipv6\n\
                neighbor 10.0.0.1 activate\nhostname r1\nline vty\n!\nrouter bgp 65000\n\
                network 10.0.0.0/8\n";
    let loaded = parse_str("frr.conf", text, Spelling::Frr, Leniency::Strict).unwrap();
    let bgp = loaded.config.bgp.unwrap();
    assert!(
        bgp.effective("10.0.0.1".parse().unwrap())
            .unwrap()
            .ipv6_unicast
            .activate
    );
    assert_eq!(bgp.ipv4_unicast.networks.len(), 1);
    // Windows line ends.
    let text = text.replace('\n', "\r\n");
    assert!(parse_str("frr.conf", &text, Spelling::Frr, Leniency::Strict).is_ok());
}

#[test]
fn the_reference_of_keys_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("TOML.md");
    let heading = "# The keys of the native configuration file\n\n\
                   Written by `HOLDFAST_BLESS=1 cargo test -p holdfast-config`.\n\n";
    let text = format!("{heading}{}\n", toml_reference().trim_end());
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}
