//! The HTTP clients.

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

/// A client that keeps its connections, and one that makes one for each request.
pub(super) fn clients(config: Config) -> kube::Result<[Client; 2]> {
    Ok([client(config.clone(), usize::MAX)?, client(config, 0)?])
}

/// kube's client, but with `TCP_NODELAY`, and no more idle connections than that.
///
/// Without it the first request of each connection waits until the other side acknowledges the end of the TLS handshake,
/// which Linux delays by 40 ms; and requests that are sent at once go over a connection each. kube does not let its
/// sockets be set, so this puts its layers together as it does; through a proxy its own client goes, which keeps what it likes.
fn client(config: Config, idle: usize) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: HttpClient<_, Body> =
        HttpClient::builder(TokioExecutor::new()).pool_max_idle_per_host(idle).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
