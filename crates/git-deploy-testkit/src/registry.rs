//! A real registry for container images, on a port of loopback.
//!
//! It is Debian's `docker-registry`, with its storage in a directory of its own. Like a cluster it ends with the test
//! process, however that ends. Where a machine lacks what it takes, a test says so and is skipped:
//!
//! ```no_run
//! # use git_deploy_testkit::{registry::Registry, skip};
//! fn an_image_is_pushed() {
//!     let registry = match Registry::plain().start() {
//!         Ok(registry) => registry,
//!         Err(missing) => skip!(&missing.to_string()),
//!     };
//!     assert!(registry.address().starts_with("127.0.0.1:"));
//! }
//! ```

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use thiserror::Error;

use crate::cluster::eventually;
use crate::cluster::supervisor::{self, Supervisor};
use crate::cluster::{BUSYBOX, is_static};

/// Who may come in where a password is asked for.
pub const USER: &str = "ada";
/// The password of [`USER`].
pub const PASSWORD: &str = "open sesame";
/// What bcrypt, the only kind that the registry knows, makes of [`PASSWORD`].
const HTPASSWD: &str = "ada:$2b$05$J.dUMo6OLmKoWf.H6KCX7eV6p1hvgFU4g2mdzM9G/J3fuinKLkNJC\n";

/// A program that a registry needs, and that is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no '{program}'; as root: apt-get install {package}")]
pub struct Missing {
    program: &'static str,
    package: &'static str,
}

/// What a registry is to be like.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options are for starting a registry"]
pub struct Options {
    tls: bool,
    password: bool,
}

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub struct Registry {
    directory: PathBuf,
    address: SocketAddr,
    child: Mutex<Option<Child>>,
    supervisor: Supervisor,
    /// Keeps the port ours while no registry listens there.
    _port: OwnedFd,
}

impl Options {
    /// Asks for the password of [`USER`].
    pub fn with_password(self) -> Self {
        Self { password: true, ..self }
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// [`Missing`] is why it cannot be started on this machine.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(self) -> Result<Registry, Missing> {
        require("docker-registry", "docker-registry")?;
        if self.tls {
            require("openssl", "openssl")?;
        }
        let registry = Registry::new(self).unwrap_or_else(|error| panic!("no registry: {error}"));
        registry.start_again();
        Ok(registry)
    }
}

impl Registry {
    /// One that speaks HTTP.
    pub fn plain() -> Options {
        Options::default()
    }

    /// One that speaks HTTPS, with a certificate that nobody trusts but who is given [`Self::authority`].
    pub fn with_tls() -> Options {
        Options { tls: true, ..Options::default() }
    }

    fn new(options: Options) -> io::Result<Self> {
        let directory = supervisor::new_directory()?;
        let supervisor = Supervisor::start(&directory, false)?;
        let (port, address) = reserve()?;
        fs::write(directory.join("registry.yml"), configuration(options, &directory, address))?;
        fs::write(directory.join("htpasswd"), HTPASSWD)?;
        let registry = Self { directory, address, child: Mutex::new(None), supervisor, _port: port };
        if options.tls {
            registry.make_certificates()?;
        }
        Ok(registry)
    }

    /// Host and port, as they stand in the names of images.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The certificate of the authority that signed the registry's, in PEM.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// Where it stores what it is given.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.directory.join("storage")
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Ends it at once. What it stored stays, and so does its port.
    pub fn stop(&self) {
        if let Some(mut child) = self.child().take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it after a [`stop`](Self::stop), and waits until it listens.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&self) {
        self.launch().unwrap_or_else(|error| panic!("cannot start a registry: {error}"));
        eventually("the registry listens", || {
            let alive = matches!(self.child().as_mut().map(Child::try_wait), Some(Ok(None)));
            assert!(alive, "the registry ended:\n{}", self.log());
            TcpStream::connect(self.address).is_ok()
        });
    }

    fn launch(&self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.directory.join("log"))?;
        let mut command = Command::new("docker-registry");
        command.args(["serve", "registry.yml"]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        *self.child() = Some(self.supervisor.group().spawn(&mut command, &self.directory)?);
        Ok(())
    }

    /// An authority and what it signed: a certificate that signs itself is refused for more reasons than one.
    fn make_certificates(&self) -> io::Result<()> {
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = ["-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt"];
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let names = format!("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:{machine}");
        let mut registry = vec!["-subj", "/CN=registry", "-keyout", "tls.key", "-out", "tls.crt"];
        registry.extend(["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", &names]);
        registry.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
        for of in [&authority[..], &registry] {
            let mut command = Command::new("openssl");
            command.args(new).args(of).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let said = self.supervisor.group().spawn(&mut command, &self.directory)?.wait_with_output()?;
            if !said.status.success() {
                return Err(io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned()));
            }
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that is bound but not listened on: a server that sets `SO_REUSEADDR`, as all do that are written in Go, can
/// listen there, stop and come back.
fn reserve() -> io::Result<(OwnedFd, SocketAddr)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, address))
}

/// JSON is YAML.
fn configuration(options: Options, directory: &Path, address: SocketAddr) -> String {
    let mut http = serde_json::json!({ "addr": address.to_string(), "secret": "none" });
    if options.tls {
        http["tls"] = serde_json::json!({ "certificate": "tls.crt", "key": "tls.key" });
    }
    let mut configuration = serde_json::json!({
        "version": "0.1",
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": directory.join("storage") }, "delete": { "enabled": true } },
        "http": http,
    });
    if options.password {
        configuration["auth"] = serde_json::json!({ "htpasswd": { "realm": "images", "path": "htpasswd" } });
    }
    configuration.to_string()
}

/// The static busybox that an image can begin with, in which nothing else is.
///
/// # Errors
/// [`Missing`] where there is none, or one that needs libraries.
pub fn busybox() -> Result<&'static Path, Missing> {
    let busybox = Path::new(BUSYBOX);
    let missing = Missing { program: "static busybox", package: "busybox-static" };
    if is_static(busybox) { Ok(busybox) } else { Err(missing) }
}

fn require(program: &'static str, package: &'static str) -> Result<(), Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if is_there { Ok(()) } else { Err(Missing { program, package }) }
}
