//! The commands that change control data, on a free directory and beside a running server.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;

use crate::harness::TestServer;

const SETUP: &str = "
organizations:
  - name: United
    organizations: [{name: Trial, kind: sandbox}]
users: [{name: ann, roles: [{role: owner}], passwordEnv: ANN}]
";

async fn tallyport(data_dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyport"));
    command.args(words).arg("--data-dir").arg(data_dir);
    command.env("ANN", "long enough");
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn apply_declares_in_a_free_directory_and_the_second_time_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    std::fs::write(&file, SETUP).unwrap();
    let file = file.to_str().unwrap();
    let mut shown = String::new();
    for words in [
        &["apply", "-f", file, "--dry-run"][..],
        &["apply", "-f", file],
        &["apply", "-f", file],
        &["apply", "-f", file, "--json"],
    ] {
        let output = tallyport(&data_dir, words).await;
        assert!(output.status.success(), "{}", said(&output));
        shown += &said(&output);
    }
    assert_snapshot!(shown, @r#"
    + account with root "United"
    + organization "Trial" (sandbox)
    + user "ann"
    ~ user "ann": owner of "United"
    4 changes, none made: this was a dry run
    + account with root "United"
    + organization "Trial" (sandbox)
    + user "ann"
    ~ user "ann": owner of "United"
    4 changes made
    nothing to change: everything is as declared
    {"dryRun":false,"changes":[],"secrets":[],"warnings":[]}
    "#);
}

#[tokio::test]
async fn commands_talk_to_the_server_that_has_the_directory_open() {
    let server = TestServer::start().await;
    let file = server.data_dir().with_file_name("setup.yaml");
    std::fs::write(&file, SETUP).unwrap();
    let words = ["apply", "-f", file.to_str().unwrap()];
    let output = tallyport(&server.data_dir(), &words).await;
    assert!(
        said(&output).ends_with("5 changes made\n"),
        "{}",
        said(&output)
    );
    let session = server.session("ann", "long enough").await;
    let words = ["user", "reset-password", "ann", "--json"];
    let output = tallyport(&server.data_dir(), &words).await;
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = "/api/v1/organizations";
    let after = server
        .in_session(&session, reqwest::Method::GET, path, "")
        .await;
    assert_eq!(after.status, 401, "the reset ended the session");
    server
        .session("ann", made["password"].as_str().unwrap())
        .await;
    let nobody = tallyport(&server.data_dir(), &["user", "reset-password", "nobody"]).await;
    assert_eq!(said(&nobody), "tallyport: no such user\n");
}

#[tokio::test]
async fn verify_reads_a_running_store_and_a_closed_one_and_names_damage() {
    let server = TestServer::start().await;
    let data_dir = server.data_dir();
    let beside = tallyport(&data_dir, &["verify", "--json"]).await;
    assert!(beside.status.success(), "{}", said(&beside));
    let repairing = tallyport(&data_dir, &["verify", "--repair"]).await;
    assert!(
        said(&repairing).contains("stop it before --repair"),
        "{}",
        said(&repairing)
    );
    let _folder = server.stop().await;

    let alone = tallyport(&data_dir, &["verify"]).await;
    assert!(alone.status.success(), "{}", said(&alone));
    let manifest = data_dir.join("usage/manifest");
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    let damaged = tallyport(&data_dir, &["verify"]).await;
    assert!(!damaged.status.success(), "{}", said(&damaged));
    assert!(
        said(&damaged).contains("manifest at byte"),
        "{}",
        said(&damaged)
    );
}

#[tokio::test]
async fn verify_names_a_flipped_bit_in_a_price() {
    let server = TestServer::start().await;
    let owner = server
        .key(server.root().await, metadata::Role::Operator)
        .await;
    let meter = r#"{"slug":"hours","eventType":"flight","aggregation":"COUNT"}"#;
    let rate = r#"{"meter":"hours","kind":"ipu","price":0.123456789}"#;
    for (path, body) in [("/api/v1/meters", meter), ("/api/v1/rates", rate)] {
        let made = server.post(&owner, path, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let data_dir = server.data_dir();
    let _folder = server.stop().await;
    let sound = tallyport(&data_dir, &["verify"]).await;
    assert!(sound.status.success(), "{}", said(&sound));
    let checked = "check of the database file: ok";
    assert!(said(&sound).contains(checked), "{}", said(&sound));

    let database = data_dir.join("metadata.sqlite");
    let mut bytes = std::fs::read(&database).unwrap();
    let price = b"0.123456789";
    let places = bytes.windows(price.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, text)| text == price).collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 2] ^= 1;
    }
    std::fs::write(&database, bytes).unwrap();
    let damaged = tallyport(&data_dir, &["verify"]).await;
    assert!(!damaged.status.success(), "{}", said(&damaged));
    let named = "control data, rate_versions: the row of rate_id";
    assert!(said(&damaged).contains(named), "{}", said(&damaged));
}

