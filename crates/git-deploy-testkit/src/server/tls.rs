//! HTTPS in front of an HTTP server, with a certificate that only a CA of the sandbox vouches for.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{HttpServer, PASSWORD, USER, write};
use crate::{Repo, Sandbox};

/// The same server as [`HttpServer`], which nobody trusts who does not know its CA.
#[derive(Debug)]
pub struct HttpsServer {
    http: HttpServer,
    port: u16,
    ca: PathBuf,
    is_over: Arc<AtomicBool>,
}

impl HttpsServer {
    /// Starts it; `None` where there is no busybox or no openssl.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(sandbox: &Sandbox) -> Option<Self> {
        let openssl = sandbox.command("sh").args(["-c", "command -v openssl"]).output();
        if openssl.code != Some(0) {
            return None;
        }
        let http = HttpServer::start(sandbox)?;
        let config = Arc::new(config(sandbox));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let port = listener.local_addr().expect("it listens").port();
        let (to, is_over) = (http.port, Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&is_over);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let config = Arc::clone(&config);
                // Whoever does not trust us hangs up.
                thread::spawn(move || client.and_then(|client| forward(client, config, to)).ok());
            }
        });
        Some(Self { http, port, ca: sandbox.root().join("ca.crt"), is_over })
    }

    /// The certificate of its CA.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Lets a clone reach its origin through it, with what a credential helper knows. It does not know the CA.
    pub fn serve(&self, server: &Repo, clone: &Repo) {
        let place = format!("127.0.0.1:{}", self.port);
        let url = format!("https://{place}/cgi-bin/git{}", server.path().display());
        clone.git(&["remote", "set-url", "origin", &url]);
        let known = self.http.sandbox.root().join("credentials");
        write(&known, &format!("https://{USER}:{PASSWORD}@{place}\n"));
        clone.set_config("credential.helper", &format!("store --file={}", known.display()));
    }

    /// Writes a folder as a cluster shows a Secret that lets somebody in.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_secret(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("the sandbox can be written to");
        write(&folder.join("username"), USER);
        write(&folder.join("password"), PASSWORD);
        fs::copy(&self.ca, folder.join("ca.crt")).expect("the certificate is there");
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections, so that it sees the end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// A CA, and what it vouches for.
fn config(sandbox: &Sandbox) -> ServerConfig {
    let root = sandbox.root();
    let path = |name: &str| root.join(name).display().to_string();
    let [ca_key, ca, key, request, certificate, names] =
        ["ca.key", "ca.crt", "tls.key", "tls.csr", "tls.crt", "tls.names"].map(path);
    write(&root.join("tls.names"), "subjectAltName=IP:127.0.0.1\n");
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"];
    let own = ["-x509", "-days", "7", "-subj", "/CN=CA of the shop", "-keyout", &ca_key, "-out", &ca];
    let asked = ["-subj", "/CN=git", "-keyout", &key, "-out", &request];
    sandbox.run("openssl", &[&["req"], &new[..], &own[..]].concat());
    sandbox.run("openssl", &[&["req"], &new[..], &asked[..]].concat());
    let signed = ["-days", "7", "-CAcreateserial", "-extfile", &names, "-out", &certificate];
    let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key];
    sandbox.run("openssl", &[&sign[..], &signed[..]].concat());

    let certificate = CertificateDer::from_pem_file(certificate).expect("it was just made");
    let key = PrivateKeyDer::from_pem_file(key).expect("it was just made");
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("the key fits the certificate")
}

/// Forwards what both sides say in turn, which is enough for HTTP.
fn forward(client: TcpStream, config: Arc<ServerConfig>, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    for side in [&client, &server] {
        side.set_nodelay(true)?;
        side.set_read_timeout(Some(Duration::from_millis(5)))?;
    }
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    let mut buffer = [0; 16 * 1024];
    loop {
        match said(client.read(&mut buffer))? {
            Some(0) => return Ok(()),
            Some(length) => server.write_all(&buffer[..length])?,
            None => {}
        }
        match said(server.read(&mut buffer))? {
            Some(0) => {
                client.conn.send_close_notify();
                return client.flush();
            }
            Some(length) => client.write_all(&buffer[..length])?,
            None => {}
        }
    }
}

/// How much somebody said; none who says nothing just now.
fn said(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}
