//! Webhooks: who hears of what, what signs it, and what is kept of it.

use domain::ids::{ExportId, OrganizationId, WebhookId};
use domain::kind::Kind;
use domain::webhook::{EventType, Secret};
use metadata::{
    Delivery, DeliveryState, Error, ExportKind, ExportSource, HostNews, Metadata, NewExport,
    NewWebhook, PageRequest, Settlement, TryEnd, Webhook, WebhookChange,
};
use serde_json::{Value, json};

use crate::exports::{claim, success};
use crate::messages::{claim_due, message, tried};
use crate::world::{World, at};

fn secret(byte: u8) -> Secret {
    Secret::of_key(&[byte; 32]).unwrap()
}

fn webhook(organization: OrganizationId, url: Option<&str>) -> NewWebhook {
    NewWebhook {
        organization,
        url: url.map(str::to_owned),
        description: "d".to_owned(),
        event_types: Vec::new(),
        secret: secret(1),
        disabled: false,
    }
}

async fn hook(world: &World, organization: OrganizationId, url: Option<&str>) -> Webhook {
    let new = webhook(organization, url);
    world.metadata.insert_webhook(new, at(0)).await.unwrap()
}

/// Asks for an export and ends it.
async fn end(
    world: &World,
    organization: OrganizationId,
    callback_url: Option<&str>,
    settlement: &Settlement,
) -> ExportId {
    let request = NewExport {
        callback_url: callback_url.map(str::to_owned),
        ..world.request(organization, ExportKind::Summary)
    };
    world.metadata.insert_export(request, at(0)).await.unwrap();
    let claimed = world.metadata.claim_export(&claim("w"), at(1)).await;
    let claimed = claimed.unwrap().unwrap();
    let (id, fence) = (claimed.export.id, claimed.fence);
    let settled = world.metadata.settle_export(id, fence, settlement, at(2));
    settled.await.unwrap().id
}

async fn told(world: &World, webhook: WebhookId) -> Vec<Delivery> {
    let page = PageRequest::default();
    let listed = world.metadata.list_deliveries(webhook, None, &page).await;
    listed.unwrap().items
}

fn changed(webhook: &Webhook, disabled: bool) -> WebhookChange {
    WebhookChange {
        url: webhook.url.clone(),
        description: webhook.description.clone(),
        event_types: webhook.event_types.clone(),
        disabled,
    }
}

