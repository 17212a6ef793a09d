//! Accepting connections: a bounded number, each with a bounded time to say what it wants, to send
//! it, and to read the answer.

mod activity;
mod answer;
mod body;
mod pace;
mod places;
mod reserved;
mod socket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Response, Uri, Version, header};
use axum::serve::Listener;
use export::tasks;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tower::util::{MapRequest, MapRequestLayer};
use tower::{Layer, ServiceExt};

pub(crate) use body::Reading;
pub(crate) use pace::Rule;
pub(crate) use reserved::admit;

use self::activity::{Activity, Patience};
use self::answer::Answer;
use self::body::TimedBody;
use self::places::{Place, Places};
use self::reserved::Reserved;
use self::socket::Socket;
use crate::api;
use crate::app::App;

/// Streams one HTTP/2 connection may have open at once.
const STREAMS_MAX: u32 = 32;

/// Bytes of an HTTP/1 connection that are read before somebody wants them; a head is no larger.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an HTTP/2 connection, and of one stream, that are read before somebody wants them.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Seconds in which a connection of a reserved place says what it wants.
const RESERVED_HEAD_S: u64 = 2;

/// Serves until the server stops, then lets running requests finish.
///
/// Beyond `limits.connections_max` there are `limits.connections_reserved` places more, where
/// [`reserved`] says what is served; further connections wait, unread, for a place.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) {
    let limits = &app.config.limits;
    let places = Places::new(
        limits.connections_max,
        limits.connections_reserved,
        &app.config.server.trusted_proxies,
    );
    let router = MapRequestLayer::new(collapse_slashes as fn(Request) -> Request);
    let open = TaskTracker::new();
    let door = Arc::new(Door {
        listener: Mutex::new(listener),
        places,
        router: router.layer(api::router(&app)),
        open: open.clone(),
        app: Arc::clone(&app),
    });
    let stop = app.stopping.clone().cancelled_owned();
    tasks::keep("connections", stop, || Arc::clone(&door).accept()).await;
    drop(door);
    open.close();
    open.wait().await;
}

/// Where connections come in.
struct Door {
    listener: Mutex<TcpListener>,
    places: Places,
    router: MapRequest<Router, fn(Request) -> Request>,
    open: TaskTracker,
    app: Arc<App>,
}

impl Door {
    /// Accepts connections until the server stops.
    async fn accept(self: Arc<Self>) {
        let mut listener = self.listener.lock().await;
        loop {
            let (stream, peer, place) = tokio::select! {
                accepted = next(&mut listener, &self.places) => accepted,
                () = self.app.stopping.cancelled() => return,
            };
            let connection = Connection {
                app: Arc::clone(&self.app),
                router: self.router.clone(),
                peer,
                is_reserved: place.is_reserved(),
                activity: Activity::new(),
            };
            self.open.spawn(async move {
                connection.run(stream).await;
                drop(place);
            });
        }
    }
}

/// The next connection that there is a place for.
async fn next(listener: &mut TcpListener, places: &Places) -> (TcpStream, SocketAddr, Place) {
    loop {
        let free = places.free().await;
        // Waits a while after errors such as too many open files.
        let (stream, peer) = Listener::accept(listener).await;
        if let Some(place) = places.take(free, peer.ip()) {
            return (stream, peer, place);
        }
        tracing::debug!(%peer, "a connection is closed: its address has a quarter of them");
    }
}

/// One connection.
#[derive(Debug, Clone)]
struct Connection {
    app: Arc<App>,
    router: MapRequest<Router, fn(Request) -> Request>,
    peer: SocketAddr,
    is_reserved: bool,
    activity: Arc<Activity>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let limits = &self.app.config.limits;
        let patience = Patience {
            idle: Duration::from_secs(if self.is_reserved {
                RESERVED_HEAD_S.min(limits.header_read_timeout_s)
            } else {
                limits.header_read_timeout_s
            }),
            unread: limits.answer_rule().window,
        };
        let socket = Socket::new(stream, limits.answer_rule(), Arc::clone(&self.activity));
        let http = http(patience.idle);
        let service = service_fn(|request| self.clone().answer(request));
        let connection = http.serve_connection(TokioIo::new(socket), service);
        tokio::pin!(connection);
        let held = self.held_too_long();
        tokio::pin!(held);
        let mut is_ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!("a connection ended badly: {error}");
                    }
                    return;
                }
                reason = self.activity.stuck(patience) => {
                    tracing::debug!("a connection is closed: {reason}");
                    return;
                }
                () = &mut held => {
                    tracing::debug!("a connection is closed: its reserved place is for others");
                    return;
                }
                () = self.ending(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Ends when a reserved place has been held as long as it may be.
    async fn held_too_long(&self) {
        if !self.is_reserved {
            return std::future::pending().await;
        }
        tokio::time::sleep(self.app.config.limits.reserved_patience().1).await;
    }

    /// Ends when the connection is to take no further requests.
    async fn ending(&self) {
        tokio::select! {
            () = self.activity.ending() => {}
            () = self.app.stopping.cancelled() => {}
        }
    }

    async fn answer(
        self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let running = self.activity.begin();
        let is_http2 = request.version() == Version::HTTP_2;
        let reading = Arc::new(Reading::new(&self.app.config.limits, self.is_reserved));
        let mut request = request.map(|body| {
            let activity = Arc::clone(&self.activity);
            let bodies = Arc::clone(&self.app.bodies);
            Body::new(TimedBody::new(body, Arc::clone(&reading), activity, bodies))
        });
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(reading);
        if self.is_reserved {
            request.extensions_mut().insert(Reserved);
            // One answer, and the place is free for the next.
            self.activity.end();
        }
        let mut response = self.router.oneshot(request).await?;
        if self.activity.is_ending() && !is_http2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response.map(|body| Answer::new(body, running, is_http2)))
    }
}

fn http(patience: Duration) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .max_buf_size(BUFFER_BYTES_MAX)
        .header_read_timeout(patience);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience);
    http
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
