//! More events than the writer has time for.

use metadata::Role;
use serde_json::json;

use super::{PATH, event};
use crate::harness::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_the_writer_has_no_time_for_is_refused_and_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let start = |wait_ms: u64| {
        let data_dir = folder.path().to_owned();
        TestServer::start_with(move |config| {
            config.server.data_dir = data_dir;
            config.limits.writer_wait_ms = wait_ms;
        })
    };
    // No time at all: the writer would have to be quicker than the next step of the request.
    let server = start(0).await;
    let key = server.key(server.root().await, Role::Writer).await;
    let body = |number: u32| json!([event(&number.to_string())]).to_string();
    let mut sent = 0;
    let refused = loop {
        assert!(sent < 1_000, "every request found the writer waiting");
        let answer = server.post(&key, PATH, &body(sent)).await;
        sent += 1;
        if answer.status != 204 {
            break answer;
        }
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["code"], "unavailable");
    server.stop().await;

    let server = start(60_000).await;
    let key = server.key(server.root().await, Role::Writer).await;
    for number in 0..sent {
        assert_eq!(server.post(&key, PATH, &body(number)).await.status, 204);
    }
    assert_eq!(
        server.app().usage.watermark().await.unwrap(),
        u64::from(sent)
    );
}
