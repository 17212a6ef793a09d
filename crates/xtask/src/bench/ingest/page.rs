//! The committed page of `bench ingest`.

use super::{Measured, Yardsticks};
use crate::bench::disk::SyncTimes;
use crate::bench::machine::Machine;
use crate::bench::report;

/// Lays out the whole page.
pub(super) fn text(
    machine: &Machine,
    sync: SyncTimes,
    measured: &[Measured],
    yardsticks: &Yardsticks,
    event_bytes: u64,
) -> String {
    let table = table(measured, yardsticks);
    let (p50, p99) = (sync.p50.as_micros(), sync.p99.as_micros());
    let version = &yardsticks.chdb.version;
    format!(
        "# Ingest: durable, deduplicated events per second\n\n\
         Machine: {machine}. The load client shares its cores with the server.\n\n\
         fdatasync after 4 KiB: p50 {p50} µs, p99 {p99} µs.\n\n\
         Events are CloudEvents of {event_bytes} bytes on average with unique ids. An event counts \
         when its acknowledgement came, which is after fdatasync and after it was told apart from \
         every earlier one. All rows are from one run of `cargo xtask bench ingest`; ratios are \
         events per second divided by the yardstick's.\n\n\
         {table}\n\
         PostgreSQL: one COPY of the same events (source, id, type, time, subject, data jsonb) \
         into a table with a unique index on (source, id), settings as installed. chDB is \
         ClickHouse {version}: one INSERT of the same NDJSON by JSONEachRow into MergeTree; it \
         neither tells duplicates apart nor syncs its parts. `data JSON` is the peer, \
         `data String` the ceiling.\n"
    )
}

fn table(measured: &[Measured], yardsticks: &Yardsticks) -> String {
    let Yardsticks { postgres, chdb } = yardsticks;
    let yards = [*postgres, chdb.json, chdb.string];
    let names = [
        "PostgreSQL COPY, unique index",
        "chDB, `data JSON`",
        "chDB, `data String`",
    ];
    let peers = names.into_iter().zip(yards);
    let peers = peers.map(|(name, rate)| Measured {
        name,
        rate,
        target: None,
    });
    let peers: Vec<Measured> = peers.collect();
    let row = |measured: &Measured| {
        let rate = measured.rate.per_second();
        let mut row = vec![measured.name.to_owned(), report::thousands(rate)];
        row.extend(yards.map(|yard| format!("{:.2}", rate / yard.per_second())));
        row.push(measured.target.map_or_else(String::new, |target| {
            let verdict = if rate >= target { "met" } else { "missed" };
            format!("{} {verdict}", report::thousands(target))
        }));
        row
    };
    let rows: Vec<Vec<String>> = measured.iter().chain(&peers).map(row).collect();
    let head = [
        "way in",
        "events/s",
        "× PostgreSQL",
        "× chDB JSON",
        "× chDB String",
        "target",
    ];
    report::table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::{Measured, Yardsticks, table};
    use crate::bench::peers::Chdb;
    use crate::bench::report::Rate;

    #[test]
    fn every_way_in_is_held_against_every_yardstick_and_its_target() {
        let rate = |events| Rate {
            events,
            seconds: 1.0,
        };
        let chdb = Chdb {
            version: String::new(),
            json: rate(200),
            string: rate(400),
        };
        let yardsticks = Yardsticks {
            postgres: rate(50),
            chdb,
        };
        let measured = Measured {
            name: "import",
            rate: rate(100),
            target: Some(300.0),
        };
        let text = table(&[measured], &yardsticks);
        assert!(
            text.contains("| import | 100 | 2.00 | 0.50 | 0.25 | 300 missed |"),
            "{text}"
        );
        assert!(
            text.contains("| chDB, `data JSON` | 200 | 4.00 | 1.00 | 0.50 |  |"),
            "{text}"
        );
    }
}
