//! Credentials that a program gives, as a kubeconfig asks for them with `exec`.
//!
//! It is run [as kubectl runs it][1], but never longer than it may take: a program that waits for somebody who is not there
//! must hold up no deployment, and is not left running, not even where this run is killed meanwhile. Only one that may ask who
//! sits at the terminal is left to the terminal. What it prints is secret; what it complains of is not.
//!
//! Credentials are replaced before they expire, beside the requests that use them: the program may take longer than any
//! request, be it the renewal of a Lease.
//!
//! [1]: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

use std::io::{IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// How long the program may take where nobody can answer what it asks.
const LIMIT: Duration = Duration::from_secs(30);
/// How long it may take where somebody may have to log in.
const LIMIT_OF_PEOPLE: Duration = Duration::from_secs(180);
/// How long before they expire credentials are replaced, if they are valid for longer than twice that: time enough for a
/// program that needs its limit, and for the request that asks for them.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// How long a program that has failed is left alone: it may ask somebody to log in, each time anew. Twice as long each time.
const REST: Duration = Duration::from_secs(10);
/// No longer than that where nobody is asked: the cluster may be back, and a rollout has only so much time.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The same where it may ask somebody to log in: whoever has done that waits for it.
const LONGEST_REST_OF_PEOPLE: Duration = Duration::from_secs(300);
/// How often is looked whether the program has ended.
const PAUSE: Duration = Duration::from_millis(10);
/// More than any credentials.
const MOST: u64 = 1 << 20;

/// Why a program gives no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the program for credentials '{}' {why}", program.escape_debug())]
pub struct NoCredentials {
    /// The program.
    pub program: String,
    /// What came of it.
    pub why: Fault,
}

/// What came of a program that gives no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It could not be run.
    #[error("cannot be run: {0}")]
    NotRun(String),
    /// It failed.
    #[error("ended with {status}{}", .complaint.as_ref().map(|line| format!(": {}", plain(line))).unwrap_or_default())]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The first line of what it complained of.
        complaint: Option<String>,
    },
    /// It did not end.
    #[error("gave none within {seconds} s and was ended")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It printed something else.
    #[error("prints none")]
    NotUnderstood,
}

fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A program that gives credentials, as a kubeconfig names it.
#[derive(Clone)]
pub(super) struct Program {
    config: Arc<ExecConfig>,
}

/// What such a program gives.
pub(super) struct Given {
    program: Program,
    token: Option<HeaderValue>,
    expires: Option<Timestamp>,
    /// A certificate and its key.
    identity: Option<(String, String)>,
}

impl Program {
    /// Takes the program out of what a kubeconfig says of a user, if it is what counts there.
    pub(super) fn take(auth: &mut AuthInfo) -> Option<Self> {
        let exec = auth.exec.take()?;
        let has_other = auth.auth_provider.is_some()
            || auth.username.is_some() && auth.password.is_some()
            || auth.token.is_some()
            || auth.token_file.is_some();
        (!has_other).then(|| Self { config: Arc::new(exec) })
    }

    /// Asks it.
    pub(super) async fn ask(&self) -> Result<Given, NoCredentials> {
        self.ask_within(if self.is_interactive() { LIMIT_OF_PEOPLE } else { LIMIT }).await
    }

    /// Asks it, and ends it with this future.
    async fn ask_within(&self, limit: Duration) -> Result<Given, NoCredentials> {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let dropped = Dropped(Arc::default());
        let (program, is_dropped) = (self.clone(), Arc::clone(&dropped.0));
        let asked = tokio::task::spawn_blocking(move || program.run(limit, &is_dropped)).await;
        asked.unwrap_or_else(|error| Err(Fault::NotRun(error.to_string()))).map_err(|why| self.none(why))
    }

    fn none(&self, why: Fault) -> NoCredentials {
        NoCredentials { program: self.config.command.clone().unwrap_or_default(), why }
    }

    /// Whether it may ask who sits there.
    fn is_interactive(&self) -> bool {
        self.config.interactive_mode != Some(ExecInteractiveMode::Never) && std::io::stdin().is_terminal()
    }

    fn longest_rest(&self) -> Duration {
        if self.is_interactive() { LONGEST_REST_OF_PEOPLE } else { LONGEST_REST }
    }

    fn run(&self, limit: Duration, is_dropped: &AtomicBool) -> Result<Given, Fault> {
        let mut running = Running::start(self.command()?, self.is_interactive(), limit)?;
        let status = running.end(is_dropped)?;
        let printed = running.all_of(&running.printed)?;
        running.is_done = true;
        if !status.success() {
            let complaint = running.all_of(&running.complaint).unwrap_or_default();
            let complaint = String::from_utf8_lossy(&complaint).trim().lines().next().map(str::to_owned);
            return Err(Fault::Failed { status, complaint });
        }
        self.read(&printed).ok_or(Fault::NotUnderstood)
    }

