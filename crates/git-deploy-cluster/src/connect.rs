//! The way to one cluster: which one, as whom, and requests that end in time.
//!
//! The only module that sends requests for plan, apply and prune. Every request ends within [`REQUEST_TIMEOUT`];
//! what passes by itself (429, 502 to 504, a broken connection, a refusal by one that has just come back) is tried again for
//! [`PATIENCE`], as the server asks; and what any one of several servers may say that is not ready yet is asked elsewhere before
//! it is believed (`doubt`).
//! Nothing is held back on this side: how much the cluster can take is for the API server to say.

mod client;
mod credentials;
mod doubt;
mod error;
mod kubeconfig;
#[cfg(test)]
pub(crate) mod stand_in;
mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response};
use jiff::SignedDuration;
use kube::client::{AuthError, Body};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DynamicObject;
use kube::core::discovery::ApiResource;
use kube::{Api, Client, Config};
use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use credentials::Program;
use kubeconfig::{Files, is_loopback, names_proxy, nearest};
use traffic::Traffic;

pub(crate) use doubt::Doubt;

pub use credentials::{Fault as CredentialsFault, NoCredentials};
pub use error::ConnectError;

/// How long one request may take, answer included: whoever holds a lock must know when its writes have ended.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A cluster that has not answered for so long is told to be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// How long a request is tried again where the trouble may pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same for the first request: whoever named the wrong cluster wants to hear of it soon.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const JSON: &str = "application/json";

/// An open way to one cluster, as the kubeconfig's context describes it. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    /// The same, but over a connection of its own for each request: before several servers each may meet another one.
    elsewhere: Client,
    /// Whether the first refusal is believed.
    believes: bool,
    context: Arc<str>,
    server: Arc<str>,
    traffic: Arc<Traffic>,
}

impl Connection {
    /// Opens the way to the cluster of that context, and makes sure that somebody answers there.
    ///
    /// The kubeconfig is found as kubectl finds it. The current context is never taken.
    ///
    /// # Errors
    /// When there is no such context, it cannot be used, or the cluster does not answer or refuses the credentials.
    pub async fn open(context: &str) -> Result<Self, ConnectError> {
        let files = Files::of_environment()?;
        let kubeconfig = files.read()?;
        Self::of_kubeconfig(kubeconfig, &files.to_string(), context).await
    }

    /// The same with a kubeconfig that is named, whatever the environment says.
    ///
    /// # Errors
    /// As for [`Connection::open`].
    pub async fn open_with(kubeconfig: &Path, context: &str) -> Result<Self, ConnectError> {
        let files = Files(vec![kubeconfig.to_owned()]);
        Self::of_kubeconfig(files.read()?, &files.to_string(), context).await
    }

    async fn of_kubeconfig(kubeconfig: Kubeconfig, files: &str, context: &str) -> Result<Self, ConnectError> {
        let known: Vec<String> = kubeconfig.contexts.iter().map(|named| named.name.clone()).collect();
        if !known.iter().any(|name| name == context) {
            let (context, files) = (context.to_owned(), files.to_owned());
            return Err(ConnectError::NoContext {
                nearest: nearest(&context, &known),
                context,
                files,
                known,
            });
        }
        let unusable = |why: String| ConnectError::Unusable {
            context: context.to_owned(),
            files: files.to_owned(),
            why: why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        };
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
        let names_proxy = names_proxy(&kubeconfig, context);
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = configured(config.map_err(|error| unusable(error.to_string()))?);
        // As kubectl does it: what the environment says about proxies is not about this machine.
        if !names_proxy && config.cluster_url.host().is_some_and(is_loopback) {
            config.proxy_url = None;
        }
        let server = config.cluster_url.to_string();
        let given = match Program::take(&mut config.auth_info) {
            Some(program) => Some(program.ask().await.map_err(|why| ConnectError::NoCredentials {
                context: context.to_owned(),
                files: files.to_owned(),
                why,
            })?),
            None => None,
        };
        given.iter().for_each(|given| given.identify(&mut config.auth_info));
        let clients = client::clients(config).map_err(|error| match &error {
            kube::Error::Auth(why) => unusable(no_credentials(why)),
            _ => unusable(error.to_string()),
        })?;
        let [client, elsewhere] = match given {
            Some(given) => given.sent_with(clients),
            None => clients,
        };
        let connection = Self {
            client,
            elsewhere,
            believes: false,
            context: context.into(),
            server: server.into(),
            traffic: Arc::default(),
        };
        connection.greet().await?;
        Ok(connection)
    }

