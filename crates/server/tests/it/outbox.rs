//! Messages of the outbox, and everybody else who writes control data meanwhile.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use domain::ids::OrganizationId;
use metadata::{NewDelivery, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::exports::{ask, january};
use crate::harness::TestServer;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Messages to one host that are on their way at once.
const AT_ONCE: usize = 4;
/// Ends a test that hangs; nothing is measured by it.
const GUARD: Duration = Duration::from_mins(2);

/// A receiver that answers the first messages together and never answers another.
async fn hanging() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\nx") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            held.push(stream);
            if held.len() == AT_ONCE {
                for stream in &mut held {
                    let answer = b"HTTP/1.1 204 Thanks\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
            count.send_replace(held.len());
        }
    });
    (url, counted)
}

async fn message(server: &TestServer, organization: OrganizationId, url: &str) {
    let new = NewDelivery {
        event: "test".to_owned(),
        organization,
        url: url.to_owned(),
        content_type: "text/plain".to_owned(),
        body: "x".to_owned(),
        export: None,
        webhook: None,
    };
    let app = server.app();
    app.metadata.insert_delivery(new, app.now()).await.unwrap();
}

async fn within_guard<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, step).await.expect("it ends")
}

/// A login, a new key and a request for an export, all of which write.
async fn writes_go_on(server: &TestServer, owner: &str) {
    let (user, password) = server.admin();
    let login = server.log_in(&user, &password).await;
    assert_eq!(login.status, 200, "{}", login.body);
    let body = r#"{"name":"one more","role":"writer"}"#;
    let key = server.post(owner, "/api/v1/keys", body).await;
    assert_eq!(key.status, 201, "{}", key.body);
    let export = ask(server, owner, &january("SUMMARY")).await;
    assert_eq!(export.status, 202, "{}", export.body);
}

#[tokio::test]
async fn logins_keys_and_exports_go_on_while_every_receiver_hangs() {
    let server = TestServer::start_with(|config| {
        config.exports.workers = 1;
        config.exports.callback_addresses = vec![LOOPBACK];
    })
    .await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let (url, mut counted) = hanging().await;
    for _ in 0..20 {
        message(&server, root, &url).await;
    }
    within_guard(counted.wait_for(|count| *count >= AT_ONCE))
        .await
        .unwrap();
    // The first messages are being settled, and the next are being claimed.
    within_guard(writes_go_on(&server, &owner)).await;
    within_guard(counted.wait_for(|count| *count >= 2 * AT_ONCE))
        .await
        .unwrap();
    // Every message on its way hangs.
    within_guard(writes_go_on(&server, &owner)).await;
}
