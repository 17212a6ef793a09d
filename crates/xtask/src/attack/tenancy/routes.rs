//! The routes of the OpenAPI document, and requests made of them.

use std::slice;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Things;
use super::world::{Caller, Credentials, Victim};

/// Paths that answer anybody.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"];
/// Paths by which credentials are made, ended or asked about; they name no organization.
const LOGIN: [&str; 7] = [
    "/saas/public/core/v3/login",
    "/saas/public/core/v3/logout",
    "/ma/api/v2/user/login",
    "/ma/api/v2/user/logoutall",
    "/saas/api/v2/user/logout",
    "/saas/api/v2/user/validSessionId",
    "/api/v1/password-resets",
];
/// Paths only for the administrator of the server.
const ADMINISTRATION: [&str; 2] = ["/api/v1/setup", "/api/v1/verification"];

/// One operation of the document.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// Query parameters that name an organization or a thing.
    query: Vec<String>,
}

/// One request, and the names in it that its answer may repeat.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) names: Vec<String>,
}

/// Every operation, but for logins and those of the server's administrator.
pub(super) fn all(document: &Value) -> Result<Vec<Route>> {
    const METHODS: [(&str, &str); 5] = [
        ("get", "GET"),
        ("post", "POST"),
        ("put", "PUT"),
        ("patch", "PATCH"),
        ("delete", "DELETE"),
    ];
    let paths = document["paths"].as_object().context("no paths")?;
    let mut routes = Vec::new();
    for (path, operations) in paths {
        if LOGIN.contains(&path.as_str()) || ADMINISTRATION.contains(&path.as_str()) {
            continue;
        }
        for (key, method) in METHODS {
            if let Some(operation) = operations.get(key) {
                routes.push(Route {
                    method,
                    path: path.clone(),
                    query: query(operation),
                });
            }
        }
    }
    Ok(routes)
}

fn query(operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array();
    let names = parameters.into_iter().flatten().filter_map(|parameter| {
        let name = parameter["name"].as_str()?;
        let names_something = ["organization", "schedule"].contains(&name);
        (parameter["in"] == "query" && names_something).then(|| name.to_owned())
    });
    names.collect()
}

impl Route {
    /// Whether the path has a parameter.
    pub(super) fn names_a_thing(&self) -> bool {
        self.path.contains('{')
    }

    /// Whether anybody may ask.
    pub(super) fn is_open(&self) -> bool {
        OPEN.contains(&self.path.as_str())
    }

