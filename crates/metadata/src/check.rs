//! What every written text must be like.

use domain::name;

use crate::error::{Error, Result};

/// Bytes of a field that is kept exactly as sent: dates, URLs, idempotency keys.
const ECHO_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an export's parameters: a thousand organizations, as many meters and some columns.
const PARAMETERS_BYTES_MAX: usize = 256 * 1024;

/// A name, by the one rule for all names.
pub(crate) fn name(field: &'static str, text: &str) -> Result<()> {
    name::check(text).map_err(|error| Error::invalid(field, error.to_string()))
}

/// A name that takes the place of another; one that stays is not checked again.
pub(crate) fn renamed(field: &'static str, text: &str, before: &str) -> Result<()> {
    if text == before {
        return Ok(());
    }
    name(field, text)
}

/// A text for people that may be empty: so many characters and no mark that names may not hold.
pub(crate) fn text(field: &'static str, text: &str, most: usize) -> Result<()> {
    chars(field, text, 0, most)?;
    name::check_marks(text).map_err(|error| Error::invalid(field, error.to_string()))
}

/// The same for one that takes the place of another; one that stays is not checked again.
pub(crate) fn rewritten(
    field: &'static str,
    new: &str,
    before: Option<&str>,
    most: usize,
) -> Result<()> {
    if before == Some(new) {
        return Ok(());
    }
    text(field, new, most)
}

/// A text of so many characters.
pub(crate) fn chars(field: &'static str, text: &str, least: usize, most: usize) -> Result<()> {
    let count = text.chars().count();
    if count < least || count > most {
        let reason = format!("has {count} characters: expected {least} to {most}");
        return Err(Error::invalid(field, reason));
    }
    storable(field, text)
}

/// A text kept as sent, bounded and storable.
pub(crate) fn echo(field: &'static str, text: &str) -> Result<()> {
    bytes(field, text, ECHO_BYTES_MAX)
}

/// The parameters of an export: as long as the lists they may hold.
pub(crate) fn parameters(text: &str) -> Result<()> {
    bytes("parameters", text, PARAMETERS_BYTES_MAX)
}

fn bytes(field: &'static str, text: &str, most: usize) -> Result<()> {
    if text.len() > most {
        let reason = format!("has {} bytes: expected at most {most}", text.len());
        return Err(Error::invalid(field, reason));
    }
    storable(field, text)
}

// PostgreSQL stores no NUL in a text, so SQLite does not either.
fn storable(field: &'static str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character"));
    }
    Ok(())
}

/// An ISO 4217 code.
pub(crate) fn currency(text: &str) -> Result<()> {
    if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let reason = format!("is {text:?}: expected three capital letters");
        return Err(Error::invalid("currency", reason));
    }
    Ok(())
}
