//! What the demo says at its end: one JSON document for programs, or a page for people.

use serde::Serialize;

use super::account::{Account, Organization};
use super::check::Checked;
use super::credentials::Credentials;

/// Everything there is to say.
pub(super) struct Told {
    /// The server's base, without a trailing slash.
    pub(super) url: String,
    /// User, password and key.
    pub(super) credentials: Credentials,
    /// Who uses what.
    pub(super) account: Account,
    /// The exports, checked.
    pub(super) exports: Vec<Checked>,
}

/// The document of `--json`: a contract, only ever extended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    url: &'a str,
    admin: Admin<'a>,
    organizations: &'a [Organization],
    api_key: &'a str,
    meters: Vec<MeterOut<'a>>,
    exports: Vec<ExportOut>,
}

#[derive(Serialize)]
struct Admin<'a> {
    user: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct MeterOut<'a> {
    id: domain::ids::MeterId,
    slug: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportOut {
    kind: &'static str,
    organization_id: domain::ids::OrganizationId,
    path: String,
    rows: u64,
    /// Usage of the first meter, in its unit; of `PROJECT_FOLDER`, which tells none, its IPUs.
    total: domain::quantity::Total,
}

impl Told {
    /// Prints on standard output.
    pub(super) fn print(&self, json: bool, once: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(&self.document())?);
        } else {
            print!("{}", self.page(once));
        }
        Ok(())
    }

    fn document(&self) -> Document<'_> {
        let meters = self.account.meters.iter().map(|meter| MeterOut {
            id: meter.id,
            slug: &meter.slug,
            name: &meter.name,
        });
        let exports = self.exports.iter().map(|export| ExportOut {
            kind: export.kind.as_str(),
            organization_id: self.account.organizations[0].id,
            path: export.path.display().to_string(),
            rows: export.rows,
            total: export.total,
        });
        Document {
            url: &self.url,
            admin: Admin {
                user: &self.credentials.user,
                password: &self.credentials.password,
            },
            organizations: &self.account.organizations,
            api_key: &self.credentials.api_key,
            meters: meters.collect(),
            exports: exports.collect(),
        }
    }

    fn page(&self, once: bool) -> String {
        let mut page = String::new();
        let mut line = |text: String| {
            page.push_str(&text);
            page.push('\n');
        };
        line("Exports, checked against the store:".to_owned());
        for export in &self.exports {
            let (kind, path) = (export.kind.as_str(), export.path.display());
            let (rows, total, unit) = (export.rows, export.total, &export.unit);
            line(format!("  {kind:<20} {path}  {rows} rows, {total} {unit}s"));
        }
        let (url, key) = (&self.url, &self.credentials.api_key);
        let (user, password) = (&self.credentials.user, &self.credentials.password);
        line(format!(
            "Account of {}:",
            self.account.organizations[0].name
        ));
        line(format!("  user {user}  password {password}"));
        line(format!("  API key {key}"));
        if once {
            return page;
        }
        line(format!("Tallyport serves at {url}. Try:"));
        let query = "from=2013-01-01T00:00:00Z&to=2013-02-01T00:00:00Z&windowSize=DAY";
        line(format!(
            "  curl -H 'Authorization: Bearer {key}' '{url}/api/v1/meters/hours/query?{query}'"
        ));
        line(format!(
            "  curl -H 'Authorization: Bearer {key}' '{url}/api/v1/events?limit=5'"
        ));
        line(format!(
            "  curl -H 'Content-Type: application/json' \
             -d '{{\"username\":\"{user}\",\"password\":\"{password}\"}}' \
             {url}/saas/public/core/v3/login"
        ));
        page
    }
}
