//! The codec from the outside: one binary, a module per subject.

mod as_path;
mod attribute_block;
mod attributes;
mod builder;
mod community;
mod header;
mod malformed;
mod multiprotocol;
mod notification;
mod old_speakers;
mod open;
mod packed;
mod packing;
mod roundtrip;
mod stability;
mod strategies;
mod tshark;
mod vectors;
