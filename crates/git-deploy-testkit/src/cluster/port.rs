//! A port that stays ours.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use super::proxy::Proxy;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A port on loopback, bound but not listened on. A server that shares ports (`SO_REUSEPORT`) can listen there, stop
/// and come back, and nobody else can take it meanwhile.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _holder: Holder,
}

#[derive(Debug)]
#[expect(dead_code, reason = "they are only held")]
enum Holder {
    Socket(OwnedFd),
    Proxy(Proxy),
}

impl Port {
    pub(super) fn reserve() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        Ok(Self { address, _holder: Holder::Socket(socket) })
    }

    /// The same port on loopback in a network of its own; who connects to it outside gets there.
    pub(super) fn into_network(network: OwnedFd) -> io::Result<Self> {
        let proxy = Proxy::into_network(network)?;
        Ok(Self { address: proxy.address(), _holder: Holder::Proxy(proxy) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn number(&self) -> u16 {
        self.address.port()
    }
}
