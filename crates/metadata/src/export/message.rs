//! Step 8 of usage out, as rows: what is told of an export's end, in the end's transaction.

use domain::Timestamp;
use domain::ids::{ExportId, OrganizationId};
use domain::webhook::EventType;
use serde::Serialize;

use crate::database::{Transaction, hexadecimal};
use crate::error::Result;
use crate::export::Export;
use crate::outbox::{self, Event, NewDelivery};
use crate::webhook;

/// Characters of an error message that are told.
const ERROR_MESSAGE_CHARS_MAX: usize = 1_000;
/// Characters of a bound of the range that are told; longer ones are no dates.
const RANGE_CHARS_MAX: usize = 100;

/// `data` of `export.settled`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settled {
    id: ExportId,
    kind: &'static str,
    status: &'static str,
    source: &'static str,
    organization_id: OrganizationId,
    start_date: String,
    end_date: String,
    error_message: Option<String>,
    rows: u64,
    artifact: Option<Made>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    sha256: String,
    size_bytes: u64,
}

/// Writes the callback and the messages of webhooks for an export that has ended.
pub(super) async fn tell_end(
    transaction: &mut Transaction,
    export: &Export,
    now: Timestamp,
) -> Result<()> {
    let event = event(export);
    if let Some(url) = export.request.callback_url.clone() {
        let signer = webhook::find_callbacks(transaction, export.request.organization).await?;
        let message = match signer {
            Some(webhook) => event.message(webhook, url, now),
            None => sentence(export, url),
        };
        outbox::insert(transaction, message, now).await?;
    }
    outbox::tell(transaction, &event, now).await
}

fn event(export: &Export) -> Event<Settled> {
    let cut = |text: &String, most| text.chars().take(most).collect();
    let request = &export.request;
    let artifact = export.artifact.as_ref().map(|artifact| Made {
        sha256: hexadecimal(&artifact.sha256),
        size_bytes: artifact.size_bytes,
    });
    Event {
        kind: EventType::EXPORT_SETTLED,
        organization: request.organization,
        export: Some(export.id),
        data: Settled {
            id: export.id,
            kind: request.kind.as_str(),
            status: export.status.as_str(),
            source: request.source.as_str(),
            organization_id: request.organization,
            start_date: cut(&request.start, RANGE_CHARS_MAX),
            end_date: cut(&request.end, RANGE_CHARS_MAX),
            error_message: export
                .error_message
                .as_ref()
                .map(|text| cut(text, ERROR_MESSAGE_CHARS_MAX)),
            rows: export.progress.rows,
            artifact,
        },
    }
}

/// The one sentence receivers of the vendor's callbacks look for.
fn sentence(export: &Export, url: String) -> NewDelivery {
    let status = export.status.as_str();
    let id = export.id;
    NewDelivery {
        event: EventType::EXPORT_SETTLED.as_str().to_owned(),
        organization: export.request.organization,
        url,
        content_type: "text/plain; charset=utf-8".to_owned(),
        body: format!("Job with jobID: {id} has completed and the Job Status is {status}."),
        export: Some(id),
        webhook: None,
    }
}
