//! A generator of BGP load.

fn main() {}
