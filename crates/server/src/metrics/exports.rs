//! Numbers of the exports made by this process, and of its background tasks, read when they are
//! asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// Asks the export crate at every scrape.
#[derive(Debug)]
pub(super) struct ExportNumbers;

impl Collector for ExportNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let counter = ConstCounter::new(export::metrics::mismatches_total());
        let help = "Exports failed because rows did not add up to a second reading";
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor("export_mismatches", help, None, kind)?)?;
        let help = "Panics of background tasks, which begin again";
        let mut family =
            encoder.encode_descriptor("task_panics", help, None, MetricType::Counter)?;
        for (task, panics) in export::tasks::panics() {
            let labels = [("task", task)];
            let family = family.encode_family(&labels)?;
            ConstCounter::new(panics).encode(family)?;
        }
        Ok(())
    }
}
