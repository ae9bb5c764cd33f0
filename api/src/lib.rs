//! The gRPC API: generated types, client and server.
