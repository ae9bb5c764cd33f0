//! Whatever the model says, both spellings carry it without loss.

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::{config, settings};
use holdfast_config::frr::{Session, to_frr};
use holdfast_config::{
    Config, Leniency, Spelling, diff, parse_str, to_toml, to_toml_with_defaults,
};
use proptest::prelude::*;

fn read(text: &str, spelling: Spelling) -> Result<Config, TestCaseError> {
    parse_str("file", text, spelling, Leniency::Strict)
        .map(|loaded| loaded.config)
        .map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            TestCaseError::fail(format!("{}\n{text}", errors.join("\n")))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn frr_text_carries_the_model(config in config()) {
        let text = to_frr(&config);
        let back = read(&text, Spelling::Frr)?;
        prop_assert_eq!(&back, &config, "{}", text);
        prop_assert_eq!(to_frr(&back), text);
    }

    #[test]
    fn toml_carries_the_model(config in config()) {
        let text = to_toml(&config);
        let back = read(&text, Spelling::Toml)?;
        prop_assert_eq!(&back, &config, "{}", text);
        let shown = to_toml_with_defaults(&config);
        let mut back = read(&shown, Spelling::Toml)?;
        back.api = config.api.clone();
        prop_assert_eq!(&back, &config, "{}", shown);
    }

    #[test]
    fn the_normal_form_means_the_same(config in config(), more in settings()) {
        let mut config = config;
        for bgp in config.instances_mut() {
            // Says a lot that holds anyway.
            for neighbor in bgp.neighbors.values_mut() {
                let own = &mut neighbor.settings;
                own.passive = own.passive.or(more.passive);
                own.shutdown = own.shutdown.take().or_else(|| more.shutdown.clone());
                own.ipv4_unicast.activate = own.ipv4_unicast.activate.or(more.ipv4_unicast.activate);
                own.ipv6_unicast.next_hop_self = more.ipv6_unicast.next_hop_self;
            }
        }
        let mut normal = config.clone();
        normal.normalize();
        let effective = |config: &Config| -> BTreeMap<IpAddr, _> {
            let bgp = config.instances();
            bgp.flat_map(|(_, bgp)| bgp.effective_peers().map(|peer| (peer.address, peer))).collect()
        };
        prop_assert_eq!(effective(&normal), effective(&config));
        let mut again = normal.clone();
        again.normalize();
        prop_assert_eq!(again, normal);
    }

    #[test]
    fn a_diff_is_empty_for_the_same_only(old in config(), new in config()) {
        prop_assert!(diff(&old, &old).is_empty());
        prop_assert_eq!(diff(&old, &old).to_string(), "");
        if to_frr(&old) == to_frr(&new) {
            prop_assert_eq!(&old, &new);
        }
        if old.bgp.as_ref().map(|bgp| bgp.asn) != new.bgp.as_ref().map(|bgp| bgp.asn) {
            prop_assert!(!diff(&old, &new).is_empty());
        }
    }

    /// No line makes the parser fall over, and a line that is not taken
    /// changes nothing.
    #[test]
    fn any_line_is_taken_or_refused(
        config in config(),
        lines in prop::collection::vec("(no )?(neighbor |bgp |router bgp |network )?[ -~]{0,24}", 0..8),
    ) {
        let mut session = Session::new(config);
        for line in lines {
            let before = session.clone();
            if session.apply_line(&line).is_err() {
                prop_assert_eq!(&session.config, &before.config);
                prop_assert_eq!(session.mode, before.mode);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([ -~]{0,30}\n){0,6}") {
        for spelling in [Spelling::Frr, Spelling::Toml] {
            if let Err(errors) = parse_str("file", &text, spelling, Leniency::Strict) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.to_string().starts_with("file"));
                }
            }
        }
    }
}
