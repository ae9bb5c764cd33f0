//! BGP messages to and from bytes.