    fn command(&self) -> Result<Command, Fault> {
        let config = &self.config;
        let program = config.command.as_ref().ok_or_else(|| Fault::NotRun("it has no name".to_owned()))?;
        let mut command = Command::new(program);
        command.args(config.args.iter().flatten());
        let variables = config.env.iter().flatten();
        command.envs(variables.filter_map(|variable| Some((variable.get("name")?, variable.get("value")?))));
        let mut spec = json!({"interactive": self.is_interactive()});
        if config.provide_cluster_info {
            let cluster = serde_json::to_value(&config.cluster);
            spec["cluster"] = cluster.map_err(|error| Fault::NotRun(error.to_string()))?;
        }
        let info = json!({"apiVersion": config.api_version, "kind": "ExecCredential", "spec": spec});
        command.env("KUBERNETES_EXEC_INFO", info.to_string());
        Ok(command)
    }

    fn read(&self, printed: &[u8]) -> Option<Given> {
        let printed: Value = serde_json::from_slice(printed).ok()?;
        let text = |key: &str| printed["status"][key].as_str().map(str::to_owned);
        let expires = match text("expirationTimestamp") {
            Some(expires) => Some(expires.parse().ok()?),
            None => None,
        };
        let token = match text("token") {
            Some(token) => {
                let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
                header.set_sensitive(true);
                Some(header)
            }
            None => None,
        };
        let identity = text("clientCertificateData").zip(text("clientKeyData"));
        let is_any = token.is_some() || identity.is_some();
        is_any.then(|| Given { program: self.clone(), token, expires, identity })
    }
}

/// A program that runs, and how much longer it may.
struct Running {
    child: Child,
    /// Whom it is in a group with, and all that it starts; none where it is in ours.
    guard: Option<Guard>,
    /// Whether it has ended and said all: what it has started for later is left alone then.
    is_done: bool,
    limit: Duration,
    deadline: Instant,
    printed: Receiver<Vec<u8>>,
    complaint: Receiver<Vec<u8>>,
}

impl Running {
    fn start(mut command: Command, is_interactive: bool, limit: Duration) -> Result<Self, Fault> {
        let not_run = |error: std::io::Error| Fault::NotRun(error.to_string());
        // Where somebody is asked it stays in the terminal's group: else it could not read the answer.
        let guard = if is_interactive { None } else { Some(Guard::start().map_err(Fault::NotRun)?) };
        command.stdout(Stdio::piped());
        if let Some(guard) = &guard {
            command.stdin(Stdio::null()).stderr(Stdio::piped());
            command.process_group(guard.group.as_raw_pid());
        }
        let deadline = Instant::now() + limit;
        let mut child = command.spawn().map_err(not_run)?;
        let (printed, complaint) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
        Ok(Self { child, guard, is_done: false, limit, deadline, printed, complaint })
    }

    /// Waits for its end.
    fn end(&mut self, is_dropped: &AtomicBool) -> Result<ExitStatus, Fault> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() >= self.deadline || is_dropped.load(Ordering::Relaxed) => {
                    return Err(self.silent());
                }
                Ok(None) => std::thread::sleep(PAUSE),
                Err(error) => return Err(Fault::NotRun(error.to_string())),
            }
        }
    }

    /// All of what it wrote there; what it has started may still hold it open.
    fn all_of(&self, output: &Receiver<Vec<u8>>) -> Result<Vec<u8>, Fault> {
        match output.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => Ok(bytes),
            Err(RecvTimeoutError::Disconnected) => Ok(Vec::new()),
            Err(RecvTimeoutError::Timeout) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Fault {
        Fault::Silent { seconds: self.limit.as_secs() }
    }
}

impl Drop for Running {
    /// Nothing is left behind of what was waited for in vain.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // What is not there any more needs no end.
        self.guard.as_ref().and_then(|guard| kill_process_group(guard.group, Signal::KILL).ok());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Leads a group of processes and ends all of it when nobody holds this any more, as when this process is killed: that alone
/// closes the pipe that it reads from.
struct Guard {
    child: Child,
    /// Nobody else's as long as `child` was not waited for.
    group: Pid,
}

impl Guard {
    fn start() -> Result<Self, String> {
        let mut command = Command::new("sh");
        command.args(["-c", "read -r _; kill -s KILL 0"]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("no 'sh' to watch it: {error}"))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self { group: group.ok_or("no process group")?, child })
    }
}

