//! The outbox, and who may open the data directory.

use domain::Timestamp;
use domain::ids::OrganizationId;
use metadata::{
    Delivery, Error, ExportKind, HostNews, Metadata, NewDelivery, NewExport, Settlement, Tried,
    TryEnd,
};

use crate::exports::{claim, success};
use crate::world::{World, at};

pub(crate) async fn a_callback_is_written_with_the_end_it_tells_about(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    for url in [Some("https://example.com/done"), None] {
        let request = NewExport {
            callback_url: url.map(str::to_owned),
            ..world.request(world.sub, ExportKind::JobLevel)
        };
        metadata.insert_export(request, at(0)).await.unwrap();
    }
    let mut ids = Vec::new();
    for settlement in [success(9), success(9)] {
        let claimed = metadata
            .claim_export(&claim("w"), at(1))
            .await
            .unwrap()
            .unwrap();
        let id = claimed.export.id;
        let stale = metadata
            .settle_export(id, claimed.fence + 1, &settlement, at(2))
            .await;
        assert!(matches!(stale, Err(Error::Fenced { .. })));
        let settled = metadata
            .settle_export(id, claimed.fence, &settlement, at(2))
            .await;
        ids.extend(settled.unwrap().request.callback_url.map(|_| id));
    }
    let due = claim_due(metadata, at(2)).await;
    assert_eq!(
        due.len(),
        1,
        "none without a callback URL, none from a stale worker"
    );
    let message = &due[0].message;
    assert_eq!(message.url, "https://example.com/done");
    assert_eq!(message.event, "export.settled");
    assert_eq!(message.export, Some(ids[0]));
    assert_eq!(
        message.body,
        format!(
            "Job with jobID: {} has completed and the Job Status is SUCCESS.",
            ids[0]
        )
    );
    let failing = NewExport {
        callback_url: Some("https://example.com/failed".to_owned()),
        ..world.request(world.sub, ExportKind::JobLevel)
    };
    metadata.insert_export(failing, at(3)).await.unwrap();
    let claimed = metadata
        .claim_export(&claim("w"), at(3))
        .await
        .unwrap()
        .unwrap();
    let failed = Settlement::Failed {
        error_message: "no\0pe".to_owned(),
    };
    let settled = metadata
        .settle_export(claimed.export.id, claimed.fence, &failed, at(3))
        .await
        .unwrap();
    assert_eq!(settled.error_message.as_deref(), Some("nope"));
    let due = claim_due(metadata, at(3)).await;
    assert!(due[0].message.body.ends_with("the Job Status is FAILED."));
}

/// Claims for ten seconds the first due message of every lane.
pub(crate) async fn claim_due(metadata: &Metadata, now: Timestamp) -> Vec<Delivery> {
    let due = metadata.due_deliveries(now, 99, 99).await.unwrap();
    let ids: Vec<_> = due.iter().map(|due| due.id).collect();
    metadata.claim_deliveries(&ids, now, 10_000).await.unwrap()
}

pub(crate) fn message(organization: OrganizationId, url: &str, body: &str) -> NewDelivery {
    NewDelivery {
        event: "test".to_owned(),
        organization,
        url: url.to_owned(),
        content_type: "text/plain".to_owned(),
        body: body.to_owned(),
        export: None,
        webhook: None,
    }
}

pub(crate) fn tried(end: TryEnd, host: HostNews) -> Tried {
    Tried {
        end,
        status: None,
        response_ms: Some(7),
        host,
    }
}

fn again(second: i64) -> TryEnd {
    TryEnd::Again {
        at: at(second),
        error: "HTTP 500".to_owned(),
    }
}

pub(crate) async fn a_late_sender_settles_nothing(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    for number in 0..2 {
        let new = message(
            world.root,
            "https://example.com",
            &format!("message {number}"),
        );
        metadata.insert_delivery(new, at(number)).await.unwrap();
    }
    let first = claim_due(metadata, at(5)).await;
    assert_eq!(first[0].message.body, "message 0");
    let second = claim_due(metadata, at(5)).await;
    assert_eq!(second[0].message.body, "message 1");
    assert!(claim_due(metadata, at(5)).await.is_empty());
    let late = metadata
        .claim_deliveries(&[first[0].id], at(5), 10_000)
        .await;
    assert!(late.unwrap().is_empty(), "claimed already");
    let lapsed = claim_due(metadata, at(15)).await;
    assert_eq!(lapsed[0].attempts, 2);
    let stale = first
        .iter()
        .chain(&second)
        .find(|one| one.id == lapsed[0].id)
        .unwrap();
    let settle = async |delivery, end, second| {
        let tried = tried(end, HostNews::Alive);
        let settled = metadata.settle_delivery(delivery, &tried, at(second)).await;
        settled.unwrap()
    };
    assert!(!settle(stale, TryEnd::Delivered, 15).await);
    assert!(settle(&lapsed[0], again(100), 15).await, "again later");
    let others = claim_due(metadata, at(99)).await;
    assert_eq!(others.len(), 1);
    assert!(settle(&others[0], TryEnd::Delivered, 99).await);
    assert!(!settle(&others[0], again(99), 99).await, "an end is an end");
    let last = claim_due(metadata, at(100)).await;
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].last_error.as_deref(), Some("HTTP 500"));
    assert_eq!(last[0].response_ms, Some(7));
    let error = "no\0pe".to_owned();
    assert!(settle(&last[0], TryEnd::Failed { error }, 100).await);
    assert!(claim_due(metadata, at(9_999)).await.is_empty());
}

