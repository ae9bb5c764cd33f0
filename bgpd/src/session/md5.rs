//! TCP MD5 signatures (RFC 2385) on Linux sockets.
//!
//! The kernel keeps keys per socket and remote address: a listener needs the
//! key of every peer that may connect to it, a connecting socket its peer's.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::sys::socket::SetSockOpt;

/// Longest key that the kernel takes (`TCP_MD5SIG_MAXKEYLEN`).
pub const MAX_KEY_LEN: usize = 80;

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub struct TcpMd5Sig {
    addr: [u8; 128],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    ifindex: i32,
    key: [u8; MAX_KEY_LEN],
}

impl TcpMd5Sig {
    /// A key for one remote address; an empty key removes it.
    fn new(peer: IpAddr, key: &[u8]) -> io::Result<TcpMd5Sig> {
        let mut sig = TcpMd5Sig {
            addr: [0; 128],
            flags: 0,
            prefix_len: 0,
            key_len: 0,
            ifindex: 0,
            key: [0; MAX_KEY_LEN],
        };
        // sockaddr_in holds the address at octet 4, sockaddr_in6 at octet 8.
        let (family, at, octets) = match peer {
            IpAddr::V4(addr) => (libc::AF_INET, 4, addr.octets().to_vec()),
            IpAddr::V6(addr) => (libc::AF_INET6, 8, addr.octets().to_vec()),
        };
        let family = u16::try_from(family).unwrap_or_default().to_ne_bytes();
        sig.addr[..2].copy_from_slice(&family);
        sig.addr[at..at + octets.len()].copy_from_slice(&octets);
        let slot = sig
            .key
            .get_mut(..key.len())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "key over 80 octets"))?;
        slot.copy_from_slice(key);
        sig.key_len = u16::try_from(key.len()).unwrap_or_default();
        Ok(sig)
    }
}

#[derive(Debug, Clone, Copy)]
struct TcpMd5;

nix::setsockopt_impl!(
    TcpMd5,
    libc::IPPROTO_TCP,
    libc::TCP_MD5SIG,
    TcpMd5Sig,
    nix::sys::socket::sockopt::SetStruct<'_, TcpMd5Sig>
);

/// Sets or, with an empty key, removes the key for a peer's address.
///
/// # Errors
/// The kernel's refusal (no MD5 support, key over 80 octets). Removing a key
/// that is not there is no error.
pub fn set_key(socket: &impl AsFd, peer: IpAddr, key: &str) -> io::Result<()> {
    let sig = TcpMd5Sig::new(peer, key.as_bytes())?;
    match TcpMd5.set(socket, &sig) {
        Err(nix::errno::Errno::ENOENT) if key.is_empty() => Ok(()),
        other => other.map_err(io::Error::from),
    }
}
