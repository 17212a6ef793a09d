//! What is foreign must look like what does not exist, on every route of the server's own document.
//!
//! Every path parameter and every field that names an organization is tried with a real thing of
//! others and with one that does not exist; the two answers must be equal but for the name sent.
//! A route that this part has no sample for fails the run, so that new routes cannot be forgotten.

mod routes;
mod world;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Findings, Setting};
use crate::bench::report;
use crate::bench::server::{Access, Server};
use crate::process::Signal;
use routes::Route;
use world::{Caller, Victim, World};

/// What was asked and how often it went wrong.
#[derive(Debug, Default)]
struct Matrix {
    requests: u64,
    unequal: u64,
    leaks: u64,
    own_refused: u64,
}

pub(super) fn run(setting: &mut Setting) -> Result<Findings> {
    let server = Server::start(&setting.binary, &setting.folder)?;
    let access = server.access();
    let world = World::create(&access)?;
    let document = access.client()?.get("/openapi.json")?.json(200)?;
    let routes = routes::all(&document)?;
    let mut matrix = Matrix::default();
    let before = world.state(&access)?;
    for route in &routes {
        matrix.own(route, &world, &access)?;
        for caller in &world.callers {
            matrix.list(route, caller, &world, &access)?;
            for victim in world.victims_of(caller) {
                matrix.foreign(route, (caller, victim), &world, &access)?;
            }
        }
    }
    let changed = u64::from(world.state(&access)? != before);
    server.end(Signal::Terminate)?;
    let mut findings = Findings::default();
    findings.add("routes of the document", routes.len());
    findings.add("callers", world.callers.len());
    findings.add("requests", report::count(matrix.requests));
    findings.add_losses(
        "answers in which foreign differs from unknown",
        matrix.unequal,
    );
    findings.add_losses("answers that show something of others", matrix.leaks);
    findings.add_losses("own things that looked unknown", matrix.own_refused);
    findings.add_losses("things of others that were changed", changed);
    Ok(findings)
}

impl Matrix {
    /// The same requests by the account's owner find what is there: the samples are real.
    fn own(&mut self, route: &Route, world: &World, access: &Access) -> Result<()> {
        for victim in &world.victims {
            let Some(paths) = route.paths(&victim.things, &victim.organization) else {
                continue;
            };
            if route.method != "GET" || !route.names_a_thing() {
                continue;
            }
            for path in paths {
                let credential = route.credential(&victim.owner);
                let status = self.ask(access, credential, route, &path, None)?.0;
                if status == 404 {
                    println!("the owner's own {path} of {} is unknown", victim.name);
                    self.own_refused += 1;
                }
            }
        }
        Ok(())
    }

    /// A list, or another read without a name, shows nothing of others.
    fn list(
        &mut self,
        route: &Route,
        caller: &Caller,
        world: &World,
        access: &Access,
    ) -> Result<()> {
        if route.method != "GET" || route.names_a_thing() || route.is_open() {
            return Ok(());
        }
        let credential = route.credential(&caller.credentials);
        let (_, text) = self.ask(access, credential, route, &route.path, None)?;
        for victim in world.victims_of(caller) {
            for mark in victim.marks(caller) {
                if text.contains(mark) {
                    println!(
                        "{} {} shows {mark} to {}",
                        route.method, route.path, caller.name
                    );
                    self.leaks += 1;
                }
            }
        }
        Ok(())
    }

    /// Something of others and something that does not exist look alike.
    fn foreign(
        &mut self,
        route: &Route,
        (caller, victim): (&Caller, &Victim),
        world: &World,
        access: &Access,
    ) -> Result<()> {
        let credential = route.credential(&caller.credentials);
        for (real, unknown) in route.pairs(victim, caller, world.meter_of(caller))? {
            let first = self.ask(access, credential, route, &real.path, real.body.as_ref())?;
            let second = self.ask(
                access,
                credential,
                route,
                &unknown.path,
                unknown.body.as_ref(),
            )?;
            let first_shape = shape(&first.1, &real.names);
            let second_shape = shape(&second.1, &unknown.names);
            if (first.0, &first_shape) != (second.0, &second_shape) {
                self.unequal += 1;
                println!(
                    "{} {} by {}: foreign {} {first_shape}, unknown {} {second_shape}",
                    route.method, real.path, caller.name, first.0, second.0
                );
            }
            let unsaid = victim
                .marks(caller)
                .filter(|mark| !real.names.contains(mark));
            for mark in unsaid.filter(|mark| first.1.contains(mark.as_str())) {
                println!(
                    "{} {} shows {mark} to {}",
                    route.method, real.path, caller.name
                );
                self.leaks += 1;
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        access: &Access,
        credential: &str,
        route: &Route,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String)> {
        self.requests += 1;
        let mut client = access.client_with(credential)?;
        let answer = client.request(route.method, path, body)?;
        if answer.status >= 500 {
            bail!("{} {path} answered {}", route.method, answer.status);
        }
        Ok((
            answer.status,
            String::from_utf8_lossy(&answer.body).into_owned(),
        ))
    }
}

/// A body without what may differ: the names sent, and the id of the request.
fn shape(text: &str, names: &[String]) -> String {
    let mut text = text.to_owned();
    for name in names {
        text = text.replace(name.as_str(), "NAME");
    }
    let Ok(mut value) = serde_json::from_str::<Value>(&text) else {
        return text;
    };
    forget(&mut value);
    value.to_string()
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("requestId");
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// Things by the name of their path parameter's kind, as ids or other names.
type Things = BTreeMap<&'static str, Vec<String>>;

fn text(value: &Value, member: &str) -> Result<String> {
    let text = value[member].as_str();
    text.map(str::to_owned)
        .with_context(|| format!("there is no {member} in {value}"))
}
