//! What a name may hold: one rule for organizations, meters, users, keys and all that people read.

use crate::limits::NAME_CHARS_MAX;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or too long, cannot be printed, or has space around it.
    #[error("a name has 1 to {NAME_CHARS_MAX} printable characters and no space around it")]
    Form,
    /// It holds a character that nobody sees and that changes how the text around it is read.
    #[error(
        "a name holds U+{code:04X}: expected no mark that turns the direction of text and no byte \
         order mark",
        code = u32::from(*.0)
    )]
    Mark(char),
}

/// Checks a name: 1 to 255 printable characters, no space around them, no mark.
pub fn check(text: &str) -> Result<(), NameError> {
    check_marks(text)?;
    let printable = !text.chars().any(char::is_control) && text.trim() == text;
    if printable && (1..=NAME_CHARS_MAX).contains(&text.chars().count()) {
        Ok(())
    } else {
        Err(NameError::Form)
    }
}

/// Checks a text beside a name, such as a description, for marks alone.
pub fn check_marks(text: &str) -> Result<(), NameError> {
    let mark = text.chars().find(|character| is_mark(*character));
    mark.map_or(Ok(()), |mark| Err(NameError::Mark(mark)))
}

/// Bidirectional overrides, embeddings, isolates and marks, and the byte order mark.
fn is_mark(character: char) -> bool {
    matches!(
        character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_bounded() {
        let long = "x".repeat(NAME_CHARS_MAX);
        for text in ["United Air Lines", "Zürich 東京", "שלום", &long] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
        let longer = "x".repeat(NAME_CHARS_MAX + 1);
        for text in ["", " x", "x ", "x\n", "x\0y", &longer] {
            assert_eq!(check(text), Err(NameError::Form), "{text:?}");
        }
    }

    #[test]
    fn marks_that_change_how_a_name_is_read_are_refused_by_their_code() {
        let marks = ['\u{61C}', '\u{200E}', '\u{200F}', '\u{FEFF}'];
        let ranges = ('\u{202A}'..='\u{202E}').chain('\u{2066}'..='\u{2069}');
        for mark in marks.into_iter().chain(ranges) {
            let text = format!("a{mark}b");
            assert_eq!(check(&text), Err(NameError::Mark(mark)), "{text:?}");
            assert_eq!(check_marks(&text), Err(NameError::Mark(mark)), "{text:?}");
        }
        assert_eq!(
            check("\u{FEFF}x").unwrap_err().to_string(),
            "a name holds U+FEFF: expected no mark that turns the direction of text and no byte \
             order mark"
        );
        // Neighbours of the ranges stay: joiners make some scripts legible.
        for text in ["\u{200D}x", "x\u{2065}y", "x\u{206A}y"] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }
}
