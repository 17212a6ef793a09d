//! Names: unique among siblings, legible, and no way to take another organization's place.

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use serde_json::{Value, json};
use server::run::open_metadata;
use server::setup::apply::Mode;
use server::setup::stored::Stored;
use server::setup::{Authority, Setup};

use crate::harness::{Answer, TestServer, fold, redact};

const PATH: &str = "/api/v1/organizations";
const MORE: OrganizationKind = OrganizationKind::AdditionalProduction;

async fn rename(server: &TestServer, key: &str, id: OrganizationId, body: Value) -> Answer {
    server
        .patch(key, &format!("{PATH}/{id}"), &body.to_string())
        .await
}

async fn apply(server: &TestServer, setup: &str) -> (u16, String) {
    let body = json!({"setup": setup}).to_string();
    let answer = server.post(server.token(), "/api/v1/setup", &body).await;
    let json = answer.json();
    let text = match json["changes"].as_array() {
        Some(changes) => {
            let lines: Vec<_> = changes.iter().map(|line| line.as_str().unwrap()).collect();
            lines.join("\n")
        }
        None => json["detail"].as_str().unwrap().to_owned(),
    };
    (answer.status, redact(&text))
}

/// The organization of a name, when one has it, whatever account it is in.
async fn called(server: &TestServer, root: &str, name: &str) -> Vec<OrganizationId> {
    let app = server.app();
    let root = app.metadata.find_root_named(root).await.unwrap().unwrap();
    let control = app.metadata.snapshot_for(root).await.unwrap();
    let all = control.organizations().iter();
    all.filter(|one| one.newest().name == name)
        .map(|one| one.id)
        .collect()
}

#[tokio::test]
async fn a_name_is_unique_among_siblings_and_a_conflict_says_not_whose() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let left = server.organization("Left", MORE, root).await;
    let right = server.organization("Right", MORE, root).await;
    let owner = server.key(root, Role::Owner).await;
    let of_right = server.key(right, Role::Owner).await;
    let by_name = rename(&server, &of_right, right, json!({"name": "Left"})).await;
    let by_alias = rename(&server, &of_right, right, json!({"aliases": ["left"]})).await;
    for refused in [&by_name, &by_alias] {
        assert_eq!(refused.status, 409);
        let detail = refused.json()["detail"].clone();
        assert_eq!(detail, "organization name or alias is already in use");
    }
    let body = json!({"name": "Left", "kind": "sandbox"}).to_string();
    assert_eq!(server.post(&owner, PATH, &body).await.status, 409);
    // Elsewhere in the tree, in another letter case, and once its bearer is gone, a name is free.
    let body = json!({"name": "Left", "kind": "sub_organization"}).to_string();
    let below = server.post(&of_right, PATH, &body).await.json();
    assert_eq!(below["name"], "Left", "{below}");
    assert_eq!(
        rename(&server, &of_right, right, json!({"name": "LEFT"}))
            .await
            .status,
        200
    );
    let below: OrganizationId = below["id"].as_str().unwrap().parse().unwrap();
    let moved = json!({"parentId": left, "since": "2026-01-01T00:00:00Z"});
    assert_eq!(rename(&server, &owner, below, moved).await.status, 200);
    let up = json!({"parentId": root});
    assert_eq!(rename(&server, &owner, below, up.clone()).await.status, 409);
    assert_eq!(
        server
            .delete(&owner, &format!("{PATH}/{left}"))
            .await
            .status,
        204
    );
    assert_eq!(rename(&server, &owner, below, up).await.status, 200);
}

const TREE: &str = "
organizations:
  - name: United
    organizations:
      - {name: Express, kind: additional_production}
      - {name: Trial, kind: additional_production}
";

