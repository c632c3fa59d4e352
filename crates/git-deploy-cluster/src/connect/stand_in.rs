//! Something for tests that answers in a cluster's place: every request with the same status, but for whether it is ready, and
//! with words that are no API server's.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread;

use kube::config::Kubeconfig;
use serde_json::json;

use super::Connection;

/// Answers for as long as the tests run.
pub(crate) struct StandIn {
    said: Arc<Said>,
    address: SocketAddr,
}

struct Said {
    status: AtomicU16,
    readiness: AtomicU16,
    /// What the one behind the connection that is made next says for as long as that is kept; 0: what all say.
    next: AtomicU16,
    /// Whether connections are kept.
    keeps: AtomicBool,
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl StandIn {
    /// One that says that all is well.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it has one");
        let said = Arc::new(Said {
            status: AtomicU16::new(200),
            readiness: AtomicU16::new(200),
            next: AtomicU16::new(0),
            keeps: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        let theirs = Arc::clone(&said);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let said = Arc::clone(&theirs);
                said.connections.fetch_add(1, Ordering::SeqCst);
                let own = Some(said.next.swap(0, Ordering::SeqCst)).filter(|status| *status != 0);
                // Whoever does not want to hear it any more has gone away.
                thread::spawn(move || {
                    let keeps = own.is_some() || said.keeps.load(Ordering::SeqCst);
                    let then = if keeps { "keep-alive" } else { "close" };
                    let status = |asked: &str| {
                        said.requests.fetch_add(1, Ordering::SeqCst);
                        own.unwrap_or_else(|| said.of(asked))
                    };
                    while answer(&stream, status, then).is_ok() && keeps {}
                });
            }
        });
        Self { said, address }
    }

    /// From now on it says that.
    pub(crate) fn answers(&self, status: u16) {
        self.says(status, status);
    }

    /// From now on it says that, and this when it is asked whether it is ready.
    pub(crate) fn says(&self, status: u16, readiness: u16) {
        self.said.readiness.store(readiness, Ordering::SeqCst);
        self.said.status.store(status, Ordering::SeqCst);
    }

    /// It is several, of which the one behind the connection that is made next says that, each time that it is asked.
    pub(crate) fn next_one_says(&self, status: u16) {
        self.said.next.store(status, Ordering::SeqCst);
    }

    /// From now on connections are kept.
    pub(crate) fn keeps_connections(&self) {
        self.said.keeps.store(true, Ordering::SeqCst);
    }

    /// How many connections were made so far, and how many requests were answered.
    pub(crate) fn traffic(&self) -> [usize; 2] {
        [&self.said.connections, &self.said.requests].map(|count| count.load(Ordering::SeqCst))
    }

    /// A way to it.
    pub(crate) async fn connection(&self) -> Connection {
        let kubeconfig = json!({
            "clusters": [{"name": "here", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ada"}}],
            "users": [{"name": "ada", "user": {}}],
        });
        let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig).expect("it is one");
        Connection::of_kubeconfig(kubeconfig, "a test", "here").await.expect("it answers")
    }
}

impl Said {
    fn of(&self, asked: &str) -> u16 {
        let status = if asked.contains(" /readyz ") { &self.readiness } else { &self.status };
        status.load(Ordering::SeqCst)
    }
}

/// Answers one request with the status that there is for it.
fn answer(stream: &TcpStream, status: impl Fn(&str) -> u16, then: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().transpose()?.ok_or(ErrorKind::UnexpectedEof)?;
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            break;
        }
    }
    let status = status(&asked);
    let body = if status == 200 { "{}" } else { "no server is available" };
    let length = body.len();
    write!(
        &mut &*stream,
        "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: {then}\r\n\r\n{body}"
    )
}
