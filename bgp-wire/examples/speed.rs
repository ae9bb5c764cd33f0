//! How long the steps of a full table take for one attribute set of usual size:
//! `cargo run --release -p bgp-wire --example speed`. Prints nanoseconds for
//! each call, the least of several runs.

use std::hint::black_box;
use std::time::Instant;

use bgp_wire::reader::Reader;
use bgp_wire::{
    CodecContext, Community, Family, Frame, Message, MessageKind, NextHop, Nlri, Origin,
    PackedPrefixes, PathAttributes, PeerKind, UpdateParts, V4, V6, decode_attribute_block,
    decode_message, decode_update_packed, encode_announcements, encode_announcements_noting,
    encode_attribute_block, put_attribute_block,
};
use bytes::{Bytes, BytesMut};
use ipnet::{Ipv4Net, Ipv6Net};

const RUNS: usize = 7;
const CALLS: u32 = 50_000;

fn measure(name: &str, mut call: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        let nanos = start.elapsed().as_nanos() as f64 / f64::from(CALLS);
        best = best.min(nanos);
    }
    println!("{name:<46} {best:8.1} ns");
}

fn attributes() -> PathAttributes {
    PathAttributes {
        origin: Origin::Igp,
        as_path: [65001, 3356, 174, 4_200_000_000, 13_335]
            .into_iter()
            .collect(),
        next_hop: Some(NextHop::V4([192, 0, 2, 1].into())),
        med: Some(10),
        communities: (1..5).map(|value| Community::new(65001, value)).collect(),
        ..PathAttributes::default()
    }
}

fn ipv4(count: u32) -> Vec<Nlri<Ipv4Net>> {
    let net = |i: u32| Ipv4Net::new((0x0a00_0000 + (i << 8)).into(), 24).expect("a length");
    let nlri = |i| Nlri {
        path_id: 0,
        prefix: net(i),
    };
    (0..count).map(nlri).collect()
}

fn ipv6(count: u32) -> Vec<Nlri<Ipv6Net>> {
    let address = |i: u32| (0x2001_0db8_u128 << 96) | (u128::from(i) << 80);
    let nlri = |i| Nlri {
        path_id: 0,
        prefix: Ipv6Net::new(address(i).into(), 48).expect("a length"),
    };
    (0..count).map(nlri).collect()
}

fn context() -> CodecContext {
    CodecContext {
        four_octet_as: true,
        families: Family::ALL.into_iter().collect(),
        ..CodecContext::baseline(PeerKind::External)
    }
}

fn main() {
    let ctx = context();
    let attributes = attributes();
    let list = ipv4(10);
    let mut out = BytesMut::new();
    encode_announcements::<V4>(&ctx, &attributes, &list, &mut out).expect("fits");
    decoding(&ctx, &out.freeze());
    blocks(&attributes);
    encoding(&ctx, &attributes, &list);
    prefixes();
}

fn decoding(ctx: &CodecContext, message: &Bytes) {
    let frame = Frame {
        kind: MessageKind::Update,
        bytes: message.clone(),
    };
    let body = frame.body();
    measure("decode_message, lists", || {
        let _ = black_box(decode_message(ctx, black_box(message)));
    });
    measure("decode_update_packed", || {
        let _ = black_box(decode_update_packed(ctx, black_box(&body)));
    });
    measure("split, packed_prefixes: a known block", || {
        let parts = UpdateParts::split(Reader::new(black_box(&body)));
        let parts = parts.expect("sound");
        black_box(parts.has_mp_attributes());
        let _ = black_box(parts.packed_prefixes(ctx, &body));
    });
    let Ok(Message::Update(update)) = decode_message(ctx, message) else {
        return;
    };
    measure("drop of an attribute set and its clone", || {
        drop(black_box(update.attributes.clone()));
    });
}

fn blocks(attributes: &PathAttributes) {
    let block = encode_attribute_block(attributes);
    let mut scratch = BytesMut::with_capacity(4096);
    measure("encode_attribute_block", || {
        black_box(encode_attribute_block(black_box(attributes)));
    });
    measure("put_attribute_block, buffer reused", || {
        scratch.clear();
        put_attribute_block(black_box(attributes), &mut scratch);
        black_box(&scratch);
    });
    measure("decode_attribute_block", || {
        black_box(decode_attribute_block(black_box(&block)));
    });
}

fn encoding(ctx: &CodecContext, attributes: &PathAttributes, list: &[Nlri<Ipv4Net>]) {
    let mut out = BytesMut::with_capacity(1 << 20);
    let mut next_hops = Vec::with_capacity(1024);
    measure("encode_announcements, 10 IPv4 prefixes", || {
        out.clear();
        let _ = black_box(encode_announcements::<V4>(ctx, attributes, list, &mut out));
    });
    measure("encode_announcements_noting, the same", || {
        out.clear();
        next_hops.clear();
        let messages =
            encode_announcements_noting::<V4>(ctx, attributes, list, &mut out, &mut next_hops);
        let _ = black_box(messages);
    });
    let list = ipv4(5_000);
    measure("encode_announcements, 5,000 IPv4 prefixes", || {
        out.clear();
        let _ = black_box(encode_announcements::<V4>(ctx, attributes, &list, &mut out));
    });
    let attributes = PathAttributes {
        next_hop: Some(NextHop::V6 {
            global: "2001:db8::1".parse().expect("an address"),
            link_local: None,
        }),
        ..attributes.clone()
    };
    let list = ipv6(10);
    measure("encode_announcements, 10 IPv6 prefixes", || {
        out.clear();
        let _ = black_box(encode_announcements::<V6>(
            ctx,
            &attributes,
            &list,
            &mut out,
        ));
    });
}

fn prefixes() {
    let ipv4 = PackedPrefixes::pack::<V4>(&ipv4(1_000));
    let ipv6 = PackedPrefixes::pack::<V6>(&ipv6(1_000));
    measure("iter, 1,000 IPv4 prefixes", || {
        black_box(&ipv4).iter::<V4>().for_each(|nlri| {
            black_box(nlri);
        });
    });
    measure("iter, 1,000 IPv6 prefixes", || {
        black_box(&ipv6).iter::<V6>().for_each(|nlri| {
            black_box(nlri);
        });
    });
    measure("PackedPrefixes::new, 1,000 IPv4 prefixes", || {
        let octets = black_box(&ipv4).octets().clone();
        let _ = black_box(PackedPrefixes::new(Family::Ipv4Unicast, false, octets));
    });
}
