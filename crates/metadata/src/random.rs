//! Bits for identifiers the caller did not give, and for keys.

use crate::error::{Error, Result};

/// 256 bits nobody can guess.
pub(crate) fn secret() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes)
}

/// 128 bits nobody can guess.
pub(crate) fn bits() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(u128::from_le_bytes(bytes))
}
