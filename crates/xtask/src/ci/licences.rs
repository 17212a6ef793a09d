//! SPDX licence expressions against the licences we may ship.

/// Licences that ask for no more than a notice.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether the terms of an expression can be met with allowed licences alone.
///
/// The slash of older manifests means `OR`. An expression that cannot be read is not allowed.
pub(crate) fn allows(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words };
    reader.any_of() == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
}

impl Reader<'_> {
    fn any_of(&mut self) -> Option<bool> {
        let mut allowed = self.all_of()?;
        while self.take("OR") {
            allowed |= self.all_of()?;
        }
        Some(allowed)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut allowed = self.one()?;
        while self.take("AND") {
            allowed &= self.one()?;
        }
        Some(allowed)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let allowed = self.any_of()?;
            return self.take(")").then_some(allowed);
        }
        let name = self.word()?;
        if self.take("WITH") {
            let exception = self.word()?;
            return Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(&name.as_str()))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn word(&mut self) -> Option<String> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some((*first).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn a_choice_is_allowed_when_one_side_is() {
        assert!(allows("GPL-3.0-only OR MIT"));
        assert!(allows("Unlicense/MIT"));
        assert!(!allows("GPL-3.0-only OR AGPL-3.0-only"));
    }

    #[test]
    fn a_sum_is_allowed_only_when_both_sides_are() {
        assert!(allows("(MIT OR GPL-2.0-only) AND Unicode-3.0"));
        assert!(!allows("MIT AND GPL-2.0-only"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(allows("Apache-2.0 WITH LLVM-exception"));
        assert!(!allows("GPL-2.0-only WITH Classpath-exception-2.0"));
    }

    #[test]
    fn an_unreadable_expression_is_refused() {
        for text in ["", "MIT OR", "(MIT", "MIT Apache-2.0"] {
            assert!(!allows(text), "{text:?}");
        }
    }
}
