//! Webhooks: signed, fair, and with a circuit for hosts that fail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::ids::OrganizationId;
use domain::webhook::{EventType, Secret};
use export::{Outbox, Workers};
use hmac::{Hmac, KeyInit, Mac};
use metadata::{
    Delivery, DeliveryState, ExportStatus, NewDelivery, NewWebhook, PageRequest, Webhook,
};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::receiver::{LOOPBACK, Post, Receiver, read};
use crate::world::{ROOT, SUB, World, organization};

fn secret(byte: u8) -> Secret {
    Secret::of_key(&[byte; 24]).unwrap()
}

pub(crate) fn outbox(world: &World) -> Outbox {
    Outbox::new(world.metadata.clone(), world.clock(), vec![LOOPBACK]).unwrap()
}

async fn hook(world: &World, id: &str, url: &str) -> Webhook {
    let new = NewWebhook {
        organization: organization(id),
        url: Some(url.to_owned()),
        description: String::new(),
        event_types: Vec::new(),
        secret: secret(1),
        disabled: false,
    };
    world
        .metadata
        .insert_webhook(new, world.now())
        .await
        .unwrap()
}

async fn test(world: &World, webhook: &Webhook) -> Delivery {
    let (id, kind) = (webhook.id, EventType::WEBHOOK_TEST);
    let told = world
        .metadata
        .tell_webhook(id, kind, json!({}), world.now());
    told.await.unwrap()
}

async fn log(world: &World, webhook: &Webhook) -> Vec<Delivery> {
    let page = PageRequest::default();
    let listed = world
        .metadata
        .list_deliveries(webhook.id, None, &page)
        .await;
    listed.unwrap().items
}

pub(crate) async fn post_to(world: &World, organization: OrganizationId, url: &str) {
    let new = NewDelivery {
        event: "test".to_owned(),
        organization,
        url: url.to_owned(),
        content_type: "text/plain".to_owned(),
        body: "x".to_owned(),
        export: None,
        webhook: None,
    };
    world
        .metadata
        .insert_delivery(new, world.now())
        .await
        .unwrap();
}

/// A URL where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// The signature of a post with a secret, by the rules of Standard Webhooks.
fn signature(post: &Post, secret: &Secret) -> String {
    let (id, timestamp) = (post.header("webhook-id"), post.header("webhook-timestamp"));
    let mut hmac = Hmac::<Sha256>::new_from_slice(&secret.key()).unwrap();
    hmac.update(format!("{id}.{timestamp}.{}", post.body).as_bytes());
    format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
}

