//! Between a client and a registry: passes on what is said, or does what a network or a registry in trouble does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of a connection.
#[derive(Clone)]
pub(crate) enum Way {
    /// It goes on to that address.
    To(String),
    /// It goes on to that address until so many bytes have gone there in all; nobody is there from then on.
    Until(String, usize),
    /// It is taken, and nobody says anything.
    Silence,
    /// Each request, by its first line, is answered with a status and a body.
    Answer(fn(&str) -> (&'static str, &'static str)),
}

/// Listens until the test ends.
pub(crate) struct Between {
    /// Host and port, for names of images.
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    ways: Mutex<Vec<Way>>,
    connections: AtomicUsize,
    bytes: AtomicUsize,
}

impl Between {
    /// On `127.0.0.1`.
    pub(crate) fn start(ways: &[Way]) -> Between {
        let (listener, port) = listen(Ipv4Addr::LOCALHOST.into()).expect("loopback is there");
        Between::on(listener, format!("127.0.0.1:{port}"), ways)
    }

    /// At the name of this machine, which is no loopback address for whoever reads it; none where it does not resolve to
    /// this machine.
    pub(crate) fn by_name(ways: &[Way]) -> Option<Between> {
        let name = Command::new("uname").arg("-n").output().ok()?.stdout;
        let name = String::from_utf8(name).ok()?.trim().to_owned();
        let found = (name.as_str(), 0).to_socket_addrs().ok()?.next()?;
        let (listener, port) = listen(found.ip()).ok().filter(|_| name != "localhost")?;
        Some(Between::on(listener, format!("{name}:{port}"), ways))
    }

    /// The first connection goes the first way, and so on; all further ones go the last.
    fn on(listener: TcpListener, address: String, ways: &[Way]) -> Between {
        let shared = Shared {
            ways: Mutex::new(ways.to_vec()),
            connections: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        };
        let shared = Arc::new(shared);
        let of_all = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&of_all);
                // Who goes away in the middle has what it wanted.
                thread::spawn(move || shared.serve(connection));
            }
        });
        Between { address, shared }
    }

    /// From now on all go this way.
    pub(crate) fn all(&self, way: Way) {
        self.ways(&[way]);
    }

    /// From now on they go these ways, as from the start.
    pub(crate) fn ways(&self, ways: &[Way]) {
        *self.shared.ways.lock().unwrap_or_else(PoisonError::into_inner) = ways.to_vec();
        self.shared.connections.store(0, Ordering::SeqCst);
        self.shared.bytes.store(0, Ordering::SeqCst);
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) -> io::Result<()> {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match ways.get(number).or(ways.last()).cloned() {
            Some(Way::To(address)) => self.pass(connection, &address, usize::MAX),
            Some(Way::Until(address, most)) => self.pass(connection, &address, most),
            Some(Way::Answer(answer)) => answer_all(connection, answer),
            Some(Way::Silence) | None => {
                thread::sleep(Duration::from_secs(600));
                Ok(())
            }
        }
    }

    fn pass(&self, mut client: TcpStream, address: &str, most: usize) -> io::Result<()> {
        if self.bytes.load(Ordering::SeqCst) >= most {
            return Ok(());
        }
        let mut server = TcpStream::connect(address)?;
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Both)
        });
        let mut buffer = [0; 4096];
        loop {
            let length = client.read(&mut buffer)?;
            let before = self.bytes.fetch_add(length, Ordering::SeqCst);
            if length == 0 || before + length >= most {
                break;
            }
            server.write_all(&buffer[..length])?;
        }
        client.shutdown(Shutdown::Both)?;
        server.shutdown(Shutdown::Both)
    }
}

fn answer_all(mut connection: TcpStream, answer: fn(&str) -> (&'static str, &'static str)) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    // TLS begins with a byte that no line of HTTP begins with.
    if reader.fill_buf()?.first() == Some(&22) {
        return Ok(());
    }
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, body) = answer(&line);
    let length = body.len();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn listen(address: IpAddr) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(SocketAddr::new(address, 0))?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}
