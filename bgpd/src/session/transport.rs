//! Sockets: listening, connecting, and the options BGP wants on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::md5;

/// Connections that may wait to be accepted. A short backlog costs a router
/// with many peers a cold start of seconds: SYNs are dropped and retried.
const BACKLOG: i32 = 4096;

/// DSCP CS6 (RFC 4271 does not say; RFC 4594 section 3.1 puts routing there).
const TOS_CS6: u32 = 0xc0;

/// TTL of sessions that may cross routers, internal ones among them.
const TTL_MANY: u32 = 255;

/// What a connection to or from a peer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportParams {
    /// The peer.
    pub peer: IpAddr,
    /// Its port, for connections that we open.
    pub port: u16,
    /// Address that connections start from; none leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// MD5 key.
    pub password: Option<String>,
    /// Hops the peer may be away; none for as many as there are (internal).
    pub hops: Option<u8>,
    /// Index of the interface, for a link-local peer.
    pub ifindex: u32,
    /// The VRF device that the session runs in (`SO_BINDTODEVICE`).
    pub device: Option<String>,
}

fn domain(addr: IpAddr) -> Domain {
    match addr {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    }
}

fn options(socket: &Socket, params: &TransportParams) -> io::Result<()> {
    let ttl = params.hops.map_or(TTL_MANY, u32::from);
    match params.peer {
        IpAddr::V4(_) => {
            socket.set_ttl_v4(ttl)?;
            socket.set_tos_v4(TOS_CS6)?;
        }
        IpAddr::V6(_) => {
            socket.set_unicast_hops_v6(ttl)?;
            socket.set_tclass_v6(TOS_CS6)?;
        }
    }
    socket.set_tcp_nodelay(true)
}

fn socket_addr(addr: IpAddr, port: u16, ifindex: u32) -> SocketAddr {
    match addr {
        IpAddr::V4(addr) => SocketAddr::new(addr.into(), port),
        IpAddr::V6(addr) => {
            let scope = if addr.is_unicast_link_local() {
                ifindex
            } else {
                0
            };
            std::net::SocketAddrV6::new(addr, port, 0, scope).into()
        }
    }
}

/// Opens a connection to a peer.
///
/// # Errors
/// The system's: refused, unreachable, timed out, source address not ours.
pub async fn connect(params: &TransportParams) -> io::Result<TcpStream> {
    let socket = Socket::new(domain(params.peer), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    options(&socket, params)?;
    bind_to(&socket, params.device.as_deref())?;
    if let Some(key) = &params.password {
        md5::set_key(&socket, params.peer, key)?;
    }
    if let Some(source) = params.source {
        let from = socket_addr(source, 0, params.ifindex);
        socket.bind(&SockAddr::from(from))?;
    }
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(OwnedFd::from(socket)));
    socket
        .connect(socket_addr(params.peer, params.port, params.ifindex))
        .await
}

/// Puts a peer's options on a connection that it opened.
///
/// # Errors
/// The system's.
pub fn adopt(stream: &TcpStream, params: &TransportParams) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    options(&socket, params)
}

/// Has the socket live in a VRF: its addresses and routes are those there.
fn bind_to(socket: &Socket, device: Option<&str>) -> io::Result<()> {
    match device {
        Some(device) => socket.bind_device(Some(device.as_bytes())),
        None => Ok(()),
    }
}

/// Opens a listening socket, in a VRF where a device is named. IPv6 sockets take IPv6 only, so that both
/// families can be listened on side by side.
///
/// # Errors
/// The system's: port in use, no right to a low port.
pub fn listen(addr: SocketAddr, device: Option<&str>) -> io::Result<TcpListener> {
    let socket = Socket::new(domain(addr.ip()), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    bind_to(&socket, device)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(std::net::TcpListener::from(OwnedFd::from(socket)))
}

/// The sockets of a router that listens everywhere.
pub fn any(port: u16) -> Vec<SocketAddr> {
    vec![
        SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
        SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
    ]
}

/// An IPv4 address that came mapped into IPv6 is an IPv4 address.
pub fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loopback stands for a VRF device: to be bound to one is the same.
    #[tokio::test]
    async fn sockets_of_a_vrf_are_bound_to_its_device() {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let listener = listen(any, Some("lo")).unwrap();
        let bound = socket2::SockRef::from(&listener).device().unwrap();
        assert_eq!(bound.as_deref(), Some(&b"lo"[..]));
        let params = |device: Option<&str>| TransportParams {
            peer: Ipv4Addr::LOCALHOST.into(),
            port: listener.local_addr().unwrap().port(),
            source: None,
            password: None,
            hops: None,
            ifindex: 0,
            device: device.map(str::to_owned),
        };
        let stream = connect(&params(Some("lo"))).await.unwrap();
        let bound = socket2::SockRef::from(&stream).device().unwrap();
        assert_eq!(bound.as_deref(), Some(&b"lo"[..]));
        let stream = connect(&params(None)).await.unwrap();
        assert_eq!(socket2::SockRef::from(&stream).device().unwrap(), None);
        let missing = connect(&params(Some("no-such-vrf"))).await.unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV));
        assert!(listen(any, Some("no-such-vrf")).is_err());
    }
}
