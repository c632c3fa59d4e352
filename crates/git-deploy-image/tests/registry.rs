//! What is found out about an image in a registry, and what is said where nothing can be found out.

#![cfg(feature = "registry")]
#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/store.rs"]
mod store;

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine;
use git_deploy_image::builder::Watch;
use git_deploy_image::registry::{Existing, Problem, Registries, RegistryError};
use git_deploy_image::{Cause, Digest, ImageName, ImageRepository, Insecure, REVISION};
use git_deploy_testkit::registry::{PASSWORD, Registry, USER};
use git_deploy_testkit::skip;
use peer::Peer;
use sha2::{Digest as _, Sha256};
use store::Store;

const COMMIT: &str = "a4945f8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

macro_rules! registry {
    ($options:expr) => {
        match $options.start() {
            Ok(registry) => registry,
            Err(missing) => skip!(&missing.to_string()),
        }
    };
}

#[test]
fn what_bears_a_name_is_nothing_ours_or_made_from_something_else() {
    let registry = registry!(Registry::plain());
    let (registries, image) = (nobody(), image(&registry.address()));
    let lookup = |commit: &str| registries.lookup(&image, commit).unwrap();
    assert_eq!(lookup(COMMIT), Existing::None);

    let digest = put(&registry.address(), &image, Some(COMMIT));
    assert_eq!(lookup(COMMIT), Existing::Ours { digest: digest.clone() });
    let revision = Some(COMMIT.to_owned());
    assert_eq!(lookup("b".repeat(40).as_str()), Existing::Other { digest, revision });

    let digest = put(&registry.address(), &image, None);
    assert_eq!(lookup(COMMIT), Existing::Other { digest, revision: None });
}

#[test]
fn what_was_built_and_pushed_is_found_with_its_commit_and_digest() {
    let registry = registry!(Registry::plain());
    let store = Store::new();
    let tool = match store.buildah() {
        Ok(tool) => tool,
        Err(why) => skip!(&why),
    };
    let (build, image) = (store.export("a", ""), image(&registry.address()));
    let watch = &mut Watch { cancelled: &|| false, tell: &mut |_| {} };
    let built = tool.build(&build, &image, watch).unwrap();
    let digest = tool.push(&built, &image, &Insecure::loopback(), watch).unwrap();
    assert_eq!(nobody().lookup(&image, &build.commit).unwrap(), Existing::Ours { digest });
}

