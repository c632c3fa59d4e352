//! A network that fails.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::node::enter;

/// Stands between a client and the API server and forwards what they say, until told otherwise. TLS passes through.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    delay: Duration,
    connections: Vec<TcpStream>,
    accepted: usize,
    /// So many connections, the first ones, are silent for ever.
    frozen: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Forwarding,
    Stalled,
    Refusing,
    Over,
}

impl Proxy {
    pub(super) fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::spawn(move || theirs.accept(&listener, target));
        Ok(Self { address, shared })
    }

    /// Listens here, on loopback, and connects to the same address in that network.
    pub(super) fn into_network(network: OwnedFd) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (told, entered) = mpsc::channel();
        thread::spawn(move || {
            let result = enter(&network);
            let is_there = result.is_ok();
            // The thread itself keeps the network from now on.
            drop(network);
            if told.send(result).is_ok() && is_there {
                theirs.accept(&listener, address);
            }
        });
        entered.recv().map_err(io::Error::other)??;
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections. New ones are served.
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Closes all connections, and new ones as soon as they are made, until [`resume`](Self::resume).
    pub fn refuse(&self) {
        self.shared.set(Mode::Refusing);
        self.cut();
    }

    /// Forwards nothing any more, in no direction, but keeps all connections open and accepts new ones.
    pub fn stall(&self) {
        self.shared.set(Mode::Stalled);
    }

    /// Forwards nothing any more on the connections that there are, which stay open; new ones are served. As a load balancer
    /// that has forgotten them.
    pub fn freeze(&self) {
        let mut state = self.shared.lock();
        state.frozen = state.accepted;
    }

    /// Forwards again, what came meanwhile first.
    pub fn resume(&self) {
        self.shared.set(Mode::Forwarding);
    }

    /// Lets each piece of data wait that long, in both directions.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// How many connections were made so far, those that were closed at once among them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set(Mode::Over);
        self.cut();
        // Wakes the thread that waits for connections, so that it sees the end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mode: Mode) {
        self.lock().mode = mode;
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, target: SocketAddr) {
        for client in listener.incoming() {
            let mode = self.lock().mode;
            match (mode, client) {
                (Mode::Over, _) => return,
                (Mode::Refusing, _) => self.lock().accepted += 1,
                (_, Err(_)) => {}
                // A server that is not there: the client is dropped, and so refused.
                (_, Ok(client)) => drop(self.connect(&client, target)),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: &TcpStream, target: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut state = self.lock();
        state.accepted += 1;
        let number = state.accepted;
        state.connections.extend([client.try_clone()?, server.try_clone()?]);
        drop(state);
        for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client.try_clone()?)] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pump(number, from, to));
        }
        Ok(())
    }

    fn pump(&self, number: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let length = match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            self.wait_until_it_may_go(number);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // In both directions: half a connection is of no use to HTTP. It may be closed already.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    fn wait_until_it_may_go(&self, number: usize) {
        let delay = self.lock().delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let state = self.lock();
        let waits = |state: &mut State| match state.mode {
            Mode::Forwarding | Mode::Refusing => number <= state.frozen,
            Mode::Stalled => true,
            Mode::Over => false,
        };
        let waited = self.changed.wait_while(state, waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn cut(&mut self) {
        for connection in self.connections.drain(..) {
            // Its ends may have closed it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
