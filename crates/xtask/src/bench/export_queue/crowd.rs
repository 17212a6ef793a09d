//! Many organizations under the server's first one: who they are and what they have used.

use std::fmt::Write;
use std::fs;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, ensure};

use crate::bench::events::Events;
use crate::bench::metering;
use crate::bench::server::Server;
use crate::workspace::root;

const PASSWORD: &str = "queue-password-of-no-worth";
/// Streams that ingest at once.
const STREAMS: u64 = 2;

fn name(number: usize) -> String {
    format!("queue-{number:03}")
}

/// The benches' setup file with so many more organizations and a user in each.
pub(super) fn setup(count: usize) -> String {
    let common = fs::read_to_string(root().join("bench/setup.yaml"));
    let common = common.expect("the file lies in the repository");
    let mut below = String::from("  - name: Default\n    organizations:\n");
    let mut users = String::from("users:\n");
    for name in (0..count).map(name) {
        writeln!(below, "      - {{name: {name}, aliases: [{name}]}}").expect("a string grows");
        writeln!(
            users,
            "  - {{name: {name}, organization: {name}, password: {PASSWORD}, \
             roles: [{{role: analyst}}]}}"
        )
        .expect("a string grows");
    }
    common.replace("  - name: Default\n", &below) + &users
}

/// Header of a session of an organization's user.
pub(super) fn session(server: &Server, number: usize) -> Result<String> {
    metering::session(server, &name(number), PASSWORD)
}

/// Takes events in, one organization after the other in turn.
pub(super) fn take(server: &Server, organizations: usize, count: u64) -> Result<()> {
    let events = Events::new(1);
    let share = |stream: u64| -> Result<()> {
        let mut numbers = (stream..count)
            .step_by(usize::try_from(STREAMS)?)
            .peekable();
        if numbers.peek().is_none() {
            return Ok(());
        }
        let sent = numbers.clone().count();
        let fill = |body: &mut Vec<u8>| {
            let n = numbers.next().expect("it is asked while there is one");
            event(&events, n, organizations, body);
            numbers.peek().is_some()
        };
        let mut client = server.client()?;
        let answer = client.stream("/api/v1/events", "application/x-ndjson", fill)?;
        let counts = answer.json(200)?;
        let accepted = counts["counts"]["accepted"].as_u64();
        ensure!(
            accepted == u64::try_from(sent).ok(),
            "not all were accepted: {counts}"
        );
        Ok(())
    };
    thread::scope(|scope| {
        let streams: Vec<_> = (0..STREAMS)
            .map(|each| scope.spawn(move || share(each)))
            .collect();
        let mut ended = streams.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.expect("a stream returns"))
    })
    .context("events could not be taken in")
}

/// A line with one event, of an organization chosen by its number.
fn event(events: &Events, n: u64, organizations: usize, body: &mut Vec<u8>) {
    events.json(n, body);
    let owner = usize::try_from(n).expect("a small number") % organizations;
    body.truncate(body.len() - 1);
    body.extend_from_slice(format!(",\"organization\":\"{}\"}}\n", name(owner)).as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{event, setup};
    use crate::bench::events::Events;

    #[test]
    fn an_event_names_its_organization() {
        let mut line = Vec::new();
        event(&Events::new(1), 12, 10, &mut line);
        let event: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(event["organization"], "queue-002");
        assert!(event["data"]["hours"].is_number());
    }

    #[test]
    fn the_setup_has_an_organization_and_a_user_for_each() {
        let text = setup(2);
        assert!(text.contains("\n      - {name: queue-001, aliases: [queue-001]}\nmeters:\n"));
        assert!(text.ends_with(
            "\n  - {name: queue-001, organization: queue-001, \
             password: queue-password-of-no-worth, roles: [{role: analyst}]}\n"
        ));
    }
}