    /// The cheapest request that needs the credentials to be good: what is wrong here is wrong for all.
    async fn greet(&self) -> Result<(), ConnectError> {
        let (context, server) = (self.context.to_string(), self.server.to_string());
        match self.call_within(FIRST_PATIENCE, request(Method::GET, "/api", Vec::new())).await {
            Ok(_) => Ok(()),
            // Credentials that the kubeconfig does not have are nobody's.
            Err(why) if why.is_anonymous() => Err(ConnectError::Unauthorized { context, server, why }),
            // Somebody answered, and knows us: what we may do is asked for kind by kind.
            Err(why) if *why.kind() == ApiErrorKind::Forbidden => Ok(()),
            Err(why) => Err(match why.kind() {
                ApiErrorKind::Unauthorized => ConnectError::Unauthorized { context, server, why },
                ApiErrorKind::Unreachable | ApiErrorKind::TimedOut => {
                    ConnectError::Unreachable { context, server, why }
                }
                _ => ConnectError::Refused { context, server, why },
            }),
        }
    }

    /// kube's client, without retries and without a time-out of its own: for watches, and for whoever bounds them.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same way, where each request has a connection of its own.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { client: self.elsewhere.clone(), ..self.clone() }
    }

    /// The same way for whoever only wants to know what may be seen: the first refusal is believed, which costs no time.
    pub(crate) fn believing(&self) -> Self {
        Self { believes: true, ..self.clone() }
    }

    /// Whether it is for whoever only wants to know what may be seen.
    pub(crate) fn believes(&self) -> bool {
        self.believes
    }

    /// What makes sure of refusals.
    pub(crate) fn doubt(&self) -> Doubt {
        if self.believes { Doubt::none() } else { Doubt::default() }
    }

    /// The name of the context.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// How many requests were sent through [`Connection::call`] so far, repetitions included.
    pub fn calls(&self) -> u64 {
        self.traffic.requests()
    }

    /// For how long nothing has been answered that was asked for through [`Connection::call`].
    pub fn silence(&self) -> Duration {
        self.traffic.silence()
    }

    /// For how long nothing was answered that was asked for so, in all, times of no account left out.
    pub fn silent(&self) -> Duration {
        self.traffic.silent()
    }

    /// Why nothing is answered that is asked for so, as far as that is known.
    pub(crate) fn trouble(&self) -> Option<ApiError> {
        self.traffic.trouble()
    }

    /// Whether anybody answers, whatever it is.
    pub(crate) async fn answers(&self) -> bool {
        let greeting = request(Method::GET, "/api", Vec::new());
        self.once(&self.elsewhere, &greeting).await.map_or_else(|failed| !failed.error.is_away(), |_| true)
    }

    /// Whether one that answers has begun a moment ago: it does not know all its kinds yet, nor who may do what.
    pub(crate) async fn is_starting(&self) -> bool {
        // Whoever is behind a connection that is kept may be the only one that is not ready.
        let asked = self.elsewhere().text(&request(Method::GET, "/readyz", Vec::new())).await;
        // Who may not ask that, or not so, is none that is being started.
        asked.is_err_and(|error| matches!(error.code(), 500..=599))
    }

    /// By how much the clock of whoever answered last is ahead of ours; less than nothing if it is behind.
    pub fn clock_ahead(&self) -> SignedDuration {
        self.traffic.ahead()
    }

    /// kube's way to the objects of a kind; in all namespaces without one.
    pub fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// Sends a request and reads its answer, JSON; tried again, within [`PATIENCE`], where the trouble may pass.
    ///
    /// Only for requests that may be received twice: a connection can break after the server got them.
    ///
    /// # Errors
    /// What the server, or the way to it, had against it.
    pub async fn call(&self, request: Request<Vec<u8>>) -> Result<Value, ApiError> {
        self.call_within(PATIENCE, request).await
    }

    /// The same, where it is tried again for no longer than that.
    pub(crate) async fn call_within(
        &self,
        patience: Duration,
        request: Request<Vec<u8>>,
    ) -> Result<Value, ApiError> {
        let begin = Instant::now();
        let (mut pause, mut was_away, mut was_ready) = (FIRST_PAUSE, false, false);
        let (mut doubt, mut client) = (self.doubt(), &self.client);
        loop {
            let Failed { mut error, retry_after } = match self.once(client, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            was_away |= error.is_away();
            if *error.kind() != ApiErrorKind::TooMany {
                // A connection that is kept leads to the same one of several servers each time.
                client = &self.elsewhere;
            }
            // One that has just come back refuses everybody before it knows who may do what.
            let is_back = was_away || !self.silent().is_zero();
            if is_back && !was_ready && error.is_refusal_of_somebody() {
                // What was refused before it is known to be ready is asked for once more.
                was_ready = !self.is_starting().await;
                error = ApiError::not_ready(&error);
            }
            if error.may_be_of_one_that_starts() {
                let Some(wait) = doubt.next().filter(|wait| begin.elapsed() + *wait <= patience) else {
                    return Err(error);
                };
                tokio::time::sleep(wait).await;
                continue;
            }
            let wait = retry_after.unwrap_or(pause);
            if !error.is_passing() || begin.elapsed() + wait > patience {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Sends a request and reads its answer as text. Nothing is tried again.
    ///
    /// # Errors
    /// As for [`Connection::call`].
    pub(crate) async fn text(&self, request: &Request<Vec<u8>>) -> Result<String, ApiError> {
        let exchange = self.bytes(&self.client, request);
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, exchange).await;
        let bytes = answer.unwrap_or_else(|_| Err(no_answer().into())).map_err(|failed| failed.error)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn once(&self, client: &Client, request: &Request<Vec<u8>>) -> Result<Value, Failed> {
        let mut waiting = self.traffic.send();
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(client, request))
            .await
            .unwrap_or_else(|_| Err(no_answer().into()))
            .map_err(|failed| match failed.error.is_no_such_kind() && is_everywhere(request.uri().path()) {
                true => Failed { error: failed.error.in_its_place(), ..failed },
                false => failed,
            });
        match &answer {
            // What answers in a cluster's place says no more than that it is away.
            Err(failed) if failed.error.is_away() => waiting.has_failed(&failed.error),
            _ => waiting.is_answered(),
        }
        answer
    }

    async fn exchange(&self, client: &Client, request: &Request<Vec<u8>>) -> Result<Value, Failed> {
        let body = self.bytes(client, request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let message = format!("the answer is no JSON: {error}");
            ApiError::new(ApiErrorKind::NotUnderstood, message).into()
        })
    }

    async fn bytes(&self, client: &Client, request: &Request<Vec<u8>>) -> Result<Vec<u8>, Failed> {
        let answer = client.send(request.clone().map(Body::from)).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let retry_after = retry_after(&answer);
        if let Some(date) = answer.headers().get(DATE).and_then(|date| date.to_str().ok()) {
            self.traffic.hear_time(date);
        }
        let body = answer.into_body().collect_bytes().await.map_err(|error| broken(&error))?;
        if !status.is_success() {
            return Err(Failed { error: ApiError::from_answer(status.as_u16(), &body), retry_after });
        }
        Ok(body.to_vec())
    }
}

/// What is in every API server: whoever has never heard of it stands in the place of one, such as the last resort of an ingress.
const EVERYWHERE: [&str; 11] = [
    "/api",
    "/apis/apiextensions.k8s.io/v1",
    "/apis/apps/v1",
    "/apis/authorization.k8s.io/v1",
    "/apis/autoscaling/v2",
    "/apis/batch/v1",
    "/apis/coordination.k8s.io/v1",
    "/apis/networking.k8s.io/v1",
    "/apis/policy/v1",
    "/apis/rbac.authorization.k8s.io/v1",
    "/apis/storage.k8s.io/v1",
];

fn is_everywhere(path: &str) -> bool {
    let below =
        |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    EVERYWHERE.iter().any(below)
}

fn no_answer() -> ApiError {
    let message = format!("no answer within {} seconds", REQUEST_TIMEOUT.as_secs());
    ApiError::new(ApiErrorKind::TimedOut, message)
}

/// A request that failed, and when the server wants to hear it again.
struct Failed {
    error: ApiError,
    retry_after: Option<Duration>,
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self { error, retry_after: None }
    }
}

