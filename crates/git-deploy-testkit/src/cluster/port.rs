//! A port that stays ours.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A port on loopback, bound but not listened on. A server that shares ports (`SO_REUSEPORT`) can listen there, stop
/// and come back, and nobody else can take it meanwhile.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _socket: OwnedFd,
}

impl Port {
    pub(super) fn reserve() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        Ok(Self { address, _socket: socket })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn number(&self) -> u16 {
        self.address.port()
    }
}