pub(crate) async fn an_end_is_told_to_the_organization_and_those_above_it(metadata: Metadata) {
    let world = World::create(metadata).await;
    let url = Some("https://example.com/hook");
    let root = hook(&world, world.root, url).await;
    let own = hook(&world, world.sub, url).await;
    let sibling = hook(&world, world.sandbox, url).await;
    let mut picky = webhook(world.sub, url);
    picky.event_types = vec![EventType::WEBHOOK_TEST];
    let picky = world.metadata.insert_webhook(picky, at(0)).await.unwrap();
    assert_eq!(picky.event_types, [EventType::WEBHOOK_TEST]);
    let id = end(&world, world.sub, None, &success(9)).await;
    for deaf in [sibling.id, picky.id] {
        assert!(told(&world, deaf).await.is_empty());
    }
    assert_eq!(told(&world, own.id).await.len(), 1);
    let message = told(&world, root.id).await.remove(0).message;
    assert_eq!((message.webhook, message.export), (Some(root.id), Some(id)));
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(
        body,
        json!({"type": "export.settled", "timestamp": at(2).to_string(), "data": {
            "id": id, "kind": "SUMMARY", "status": "SUCCESS", "source": "vendor",
            "organizationId": world.sub, "startDate": "2013-01-01T00:00:00Z",
            "endDate": "2013-01-31T23:59:59Z", "errorMessage": null,
            "rows": body["data"]["rows"], "artifact": body["data"]["artifact"]}})
    );
    assert_eq!(
        body["data"]["artifact"]["sha256"].as_str().unwrap().len(),
        64
    );

    let moved = world.change(async |change| {
        let (sub, sandbox) = (world.sub, world.sandbox);
        change.move_organization(sub, sandbox, Some(at(1))).await
    });
    moved.await;
    let failed = Settlement::Failed {
        error_message: "\u{1}".repeat(4_000),
    };
    end(&world, world.sub, None, &failed).await;
    assert_eq!(told(&world, sibling.id).await.len(), 1, "now its parent");
    let own_export = NewExport {
        source: ExportSource::Own,
        ..world.request(world.sub, ExportKind::Usage)
    };
    let own_export = world
        .metadata
        .insert_export(own_export, at(3))
        .await
        .unwrap();
    world
        .metadata
        .cancel_export(own_export.id, at(4))
        .await
        .unwrap();
    let newest = told(&world, own.id).await.remove(0);
    assert!(newest.message.body.contains(r#""status":"CANCELLED""#));
}

pub(crate) async fn a_callback_is_signed_where_the_organization_has_a_secret(metadata: Metadata) {
    let world = World::create(metadata).await;
    let signer = hook(&world, world.sub, None).await;
    let url = Some("https://example.com/done");
    let id = end(&world, world.sub, url, &success(9)).await;
    let signed = told(&world, signer.id).await.remove(0).message;
    assert_eq!(signed.content_type, "application/json");
    assert_eq!(signed.url, "https://example.com/done");
    assert!(signed.body.contains(&id.to_string()));
    end(&world, world.additional, url, &success(9)).await;
    let due = claim_due(&world.metadata, at(2)).await;
    let plain = due.iter().find(|one| one.message.webhook.is_none());
    assert!(plain.unwrap().message.body.starts_with("Job with jobID: "));
    let deleted = world.metadata.delete_webhook(signer.id, at(3)).await;
    assert_eq!(deleted.unwrap().deleted_at, Some(at(3)));
    end(&world, world.sub, url, &success(9)).await;
    assert_eq!(told(&world, signer.id).await.len(), 1, "a sentence again");
}

pub(crate) async fn a_secret_signs_beside_the_new_one_until_its_overlap_is_over(
    metadata: Metadata,
) {
    let world = World::create(metadata).await;
    let (metadata, url) = (&world.metadata, Some("https://example.com"));
    let id = hook(&world, world.root, url).await.id;
    let signing = async |second| metadata.signing_secrets(id, at(second)).await.unwrap();
    assert_eq!(signing(0).await, [secret(1)]);
    let rotated = metadata.rotate_webhook(id, &secret(2), 60, at(1)).await;
    assert_eq!(rotated.unwrap().old_secret_until, Some(at(61)));
    assert_eq!(signing(60).await, [secret(2), secret(1)]);
    assert_eq!(signing(61).await, [secret(2)]);
    metadata
        .rotate_webhook(id, &secret(3), 0, at(2))
        .await
        .unwrap();
    assert_eq!(signing(2).await, [secret(3)], "without an overlap at once");
    metadata.delete_webhook(id, at(3)).await.unwrap();
    let refused = metadata.rotate_webhook(id, &secret(4), 0, at(4)).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
}

pub(crate) async fn an_organization_has_twenty_webhooks_and_one_for_callbacks(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let callbacks = hook(&world, world.sub, None).await;
    let second = metadata
        .insert_webhook(webhook(world.sub, None), at(0))
        .await;
    assert!(matches!(second, Err(Error::Taken { .. })), "{second:?}");
    let url = Some("https://example.com");
    for _ in 1..20 {
        hook(&world, world.sub, url).await;
    }
    let over = metadata
        .insert_webhook(webhook(world.sub, url), at(0))
        .await;
    assert!(matches!(
        over,
        Err(Error::TooManyWebhooks { limit: 20, .. })
    ));
    hook(&world, world.root, url).await;
    metadata.delete_webhook(callbacks.id, at(1)).await.unwrap();
    hook(&world, world.sub, None).await;
    let page = PageRequest::default();
    let listed = async |requester| {
        metadata
            .list_webhooks(requester, at(1), &page)
            .await
            .unwrap()
    };
    assert_eq!(listed(world.root).await.items.len(), 22);
    assert_eq!(listed(world.sub).await.items.len(), 21);
    assert!(listed(world.sandbox).await.items.is_empty());
    let mut change = changed(&callbacks, false);
    change.url = Some("https://example.com".to_owned());
    let given = hook(&world, world.root, None).await.id;
    let refused = metadata.put_webhook(given, &change, at(1)).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Invalid);
}

pub(crate) async fn a_disabled_webhook_hears_nothing_and_its_messages_fail(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let hook = hook(&world, world.sub, Some("https://old.example")).await;
    end(&world, world.sub, None, &success(9)).await;
    let mut change = changed(&hook, false);
    change.url = Some("https://new.example:8443/x".to_owned());
    let put = metadata.put_webhook(hook.id, &change, at(3)).await.unwrap();
    assert_eq!(told(&world, hook.id).await[0].host, "new.example:8443");
    let off = metadata
        .put_webhook(hook.id, &changed(&put, true), at(4))
        .await;
    let off = off.unwrap().disabled.unwrap();
    assert_eq!((off.at, off.reason.as_str()), (at(4), "by request"));
    let failed = &told(&world, hook.id).await[0];
    assert_eq!(failed.state, DeliveryState::Failed);
    assert_eq!(
        failed.last_error.as_deref(),
        Some("the webhook is disabled")
    );
    end(&world, world.sub, None, &success(9)).await;
    assert_eq!(told(&world, hook.id).await.len(), 1);
    let replay = async || metadata.replay_delivery(hook.id, failed.id, at(5)).await;
    assert!(matches!(replay().await, Err(Error::WebhookOff { .. })));
    let on = metadata
        .put_webhook(hook.id, &changed(&put, false), at(6))
        .await;
    assert!(on.unwrap().is_live());
    assert_eq!(replay().await.unwrap().state, DeliveryState::Pending);
    metadata.delete_webhook(hook.id, at(7)).await.unwrap();
    assert_eq!(told(&world, hook.id).await.len(), 1, "the log stays");
    assert!(matches!(replay().await, Err(Error::WebhookOff { .. })));
    let kind = EventType::WEBHOOK_TEST;
    let test = metadata.tell_webhook(hook.id, kind, json!({}), at(8)).await;
    assert!(matches!(test, Err(Error::WebhookOff { .. })));
}

pub(crate) async fn a_receiver_that_is_gone_disables_its_webhook(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let hook = hook(&world, world.sub, Some("https://example.com")).await;
    for _ in 0..2 {
        end(&world, world.sub, None, &success(9)).await;
    }
    let due = claim_due(metadata, at(3)).await;
    let error = "the receiver answered 410 Gone".to_owned();
    let gone = tried(TryEnd::Gone { error }, HostNews::Alive);
    assert!(
        metadata
            .settle_delivery(&due[0], &gone, at(4))
            .await
            .unwrap()
    );
    let found = metadata.find_webhook(hook.id).await.unwrap().unwrap();
    assert_eq!(
        found.disabled.unwrap().reason,
        "the receiver answered 410 Gone"
    );
    let states: Vec<_> = told(&world, hook.id)
        .await
        .iter()
        .map(|one| one.state)
        .collect();
    assert_eq!(states, [DeliveryState::Failed, DeliveryState::Failed]);
}

pub(crate) async fn an_end_is_replayed_under_the_same_id(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let hook = hook(&world, world.sub, Some("https://example.com")).await;
    let other = self::hook(&world, world.root, Some("https://example.com")).await;
    let kind = EventType::WEBHOOK_TEST;
    let test = metadata
        .tell_webhook(hook.id, kind, json!({"a": 1}), at(1))
        .await
        .unwrap();
    let pending = metadata.replay_delivery(hook.id, test.id, at(1)).await;
    assert!(matches!(pending, Err(Error::DeliveryPending { .. })));
    let due = claim_due(metadata, at(2)).await;
    let done = tried(TryEnd::Delivered, HostNews::Alive);
    metadata
        .settle_delivery(&due[0], &done, at(2))
        .await
        .unwrap();
    let foreign = metadata.replay_delivery(other.id, test.id, at(3)).await;
    assert_eq!(foreign.unwrap_err().kind(), Kind::NotFound);
    metadata
        .replay_delivery(hook.id, test.id, at(3))
        .await
        .unwrap();
    let again = claim_due(metadata, at(3)).await;
    assert_eq!(
        (again[0].id, again[0].attempts, again[0].tries()),
        (test.id, 2, 1)
    );
    assert_eq!(again[0].message.body, test.message.body);
    assert!(
        !metadata
            .settle_delivery(&due[0], &done, at(3))
            .await
            .unwrap(),
        "late"
    );
    for state in DeliveryState::ALL {
        let page = PageRequest::default();
        let listed = metadata
            .list_deliveries(hook.id, Some(*state), &page)
            .await
            .unwrap();
        let expected = usize::from(*state == DeliveryState::Pending);
        assert_eq!(listed.items.len(), expected, "{state:?}");
    }
}

pub(crate) async fn what_is_old_is_swept(metadata: Metadata) {
    let world = World::create(metadata).await;
    let metadata = &world.metadata;
    let hook = hook(&world, world.sub, Some("https://example.com")).await;
    let kind = EventType::WEBHOOK_TEST;
    let test = metadata
        .tell_webhook(hook.id, kind, json!({}), at(1))
        .await
        .unwrap();
    let plain = message(world.root, "http://dead.example", "x");
    metadata.insert_delivery(plain, at(1)).await.unwrap();
    let due = claim_due(metadata, at(1)).await;
    let dead = due.iter().find(|one| one.id != test.id).unwrap();
    let at_50 = TryEnd::Again {
        at: at(50),
        error: "no".to_owned(),
    };
    metadata
        .settle_delivery(dead, &tried(at_50, HostNews::Failed), at(2))
        .await
        .unwrap();
    metadata.delete_webhook(hook.id, at(3)).await.unwrap();
    let sweep = async |given_up, forgotten| {
        let swept = metadata.sweep_deliveries(at(given_up), at(forgotten), 10);
        swept.await.unwrap()
    };
    assert_eq!(
        sweep(50, 1).await,
        1,
        "only the host; the message has a try to come"
    );
    assert_eq!(sweep(51, 1).await, 1, "the message is given up");
    assert_eq!(sweep(51, 2).await, 2, "both ends go");
    assert!(told(&world, hook.id).await.is_empty());
    assert_eq!(sweep(51, 4).await, 1, "and the webhook after them");
    assert!(metadata.find_webhook(hook.id).await.unwrap().is_none());
    assert_eq!(sweep(99, 99).await, 0);
}
