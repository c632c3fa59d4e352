//! An API server that has come back, and does not know yet who may do what; also where it is one of several.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::{Proxy, eventually};

const RUNS: u8 = 0;
const STARTS: u8 = 1;
const ENDS: u8 = 2;
const IS_SEVERAL: u8 = 3;

/// So many servers share what is asked for, of which one is not ready.
const SERVERS: usize = 3;

/// Stands before the API server, hears each request, and passes it on, or answers in its place. It speaks no TLS; whoever
/// asks says by a token who that is, as to the API server itself.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// `kubectl proxy`, which speaks TLS.
    behind: Child,
}

#[derive(Debug)]
struct Shared {
    mode: AtomicU8,
    refused: AtomicUsize,
    /// What is said to whoever asks whether it is ready; 0: what the API server says.
    readiness: AtomicU16,
    /// How often the same was asked for.
    asked: Mutex<HashMap<Vec<u8>, usize>>,
    /// How often somebody has asked for the kinds.
    kinds_asked: AtomicUsize,
    /// A group whose kinds are left out of each so-manieth list of these.
    left_out: Mutex<Option<(String, usize)>>,
    socket: PathBuf,
}

impl Front {
    pub(super) fn start(kubectl: &Kubectl, socket: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut command = Command::new(&kubectl.program);
        command.arg("--kubeconfig").arg(&kubectl.kubeconfig).args(["--context", super::CONTEXT]);
        command.args(["proxy", "--unix-socket"]).arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let behind = kubectl.group.spawn(&mut command, &kubectl.directory)?;
        eventually("kubectl proxy listens", || UnixStream::connect(&socket).is_ok());
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(RUNS),
            refused: AtomicUsize::new(0),
            readiness: AtomicU16::new(0),
            asked: Mutex::default(),
            kinds_asked: AtomicUsize::new(0),
            left_out: Mutex::default(),
            socket,
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || theirs.accept(&listener));
        Ok(Self { address, shared, behind })
    }

    /// A network between the tool under test and this.
    ///
    /// # Panics
    /// If there is no port for it.
    #[must_use]
    pub fn proxy(&self) -> Proxy {
        Proxy::start(self.address).unwrap_or_else(|error| panic!("cannot start a proxy: {error}"))
    }

    /// From now on it says that it is not ready, and refuses everybody everything: its rules are not read yet.
    pub fn starts(&self) {
        self.shared.mode.store(STARTS, Ordering::SeqCst);
    }

    /// From now on it is several servers, of which one knows neither who may do what nor all kinds: whatever is asked for,
    /// that one answers first, and then each third time.
    pub fn is_several(&self) {
        self.shared.mode.store(IS_SEVERAL, Ordering::SeqCst);
    }

    /// From now on it answers with that status whoever asks whether it is ready, whatever else it does.
    pub fn says_of_readiness(&self, status: u16) {
        self.shared.readiness.store(status, Ordering::SeqCst);
    }

    /// From now on it has not read the definitions of that group, or it is so many servers of which one has not, which is
    /// asked first, and then in turn.
    pub fn lacks(&self, group: &str, servers: usize) {
        self.shared.kinds_asked.store(0, Ordering::SeqCst);
        *lock(&self.shared.left_out) = Some((group.to_owned(), servers));
    }

    /// How often somebody has asked for the kinds, since it lacks some if it does.
    #[must_use]
    pub fn kinds_asked(&self) -> usize {
        self.shared.kinds_asked.load(Ordering::SeqCst)
    }

    /// From now on it passes everything on.
    pub fn runs(&self) {
        self.shared.mode.store(RUNS, Ordering::SeqCst);
        *lock(&self.shared.left_out) = None;
    }

    /// How often somebody was refused something.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.mode.store(ENDS, Ordering::SeqCst);
        // Wakes the thread that waits for connections, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        // It may have ended.
        let _ = self.behind.kill();
        let _ = self.behind.wait();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            if self.mode.load(Ordering::SeqCst) == ENDS {
                return;
            }
            let shared = Arc::clone(self);
            // Whoever does not want to hear it any more has gone away.
            thread::spawn(move || drop(shared.serve(&client)));
        }
    }

    /// Answers one request; there is a connection for each.
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        if path == "/apis" {
            let turn = self.kinds_asked.fetch_add(1, Ordering::SeqCst);
            let left_out = lock(&self.left_out).clone();
            if let Some((group, _)) = left_out.filter(|(_, servers)| turn.is_multiple_of(*servers)) {
                return without(&group, &head, client, &self.socket);
            }
        }
        match (self.mode.load(Ordering::SeqCst), self.readiness.load(Ordering::SeqCst)) {
            (_, readiness @ 1..) if path == "/readyz" => {
                say(client, &format!("{readiness} Said"), "nobody is told that")
            }
            (STARTS, _) => self.refuse(path, client),
            (IS_SEVERAL, _) if self.is_turn_of_the_first(&head, &body) => self.know_little(path, client),
            _ => pass_on(&head, &body, client, &self.socket),
        }
    }

    fn is_turn_of_the_first(&self, head: &[String], body: &[u8]) -> bool {
        // A watch that is asked for again begins where things are by then.
        let line = head.first().and_then(|line| line.split("resourceVersion=").next()).unwrap_or_default();
        let request = [line.as_bytes(), body].concat();
        let mut asked = lock(&self.asked);
        let times = asked.entry(request).or_default();
        *times += 1;
        *times % SERVERS == 1
    }

    /// Answers as one that has read neither its rules nor its definitions, and says so to nobody.
    fn know_little(&self, path: &str, client: &TcpStream) -> io::Result<()> {
        let (status, body) = if path == "/apis" {
            let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": []});
            ("200 OK", list)
        } else if path.contains("selfsubjectaccessreviews") {
            ("201 Created", json!({"status": {"allowed": false}}))
        } else if path.contains("selfsubjectrulesreviews") {
            ("201 Created", json!({"status": {"resourceRules": [], "incomplete": false}}))
        } else {
            return self.refuse(path, client);
        };
        say(client, status, &body.to_string())
    }

    fn refuse(&self, path: &str, client: &TcpStream) -> io::Result<()> {
        if path == "/readyz" {
            let hook = "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld";
            return say(client, "500 Internal Server Error", &format!("{hook}\nreadyz check failed\n"));
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let message = format!("forbidden: User \"admin\" cannot get path \"{path}\"");
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message});
        say(client, "403 Forbidden", &status.to_string())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on the list of kinds without those of a group.
fn without(group: &str, head: &[String], client: &TcpStream, socket: &Path) -> io::Result<()> {
    let mut server = UnixStream::connect(socket)?;
    // Of this version of the protocol nobody answers in chunks.
    server.write_all(head.concat().replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes())?;
    server.write_all(b"\r\n")?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let mut list: Value = serde_json::from_str(body)?;
    if let Some(groups) = list["items"].as_array_mut() {
        groups.retain(|one| one["metadata"]["name"] != group);
    }
    say(client, "200 OK", &list.to_string())
}

fn say(mut client: &TcpStream, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())
}

fn pass_on(head: &[String], body: &[u8], client: &TcpStream, socket: &Path) -> io::Result<()> {
    let mut server = UnixStream::connect(socket)?;
    server.write_all(head.concat().as_bytes())?;
    server.write_all(b"Connection: close\r\n\r\n")?;
    server.write_all(body)?;
    let (mut from, to) = (client.try_clone()?, server.try_clone()?);
    // Whoever does not want to hear any more of a watch says so by hanging up.
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut io::sink());
        let _ = to.shutdown(Shutdown::Both);
    });
    let passed = io::copy(&mut server, &mut &*client);
    // It may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    passed.map(drop)
}
