//! A network that forgets connections without closing them, as load balancers do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Forwards connections to the API server, and what is sent over them; counts what comes back.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    /// The connections before this one are forgotten.
    forgotten: AtomicUsize,
    received: AtomicUsize,
}

impl Proxy {
    pub(crate) fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        // Ends with the test process; there are few of them.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let number = theirs.accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (from, to) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                let (one, other) = (Arc::clone(&theirs), Arc::clone(&theirs));
                thread::spawn(move || one.pump(from, to, number, false));
                thread::spawn(move || other.pump(server, client, number, true));
            }
        });
        Proxy { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing comes over the connections that there are any more; they stay open, and new ones are served.
    pub(crate) fn forget(&self) {
        self.shared.forgotten.store(self.shared.accepted.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// How many bytes came from the server.
    pub(crate) fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, number: usize, is_answer: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if number < self.forgotten.load(Ordering::SeqCst) {
                continue;
            }
            if is_answer {
                self.received.fetch_add(length, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        if number >= self.forgotten.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Both);
        }
    }
}