impl Drop for Guard {
    /// Itself alone: before the pipe is closed.
    fn drop(&mut self) {
        drop(self.child.kill());
        // Closes the pipe, too.
        drop(self.child.wait());
    }
}

fn read_all(output: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(output) = output {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(output.take(MOST).read_to_end(&mut bytes));
            drop(sender.send(bytes));
        });
    }
    receiver
}

impl Given {
    /// Lets connections be made with the certificate, if it is one.
    pub(super) fn identify(&self, auth: &mut AuthInfo) {
        if let Some((certificate, key)) = &self.identity {
            auth.client_certificate_data = Some(STANDARD.encode(certificate));
            auth.client_key_data = Some(STANDARD.encode(key).into());
        }
    }

    /// The same clients, whose requests bear the token, if it is one; a new one whenever the old one is about to expire.
    pub(super) fn sent_with<const N: usize>(self, clients: [Client; N]) -> [Client; N] {
        let Some(header) = self.token else { return clients };
        let token = Token::new(self.program, header, self.expires);
        clients.map(|client| token.sent_with(client))
    }
}

/// A token that is replaced before it expires.
struct Token {
    program: Program,
    held: Mutex<Held>,
}

struct Held {
    header: HeaderValue,
    /// None: never.
    expires: Option<Timestamp>,
    /// When it is to be replaced.
    due: Option<Timestamp>,
    /// The new one that was asked for: not there yet, or not to be had.
    asked: Option<Asked>,
    /// When it turned out that it is not to be had.
    failed: Option<Instant>,
    /// How long the program is left alone then.
    rest: Duration,
}

/// What a task of its own finds: whoever no longer waits for it does not end it.
type Asked = Shared<BoxFuture<'static, Result<HeaderValue, NoCredentials>>>;

impl Held {
    fn new(header: HeaderValue, expires: Option<Timestamp>) -> Self {
        let now = Timestamp::now();
        // What is valid for a moment only is not to be replaced all the time.
        let ahead = |expires: Timestamp| AHEAD.min(expires.duration_since(now) / 2).max(SignedDuration::ZERO);
        let due = expires.map(|expires| expires - ahead(expires));
        Self { header, expires, due, asked: None, failed: None, rest: REST }
    }
}

impl Token {
    fn new(program: Program, header: HeaderValue, expires: Option<Timestamp>) -> Arc<Self> {
        Arc::new(Self { program, held: Mutex::new(Held::new(header, expires)) })
    }

    /// The same client, whose requests bear it.
    fn sent_with(self: &Arc<Self>, client: Client) -> Client {
        let token = Arc::clone(self);
        let namespace = client.default_namespace().to_owned();
        let send = move |mut request: Request<Body>| {
            let (client, token) = (client.clone(), Arc::clone(&token));
            async move {
                request.headers_mut().insert(AUTHORIZATION, token.header().await?);
                let answer: Response<Body> = client.send(request).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
            }
        };
        Client::new(tower::service_fn(send), namespace)
    }

    async fn header(self: &Arc<Self>) -> Result<HeaderValue, NoCredentials> {
        let asked = {
            let mut held = self.lock();
            let now = Timestamp::now();
            if held.due.is_none_or(|due| now < due) {
                return Ok(held.header.clone());
            }
            if held.failed.is_some_and(|failed| failed.elapsed() >= held.rest) {
                (held.asked, held.failed) = (None, None);
                held.rest = self.program.longest_rest().min(held.rest * 2);
            }
            let asked = held.asked.get_or_insert_with(|| self.ask()).clone();
            if held.expires.is_none_or(|expires| now < expires) {
                // The old one will do meanwhile.
                return Ok(held.header.clone());
            }
            asked
        };
        asked.await
    }

    /// Asks for a new one, and holds it when it is there.
    fn ask(self: &Arc<Self>) -> Asked {
        let token = Arc::clone(self);
        let task = tokio::spawn(async move {
            let new = match token.program.ask().await {
                Ok(Given { token: Some(header), expires, .. }) => Ok((header, expires)),
                Ok(_) => Err(token.program.none(Fault::NotUnderstood)),
                Err(error) => Err(error),
            };
            let mut held = token.lock();
            let (header, expires) = new.inspect_err(|_| held.failed = Some(Instant::now()))?;
            *held = Held::new(header.clone(), expires);
            Ok(header)
        });
        let program = self.program.clone();
        let found = async move {
            task.await.unwrap_or_else(|error| Err(program.none(Fault::NotRun(error.to_string()))))
        };
        found.boxed().shared()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