#[test]
fn a_registry_that_is_not_there_is_one_that_will_come_back() {
    let registry = registry!(Registry::plain());
    let image = image(&registry.address());
    registry.stop();
    let error = nobody().lookup(&image, COMMIT).unwrap_err();
    assert!(matches!(error.problem, Problem::Unreachable(_)), "{error:?}");
    assert_eq!(error.cause(), Cause::Passing);
    let address = registry.address();
    let expected = format!("cannot ask registry '{address}' for '{image}': ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    registry.start_again();
    assert_eq!(nobody().lookup(&image, COMMIT).unwrap(), Existing::None);
}

#[test]
fn a_name_that_does_not_resolve_is_said() {
    let error = nobody().lookup(&image("registry.invalid"), COMMIT).unwrap_err();
    assert!(matches!(error.problem, Problem::NotResolved | Problem::TimedOut(_)), "{error:?}");
    assert_eq!(error.cause(), Cause::Passing);
}

#[test]
fn a_certificate_counts_only_if_somebody_who_is_trusted_signed_it() {
    let registry = registry!(Registry::with_tls());
    // As if it were a registry elsewhere: the certificate of one on loopback is not checked.
    let image = image(&registry.address());
    let error = strict().lookup(&image, COMMIT).unwrap_err();
    let what = format!("cannot ask registry '{}' for '{image}': ", registry.address());
    assert_eq!(
        error.to_string(),
        format!("{what}its certificate is not accepted: nobody who is trusted here has signed it")
    );
    assert_eq!(error.cause(), Cause::Setup);
    assert!(error.hint().is_some_and(|hint| hint.contains("/etc/containers/certs.d/")), "{:?}", error.hint());

    assert_eq!(strict().authority(registry.authority()).lookup(&image, COMMIT).unwrap(), Existing::None);
    assert_eq!(nobody().lookup(&image, COMMIT).unwrap(), Existing::None, "insecure, but TLS");
}

#[test]
fn plain_http_is_for_registries_that_are_said_to_be_insecure() {
    let registry = registry!(Registry::plain());
    let error = strict().lookup(&image(&registry.address()), COMMIT).unwrap_err();
    assert!(matches!(error.problem, Problem::NotTls(_)), "{error:?}");
    assert_eq!(error.cause(), Cause::Setup);
    assert!(error.hint().is_some_and(|hint| hint.contains("insecure = true")), "{:?}", error.hint());
}

#[test]
fn the_password_is_the_one_that_the_builders_have() {
    let registry = registry!(Registry::plain().with_password());
    let image = image(&registry.address());
    let error = nobody().lookup(&image, COMMIT).unwrap_err();
    assert!(matches!(error.problem, Problem::Denied { status: 401, with_credentials: false }), "{error:?}");
    assert_eq!(error.cause(), Cause::Setup);

    assert_eq!(with_password(&registry.address(), PASSWORD).unwrap(), Existing::None);

    let error = with_password(&registry.address(), "wrong").unwrap_err();
    assert!(matches!(error.problem, Problem::Denied { status: 401, with_credentials: true }), "{error:?}");
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[test]
fn a_token_is_got_where_the_registry_says() {
    // The peer learns its own address from what it is asked.
    let peer = Peer::start(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().trim();
        let ok = "200 OK".to_owned();
        if request.starts_with("GET /token?") {
            assert!(request.contains("service=images") && request.contains("scope=repository"), "{request}");
            assert!(request.contains("Basic YWRhOm9wZW4gc2VzYW1l"), "{request}");
            return (ok, r#"{"access_token": "t0k3n"}"#.to_owned());
        }
        if request.contains("Bearer t0k3n") {
            let unknown = r#"{"errors": [{"code": "NAME_UNKNOWN"}]}"#;
            return ("404 Not Found".to_owned(), unknown.to_owned());
        }
        let scope = "repository:littleman-co/shop-web:pull";
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="images",scope="{scope}""#);
        (format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"), String::new())
    });
    assert_eq!(with_password(&peer.address, PASSWORD).unwrap(), Existing::None);
}

#[test]
fn who_gives_out_tokens_is_checked_also_where_the_registry_is_not() {
    let tokens = registry!(Registry::with_tls());
    let port = tokens.address().rsplit(':').next().unwrap().to_owned();
    let realm = move |host: &str| {
        let challenge = format!(r#"Bearer realm="https://{host}:{port}/token",service="images""#);
        Peer::start(move |_| (format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"), String::new()))
    };
    let ask = |peer: &Peer, known: bool| {
        let registries = Registries::new(|_| None).insecure(Insecure::only([peer.address.clone()]));
        let registries = if known { registries.authority(tokens.authority()) } else { registries };
        registries.lookup(&image(&peer.address), COMMIT).unwrap_err()
    };
    let other = realm("localhost");
    let error = ask(&other, false);
    assert!(matches!(error.problem, Problem::CertificateOfTokens { .. }), "{error:?}");
    assert!(error.to_string().contains("it sends who wants a token to 'localhost:"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("certs.d/localhost:")), "{:?}", error.hint());
    assert_eq!(error.cause(), Cause::Setup);
    // It gives out none, but it is spoken to.
    assert!(matches!(ask(&other, true).problem, Problem::Status { status: 404, .. }));
    // Another port of the same host is the same host.
    assert!(matches!(ask(&realm("127.0.0.1"), false).problem, Problem::Status { status: 404, .. }));
}

#[test]
fn trouble_of_a_registry_is_told_from_what_has_to_be_mended() {
    for (status, body, cause, said) in [
        ("429 Too Many Requests", "", Cause::Passing, "it was asked too often"),
        ("503 Service Unavailable", "", Cause::Passing, "it has trouble of its own (status 503)"),
        ("403 Forbidden", "", Cause::Setup, "access is denied with status 403"),
        (
            "404 Not Found",
            "<html>\x1b[31mno</html>",
            Cause::Setup,
            "it answered with status 404: <html>[31mno</html>",
        ),
        ("200 OK", "<html>", Cause::Setup, "it does not answer as a registry does: the manifest is no JSON"),
        ("200 OK", "[]", Cause::Setup, "it does not answer as a registry does: the manifest is no object"),
        ("302 Found\r\nLocation: /v2/x", "", Cause::Setup, "it does not answer as a registry does: "),
    ] {
        let peer = Peer::start(move |_| (status.to_owned(), body.to_owned()));
        let error = nobody().lookup(&image(&peer.address), COMMIT).unwrap_err();
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_registry_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let started = Instant::now();
    let registries = nobody().time_limit(Duration::from_millis(300));
    let error = registries.lookup(&image(&address), COMMIT).unwrap_err();
    assert!(matches!(error.problem, Problem::TimedOut(_)), "{error:?}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "a registry is given 30 s where nothing else is said"
    );
}

/// Nobody's configuration: no home, no variables.
fn nobody() -> Registries {
    Registries::new(|_| None).insecure(Insecure::loopback())
}

/// Takes no registry for insecure, not even one on loopback.
fn strict() -> Registries {
    Registries::new(|_| None).insecure(Insecure::none())
}

/// What a lookup says to somebody who has that password.
fn with_password(address: &str, password: &str) -> Result<Existing, RegistryError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    fs::write(&file, format!(r#"{{"auths": {{"{address}": {{"auth": "{encoded}"}}}}}}"#)).unwrap();
    let variable = |name: &str| if name == "REGISTRY_AUTH_FILE" { Some(file.clone().into()) } else { None };
    Registries::new(variable).insecure(Insecure::loopback()).lookup(&image(address), COMMIT)
}

fn image(address: &str) -> ImageName {
    ImageRepository::new(Some(address), "littleman-co", "shop", "web").unwrap().tagged(&COMMIT[..7]).unwrap()
}

/// Puts an image without layers into a registry, and says the digest of its manifest.
fn put(address: &str, image: &ImageName, revision: Option<&str>) -> Digest {
    let base = format!("http://{address}/v2/{}", image.repository().path_at_host());
    let labels = revision.map_or(String::new(), |revision| format!(r#""{REVISION}":"{revision}""#));
    let config = format!(r#"{{"architecture":"amd64","os":"linux","config":{{"Labels":{{{labels}}}}}}}"#);
    let config_digest = sha256(&config);
    let begun = ureq::post(&format!("{base}/blobs/uploads/")).send_empty().unwrap();
    let location = begun.headers()["location"].to_str().unwrap();
    ureq::put(&format!("{location}&digest={config_digest}")).send(config.as_bytes()).unwrap();
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let url = format!("{base}/manifests/{}", image.tag());
    let put = ureq::put(&url).header("Content-Type", "application/vnd.oci.image.manifest.v1+json");
    put.send(manifest.as_bytes()).unwrap();
    sha256(&manifest)
}

fn sha256(text: &str) -> Digest {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().unwrap()
}
