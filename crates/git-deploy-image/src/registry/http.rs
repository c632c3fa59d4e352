//! Requests, and what became of them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error, Proxy};

use super::Problem;
use super::challenge::Bearer;
use super::credentials::Credentials;
use crate::Insecure;
use crate::insecure::is_loopback;

/// Registries refuse manifests of more than 4 MiB, and configurations are no larger.
const LARGEST: u64 = 4 << 20;
/// How much of an answer that is not understood is shown.
const SHOWN: usize = 200;

/// A connection to one registry.
#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
    /// With scheme and host.
    base: String,
    host: String,
    time_limit: Duration,
    insecure: Insecure,
    authorities: Vec<PathBuf>,
}

/// What a registry answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    /// `Docker-Content-Digest`.
    pub(super) digest: Option<String>,
    pub(super) body: Vec<u8>,
    with_credentials: bool,
}

impl Http {
    /// For a registry that is insecure the certificate is not checked, and HTTP is spoken where it speaks no TLS.
    pub(super) fn new(
        host: &str,
        path: &str,
        insecure: &Insecure,
        authorities: &[PathBuf],
        time_limit: Duration,
    ) -> Result<Http, Problem> {
        let is_insecure = insecure.contains(host, path);
        let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let agent = agent(host, is_insecure, authorities, time_limit)?;
        let base = format!("https://{host}");
        let (insecure, authorities) = (insecure.clone(), authorities.to_vec());
        let mut http = Http { agent, host: host.to_owned(), base, time_limit, insecure, authorities };
        if is_insecure && !http.speaks_tls()? {
            http.base = format!("http://{host}");
        }
        Ok(http)
    }

