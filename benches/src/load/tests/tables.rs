//! Tables: the same seed, the same table; shares like the internet's.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;

use crate::load::{Family, Prefix, PrefixIndex, Table, TableSpec};

#[test]
fn same_seed_same_table() {
    let (one, two, other) = (
        Table::ipv4(20_000, 7),
        Table::ipv4(20_000, 7),
        Table::ipv4(20_000, 8),
    );
    assert_eq!(one.prefixes(), two.prefixes());
    assert_eq!(one.sets(), two.sets());
    assert_ne!(one.prefixes(), other.prefixes());
}

/// The first prefixes of seed 1 are written down: a change of the generator
/// would make new measurements incomparable with old ones.
#[test]
fn seed_one_stays_what_it_is() {
    let table = Table::ipv4(1000, 1);
    let sum = table.prefixes().iter().fold(0u64, |sum, prefix| {
        let bits = (prefix.bits() >> 64) as u64;
        sum.rotate_left(5) ^ bits ^ u64::from(prefix.len)
    });
    let hops: usize = table.sets().iter().map(|set| set.hops()).sum();
    assert_eq!((sum, hops), (SEED_ONE_PREFIXES, SEED_ONE_HOPS));
}

const SEED_ONE_PREFIXES: u64 = 10_220_679_839_690_658_829;
const SEED_ONE_HOPS: usize = 318;

#[test]
fn ipv4_is_like_the_internet() {
    let n = 100_000;
    let table = Table::ipv4(n, 1);
    assert_eq!(table.len(), n);
    let distinct: HashSet<&Prefix> = table.prefixes().iter().collect();
    assert_eq!(distinct.len(), n);
    assert_eq!(table.sets().len(), 9300);
    assert_eq!(table.distinct_sets(), 9300);

    let share = |len| table.prefixes().iter().filter(|p| p.len == len).count() as f64 / n as f64;
    assert!((0.55..0.70).contains(&share(24)), "{}", share(24));
    assert!((0.08..0.14).contains(&share(22)), "{}", share(22));
    assert!(share(16) > 0.005, "{}", share(16));

    let hops: usize = table.sets().iter().map(|set| set.hops()).sum();
    let mean = hops as f64 / 9300.0 + 1.0;
    assert!((4.0..5.2).contains(&mean), "{mean} hops with the sender");
    let communities: usize = table.sets().iter().map(|s| s.communities.len()).sum();
    let mean = communities as f64 / 9300.0;
    assert!((2.0..8.0).contains(&mean), "{mean} communities");
    assert!(table.sets().iter().any(|s| s.path.iter().any(|p| p.is_set)));

    let mut sizes: Vec<usize> = (0..9300).map(|set| table.range(set).len()).collect();
    sizes.sort_unstable();
    assert!(sizes[0] >= 1);
    assert!(sizes[4650] <= 6, "median of {}", sizes[4650]);
    assert!(sizes[9299] >= 300, "largest of {}", sizes[9299]);
    assert_eq!(sizes.iter().sum::<usize>(), n);
}

#[test]
fn ipv6_is_like_the_internet() {
    let table = Table::ipv6(50_000, 1);
    let distinct: HashSet<&Prefix> = table.prefixes().iter().collect();
    assert_eq!(distinct.len(), 50_000);
    let long = table.prefixes().iter().filter(|p| p.len == 48).count();
    assert!((20_000..30_000).contains(&long), "{long} of /48");
    assert!(table.prefixes().iter().all(|p| p.octets[0] >> 4 == 2));
}

#[test]
fn one_variant_of_a_set_is_best() {
    let table = Table::ipv4(5000, 3);
    let variants: Vec<Table> = (0..4).map(|k| table.variant(k, 4)).collect();
    for set in 0..table.sets().len() {
        let hops: Vec<usize> = variants.iter().map(|v| v.sets()[set].hops()).collect();
        let winner = table.winner(set, 4);
        let others = (0..4).filter(|&k| k != winner);
        assert!(
            others.into_iter().all(|k| hops[k] > hops[winner]),
            "{hops:?}"
        );
    }
    let winners = table.winners(4);
    assert_eq!(winners.len(), 5000);
    assert!((0..4).all(|k| winners.contains(&k)));
}

