//! Whether a request can be planned, asked before it becomes a job.

use metadata::{Claimed, ControlSnapshot, Export, ExportStatus, NewExport, Progress};

use crate::error::Result;
use crate::request;
use domain::Timestamp;
use domain::export::{AsOf, ExportPlan};
use domain::ids::ExportId;

/// Plans what a worker would plan for this request, and gives what keeps it from being planned.
pub fn check(new: &NewExport, snapshot: &ControlSnapshot, as_of: AsOf) -> Result<()> {
    let request = request::request(&as_if_claimed(new, as_of))?;
    let control = request::control(snapshot)?;
    ExportPlan::new(&request, &control, as_of)?;
    Ok(())
}

/// The row the request would have when a worker takes it.
fn as_if_claimed(new: &NewExport, as_of: AsOf) -> Claimed {
    let pins = request::pins(as_of);
    let export = Export {
        id: ExportId::from_random(0),
        request: new.clone(),
        status: ExportStatus::Processing,
        outcome: None,
        pins: Some(pins),
        fence: 1,
        lease_owner: None,
        lease_expires_at: None,
        attempts: 1,
        progress: Progress::default(),
        error_message: None,
        artifact: None,
        damaged_at: None,
        scheduled: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    Claimed {
        export,
        fence: 1,
        pins,
    }
}
