//! What a registry has under a name, asked without fetching any layer.
//!
//! Of the builders only Docker's can be asked that, so this is a small client of the [distribution specification][1]:
//! it reads the manifest of a tag and the configuration that the manifest names, logs in the way [Docker's registries
//! want it][2] with the credentials that the builders use, and never writes.
//!
//! [1]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
//! [2]: https://distribution.github.io/distribution/spec/auth/token/

mod certificate;
mod challenge;
mod credentials;
mod error;
mod http;
mod manifest;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::{Digest, ImageName, Insecure};
use challenge::Challenge;
use http::{Answer, Http};

pub use certificate::CertificateFlaw;
pub use credentials::CredentialsError;
pub use error::{Problem, RegistryError};

/// A whole lookup takes a few requests; none of them takes longer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How long a registry that is in trouble itself, or was asked too often, is left alone before it is asked again.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// How often is looked whether somebody wants to stop.
const PAUSE: Duration = Duration::from_millis(10);

/// What bears the name that an image of a commit is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    None,
    /// An image that says of itself that it was made from this commit.
    Ours {
        /// The digest of its manifest.
        digest: Digest,
    },
    /// An image that was made from something else. It must not be replaced.
    Other {
        /// The digest of its manifest.
        digest: Digest,
        /// The commit that it was made from, if it says so.
        revision: Option<String>,
    },
}

/// Asks registries.
#[derive(Debug, Clone)]
pub struct Registries {
    insecure: Insecure,
    credentials: credentials::Store,
    authorities: Vec<PathBuf>,
    time_limit: Duration,
}

impl Registries {
    /// With what the builders on this machine know too: credentials (`auth.json`, Docker's `config.json` and its
    /// helpers), authorities (the system's, and those in the directories `certs.d`), insecure registries.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Registries {
        Registries {
            insecure: Insecure::read(&variable),
            credentials: credentials::Store::new(&variable),
            authorities: Vec::new(),
            time_limit: TIME_LIMIT,
        }
    }

    /// Trusts the authorities in that PEM file too.
    #[must_use]
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Registries {
        self.authorities.push(file.into());
        self
    }

    /// Takes these registries for insecure, and none but these.
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Registries {
        self.insecure = insecure;
        self
    }

    /// How long one request may take; 30 s unless set.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Registries {
        self.time_limit = limit;
        self
    }

    /// What the registry has under an image's name. `commit` is the whole id of the commit that the image is to be made
    /// from, and is compared with the label `org.opencontainers.image.revision`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] where the registry does not say. A name without a registry's address belongs to the builder's
    /// own store, and asking here is an error.
    pub fn lookup(&self, image: &ImageName, commit: &str) -> Result<Existing, RegistryError> {
        self.lookup_unless(&|| false, image, commit)
    }

    /// The same as long as nobody wants to stop: `cancelled` is asked again and again. What is asked of a registry then is
    /// not waited for any longer, and changes nothing there.
    ///
    /// # Errors
    ///
    /// As for [`Registries::lookup`], and with [`Problem::Stopped`].
    pub fn lookup_unless(
        &self,
        cancelled: &dyn Fn() -> bool,
        image: &ImageName,
        commit: &str,
    ) -> Result<Existing, RegistryError> {
        let (sender, heard) = sync_channel(1);
        let (this, name, of) = (self.clone(), image.clone(), commit.to_owned());
        thread::spawn(move || sender.send(this.find_patiently(&name, &of)).is_ok());
        let found = loop {
            match heard.recv_timeout(PAUSE) {
                Ok(found) => break found,
                Err(RecvTimeoutError::Timeout) if cancelled() => break Err(Problem::Stopped),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(Problem::Unreachable("asking it ended in the middle".to_owned()));
                }
            }
        };
        let registry = || image.repository().host().unwrap_or_default().to_owned();
        found.map_err(|problem| RegistryError { registry: registry(), image: image.to_string(), problem })
    }

    fn find_patiently(&self, image: &ImageName, commit: &str) -> Result<Existing, Problem> {
        let host = image.repository().host().unwrap_or_default();
        let mut found = self.find(host, image, commit);
        for pause in PAUSES {
            if !matches!(found, Err(Problem::Server(_) | Problem::TooManyRequests)) {
                break;
            }
            thread::sleep(pause);
            found = self.find(host, image, commit);
        }
        found
    }

    fn find(&self, host: &str, image: &ImageName, commit: &str) -> Result<Existing, Problem> {
        if host.is_empty() {
            return Err(Problem::NoRegistry);
        }
        let path = image.repository().path_at_host();
        let http = Http::new(host, &path, &self.insecure, &self.authorities, self.time_limit)?;
        let mut session =
            Session { http, host, path: &path, credentials: &self.credentials, authorization: None };
        let Some(found) = session.manifest(image.tag())? else { return Ok(Existing::None) };
        let digest = found.digest.clone();
        let revision = session.revision(found)?;
        Ok(match revision {
            Some(revision) if revision == commit => Existing::Ours { digest },
            revision => Existing::Other { digest, revision },
        })
    }
}

/// One lookup: one connection, and the authorization that it was given.
struct Session<'a> {
    http: Http,
    host: &'a str,
    path: &'a str,
    credentials: &'a credentials::Store,
    authorization: Option<String>,
}

impl Session<'_> {
    fn manifest(&mut self, reference: &str) -> Result<Option<manifest::Manifest>, Problem> {
        let answer = self.get(&format!("manifests/{reference}"), manifest::ACCEPTED)?;
        match answer.status {
            200 => manifest::Manifest::read(&answer.body, answer.digest.as_deref()).map(Some),
            // Not all of them say why in the words of the specification, and what is no registry says it in HTML.
            404 if answer.body.is_empty() || answer.is_json() => Ok(None),
            _ => Err(answer.problem()),
        }
    }

    /// The commit that an image says it was made from. An index is asked itself, then the first image that it lists.
    fn revision(&mut self, found: manifest::Manifest) -> Result<Option<String>, Problem> {
        let mut manifest = found;
        if manifest.revision.is_none()
            && let Some(first) = manifest.first_image.take()
        {
            manifest = self
                .manifest(&first)?
                .ok_or_else(|| Problem::Garbage(format!("an index names '{first}', which is not there")))?;
        }
        let Some(config) = manifest.config else { return Ok(manifest.revision) };
        let answer = self.get(&format!("blobs/{config}"), "*/*")?;
        match answer.status {
            200 => manifest::revision_of_config(&answer.body, &config),
            _ => Err(answer.problem()),
        }
    }

    /// Asks, and once more with the authorization that the registry wants.
    fn get(&mut self, what: &str, accept: &str) -> Result<Answer, Problem> {
        let url = self.http.url(&format!("/v2/{}/{what}", self.path));
        let answer = self.http.get(&url, accept, self.authorization.as_deref())?;
        if answer.status != 401 || self.authorization.is_some() {
            return Ok(answer);
        }
        let credentials = self.credentials.find(self.host, self.path)?;
        let challenge = answer.challenge.as_deref().and_then(Challenge::parse);
        let authorization = match (challenge, credentials) {
            (Some(Challenge::Basic), Some(credentials)) => credentials.basic(),
            (Some(Challenge::Bearer(bearer)), credentials) => {
                Some(self.http.token(&bearer, self.path, credentials.as_ref())?)
            }
            (_, _) => None,
        };
        if authorization.is_none() {
            return Err(Problem::Denied { status: 401, with_credentials: false });
        }
        self.authorization = authorization;
        self.http.get(&url, accept, self.authorization.as_deref())
    }
}