    /// The credential that counts on this path.
    pub(super) fn credential<'a>(&self, credentials: &'a Credentials) -> &'a str {
        if self.path.starts_with("/api/") {
            &credentials.key
        } else {
            &credentials.session
        }
    }

    /// The path with every sample of its parameters; `None` where there is no parameter.
    pub(super) fn paths(&self, things: &Things, organization: &str) -> Option<Vec<String>> {
        if !self.names_a_thing() {
            return None;
        }
        let names = self.names(things, organization).ok()?;
        Some(names.into_iter().map(|names| self.filled(&names)).collect())
    }

    /// Requests that name things of a victim, each with its twin that names nothing.
    pub(super) fn pairs(
        &self,
        victim: &Victim,
        caller: &Caller,
        meter: Option<&String>,
    ) -> Result<Vec<(Request, Request)>> {
        let mut pairs = Vec::new();
        if self.names_a_thing() && victim.hides(self.kind(), caller) {
            for names in self.names(&victim.things, &victim.organization)? {
                let twins: Vec<_> = names.iter().map(|name| unknown(name)).collect();
                let body = self.body(None)?;
                pairs.push((self.request(names, body.clone()), self.request(twins, body)));
            }
        }
        let path = match meter {
            _ if !self.names_a_thing() => Some(self.path.clone()),
            Some(meter) if self.path.ends_with("/query") => {
                Some(self.filled(slice::from_ref(meter)))
            }
            _ => None,
        };
        for parameter in path.iter().flat_map(|_| &self.query) {
            let name = if parameter == "schedule" {
                let schedules = victim.things.get("export-schedules");
                schedules
                    .and_then(|ids| ids.first())
                    .context("no schedule")?
                    .clone()
            } else {
                victim.organization.clone()
            };
            let ask = |name: String| Request {
                path: format!("{}?{parameter}={name}", path.as_deref().unwrap_or_default()),
                body: None,
                names: vec![name],
            };
            pairs.push((ask(name.clone()), ask(unknown(&name))));
        }
        if let Some(path) = path.filter(|_| self.method != "GET") {
            for name in [&victim.organization, &victim.alias] {
                let ask = |name: String| -> Result<Option<Request>> {
                    let body = self.body(Some(&name))?;
                    Ok(body.map(|body| Request {
                        path: path.clone(),
                        body: Some(body),
                        names: vec![name],
                    }))
                };
                let twins = (ask(name.clone())?, ask(unknown(name))?);
                if let (Some(real), Some(twin)) = twins {
                    pairs.push((real, twin));
                }
            }
        }
        Ok(pairs)
    }

    /// The kind of thing that the path names.
    fn kind(&self) -> &str {
        if self.path.contains("/ExportMeteringData/") {
            "jobs"
        } else {
            self.path.split('/').nth(3).unwrap_or_default()
        }
    }

    fn request(&self, names: Vec<String>, body: Option<Value>) -> Request {
        Request {
            path: self.filled(&names),
            body,
            names,
        }
    }

    /// The path with its parameters replaced, in order.
    fn filled(&self, names: &[String]) -> String {
        let (mut path, mut names) = (String::new(), names.iter());
        for piece in self.path.split('/').skip(1) {
            path.push('/');
            if piece.starts_with('{') {
                path.push_str(names.next().map_or("", String::as_str));
            } else {
                path.push_str(piece);
            }
        }
        path
    }

    /// Samples for the parameters of the path: for each kind of name one list.
    fn names(&self, things: &Things, organization: &str) -> Result<Vec<Vec<String>>> {
        let kind = self.kind();
        let samples = match (kind, things.get(kind)) {
            ("organizations", _) => vec![organization.to_owned()],
            (_, Some(samples)) => samples.clone(),
            _ => bail!("{} has no sample of {kind}: add one", self.path),
        };
        let lists = samples.into_iter().map(|sample| {
            let mut names = vec![sample];
            if self.path.contains("{deliveryId}") {
                names.extend(
                    things
                        .get("deliveries")
                        .into_iter()
                        .flatten()
                        .take(1)
                        .cloned(),
                );
            }
            names
        });
        Ok(lists.collect())
    }

    /// A body that is right but for what it names; `None` where none is sent.
    fn body(&self, organization: Option<&str>) -> Result<Option<Value>> {
        let name = organization.unwrap_or_default();
        let body = match (self.method, self.path.as_str()) {
            ("GET" | "DELETE", _) => return Ok(None),
            ("POST", "/api/v1/events") => json!({
                "specversion": "1.0", "id": "of-others", "source": "attack", "type": "flight",
                "subject": "s", "organization": name
            }),
            ("POST", "/api/v1/exports") => json!({
                "kind": "SUMMARY", "from": "2026-01-01", "to": "2026-01-02",
                "organizations": [name]
            }),
            ("POST", "/api/v1/export-schedules") => {
                json!({"kind": "SUMMARY", "every": "daily", "organizations": [name]})
            }
            ("POST", "/api/v1/keys") => {
                json!({"name": "of others", "role": "analyst", "organizationId": name})
            }
            ("POST", "/api/v1/users") => {
                json!({"name": "of-others", "organizationId": name,
                    "roles": [{"role": "analyst"}]})
            }
            ("POST", "/api/v1/webhooks") => {
                json!({"url": "https://receiver.example/hook", "organizationId": name})
            }
            ("POST", "/api/v1/organizations") => {
                json!({"name": "Of Others", "parentId": name, "kind": "sub_organization"})
            }
            ("POST", "/api/v1/rates") => json!({
                "kind": "money", "meter": "flights", "price": 1, "organizationId": name
            }),
            ("POST", path) if NAMELESS.contains(&path) => return Ok(None),
            ("POST", path) if path.ends_with("/query") => match organization {
                Some(name) => json!({"organization": name}),
                None => json!({}),
            },
            ("POST" | "PUT" | "PATCH", path) if path.contains('{') => match path {
                path if path.ends_with("/password") => json!({"password": "long-enough-1"}),
                _ => json!({}),
            },
            (method, path) => bail!("{method} {path} has no sample body: add one"),
        };
        Ok(Some(body))
    }
}

/// Routes whose body names no organization: what they make is the caller's own.
const NAMELESS: [&str; 5] = [
    "/api/v1/meters",
    "/api/v1/subjects",
    "/saas/public/core/v3/license/metering/ExportMeteringData",
    "/saas/public/core/v3/license/metering/ExportMeteringDataAllLinkedOrgsAcrossRegion",
    "/saas/public/core/v3/license/metering/ExportServiceJobLevelMeteringData",
];

/// A name of the same form that nothing has.
fn unknown(name: &str) -> String {
    let mut text: Vec<u8> = name.bytes().collect();
    for byte in text.iter_mut().rev().take(6) {
        *byte = match *byte {
            b'-' | b'_' => *byte,
            b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'Y' => *byte + 1,
            _ => b'a',
        };
    }
    String::from_utf8(text).expect("names of the attack are ascii")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{all, unknown};

    #[test]
    fn an_unknown_name_has_the_form_of_the_real_one() {
        assert_eq!(unknown("6jVqPzL0bYkR3xW8sT1uNc"), "6jVqPzL0bYkR3xW8tU2vOd");
        assert_eq!(unknown("w-az"), "x-ba");
    }

    #[test]
    fn operations_are_read_from_the_document_but_for_logins() {
        let document = json!({"paths": {
            "/api/v1/keys/{id}": {"get": {}, "delete": {}},
            "/saas/public/core/v3/login": {"post": {}},
        }});
        let routes = all(&document).unwrap();
        let methods: Vec<_> = routes.iter().map(|route| route.method).collect();
        assert_eq!(methods, ["GET", "DELETE"]);
    }
}