#[tokio::test]
async fn a_child_that_renames_itself_captures_nothing_a_file_declares() {
    let server = TestServer::start().await;
    assert_eq!(apply(&server, TREE).await.0, 200);
    let [express] = called(&server, "United", "Express").await[..] else {
        panic!("one Express")
    };
    let [trial] = called(&server, "United", "Trial").await[..] else {
        panic!("one Trial")
    };
    let of_express = server.key(express, Role::Owner).await;
    let of_trial = server.key(trial, Role::Owner).await;
    // Both take each other's name; a file means whom it made, and gives the names back.
    let names = [
        (&of_express, express, "Away"),
        (&of_trial, trial, "Express"),
        (&of_express, express, "Trial"),
    ];
    for (key, id, name) in names {
        assert_eq!(
            rename(&server, key, id, json!({"name": name})).await.status,
            200
        );
    }
    let (status, changes) = apply(&server, TREE).await;
    assert_eq!(status, 200, "{changes}");
    assert_snapshot!(changes, @r#"
    ~ organization "Trial": name "Trial" -> "Express"
    ~ organization "Express": name "Express" -> "Trial"
    "#);
    assert_eq!(called(&server, "United", "Express").await, [express]);
    assert_eq!(apply(&server, TREE).await, (200, String::new()));

    // A name that the next file will declare: refused, and nothing is written.
    let next = format!(
        "{TREE}      - {{name: Next, kind: additional_production}}\nkeys: [{{name: k, role: owner, \
         organization: Next}}]\n"
    );
    assert_eq!(
        rename(&server, &of_trial, trial, json!({"name": "Next"}))
            .await
            .status,
        200
    );
    let (status, refused) = apply(&server, &next).await;
    assert_eq!(
        status, 200,
        "the file renames the child back first: {refused}"
    );
    let next_one = called(&server, "United", "Next").await;
    assert!(
        next_one.len() == 1 && next_one != [trial],
        "a new one has the new owner key"
    );
    // One that no file declares stays, so the file cannot have its name, nor its place.
    let body = json!({"name": "Third", "kind": "sub_organization"}).to_string();
    let third = server.post(&of_trial, PATH, &body).await.json();
    let declared = next.replace("Next", "Third");
    let (status, changes) = apply(&server, &declared).await;
    assert_eq!(status, 200, "{changes}");
    let all = called(&server, "United", "Third").await;
    assert_eq!(
        all.len(),
        2,
        "one below Trial, and the declared one right under the root"
    );
    assert!(all.iter().any(|id| third["id"] == id.to_string()));
}

#[tokio::test]
async fn what_no_file_made_is_adopted_by_its_id_only() {
    let server = TestServer::start().await;
    assert_eq!(apply(&server, TREE).await.0, 200);
    let app = server.app();
    let root = app
        .metadata
        .find_root_named("United")
        .await
        .unwrap()
        .unwrap();
    let made = server.organization("Made", MORE, root).await;
    let file = |id: &str| {
        format!("{TREE}      - {{name: Made, kind: additional_production, {id}aliases: [M]}}\n")
    };
    let (status, refused) = apply(&server, &file("")).await;
    assert_snapshot!(fold(&format!("{status} {refused}")), @r#"
    400 organization "Made": [id] under the same parent has this name, and no setup
      file made it under that name: write `id: [id]` to declare that one, or rename or
      archive it to have another one made
    "#);
    let (status, changes) = apply(&server, &file(&format!("id: {made}, "))).await;
    assert_snapshot!(
        format!("{status} {changes}"),
        @r#"200 ~ organization "Made": aliases [made] -> [M]"#
    );
    let second = "organizations: [{name: Second}]\n";
    server.account("Second").await;
    let (status, refused) = apply(&server, second).await;
    assert_snapshot!(fold(&format!("{status} {refused}")), @r#"
    400 organization "Second": [id] is a root of this name that no setup file made:
      write `id: [id]` to declare that one, or an id nobody has to declare another
    "#);
}

const DEFAULT: &str = "
organizations:
  - name: Default
    currency: EUR
";

#[tokio::test]
async fn the_root_of_the_first_start_is_adopted_while_nobody_uses_it() {
    let server = TestServer::start().await;
    let (status, changes) = apply(&server, DEFAULT).await;
    assert_snapshot!(format!("{status} {changes}"), @r#"
    200 ~ organization "Default": adopted, unused since the first start
    ~ organization "Default": currency USD -> EUR
    "#);
    assert_eq!(apply(&server, DEFAULT).await, (200, String::new()));
    server.key(server.root().await, Role::Owner).await;
    assert_eq!(
        apply(&server, DEFAULT).await,
        (200, String::new()),
        "it is declared now"
    );
}

#[tokio::test]
async fn a_first_root_with_usage_a_child_or_a_key_is_adopted_by_its_id_only() {
    for used in ["key", "child", "usage"] {
        let server = TestServer::start().await;
        let root = server.root().await;
        match used {
            "key" => drop(server.key(root, Role::Writer).await),
            "child" => drop(server.organization("Child", MORE, root).await),
            _ => {
                let event =
                    r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u"}"#;
                let sent = server.post(server.token(), "/api/v1/events", event).await;
                assert_eq!(sent.status, 204);
            }
        }
        let (status, refused) = apply(&server, DEFAULT).await;
        let expected = "organization \"Default\": the first start made it and it has usage, \
                        organizations or keys: write `account: [id]` at the top of the file, or \
                        `id: [id]` here, to declare that one";
        assert_eq!((status, refused.as_str()), (400, expected), "{used}");
        let named = DEFAULT.replace("name: Default", &format!("name: Default\n    id: {root}"));
        let (status, changes) = apply(&server, &named).await;
        assert_eq!(status, 200, "{used}: {changes}");
        let expected = "~ organization \"Default\": adopted, which the first start made\n\
                        ~ organization \"Default\": currency USD -> EUR";
        assert_eq!(changes, expected);
        // From then on files find it by its name.
        assert_eq!(apply(&server, DEFAULT).await, (200, String::new()));
    }
}

#[tokio::test]
async fn a_directory_nobody_has_open_is_asked_for_usage_too() {
    let refusal = async |with_usage: bool| {
        let server = TestServer::start().await;
        if with_usage {
            let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u"}"#;
            let sent = server.post(server.token(), "/api/v1/events", event).await;
            assert_eq!(sent.status, 204);
        }
        let (config, now) = (server.app().config.clone(), server.app().now());
        let _folder = server.stop().await;
        let metadata = open_metadata(&config).await.unwrap();
        let setup = Setup::parse(DEFAULT).unwrap();
        let stored = Stored::Closed(&config);
        let (who, mode) = (Authority::Server, Mode::DryRun);
        let applied = server::setup::apply::apply(&metadata, stored, &setup, who, mode, now);
        let refusal = applied.await.err().map(|error| error.message);
        metadata.close().await;
        refusal
    };
    assert_eq!(refusal(false).await, None);
    let refused = refusal(true).await.unwrap();
    assert!(
        refused.contains("has usage, organizations or keys: write `account: "),
        "{refused}"
    );
}

#[tokio::test]
async fn an_organization_changes_neither_its_gate_nor_its_billing() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let child = server.organization("Child", MORE, root).await;
    let owner = server.key(root, Role::Owner).await;
    let own = server.key(child, Role::Owner).await;
    let changes = [
        json!({"meteringEnabled": false}),
        json!({"currency": "EUR"}),
        json!({"billingPeriod": "annual"}),
        json!({"anchorDay": 15}),
        json!({"anchorMonth": 7}),
    ];
    for change in &changes {
        let (field, _) = change.as_object().unwrap().iter().next().unwrap();
        let refused = rename(&server, &own, child, change.clone()).await;
        assert_eq!(refused.status, 403, "{change}");
        let expected = format!("{field} is changed by a role of an organization above this one");
        assert_eq!(refused.json()["detail"], expected);
        assert_eq!(
            rename(&server, &owner, child, change.clone()).await.status,
            200
        );
        assert_eq!(
            rename(&server, &owner, root, change.clone()).await.status,
            200
        );
        // What it has it may send, and its name is its own.
        let mut same = change.clone();
        same["name"] = json!("Renamed");
        assert_eq!(rename(&server, &own, child, same).await.status, 200);
    }
    let below = json!({"name": "Below", "kind": "sub_organization", "currency": "USD"});
    let below = server.post(&own, PATH, &below.to_string()).await.json();
    let below: OrganizationId = below["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        rename(&server, &own, below, json!({"currency": "GBP"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_name_for_all_time_brings_no_currency_into_another_time() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let child = server.organization("Child", MORE, root).await;
    let owner = server.key(root, Role::Owner).await;
    let own = server.key(child, Role::Owner).await;
    let euro = json!({"currency": "EUR", "since": "2026-08-01T00:00:00Z"});
    assert_eq!(rename(&server, &owner, child, euro).await.status, 200);
    let name = json!({"name": "Always", "since": null});
    assert_eq!(rename(&server, &own, child, name).await.status, 200);
    let control = server.app().metadata.snapshot_for(root).await.unwrap();
    let child = control.organization(child).unwrap();
    let versions: Vec<_> = child
        .versions
        .iter()
        .map(|one| {
            (
                one.attributes.name.as_str(),
                one.attributes.currency.as_str(),
            )
        })
        .collect();
    assert_eq!(versions, [("Always", "USD"), ("Always", "EUR")]);
    assert_eq!(
        child.versions[1].valid.start,
        "2026-08-01T00:00:00Z".parse().ok()
    );
}

#[tokio::test]
async fn marks_that_nobody_sees_are_refused_in_every_kind_of_name() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let bad = "x\u{202E}y";
    let said = "a name holds U+202E: expected no invisible character and no mark that turns the \
                direction of text";
    let meter = json!({"slug": "m", "eventType": "m", "aggregation": "COUNT"});
    let with = |base: &Value, field: &str, value: Value| {
        let mut body = base.clone();
        body[field] = value;
        body
    };
    let sandbox = json!({"name": "S", "kind": "sandbox"});
    let user = json!({"name": "u", "password": "long enough"});
    let webhook = json!({"url": "https://example.com/", "eventTypes": ["export.settled"]});
    let rate = json!({"meter": "calls", "kind": "ipu", "tiers": [{"price": "1"}]});
    let calls = json!({"slug": "calls", "eventType": "calls", "aggregation": "COUNT"});
    let declared = server
        .post(&owner, "/api/v1/meters", &calls.to_string())
        .await;
    assert_eq!(declared.status, 201, "{}", declared.body);
    for (path, body) in [
        (PATH, with(&sandbox, "name", json!(bad))),
        (PATH, with(&sandbox, "aliases", json!([bad]))),
        ("/api/v1/users", with(&user, "name", json!(bad))),
        ("/api/v1/users", with(&user, "firstName", json!(bad))),
        ("/api/v1/keys", json!({"name": bad, "role": "writer"})),
        ("/api/v1/meters", with(&meter, "name", json!(bad))),
        ("/api/v1/meters", with(&meter, "description", json!(bad))),
        ("/api/v1/meters", with(&meter, "unit", json!(bad))),
        ("/api/v1/rates", with(&rate, "unit", json!(bad))),
        (
            "/api/v1/webhooks",
            with(&webhook, "description", json!(bad)),
        ),
        (
            "/api/v1/subjects",
            json!([{"key": "k", "displayName": bad}]),
        ),
    ] {
        let refused = server.post(&owner, path, &body.to_string()).await;
        let detail = refused.json()["detail"].as_str().unwrap_or("").to_owned();
        assert_eq!(refused.status, 400, "{path} {body}: {}", refused.body);
        assert!(detail.ends_with(said), "{path} {body}: {detail}");
    }
    let bad = r#""x\u202ey""#;
    for setup in [
        format!("organizations: [{{name: {bad}}}]"),
        format!("organizations: [{{name: A, aliases: [{bad}]}}]"),
        format!("organizations: [{{name: A}}]\nusers: [{{name: {bad}}}]"),
        format!("organizations: [{{name: A}}]\nusers: [{{name: u, lastName: {bad}}}]"),
        format!("organizations: [{{name: A}}]\nkeys: [{{name: {bad}, role: owner}}]"),
        format!(
            "organizations: [{{name: A}}]\nmeters: [{{slug: m, eventType: m, aggregation: COUNT, \
             name: {bad}}}]"
        ),
    ] {
        let (status, refused) = apply(&server, &setup).await;
        assert!(
            status == 400 && refused.ends_with(said),
            "{setup}: {status} {refused}"
        );
    }
}