pub(crate) async fn a_dead_host_with_thousands_of_messages_delays_nobody(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    for number in 0..300 {
        let new = message(world.root, "http://dead.example/x", &number.to_string());
        metadata.insert_delivery(new, at(0)).await.unwrap();
    }
    for (organization, url) in [
        (world.root, "http://alive.example/a"),
        (world.sub, "http://alive.example/b"),
    ] {
        let new = message(organization, url, "last");
        metadata.insert_delivery(new, at(9)).await.unwrap();
    }
    let hosts = async |second| {
        let due = metadata.due_deliveries(at(second), 99, 99).await.unwrap();
        due.into_iter().map(|due| due.host).collect::<Vec<_>>()
    };
    let both = ["dead.example:80", "alive.example:80", "alive.example:80"];
    assert_eq!(hosts(10).await, both, "one of each lane");
    let fail = async |second| {
        let mut claimed = claim_due(metadata, at(second)).await;
        claimed.retain(|one| one.host.starts_with("dead"));
        let news = tried(again(500_000), HostNews::Failed);
        metadata
            .settle_delivery(&claimed[0], &news, at(second))
            .await
            .unwrap();
    };
    for second in 10..15 {
        fail(second).await;
    }
    assert_eq!(
        hosts(43).await,
        ["alive.example:80", "alive.example:80"],
        "closed"
    );
    assert_eq!(hosts(44).await, both, "open again after 30 seconds");
    fail(44).await;
    assert_eq!(hosts(103).await.len(), 2, "closed for longer");
    let due = metadata.due_deliveries(at(104), 99, 99).await.unwrap();
    assert_eq!(due[0].host_failures, 6);
    let probe = claim_due(metadata, at(104)).await;
    let alive = tried(TryEnd::Delivered, HostNews::Alive);
    metadata
        .settle_delivery(&probe[0], &alive, at(104))
        .await
        .unwrap();
    let due = metadata.due_deliveries(at(104), 99, 99).await.unwrap();
    assert_eq!(due[0].host_failures, 0, "what answers is open at once");
}

pub(crate) async fn one_process_at_a_time_holds_the_data_directory(metadata: Metadata) {
    assert!(metadata.find_instance().await.unwrap().is_none());
    let first = metadata
        .claim_instance("one:1", Some("https://one"), 10_000, at(0))
        .await
        .unwrap();
    assert_eq!((first.epoch, first.lease_expires_at), (1, at(10)));
    let refused = metadata.claim_instance("two:2", None, 10_000, at(9)).await;
    assert!(matches!(refused, Err(Error::InUse { holder }) if holder == "one:1"));
    let renewed = metadata
        .renew_instance(&first, 10_000, at(9))
        .await
        .unwrap();
    assert_eq!(renewed.lease_expires_at, at(19));
    assert_eq!(renewed.url.as_deref(), Some("https://one"));
    let second = metadata
        .claim_instance("two:2", None, 10_000, at(19))
        .await
        .unwrap();
    assert_eq!((second.epoch, &second.url), (2, &None));
    let lost = metadata.renew_instance(&first, 10_000, at(20)).await;
    assert!(matches!(lost, Err(Error::InUse { holder }) if holder == "two:2"));
    assert!(!metadata.release_instance(&first).await.unwrap());
    assert!(metadata.release_instance(&second).await.unwrap());
    let third = metadata
        .claim_instance("one:1", Some("https://one"), 10_000, at(20))
        .await
        .unwrap();
    assert_eq!(third.epoch, 3);
}

pub(crate) async fn the_newest_sequence_of_a_store_is_known_until_it_is_forgotten(
    metadata: Metadata,
) {
    let known = async || {
        let known = metadata.known_usage().await.unwrap();
        (known.store, known.durable_through)
    };
    assert_eq!(known().await, (None, 0));
    metadata.record_usage("a", 0).await.unwrap();
    metadata.record_usage("b", 0).await.unwrap();
    assert_eq!(
        known().await,
        (Some("b".to_owned()), 0),
        "nothing is lost with an empty one"
    );
    for (store, sequence) in [("b", 7), ("b", 5), ("a", 9)] {
        metadata.record_usage(store, sequence).await.unwrap();
        assert_eq!(known().await, (Some("b".to_owned()), 7));
    }
    metadata.forget_usage(at(0)).await.unwrap();
    assert_eq!(known().await, (None, 0));
    metadata.record_usage("a", 3).await.unwrap();
    assert_eq!(known().await, (Some("a".to_owned()), 3));
}
