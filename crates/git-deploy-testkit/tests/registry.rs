//! The registry of the tests: it answers, with whatever it was told to ask for, and nothing is left of it.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::io::{Read, Write};
use std::net::TcpStream;

use git_deploy_testkit::registry::Registry;
use git_deploy_testkit::skip;

#[test]
fn a_registry_answers_comes_back_on_its_port_and_leaves_nothing_behind() {
    let registry = match Registry::plain().start() {
        Ok(registry) => registry,
        Err(missing) => skip!(&missing.to_string()),
    };
    assert!(ask(&registry).starts_with("HTTP/1.1 200 "));
    registry.stop();
    assert!(TcpStream::connect(registry.address()).is_err());
    registry.start_again();
    assert!(ask(&registry).starts_with("HTTP/1.1 200 "));
    let (address, storage) = (registry.address(), registry.storage());
    drop(registry);
    assert!(TcpStream::connect(address).is_err());
    assert!(!storage.parent().is_some_and(std::path::Path::exists));
}

#[test]
fn a_registry_can_ask_for_a_password_and_speak_tls() {
    let registry = match Registry::with_tls().with_password().start() {
        Ok(registry) => registry,
        Err(missing) => skip!(&missing.to_string()),
    };
    assert!(ask(&registry).starts_with("HTTP/1.0 400 "), "plain HTTP is refused: {}", ask(&registry));
    assert!(registry.authority().is_file());
}

fn ask(registry: &Registry) -> String {
    let mut connection = TcpStream::connect(registry.address()).unwrap();
    connection.write_all(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
