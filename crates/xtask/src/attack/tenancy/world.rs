//! Two accounts, a tree of organizations, and in each organization one thing of every kind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Things, text};
use crate::bench::client::Client;
use crate::bench::server::Access;
use crate::process::wait_for;

const EXPORT_LIMIT: Duration = Duration::from_mins(1);
const PASSWORD: &str = "attack-password-1";
const METERING: &str = "/saas/public/core/v3/license/metering/ExportMeteringData";
const ROLES: [&str; 4] = ["owner", "operator", "writer", "analyst"];

/// Header lines of one caller: an API key, and a session for the vendor's family.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) session: String,
}

/// One role of one organization.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) organization: &'static str,
    pub(super) credentials: Credentials,
}

/// An organization with things that others must not see.
#[derive(Debug)]
pub(super) struct Victim {
    pub(super) name: &'static str,
    pub(super) organization: String,
    pub(super) alias: String,
    pub(super) things: Things,
    pub(super) owner: Credentials,
}

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) callers: Vec<Caller>,
    pub(super) victims: Vec<Victim>,
}

/// Name, name of the parent, and what it must not see. A parent sees what is under it.
const TREE: [(&str, Option<&str>, &[&str]); 5] = [
    ("Alpha", None, &["Rival"]),
    ("East", Some("Alpha"), &["Alpha", "West", "Rival"]),
    ("Lab", Some("East"), &["Alpha", "East", "West", "Rival"]),
    ("West", Some("Alpha"), &["Alpha", "East", "Lab", "Rival"]),
    ("Rival", None, &["Alpha", "East", "Lab", "West"]),
];

/// Kinds of things that belong to an account as a whole.
const SHARED: [&str; 2] = ["meters", "rates"];

/// Name of the root above an organization, or its own.
fn account(name: &str) -> &str {
    let row = TREE.iter().find(|(one, ..)| *one == name);
    match row.and_then(|(_, parent, _)| *parent) {
        Some(parent) => account(parent),
        None => name,
    }
}

impl World {
    /// A meter that a caller may ask for usage.
    pub(super) fn meter_of(&self, caller: &Caller) -> Option<&String> {
        let root = account(caller.organization);
        let root = self.victims.iter().find(|victim| victim.name == root);
        root?.things["meters"].first()
    }

    /// Declares everything through the API, as the local administrator.
    pub(super) fn create(access: &Access) -> Result<Self> {
        let (mut callers, mut victims) = (Vec::new(), Vec::new());
        for (name, parent, _) in TREE {
            let parent = parent.map(|parent| organization(&victims, parent));
            let victim = Victim::create(access, name, parent.transpose()?.as_deref())?;
            for role in ROLES {
                let credentials = credentials(access, &victim.organization, name, role)?;
                callers.push(Caller {
                    name: format!("{role} of {name}"),
                    organization: name,
                    credentials,
                });
            }
            victims.push(victim);
        }
        Ok(Self { callers, victims })
    }

    /// Those whose things a caller must not see.
    pub(super) fn victims_of(&self, caller: &Caller) -> impl Iterator<Item = &Victim> {
        let row = TREE.iter().find(|(name, ..)| *name == caller.organization);
        let hidden = row.map_or(&[][..], |(_, _, hidden)| hidden);
        self.victims
            .iter()
            .filter(|victim| hidden.contains(&victim.name))
    }

    /// What everybody's lists show to their owners.
    pub(super) fn state(&self, access: &Access) -> Result<Vec<Value>> {
        const LISTS: [&str; 7] = [
            "organizations",
            "users",
            "webhooks",
            "export-schedules",
            "rates",
            "meters",
            "subjects",
        ];
        let mut state = Vec::new();
        for victim in &self.victims {
            let mut client = access.client_with(&victim.owner.key)?;
            for list in LISTS {
                let path = format!("/api/v1/{list}?limit=1000");
                state.push(client.get(&path)?.json(200)?);
            }
        }
        Ok(state)
    }
}

