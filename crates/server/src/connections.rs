//! Accepting connections: a bounded number, each with a bounded time to say what it wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::Uri;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower::util::{MapRequest, MapRequestLayer};
use tower::{Layer, ServiceExt};

use crate::api;
use crate::app::App;

/// Serves until the server stops, then lets running requests finish.
///
/// With as many connections as `limits.connections_max` further ones wait, unread, for a place.
pub(crate) async fn serve(mut listener: TcpListener, app: Arc<App>) {
    let limits = &app.config.limits;
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let patience = Duration::from_secs(limits.header_read_timeout_s);
    let http = http(patience);
    let router = MapRequestLayer::new(collapse_slashes as fn(Request) -> Request);
    let router = router.layer(api::router(&app));
    let open = GracefulShutdown::new();
    let stopped = app.stopping.cancelled();
    tokio::pin!(stopped);
    loop {
        let (stream, peer, place) = tokio::select! {
            accepted = next(&mut listener, &places) => accepted,
            () = &mut stopped => break,
        };
        let begun = Arc::new(Notify::new());
        let service = told_peer(router.clone(), peer, Arc::clone(&begun));
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = open.watch(connection.into_owned());
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!("a connection ended badly: {error}");
                },
                () = silence(&begun, patience) => tracing::debug!("a connection asked nothing"),
            }
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &mut TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    // Waits a while after errors such as too many open files.
    let (stream, peer) = Listener::accept(listener).await;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no immediate sending on a connection: {error}");
    }
    (stream, peer, place)
}

/// Ends when a connection has not begun its first request in time: before that, the protocol is
/// not known, and no limit of a protocol holds.
async fn silence(begun: &Notify, patience: Duration) {
    if tokio::time::timeout(patience, begun.notified())
        .await
        .is_ok()
    {
        std::future::pending::<()>().await;
    }
}

fn http(patience: Duration) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience);
    http
}

/// Notes on every request who is at the other end of its connection.
fn told_peer(
    router: MapRequest<Router, fn(Request) -> Request>,
    peer: SocketAddr,
    begun: Arc<Notify>,
) -> impl tower::Service<
    hyper::Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send {
    router.map_request(move |request: hyper::Request<Incoming>| {
        begun.notify_one();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    })
}

/// Joins repeated slashes of the path: clients append paths to a base URL that ends in one.
fn collapse_slashes(mut request: Request) -> Request {
    let Some(path_and_query) = request.uri().path_and_query() else {
        return request;
    };
    let path = path_and_query.path();
    if !path.contains("//") {
        return request;
    }
    let mut joined = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !joined.ends_with('/') {
            joined.push(character);
        }
    }
    if let Some(query) = path_and_query.query() {
        joined.push('?');
        joined.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = joined.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}
