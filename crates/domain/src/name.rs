//! What a name may hold: one rule for organizations, meters, users, keys and all that people read.

use crate::limits::NAME_CHARS_MAX;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or too long, cannot be printed, or has space around it.
    #[error("a name has 1 to {NAME_CHARS_MAX} printable characters and no space around it")]
    Form,
    /// It holds a character that nobody sees: two names would look the same, or be read otherwise.
    #[error(
        "a name holds U+{code:04X}: expected no invisible character and no mark that turns the \
         direction of text",
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
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let is_refused = if is_joiner(character) {
            !(before.is_some_and(takes_joiners) && rest.peek().copied().is_some_and(takes_joiners))
        } else {
            is_invisible(character)
        };
        if is_refused {
            return Err(NameError::Mark(character));
        }
        before = Some(character);
    }
    Ok(())
}

/// The joiners, which some scripts and emoji need.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}')
}

/// Whether joiners beside a character may change how it looks: not beside ASCII, spaces, or each
/// other.
fn takes_joiners(character: char) -> bool {
    !character.is_ascii() && !character.is_whitespace() && !is_joiner(character)
}

/// Unicode's format characters (Cf) but for the joiners and for signs of Arabic and Kaithi that are
/// seen, among them all marks of direction; and the fillers of Hangul, letters that nobody sees.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00AD}' | '\u{061C}' | '\u{070F}' | '\u{115F}' | '\u{1160}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E007F}'
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
        let marks = [
            '\u{AD}', '\u{61C}', '\u{200B}', '\u{200E}', '\u{200F}', '\u{3164}', '\u{FEFF}',
        ];
        let ranges = ('\u{202A}'..='\u{202E}').chain('\u{2060}'..='\u{206F}');
        let tags = '\u{E0020}'..='\u{E007F}';
        for mark in marks.into_iter().chain(ranges).chain(tags) {
            let text = format!("a{mark}b");
            assert_eq!(check(&text), Err(NameError::Mark(mark)), "{text:?}");
            assert_eq!(check_marks(&text), Err(NameError::Mark(mark)), "{text:?}");
        }
        assert_eq!(
            check("\u{FEFF}x").unwrap_err().to_string(),
            "a name holds U+FEFF: expected no invisible character and no mark that turns the \
             direction of text"
        );
        // Signs that are seen stay.
        for text in ["\u{0600}1", "x\u{2010}y", "x\u{2070}y"] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn joiners_stay_where_they_join_and_are_refused_where_nobody_sees_them() {
        let (joiner, parter) = ('\u{200D}', '\u{200C}');
        let persian = format!("می{parter}خواهم");
        let family = format!("👨{joiner}👩{joiner}👧");
        let sinhala = format!("ශ්{joiner}රී");
        for text in [persian, family, sinhala] {
            assert_eq!(check(&text), Ok(()), "{text:?}");
        }
        for text in ["a{}b", "{}x", "م{}", "م{} م", "م{}{}م"] {
            let text = text.replace("{}", &joiner.to_string());
            assert_eq!(check(&text), Err(NameError::Mark(joiner)), "{text:?}");
        }
    }
}