impl Victim {
    fn create(access: &Access, name: &'static str, parent: Option<&str>) -> Result<Self> {
        let alias = format!("{}-alias-q7", name.to_lowercase());
        let mut body = json!({"name": format!("{name} Q7"), "aliases": [alias]});
        match parent {
            Some(parent) => {
                // Beside the root, others may lie under this kind alone, and it under the root.
                let is_parent = TREE.iter().any(|(_, above, _)| *above == Some(name));
                let kind = ["sub_organization", "additional_production"][usize::from(is_parent)];
                body["kind"] = json!(kind);
                body["parentId"] = json!(parent);
            }
            None => body["kind"] = json!("production"),
        }
        let mut client = match parent {
            Some(parent) => access.client_with(&acting(access, parent))?,
            None => access.client()?,
        };
        let answer = post(&mut client, "/api/v1/organizations", &body)?;
        let organization = text(&answer, "id")?;
        let owner = credentials(access, &organization, name, "first")?;
        let mut victim = Self {
            name,
            organization,
            alias,
            things: Things::new(),
            owner,
        };
        victim.fill(access, parent.is_none())?;
        Ok(victim)
    }

    /// Texts that no answer to a caller may hold: ids and names.
    pub(super) fn marks(&self, caller: &Caller) -> impl Iterator<Item = &String> {
        let things = self.things.iter();
        let things = things.filter(|(kind, _)| self.hides(kind, caller));
        let names = things.flat_map(|(_, names)| names);
        names.chain([&self.organization, &self.alias])
    }

    /// Whether things of a kind are hidden: an account shares its meters and its default rates.
    pub(super) fn hides(&self, kind: &str, caller: &Caller) -> bool {
        !SHARED.contains(&kind) || account(self.name) != account(caller.organization)
    }

    fn fill(&mut self, access: &Access, is_root: bool) -> Result<()> {
        let name = self.name.to_lowercase();
        let mut client = access.client_with(&self.owner.key)?;
        let client = &mut client;
        let hook = json!({"url": format!("https://{name}.example/hook"), "disabled": true});
        let user = json!({"name": format!("{name}-user-q7"), "password": PASSWORD,
            "roles": [{"role": "analyst"}]});
        let key = json!({"name": format!("{name}-key-q7"), "role": "analyst"});
        let schedule = json!({"kind": "SUMMARY", "every": "daily"});
        self.add("webhooks", created(client, "/api/v1/webhooks", &hook)?);
        self.add("users", created(client, "/api/v1/users", &user)?);
        self.add("keys", created(client, "/api/v1/keys", &key)?);
        let schedules = "/api/v1/export-schedules";
        self.add("export-schedules", created(client, schedules, &schedule)?);
        let subject = format!("{name}-subject-q7");
        let subjects = json!([{"key": subject, "displayName": format!("{name} shown q7")}]);
        client
            .request("POST", "/api/v1/subjects", Some(&subjects))?
            .expect(200)?;
        self.add("subjects", subject);
        if is_root {
            let slug = format!("{name}_meter_q7");
            let meter = json!({"slug": slug, "eventType": "flight", "aggregation": "COUNT"});
            self.add("meters", created(client, "/api/v1/meters", &meter)?);
            self.add("meters", slug.clone());
            let rate = json!({"meter": slug, "kind": "money", "price": 2});
            self.add("rates", created(client, "/api/v1/rates", &rate)?);
        } else {
            self.things.insert("meters", Vec::new());
            self.things.insert("rates", Vec::new());
        }
        self.deliver(client)?;
        self.export(access)
    }

