//! The outbox, and who may open the data directory.

use metadata::{DeliveryState, Error, ExportKind, Metadata, NewDelivery, NewExport, Settlement};

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
    let due = metadata.claim_deliveries(at(2), 10_000, 10).await.unwrap();
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
    let due = metadata.claim_deliveries(at(3), 10_000, 10).await.unwrap();
    assert!(due[0].message.body.ends_with("the Job Status is FAILED."));
}

pub(crate) async fn a_late_sender_settles_nothing(metadata: Metadata) {
    for number in 0..3 {
        let new = NewDelivery {
            event: "test".to_owned(),
            url: "https://example.com".to_owned(),
            content_type: "text/plain".to_owned(),
            body: format!("message {number}"),
            export: None,
        };
        metadata.insert_delivery(new, at(number)).await.unwrap();
    }
    let bodies = |claimed: &[metadata::Delivery]| {
        let bodies = claimed.iter().map(|delivery| delivery.message.body.clone());
        bodies.collect::<Vec<_>>()
    };
    let first = metadata.claim_deliveries(at(5), 10_000, 2).await.unwrap();
    assert_eq!(bodies(&first), ["message 0", "message 1"]);
    let second = metadata.claim_deliveries(at(5), 10_000, 2).await.unwrap();
    assert_eq!(bodies(&second), ["message 2"]);
    let lapsed = metadata.claim_deliveries(at(15), 10_000, 1).await.unwrap();
    assert_eq!(lapsed[0].attempts, 2);
    let stale = first
        .iter()
        .chain(&second)
        .find(|one| one.id == lapsed[0].id)
        .unwrap();
    let settle = async |delivery, state, second| {
        let settled = metadata.settle_delivery(delivery, state, at(second), Some("HTTP 500"));
        settled.await.unwrap()
    };
    assert!(!settle(stale, DeliveryState::Delivered, 15).await);
    assert!(
        settle(&lapsed[0], DeliveryState::Pending, 100).await,
        "again later"
    );
    let others = metadata.claim_deliveries(at(99), 10_000, 9).await.unwrap();
    assert_eq!(others.len(), 2);
    for delivery in &others {
        assert!(settle(delivery, DeliveryState::Delivered, 99).await);
        assert!(
            !settle(delivery, DeliveryState::Failed, 99).await,
            "an end is an end"
        );
    }
    let last = metadata.claim_deliveries(at(100), 10_000, 9).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].last_error.as_deref(), Some("HTTP 500"));
    assert!(settle(&last[0], DeliveryState::Failed, 100).await);
    assert!(
        metadata
            .claim_deliveries(at(9_999), 10_000, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn one_process_at_a_time_holds_the_data_directory(metadata: Metadata) {
    assert!(metadata.find_instance().await.unwrap().is_none());
    let first = metadata
        .claim_instance("one:1", 10_000, at(0))
        .await
        .unwrap();
    assert_eq!((first.epoch, first.lease_expires_at), (1, at(10)));
    let refused = metadata.claim_instance("two:2", 10_000, at(9)).await;
    assert!(matches!(refused, Err(Error::InUse { holder }) if holder == "one:1"));
    let renewed = metadata
        .renew_instance(&first, 10_000, at(9))
        .await
        .unwrap();
    assert_eq!(renewed.lease_expires_at, at(19));
    let second = metadata
        .claim_instance("two:2", 10_000, at(19))
        .await
        .unwrap();
    assert_eq!(second.epoch, 2);
    let lost = metadata.renew_instance(&first, 10_000, at(20)).await;
    assert!(matches!(lost, Err(Error::InUse { holder }) if holder == "two:2"));
    assert!(!metadata.release_instance(&first).await.unwrap());
    assert!(metadata.release_instance(&second).await.unwrap());
    let third = metadata
        .claim_instance("one:1", 10_000, at(20))
        .await
        .unwrap();
    assert_eq!(third.epoch, 3);
}
