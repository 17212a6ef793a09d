//! Every metric of the server, in the text form of OpenMetrics.

mod exports;
mod store;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use usage::traits::Outcome;

use self::exports::ExportNumbers;
use self::store::StoreNumbers;
use crate::store::Readings;

/// Upper bounds of the buckets of request durations, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The metrics of one running server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram>,
    accepted: Counter,
    duplicate: Counter,
    conflict: Counter,
    refused: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Text,
    route: Route,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: Route,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Text(&'static str);

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

/// The pattern of a route, shared with the router instead of copied.
#[derive(Debug, Clone)]
struct Route(Option<MatchedPath>);

impl Route {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl Metrics {
    /// Metrics of a server on a store, all zero.
    pub fn new(store: &Arc<dyn Readings>) -> Self {
        let mut registry = Registry::with_prefix("tallyport");
        registry.register_collector(Box::new(StoreNumbers(Arc::clone(store))));
        registry.register_collector(Box::new(ExportNumbers));
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let histogram = || Histogram::new(SECONDS);
        let seconds = Family::<RouteLabel, Histogram>::new_with_constructor(histogram);
        registry.register("http_request_seconds", "Time to answer", seconds.clone());
        let outcomes = Family::<OutcomeLabel, Counter>::default();
        registry.register("events", "Events received, by outcome", outcomes.clone());
        let outcome = |name| {
            let label = OutcomeLabel {
                outcome: Text(name),
            };
            outcomes.get_or_create(&label).clone()
        };
        Self {
            accepted: outcome("accepted"),
            duplicate: outcome("duplicate"),
            conflict: outcome("conflict"),
            refused: outcome("refused"),
            registry,
            requests,
            seconds,
        }
    }

    /// Counts one answered request.
    pub fn answered(
        &self,
        method: &Method,
        route: Option<MatchedPath>,
        status: StatusCode,
        took: Duration,
    ) {
        let route = Route(route);
        let label = RouteLabel {
            route: route.clone(),
        };
        self.seconds
            .get_or_create(&label)
            .observe(took.as_secs_f64());
        let labels = RequestLabels {
            method: Text(method_name(method)),
            route,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts the outcomes of one batch.
    pub fn received(&self, outcomes: &[Outcome]) {
        let mut counts = [0_u64; 4];
        for outcome in outcomes {
            counts[match outcome {
                Outcome::Accepted { .. } => 0,
                Outcome::Duplicate { .. } => 1,
                Outcome::Conflict { .. } => 2,
                Outcome::Refused(_) => 3,
            }] += 1;
        }
        let counters = [
            &self.accepted,
            &self.duplicate,
            &self.conflict,
            &self.refused,
        ];
        for (counter, count) in counters.into_iter().zip(counts) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string cannot fail");
        text
    }
}

/// Methods are a label: a client cannot invent values of it.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}
