//! Who may open the data directory when servers share one database.

use domain::Timestamp;

use crate::error::Result;
use crate::open::Metadata;

/// The right to open the data directory, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Who holds it, such as host and process.
    pub owner: String,
    /// Grows with every new holder.
    pub epoch: u64,
    /// Until when.
    pub lease_expires_at: Timestamp,
}

impl Metadata {
    /// Takes the right to open the data directory; [`crate::Error::InUse`] names a live holder.
    pub async fn claim_instance(
        &self,
        owner: &str,
        lease_ms: u32,
        now: Timestamp,
    ) -> Result<Instance> {
        todo!()
    }

    /// Extends the right; [`crate::Error::InUse`] when another has it.
    pub async fn renew_instance(
        &self,
        instance: &Instance,
        lease_ms: u32,
        now: Timestamp,
    ) -> Result<Instance> {
        todo!()
    }

    /// Gives the right back; tells whether it was still held.
    pub async fn release_instance(&self, instance: &Instance) -> Result<bool> {
        todo!()
    }

    /// Who holds the right, or held it last.
    pub async fn find_instance(&self) -> Result<Option<Instance>> {
        todo!()
    }
}
