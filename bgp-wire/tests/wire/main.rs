//! The codec from the outside: one binary, a module per subject.

mod as_path;
mod attributes;
mod builder;
mod community;
mod header;
mod malformed;
mod multiprotocol;
mod notification;
mod old_speakers;
mod open;
mod packing;
mod roundtrip;
mod stability;
mod strategies;
mod tshark;
mod vectors;
