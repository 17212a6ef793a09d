//! The store's own numbers, read when they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use usage::manifest::Counters;

use crate::store::Readings;

/// Asks the store at every scrape.
#[derive(Debug)]
pub(super) struct StoreNumbers(pub(super) Arc<dyn Readings>);

/// A number that is a counter or a gauge by its name.
struct Number {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: u64,
}

impl Collector for StoreNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for number in self.numbers() {
            let Number {
                name,
                help,
                kind,
                value,
            } = number;
            let metric = encoder.encode_descriptor(name, help, None, kind)?;
            write(metric, kind, value)?;
        }
        conservation(encoder, &self.0.counters())
    }
}

impl StoreNumbers {
    fn numbers(&self) -> [Number; 12] {
        let numbers = self.0.metrics();
        let counter = |name, help, value| Number {
            name,
            help,
            kind: MetricType::Counter,
            value,
        };
        let gauge = |name, help, value| Number {
            name,
            help,
            kind: MetricType::Gauge,
            value,
        };
        [
            counter(
                "journal_frames",
                "Journal frames written",
                numbers.frames_total,
            ),
            counter(
                "journal_bytes",
                "Bytes of the journal",
                numbers.journal_bytes_total,
            ),
            counter("journal_syncs", "Journal syncs", numbers.syncs_total),
            counter("flushes", "Flushes that ended well", numbers.flushes_total),
            counter(
                "compactions",
                "Joins and rewrites",
                numbers.compactions_total,
            ),
            counter(
                "store_panics",
                "Threads of the store that panicked",
                numbers.panics_total,
            ),
            gauge(
                "unflushed_rows",
                "Rows in no segment yet",
                numbers.unflushed_rows,
            ),
            gauge(
                "unflushed_bytes",
                "Memory they hold",
                numbers.unflushed_bytes,
            ),
            gauge("segments", "Segments", numbers.segments),
            gauge(
                "segment_bytes",
                "Bytes of all segments",
                numbers.segment_bytes,
            ),
            gauge("seen_keys", "Keys in all runs", numbers.run_keys),
            gauge(
                "watermark",
                "The newest durable sequence",
                numbers.watermark,
            ),
        ]
    }
}

/// `received = stored + duplicate + conflict + refused`, for each organization.
fn conservation(
    mut encoder: DescriptorEncoder<'_>,
    counters: &BTreeMap<String, Counters>,
) -> std::fmt::Result {
    let help = "Events by organization since the store was created";
    let kind = MetricType::Counter;
    let mut metric = encoder.encode_descriptor("organization_events", help, None, kind)?;
    for (organization, counts) in counters {
        let fates = [
            ("received", counts.received),
            ("stored", counts.stored),
            ("duplicate", counts.duplicate),
            ("conflict", counts.conflict),
            ("refused", counts.refused),
        ];
        for (fate, count) in fates {
            let labels = [("organization", organization.as_str()), ("fate", fate)];
            write(metric.encode_family(&labels)?, kind, count)?;
        }
    }
    Ok(())
}

fn write(mut metric: MetricEncoder<'_>, kind: MetricType, value: u64) -> std::fmt::Result {
    match kind {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ => metric.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}