fn retry_after(answer: &Response<Body>) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

pub(crate) fn broken(error: &kube::Error) -> ApiError {
    match error {
        kube::Error::Auth(why) => ApiError::new(ApiErrorKind::Unauthorized, no_credentials(why)),
        kube::Error::Service(why) if why.is::<NoCredentials>() => {
            ApiError::new(ApiErrorKind::Unauthorized, why.to_string())
        }
        _ => ApiError::new(ApiErrorKind::Unreachable, innermost(error)),
    }
}

/// Why a program or a file that should give the credentials does not. What such a program prints is secret; what it
/// complains of is not.
fn no_credentials(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let complaint = String::from_utf8_lossy(&out.stderr);
            let complaint = complaint.trim().lines().next().unwrap_or_default();
            let why = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
            format!("the program for credentials ended with {}{why}", out.status)
        }
        AuthError::AuthExecParse(_) => "what the program for credentials prints is none".to_owned(),
        other => other.to_string(),
    }
}

/// The layers of HTTP clients each say that something failed; the last one says what, and of a connection that was waited for
/// only that a deadline is over.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let within = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    if within.is_some_and(|within| within.is::<tokio::time::error::Elapsed>()) {
        return format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs());
    }
    innermost.to_string()
}

/// A request with a body of JSON, or none.
pub(crate) fn request(method: Method, path: &str, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Paths are made of names that the API server gave or that were checked; others become what no server has.
    *request.uri_mut() = path.parse().unwrap_or_else(|_| http::Uri::from_static("/no-such-path"));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(JSON));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    request
}

fn configured(mut config: Config) -> Config {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    config.default_retry = false;
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(concat!("git-deploy/", env!("CARGO_PKG_VERSION")))));
    config
}

#[cfg(test)]
mod tests;