    /// Who asks there for a token. That nobody checks who the registry is says nothing about another host that it names: the
    /// password goes there.
    fn agent_for(&self, realm: &str) -> Result<(Agent, Option<String>), Problem> {
        let uri: Option<Uri> = realm.parse().ok();
        let Some(host) = uri.as_ref().and_then(Uri::authority).map(|authority| authority.to_string()) else {
            return Ok((self.agent.clone(), None));
        };
        let host = host.rsplit('@').next().unwrap_or(&host).to_owned();
        if without_port(&host).eq_ignore_ascii_case(without_port(&self.host)) {
            return Ok((self.agent.clone(), None));
        }
        let is_insecure = self.insecure.contains(&host, "");
        Ok((agent(&host, is_insecure, &self.authorities, self.time_limit)?, Some(host)))
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asked before anything is sent that not everybody may read. Who says nothing at all says nothing in HTTP either.
    fn speaks_tls(&self) -> Result<bool, Problem> {
        match self.agent.get(self.url("/v2/")).call().map_err(|error| self.problem(&error)) {
            Ok(_) => Ok(true),
            Err(problem @ (Problem::TimedOut(_) | Problem::NotResolved)) => Err(problem),
            Err(_) => Ok(false),
        }
    }

    pub(super) fn get(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<Answer, Problem> {
        let mut request = self.agent.get(url).header("Accept", accept);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call().map_err(|error| self.problem(&error))?;
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (challenge, digest) = (header("www-authenticate"), header("docker-content-digest"));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(|error| self.problem(&error))?;
        Ok(Answer { status, challenge, digest, body, with_credentials: authorization.is_some() })
    }

    /// Gets a token, for the `Authorization` of what comes next.
    pub(super) fn token(
        &self,
        bearer: &Bearer,
        path: &str,
        credentials: Option<&Credentials>,
    ) -> Result<String, Problem> {
        // The password goes there: to nobody who could read it on the way, unless the registry is such a one itself.
        if !bearer.realm.starts_with("https://") && self.base.starts_with("https://") {
            let realm = bearer.realm.escape_debug();
            return Err(Problem::Garbage(format!("it sends who wants a token to '{realm}'")));
        }
        let scope = bearer.scope.clone().unwrap_or_else(|| format!("repository:{path}:pull"));
        let (agent, other) = self.agent_for(&bearer.realm)?;
        let answer = match credentials.and_then(Credentials::identity_token) {
            Some(token) => self.exchange(&agent, bearer, &scope, token),
            None => self.ask_for_token(&agent, bearer, &scope, credentials),
        };
        let answer = answer.map_err(|problem| match (problem, other) {
            (Problem::Certificate(flaw), Some(host)) => Problem::CertificateOfTokens { host, flaw },
            (problem, _) => problem,
        })?;
        if answer.status != 200 {
            return Err(answer.problem());
        }
        let given: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = given["token"].as_str().or_else(|| given["access_token"].as_str());
        let is_token = |token: &&str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(is_token);
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| Problem::Garbage("it gives out no token".to_owned()))
    }

    fn ask_for_token(
        &self,
        agent: &Agent,
        bearer: &Bearer,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Answer, Problem> {
        let mut request = agent.get(&bearer.realm).query("scope", scope);
        if let Some(service) = &bearer.service {
            request = request.query("service", service);
        }
        let basic = credentials.and_then(Credentials::basic);
        if let Some(basic) = &basic {
            request = request.header("Authorization", basic);
        }
        let mut response = request.call().map_err(|error| self.problem(&error))?;
        self.token_answer(&mut response, basic.is_some())
    }

    /// The way of [OAuth 2](https://distribution.github.io/distribution/spec/auth/oauth/), with a token for tokens.
    fn exchange(&self, agent: &Agent, bearer: &Bearer, scope: &str, token: &str) -> Result<Answer, Problem> {
        let form = [
            ("grant_type", "refresh_token"),
            ("service", bearer.service.as_deref().unwrap_or_default()),
            ("client_id", "git-deploy"),
            ("scope", scope),
            ("refresh_token", token),
        ];
        let mut response = agent.post(&bearer.realm).send_form(form).map_err(|error| self.problem(&error))?;
        self.token_answer(&mut response, true)
    }

    fn token_answer(
        &self,
        response: &mut ureq::http::Response<ureq::Body>,
        with_credentials: bool,
    ) -> Result<Answer, Problem> {
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(|error| self.problem(&error))?;
        Ok(Answer { status, challenge: None, digest: None, body, with_credentials })
    }

    fn problem(&self, error: &Error) -> Problem {
        match error {
            Error::HostNotFound => Problem::NotResolved,
            Error::Timeout(_) => Problem::TimedOut(self.time_limit),
            Error::Rustls(error) => tls_problem(error),
            Error::Io(error) => match rustls_error(error) {
                Some(error) => tls_problem(error),
                // The standard library has no kind of error for it.
                None if error.to_string().starts_with("failed to lookup address") => Problem::NotResolved,
                None if error.kind() == io::ErrorKind::TimedOut => Problem::TimedOut(self.time_limit),
                None => Problem::Unreachable(error.to_string()),
            },
            Error::Protocol(_)
            | Error::BodyExceedsLimit(_)
            | Error::LargeResponseHeader(_, _)
            | Error::Http(_) => Problem::Garbage(error.to_string()),
            Error::BadUri(_) | Error::TooManyRedirects | Error::RedirectFailed => {
                Problem::Garbage(error.to_string())
            }
            _ => Problem::Unreachable(error.to_string()),
        }
    }
}

impl Answer {
    /// Whether its body is JSON, as all is that a registry says.
    pub(super) fn is_json(&self) -> bool {
        serde_json::from_slice::<Value>(&self.body).is_ok()
    }

    /// Why this answer is of no use.
    pub(super) fn problem(&self) -> Problem {
        match self.status {
            401 | 403 => Problem::Denied { status: self.status, with_credentials: self.with_credentials },
            429 => Problem::TooManyRequests,
            500..=599 => Problem::Server(self.status),
            status => Problem::Status { status, said: self.said() },
        }
    }

    /// Its text in one line, without what could change a terminal.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
    }
}

fn agent(
    host: &str,
    is_insecure: bool,
    authorities: &[PathBuf],
    time_limit: Duration,
) -> Result<Agent, Problem> {
    let roots = if is_insecure { Vec::new() } else { roots(host, authorities)? };
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .disable_verification(is_insecure)
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(time_limit))
        .user_agent(concat!("git-deploy/", env!("CARGO_PKG_VERSION")))
        .proxy(if is_loopback(host) { None } else { Proxy::try_from_env() })
        .tls_config(tls);
    Ok(config.build().new_agent())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| inner.source()?.downcast_ref())
}

fn tls_problem(error: &rustls::Error) -> Problem {
    match error {
        rustls::Error::InvalidCertificate(why) => Problem::Certificate(why.into()),
        rustls::Error::InvalidMessage(_) => Problem::NotTls(error.to_string()),
        error => Problem::Unreachable(error.to_string()),
    }
}

/// The system's authorities, those that the builders know for this registry, and those that were given.
fn roots(host: &str, authorities: &[PathBuf]) -> Result<Vec<Certificate<'static>>, Problem> {
    // What cannot be read of the system's is left out, as everywhere else.
    let mut roots: Vec<_> = rustls_native_certs::load_native_certs()
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let directories = ["/etc/containers/certs.d", "/etc/docker/certs.d"]
        .map(|directory| PathBuf::from(directory).join(host));
    let entries = directories.iter().filter_map(|directory| directory.read_dir().ok()).flatten().flatten();
    let known = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "crt"));
    for file in known.chain(authorities.iter().cloned()) {
        let unreadable = |why: String| Problem::Authority { file: file.display().to_string(), why };
        let pem = std::fs::read(&file).map_err(|error| unreadable(error.to_string()))?;
        for item in ureq::tls::parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| unreadable(error.to_string()))? {
                roots.push(certificate);
            }
        }
    }
    Ok(roots)
}