#[tokio::test]
async fn verify_names_usage_that_ends_before_what_the_database_knows() {
    let server = TestServer::start().await;
    let store = server.app().readings.store_id().unwrap();
    let recorded = server.app().metadata.record_usage(&store, 9).await;
    recorded.unwrap();
    let data_dir = server.data_dir();
    let _folder = server.stop().await;
    let damaged = tallyport(&data_dir, &["verify"]).await;
    assert!(!damaged.status.success(), "{}", said(&damaged));
    let named = "usage: usage ends with sequence 0: expected 9";
    assert!(said(&damaged).contains(named), "{}", said(&damaged));
}

#[tokio::test]
async fn a_server_json_left_by_a_crash_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    std::fs::write(&file, SETUP).unwrap();
    std::fs::create_dir(&data_dir).unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let left = format!(r#"{{"url":"http://{nobody}","token":"tp_local_old","pid":1}}"#);
    std::fs::write(data_dir.join("server.json"), left).unwrap();
    let output = tallyport(&data_dir, &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn the_first_start_after_an_apply_adds_no_second_account() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    std::fs::write(&file, "organizations: [{name: United}]").unwrap();
    let output = tallyport(&data_dir, &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
    let options = metadata::Options::file(data_dir.join("metadata.sqlite"));
    let metadata = metadata::Metadata::open(options).await.unwrap();
    let admin = server::config::Config::load(None, []).unwrap().admin;
    let now = domain::Timestamp::now();
    let first = server::bootstrap::first_start(&metadata, &admin, now)
        .await
        .unwrap()
        .unwrap();
    assert!(first.is_generated);
    let accounts = metadata
        .list_accounts(&metadata::PageRequest::default())
        .await
        .unwrap();
    let user = metadata
        .find_user_by_name(&first.user)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(accounts.items.len(), 1);
    assert_eq!(user.organization, accounts.items[0].root);
}

/// Every file below a folder.
fn files_of(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            found.push(path.clone());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_dry_run_and_a_refused_file_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    let words = ["apply", "-f", file.to_str().unwrap()];
    for (setup, dry_run, ends) in [
        (SETUP, true, "none made: this was a dry run\n"),
        (
            "organizations: [{name: A}, {name: B}]",
            false,
            "give `parent`\n",
        ),
        (
            "rates: [{meter: m, kind: ipu, price: 1}]",
            false,
            "with this slug\n",
        ),
        ("organizations: [{name: A, knid: x}]", false, "column 27\n"),
    ] {
        std::fs::write(&file, setup).unwrap();
        let words = [&words[..], if dry_run { &["--dry-run"] } else { &[] }].concat();
        let output = tallyport(&data_dir, &words).await;
        assert_eq!(output.status.success(), dry_run, "{}", said(&output));
        assert!(said(&output).ends_with(ends), "{}", said(&output));
        assert!(!data_dir.exists(), "{setup}");
    }
    // Where there is something, a dry run changes not a byte of it.
    std::fs::write(&file, SETUP).unwrap();
    assert!(tallyport(&data_dir, &words).await.status.success());
    let state = || {
        let files = files_of(&data_dir).into_iter();
        files
            .map(|file| (std::fs::read(&file).ok(), file))
            .collect::<Vec<_>>()
    };
    let before = state();
    std::fs::write(&file, SETUP.replace("Trial", "Try")).unwrap();
    let dry = tallyport(&data_dir, &[&words[..], &["--dry-run"]].concat()).await;
    assert!(said(&dry).contains("1 change, not made"), "{}", said(&dry));
    assert!(state() == before, "a dry run wrote something");
}

#[tokio::test]
async fn commands_that_only_read_create_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let usage = folder.path().join("usage.ndjson");
    std::fs::write(&usage, "").unwrap();
    let usage = usage.to_str().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for words in [
        &["verify"][..],
        &["verify", "--repair"],
        &["user", "reset-password", "ann"],
        &["import", usage],
        &["serve", "--accept-usage-loss"],
    ] {
        let output = tallyport(&empty, words).await;
        assert!(!output.status.success(), "{words:?}: {}", said(&output));
        let expected = "holds no store: name its folder by --data-dir";
        assert!(
            said(&output).contains(expected),
            "{words:?}: {}",
            said(&output)
        );
        assert_eq!(
            files_of(&empty),
            Vec::<std::path::PathBuf>::new(),
            "{words:?}"
        );
    }
}

#[tokio::test]
async fn a_start_after_a_file_with_users_makes_the_administrator_whose_password_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    std::fs::write(&file, SETUP).unwrap();
    let output = tallyport(&data_dir, &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
    let server = TestServer::start_with(|config| config.server.data_dir = data_dir).await;
    let admin = server.running().first_admin().unwrap().clone();
    assert!(admin.is_generated);
    let session = server.session(&admin.user, &admin.password).await;
    let path = "/api/v1/organizations";
    let seen = server
        .in_session(&session, reqwest::Method::GET, path, "")
        .await;
    assert!(seen.body.contains("Trial"), "{}", seen.body);
    let page = metadata::PageRequest::default();
    let accounts = server.app().metadata.list_accounts(&page).await.unwrap();
    assert_eq!(accounts.items.len(), 1);
}

#[tokio::test]
async fn apply_declares_to_a_server_by_url_and_key() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, metadata::Role::Owner).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("setup.yaml");
    let setup = "organizations: [{name: Default, organizations: [{name: Trial, kind: sandbox}]}]";
    std::fs::write(&file, setup).unwrap();
    let (file, url) = (file.to_str().unwrap(), server.url("/"));
    let data_dir = elsewhere.path().join("none");
    let words = ["apply", "-f", file, "--url", &url, "--key", &key];
    let dry = tallyport(&data_dir, &[&words[..], &["--dry-run"]].concat()).await;
    assert_eq!(
        said(&dry),
        "~ organization \"Default\": adopted, which the first start made\n\
         + organization \"Trial\" (sandbox)\n2 changes, none made: this was a dry run\n"
    );
    let done = tallyport(&data_dir, &words).await;
    assert!(said(&done).ends_with("2 changes made\n"), "{}", said(&done));
    assert!(!data_dir.exists());
    let refused = tallyport(
        &data_dir,
        &["apply", "-f", file, "--url", &url, "--key", "tp_no"],
    )
    .await;
    assert!(!refused.status.success(), "{}", said(&refused));
    let without = tallyport(&data_dir, &["apply", "-f", file, "--url", &url]).await;
    assert!(said(&without).contains("--key"), "{}", said(&without));
    let nobody = tallyport(
        &data_dir,
        &[
            "apply",
            "-f",
            file,
            "--url",
            "http://127.0.0.1:1",
            "--key",
            &key,
        ],
    )
    .await;
    assert!(
        said(&nobody).contains("is --url right?"),
        "{}",
        said(&nobody)
    );
}

#[tokio::test]
async fn import_finds_its_namespace_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("setup.yaml"), folder.path().join("data"));
    std::fs::write(&file, SETUP).unwrap();
    let output = tallyport(&data_dir, &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
    let usage = folder.path().join("usage.ndjson");
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u"}"#;
    std::fs::write(&usage, event).unwrap();
    let usage = usage.to_str().unwrap();
    let taken = tallyport(&data_dir, &["import", usage, "--namespace", "Trial"]).await;
    assert!(taken.status.success(), "{}", said(&taken));
    let nobody = tallyport(&data_dir, &["import", usage, "--namespace", "Nobody"]).await;
    let expected = "no organization has the id, name or alias \"Nobody\"";
    assert!(said(&nobody).contains(expected), "{}", said(&nobody));
    let both = [
        "import",
        usage,
        "--namespace",
        "Trial",
        "--url",
        "http://x",
        "--key",
        "k",
    ];
    let both = tallyport(&data_dir, &both).await;
    assert!(
        said(&both).contains("cannot be used with"),
        "{}",
        said(&both)
    );
}