    /// A delivery of the webhook: a test message that cannot go out and stays listed.
    fn deliver(&mut self, client: &mut Client) -> Result<()> {
        let hook = self.things["webhooks"][0].clone();
        let path = format!("/api/v1/webhooks/{hook}");
        let on = json!({"disabled": false});
        client.request("PATCH", &path, Some(&on))?.expect(200)?;
        client
            .request("POST", &format!("{path}/test"), None)?
            .expect(202)?;
        let list = client.get(&format!("{path}/deliveries"))?.json(200)?;
        let id = text(&list["items"][0], "id")?;
        self.add("deliveries", id);
        let off = json!({"disabled": true});
        client.request("PATCH", &path, Some(&off))?.expect(200)?;
        Ok(())
    }

    /// Some usage, and an export of each family.
    fn export(&mut self, access: &Access) -> Result<()> {
        let mut client = access.client_with(&self.owner.key)?;
        let event = json!({"specversion": "1.0", "id": "1", "source": "attack", "type": "flight",
            "subject": self.things["subjects"][0], "time": "2026-01-01T10:00:00Z"});
        client
            .request("POST", "/api/v1/events", Some(&event))?
            .expect(204)?;
        let request = json!({"kind": "SUMMARY", "from": "2026-01-01", "to": "2026-01-02"});
        let answer = client.request("POST", "/api/v1/exports", Some(&request))?;
        let id = text(&answer.json(202)?, "id")?;
        wait_for("an export", EXPORT_LIMIT, || {
            let job = client.get(&format!("/api/v1/exports/{id}"))?.json(200)?;
            ensure!(job["status"] != "FAILED", "an export failed: {job}");
            Ok((job["status"] == "SUCCESS").then_some(()))
        })?;
        self.add("exports", id);
        let mut client = access.client_with(&self.owner.session)?;
        let request = json!({"jobType": "SUMMARY", "startDate": "2026-01-01T00:00:00Z",
            "endDate": "2026-01-01T23:59:59Z"});
        let job = post(&mut client, METERING, &request)?;
        self.add("jobs", text(&job, "jobId")?);
        Ok(())
    }

    fn add(&mut self, kind: &'static str, name: String) {
        self.things.entry(kind).or_default().push(name);
    }
}

/// A key of a role, and a session of a user with the same role.
fn credentials(access: &Access, organization: &str, name: &str, role: &str) -> Result<Credentials> {
    let mut client = access.client_with(&acting(access, organization))?;
    let given = if role == "first" { "owner" } else { role };
    let key = json!({"name": format!("caller {role}"), "role": given});
    let key = post(&mut client, "/api/v1/keys", &key)?;
    let user = format!("{}-{role}", name.to_lowercase());
    let body = json!({"name": user, "password": PASSWORD, "roles": [{"role": given}]});
    post(&mut client, "/api/v1/users", &body)?;
    let login = json!({"username": user, "password": PASSWORD});
    let mut anybody = access.client_with("accept: application/json")?;
    let session = post(&mut anybody, "/saas/public/core/v3/login", &login)?;
    let session = text(&session["userInfo"], "sessionId")?;
    Ok(Credentials {
        key: format!("authorization: Bearer {}", text(&key, "secret")?),
        session: format!("INFA-SESSION-ID: {session}"),
    })
}

/// Header lines of the local administrator as owner of an organization.
fn acting(access: &Access, organization: &str) -> String {
    let credential = access.credential();
    format!("{credential}\r\ntallyport-organization: {organization}")
}

fn organization(victims: &[Victim], name: &str) -> Result<String> {
    let found = victims.iter().find(|victim| victim.name == name);
    Ok(found.context("parents come first")?.organization.clone())
}

fn created(client: &mut Client, path: &str, body: &Value) -> Result<String> {
    text(&post(client, path, body)?, "id")
}

fn post(client: &mut Client, path: &str, body: &Value) -> Result<Value> {
    let answer = client.request("POST", path, Some(body))?;
    ensure!(
        (200..300).contains(&answer.status),
        "POST {path} answered {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(serde_json::from_slice(&answer.body)?)
}
