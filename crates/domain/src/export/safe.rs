//! Texts that spreadsheets would run when they open a CSV.

/// What a text must not begin with.
const STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Puts an apostrophe before a text that spreadsheets may take for a formula.
pub fn make_safe(text: &mut String) {
    if text.starts_with(STARTS) {
        text.insert(0, '\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_start_of_a_text_makes_it_a_formula() {
        let safe = |text: &str| {
            let mut text = text.to_owned();
            make_safe(&mut text);
            text
        };
        for text in ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "="] {
            assert_eq!(safe(text), format!("'{text}"));
        }
        for text in ["", "a=1", " =1", "'=1", "\n=1", "null", "0-1"] {
            assert_eq!(safe(text), text);
        }
    }
}
