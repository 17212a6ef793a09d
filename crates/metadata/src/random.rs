//! Bits for identifiers the caller did not give.

use crate::error::{Error, Result};

/// 128 bits nobody can guess.
pub(crate) fn bits() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(u128::from_le_bytes(bytes))
}
