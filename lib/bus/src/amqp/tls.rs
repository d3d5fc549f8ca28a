//! Connections over TLS with a configuration of the caller's, who may change it between two connections.

use super::config::TlsSource;
use lapin::{
    Connection, ConnectionProperties, runtime,
    tcp::{AsyncTcpStream, RustlsConnector},
    uri::AMQPUri,
};

/// Connects with what `tls` gives at this moment.
pub(super) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    tls: TlsSource,
) -> lapin::Result<Connection> {
    let runtime = runtime::default_runtime()?;
    Connection::connector(
        uri,
        runtime,
        async move |uri: AMQPUri, runtime| {
            let host = uri.authority.host;
            let address = runtime.to_socket_addrs((host.clone(), uri.authority.port));
            let stream = AsyncTcpStream::connect(&runtime, address).await?;
            Ok(stream.into_rustls(&RustlsConnector::from(tls()), &host).await?)
        },
        properties,
    )
    .await
}