#[tokio::test]
async fn an_end_is_signed_anew_at_each_try_under_one_id() {
    let world = World::new().await;
    let receiver = Receiver::start("500 No").await;
    let hook = hook(&world, ROOT, &receiver.url).await;
    let export = world.ask(|new| new.organization = organization(SUB)).await;
    world.worker(1).run_until_idle().await.unwrap();
    assert_eq!(world.export(export).await.status, ExportStatus::Success);
    let outbox = outbox(&world);
    assert_eq!(outbox.tick().await.unwrap(), 1);
    let first = receiver.taken().remove(0);
    assert_eq!(
        first.header("webhook-signature"),
        signature(&first, &secret(1))
    );
    assert_eq!(
        first.header("webhook-timestamp"),
        world.now().as_second().to_string()
    );
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(body["type"], "export.settled");
    assert_eq!(body["data"]["id"], export.to_string());
    assert_eq!(
        outbox.tick().await.unwrap(),
        0,
        "not before its pause is over"
    );

    world.pass(100);
    let (metadata, next) = (&world.metadata, secret(2));
    let rotated = metadata.rotate_webhook(hook.id, &next, 60, world.now());
    rotated.await.unwrap();
    receiver.answers("204 Thanks");
    assert_eq!(outbox.tick().await.unwrap(), 1);
    let second = receiver.taken().remove(0);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(second.body, first.body);
    let both = [secret(2), secret(1)]
        .map(|secret| signature(&second, &secret))
        .join(" ");
    assert_eq!(second.header("webhook-signature"), both);
    let done = log(&world, &hook).await.remove(0);
    assert_eq!(
        (done.state, done.last_status),
        (DeliveryState::Delivered, Some(204))
    );
    assert_eq!((done.attempts, done.last_error), (2, None));

    world.pass(100);
    let replayed = world
        .metadata
        .replay_delivery(hook.id, done.id, world.now());
    replayed.await.unwrap();
    assert_eq!(outbox.tick().await.unwrap(), 1);
    let third = receiver.taken().remove(0);
    assert_eq!(third.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(
        third.header("webhook-signature"),
        signature(&third, &secret(2))
    );
}

#[tokio::test]
async fn a_dead_receiver_with_many_messages_delays_nobody() {
    let world = World::new().await;
    let (root, sub) = (organization(ROOT), organization(SUB));
    let dead = nobody().await;
    for _ in 0..100 {
        post_to(&world, root, &dead).await;
    }
    let receiver = Receiver::start("200 OK").await;
    post_to(&world, root, &receiver.url).await;
    post_to(&world, sub, &receiver.url).await;
    let outbox = outbox(&world);
    assert_eq!(
        outbox.tick().await.unwrap(),
        6,
        "four to the dead host, and both others"
    );
    assert_eq!(receiver.taken().len(), 2);
    assert_eq!(outbox.tick().await.unwrap(), 4);
    assert_eq!(
        outbox.tick().await.unwrap(),
        0,
        "closed: no tries are burnt"
    );
    post_to(&world, root, &receiver.url).await;
    assert_eq!(outbox.tick().await.unwrap(), 1);
    world.pass(30);
    assert_eq!(
        outbox.tick().await.unwrap(),
        1,
        "one asks whether it is back"
    );
    assert_eq!(outbox.tick().await.unwrap(), 0);
    world.pass(59);
    assert_eq!(outbox.tick().await.unwrap(), 0, "closed for longer");
    world.pass(1);
    assert_eq!(outbox.tick().await.unwrap(), 1);
}

#[tokio::test]
async fn a_host_that_is_back_takes_what_has_waited() {
    let world = World::new().await;
    let receiver = Receiver::start("503 Wait").await;
    let hook = hook(&world, ROOT, &receiver.url).await;
    for _ in 0..10 {
        test(&world, &hook).await;
    }
    let outbox = outbox(&world);
    for tried in [4, 4, 0] {
        assert_eq!(outbox.tick().await.unwrap(), tried);
    }
    receiver.answers("200 OK");
    world.pass(30);
    let mut tries = Vec::new();
    for _ in 0..4 {
        tries.push(outbox.tick().await.unwrap());
    }
    assert_eq!(tries, [1, 4, 4, 1]);
    let log = log(&world, &hook).await;
    assert!(log.iter().all(|one| one.state == DeliveryState::Delivered));
    let waited = log.iter().filter(|one| one.attempts == 1).count();
    assert_eq!(waited, 2, "those that waited burnt no try");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_no_more() {
    let world = World::new().await;
    let receiver = Receiver::start("410 Gone").await;
    let hook = hook(&world, ROOT, &receiver.url).await;
    test(&world, &hook).await;
    let outbox = outbox(&world);
    assert_eq!(outbox.tick().await.unwrap(), 1);
    let found = world.metadata.find_webhook(hook.id).await.unwrap().unwrap();
    assert_eq!(
        found.disabled.unwrap().reason,
        "the receiver answered 410 Gone"
    );
    world.ask(|_| ()).await;
    world.worker(1).run_until_idle().await.unwrap();
    world.pass(1_000);
    assert_eq!(outbox.tick().await.unwrap(), 0);
    assert_eq!(log(&world, &hook).await[0].state, DeliveryState::Failed);
}

#[tokio::test]
async fn a_receiver_may_ask_for_more_time() {
    let world = World::new().await;
    let receiver = Receiver::start("429 Slow\r\nretry-after: 3600").await;
    let hook = hook(&world, ROOT, &receiver.url).await;
    test(&world, &hook).await;
    let outbox = outbox(&world);
    assert_eq!(outbox.tick().await.unwrap(), 1);
    world.pass(3_599);
    assert_eq!(outbox.tick().await.unwrap(), 0);
    world.pass(1);
    assert_eq!(outbox.tick().await.unwrap(), 1);
}

#[tokio::test]
async fn a_hanging_receiver_holds_up_no_other_message_and_no_job() {
    let world = World::new().await;
    let hanging = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", hanging.local_addr().unwrap());
    let receiver = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let other = format!("http://{}/", receiver.local_addr().unwrap());
    hook(&world, ROOT, &url).await;
    let mut workers = Workers::start(&world.worker(1));
    workers.deliver(outbox(&world));
    world.ask(|_| ()).await;
    workers.wake();
    let (mut held, _) = hanging.accept().await.unwrap();
    read(&mut held).await;
    // The first is on its way and is not answered; the second comes after it.
    world.ask(|new| new.callback_url = Some(other)).await;
    workers.wake();
    let (mut stream, _) = receiver.accept().await.unwrap();
    assert!(read(&mut stream).await.body.starts_with("Job with jobID: "));
    drop((held, stream, hanging, receiver));
    workers.stop().await;
}