#[test]
fn slices_make_the_table_again() {
    let table = Table::ipv4(3000, 3);
    let mut prefixes = Vec::new();
    for part in 0..7 {
        let slice = table.slice(3000 * part / 7..3000 * (part + 1) / 7);
        for (position, prefix) in slice.prefixes().iter().enumerate() {
            let here = &slice.sets()[slice.set_of(position)];
            let there = table.set_of(prefixes.len() + position);
            assert_eq!(
                (here, prefix),
                (
                    &table.sets()[there],
                    &table.prefixes()[prefixes.len() + position]
                )
            );
        }
        prefixes.extend_from_slice(slice.prefixes());
    }
    assert_eq!(prefixes, table.prefixes());
}

#[test]
fn index_finds_what_is_there_and_nothing_else() {
    for table in [Table::ipv4(50_000, 5), Table::ipv6(50_000, 5)] {
        let (known, foreign) = table.prefixes().split_at(30_000);
        let index = PrefixIndex::new(known);
        for (position, prefix) in known.iter().enumerate() {
            assert_eq!(index.position(prefix), Some(position as u32));
        }
        assert!(
            foreign
                .iter()
                .all(|prefix| index.position(prefix).is_none())
        );
    }
}

/// Two routes of two peers in a dump; the peer with more routes is taken.
#[test]
fn mrt_dump_of_the_fuller_peer() {
    let route = |peer: u16, attributes: &[u8]| {
        let mut entry = peer.to_be_bytes().to_vec();
        entry.extend_from_slice(&[0; 4]);
        entry.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
        entry.extend_from_slice(attributes);
        entry
    };
    let record = |prefix: &[u8], entries: &[Vec<u8>]| {
        let mut body = vec![0; 4];
        body.extend_from_slice(prefix);
        body.extend_from_slice(&(entries.len() as u16).to_be_bytes());
        body.extend(entries.concat());
        let mut all = vec![0, 0, 0, 0, 0, 13, 0, 2];
        all.extend_from_slice(&(body.len() as u32).to_be_bytes());
        all.extend(body);
        all
    };
    // ORIGIN incomplete, AS_PATH 3356 174 {7018}, MED 5, community 174:1.
    let path = [2, 2, 0, 0, 13, 28, 0, 0, 0, 174, 1, 1, 0, 0, 27, 106];
    let mut attributes = vec![0x40, 1, 1, 2, 0x40, 2, 16];
    attributes.extend_from_slice(&path);
    attributes.extend_from_slice(&[0x80, 4, 4, 0, 0, 0, 5, 0xd0, 8, 0, 4, 0, 174, 0, 1]);
    let mut dump = record(
        &[24, 8, 8, 8],
        &[route(1, &attributes), route(0, &[0x40, 1, 1, 0])],
    );
    dump.extend(record(&[8, 9], &[route(1, &attributes)]));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rib");
    File::create(&file).unwrap().write_all(&dump).unwrap();

    let table = Table::from_mrt(&file, Family::Ipv4).unwrap();
    let shown: Vec<String> = table
        .prefixes()
        .iter()
        .map(|p| p.display(Family::Ipv4))
        .collect();
    assert_eq!(shown, ["8.8.8.0/24", "9.0.0.0/8"]);
    let [set] = table.sets() else {
        panic!("one set, not {}", table.sets().len());
    };
    assert_eq!(
        (set.origin, set.med, set.communities.as_slice()),
        (2, Some(5), &[174 << 16 | 1][..])
    );
    assert_eq!(set.path.len(), 2);
    assert_eq!(
        (&set.path[0].asns, &set.path[1].asns),
        (&vec![174], &vec![7018])
    );
    assert!(set.path[1].is_set);
    assert!(Table::from_mrt(&file, Family::Ipv6).is_err());

    dump.truncate(dump.len() - 3);
    File::create(&file).unwrap().write_all(&dump).unwrap();
    assert!(Table::from_mrt(&file, Family::Ipv4).is_err());
}

#[test]
fn large_tables_find_room() {
    let table = Table::synthetic(&TableSpec {
        family: Family::Ipv4,
        prefixes: 400_000,
        sets: 10,
        seed: 1,
        as_sets: false,
    });
    assert_eq!((table.len(), table.sets().len()), (400_000, 10));
    assert!(
        table
            .sets()
            .iter()
            .all(|s| s.path.iter().all(|p| !p.is_set))
    );
}
