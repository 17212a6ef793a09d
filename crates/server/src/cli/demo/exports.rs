//! The demo as a client of the metering family: login, order, poll, download.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::civil::{Date, date};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::Account;
use super::credentials::Credentials;

/// Milliseconds between two questions for a job's status.
const POLL_MS: u64 = 100;
/// Questions for a job's status before giving up: ten minutes.
const POLLS_MAX: u32 = 6_000;

/// The kinds of export the demo orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Usage of the root and everything under it, by organization, meter and day.
    Summary,
    /// Each flight of the root's own, for the first meter.
    JobLevel,
    /// The summary by the older resource.
    SummaryAllLinked,
    /// Consumption of the root and everything under it, by project, folder and day.
    ProjectFolder,
    /// The root's own usage by asset, meter and day.
    Asset,
    /// Each flight of the root's own, for every meter.
    JobLevelAllMeters,
}

impl Kind {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "SUMMARY",
            Self::JobLevel => "JOB_LEVEL",
            Self::SummaryAllLinked => "SUMMARY_ALL_LINKED",
            Self::ProjectFolder => "PROJECT_FOLDER",
            Self::Asset => "ASSET",
            Self::JobLevelAllMeters => "JOB_LEVEL_ALL_METERS",
        }
    }

    /// Whether it holds what lies under the root as well.
    pub(super) fn is_linked(self) -> bool {
        matches!(
            self,
            Self::Summary | Self::SummaryAllLinked | Self::ProjectFolder
        )
    }

    /// The resource that takes the request.
    fn resource(self) -> &'static str {
        match self {
            Self::Summary | Self::ProjectFolder | Self::Asset => "ExportMeteringData",
            Self::SummaryAllLinked => "ExportMeteringDataAllLinkedOrgsAcrossRegion",
            Self::JobLevel | Self::JobLevelAllMeters => "ExportServiceJobLevelMeteringData",
        }
    }
}

/// One export to order.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// What.
    pub(super) kind: Kind,
    /// First UTC day.
    pub(super) start: Date,
    /// Last UTC day.
    pub(super) end: Date,
    request: Value,
}

/// The orders of a demo: a summary and a job-level report of everything, or for a full year three
/// of each, as 180 days are the most one may span; then the other kinds of January, as some span 30
/// days. The last flights of a month end on the next one's first day in UTC.
pub(super) fn orders(account: &Account, full_year: bool) -> Vec<Order> {
    let ranges = if full_year {
        vec![
            (date(2013, 1, 1), date(2013, 4, 30)),
            (date(2013, 5, 1), date(2013, 8, 31)),
            (date(2013, 9, 1), date(2014, 1, 1)),
        ]
    } else {
        vec![(date(2013, 1, 1), date(2013, 4, 1))]
    };
    let january = [(date(2013, 1, 1), date(2013, 1, 31))];
    let meter = account.meters[0].id;
    let all = |kind, ranges: &[(Date, Date)]| {
        let orders = ranges.iter();
        let orders = orders.map(move |(start, end)| order(kind, *start, *end, meter));
        orders.collect::<Vec<_>>()
    };
    let everything = [Kind::Summary, Kind::JobLevel].map(|kind| all(kind, &ranges));
    let others = [
        Kind::SummaryAllLinked,
        Kind::ProjectFolder,
        Kind::Asset,
        Kind::JobLevelAllMeters,
    ];
    let others = others.map(|kind| all(kind, &january));
    everything.into_iter().chain(others).flatten().collect()
}

fn order(kind: Kind, start: Date, end: Date, meter: domain::ids::MeterId) -> Order {
    let mut request = json!({
        "startDate": format!("{start}T00:00:00Z"), "endDate": format!("{end}T23:59:59Z"),
    });
    match kind {
        Kind::Summary | Kind::ProjectFolder => {
            request["jobType"] = json!(kind.as_str());
            request["allLinkedOrgs"] = json!("TRUE");
        }
        Kind::Asset => request["jobType"] = json!(kind.as_str()),
        Kind::JobLevel => request["meterId"] = json!(meter),
        Kind::JobLevelAllMeters => request["allMeters"] = json!("TRUE"),
        Kind::SummaryAllLinked => {}
    }
    Order {
        kind,
        start,
        end,
        request,
    }
}

/// A logged-in client of the metering family.
pub(super) struct Door {
    client: Client,
    base: String,
    session: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    products: Vec<Product>,
    user_info: UserInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    base_api_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserInfo {
    session_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    #[serde(rename = "jobId")]
    id: String,
    status: String,
    error_message: Option<String>,
}

impl Door {
    /// Logs in at `url`.
    pub(super) async fn login(url: &str, credentials: &Credentials) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        let body = json!({"username": credentials.user, "password": credentials.password});
        let request = client
            .post(format!("{url}/saas/public/core/v3/login"))
            .json(&body);
        let login: Login = answer(request).await.context("login")?;
        let product = login.products.into_iter().next();
        Ok(Self {
            client,
            base: product.context("login named no product")?.base_api_url,
            session: login.user_info.session_id,
        })
    }

    /// Orders an export, waits for it and puts its ZIP into `folder`.
    pub(super) async fn fetch(&self, order: &Order, folder: &Path) -> anyhow::Result<PathBuf> {
        let what = order.kind.as_str();
        let metering = format!("{}/public/core/v3/license/metering", self.base);
        let request = self
            .client
            .post(format!("{metering}/{}", order.kind.resource()));
        let mut job: Job = answer(self.with(request).json(&order.request))
            .await
            .with_context(|| format!("order of the {what} export"))?;
        let status = format!("{metering}/ExportMeteringData/{}", job.id);
        for _ in 0..POLLS_MAX {
            if !matches!(job.status.as_str(), "CREATED" | "PROCESSING") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
            job = answer(self.with(self.client.get(&status)))
                .await
                .with_context(|| format!("status of the {what} export"))?;
        }
        let reason = job.error_message.unwrap_or_default();
        anyhow::ensure!(
            job.status == "SUCCESS",
            "the {what} export ended as {}: {reason}",
            job.status
        );
        let request = self.with(self.client.get(format!("{status}/download")));
        let mut response = request.send().await?.error_for_status()?;
        let path = folder.join(format!("{what}_{}_{}.zip", order.start, order.end));
        let mut file = tokio::fs::File::create(&path).await?;
        while let Some(chunk) = response.chunk().await? {
            tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await?;
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        Ok(path)
    }

    /// Ends the session.
    pub(super) async fn logout(&self) -> anyhow::Result<()> {
        let request = self
            .client
            .post(format!("{}/public/core/v3/logout", self.base));
        self.with(request).send().await?.error_for_status()?;
        Ok(())
    }

    fn with(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("INFA-SESSION-ID", &self.session)
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await?;
    let (status, body) = (response.status(), response.text().await?);
    anyhow::ensure!(status.is_success(), "the server answered {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("the server answered {body}"))
}
