//! Servers of git on loopback, over ssh, HTTP and HTTPS. Each ends with its value.

mod tls;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cluster::{BUSYBOX, eventually};
use crate::{Repo, Running, Sandbox};

pub use tls::HttpsServer;

/// Where Debian has it: users have no such folder in their PATH.
const SSHD: &str = "/usr/sbin/sshd";
/// Who an HTTP server lets in.
const USER: &str = "ada";
const PASSWORD: &str = "sesame";

/// A real ssh server, which lets in whoever has its sandbox's key.
#[derive(Debug)]
pub struct SshServer {
    port: u16,
    user: String,
    sandbox: Sandbox,
    _running: Running,
}

impl SshServer {
    /// Starts it and waits until it listens; `None` where there is no sshd.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(sandbox: &Sandbox) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            return None;
        }
        let root = sandbox.root();
        for key in ["host_key", "key"] {
            let path = root.join(key).display().to_string();
            sandbox.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        }
        let public = fs::read_to_string(root.join("key.pub")).expect("the key was just made");
        write(&root.join("authorized_keys"), &public);
        let port = free_port();
        let path = sandbox.run("sh", &["-c", "echo \"$PATH\""]).line().to_owned();
        let here = root.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {here}/authorized_keys\nPermitRootLogin prohibit-password\nMaxStartups 100\n\
             SetEnv PATH={path} GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n"
        );
        write(&root.join("sshd_config"), &config);
        // Where the system does not start it, nobody has made the folder that it insists on as root.
        drop(fs::create_dir("/run/sshd"));
        let config = root.join("sshd_config").display().to_string();
        let running = sandbox.command(SSHD).args(["-D", "-e", "-f", &config]).start();
        wait_for(port);
        let user = sandbox.run("id", &["-un"]).line().to_owned();
        Some(Self { port, user, sandbox: sandbox.clone(), _running: running })
    }

    /// Who comes in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Lets a clone reach its origin through it.
    pub fn serve(&self, server: &Repo, clone: &Repo) {
        let root = self.sandbox.root().display();
        let ssh = format!(
            "ssh -F /dev/null -i {root}/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile={root}/known_hosts"
        );
        clone.set_config("core.sshCommand", &ssh);
        let url = format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, server.path().display());
        clone.git(&["remote", "set-url", "origin", &url]);
    }
}

/// A real HTTP server in front of `git http-backend`, which asks for a password. It takes what is sent in one piece alone
/// (`http.postBuffer`).
#[derive(Debug)]
pub struct HttpServer {
    port: u16,
    sandbox: Sandbox,
    _running: Running,
}

impl HttpServer {
    /// Starts it and waits until it listens; `None` where there is no busybox.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(sandbox: &Sandbox) -> Option<Self> {
        if !Path::new(BUSYBOX).exists() {
            return None;
        }
        let (root, port) = (sandbox.root(), free_port());
        let programs = root.join("www/cgi-bin");
        fs::create_dir_all(&programs).expect("the sandbox can be written to");
        let script = "#!/bin/sh\nexport GIT_PROJECT_ROOT=/ GIT_HTTP_EXPORT_ALL=1\nexec git http-backend\n";
        write(&programs.join("git"), script);
        let may_run = fs::Permissions::from_mode(0o755);
        fs::set_permissions(programs.join("git"), may_run).expect("the file was just made");
        write(&root.join("httpd.conf"), &format!("/cgi-bin:{USER}:{PASSWORD}\n"));
        let [site, config] = ["www", "httpd.conf"].map(|name| root.join(name).display().to_string());
        let address = format!("127.0.0.1:{port}");
        let arguments = ["httpd", "-f", "-p", &address, "-h", &site, "-c", &config];
        let running = sandbox.command(BUSYBOX).args(arguments).start();
        wait_for(port);
        Some(Self { port, sandbox: sandbox.clone(), _running: running })
    }

    /// Lets a clone reach its origin through it, with what a credential helper knows.
    pub fn serve(&self, server: &Repo, clone: &Repo) {
        self.serve_strangers(server, clone);
        let known = self.sandbox.root().join("credentials");
        write(&known, &format!("http://{USER}:{PASSWORD}@127.0.0.1:{}\n", self.port));
        clone.set_config("credential.helper", &format!("store --file={}", known.display()));
    }

    /// Lets a clone ask it that has no password.
    pub fn serve_strangers(&self, server: &Repo, clone: &Repo) {
        let url = format!("http://127.0.0.1:{}/cgi-bin/git{}", self.port, server.path().display());
        clone.git(&["remote", "set-url", "origin", &url]);
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("the sandbox can be written to");
}

/// A port that nobody has: somebody else may take it in between, and then the server does not start, and the test fails aloud.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it listens").port()
}

fn wait_for(port: u16) {
    eventually("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}
