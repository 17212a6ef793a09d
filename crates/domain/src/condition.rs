//! Conditions on texts and instants, as queries state them.

use jiff::Timestamp;

/// Conditions one inside another, at most.
pub const LEVELS_MAX: usize = 8;

/// A condition on a text that may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextCondition {
    /// It is there and is one of these.
    OneOf(Vec<String>),
    /// It is one of these, where an absent text is the empty one, as for all below.
    In(Vec<String>),
    /// It is none of these.
    NotIn(Vec<String>),
    /// It fits a pattern.
    Like(Pattern),
    /// It fits no such pattern.
    NotLike(Pattern),
    /// Its bytes come after these.
    Greater(String),
    /// Its bytes are these or come after them.
    GreaterOrEqual(String),
    /// Its bytes come before these.
    Less(String),
    /// Its bytes are these or come before them.
    LessOrEqual(String),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds at least.
    Any(Vec<Self>),
}

impl TextCondition {
    /// Whether it holds.
    pub fn holds(&self, found: Option<&str>) -> bool {
        let text = found.unwrap_or_default();
        let is_one = |texts: &Vec<String>| texts.iter().any(|one| one == text);
        match self {
            Self::OneOf(texts) => found.is_some() && is_one(texts),
            Self::In(texts) => is_one(texts),
            Self::NotIn(texts) => !is_one(texts),
            Self::Like(pattern) => pattern.fits(text),
            Self::NotLike(pattern) => !pattern.fits(text),
            Self::Greater(bound) => text > bound.as_str(),
            Self::GreaterOrEqual(bound) => text >= bound.as_str(),
            Self::Less(bound) => text < bound.as_str(),
            Self::LessOrEqual(bound) => text <= bound.as_str(),
            Self::All(conditions) => conditions.iter().all(|one| one.holds(found)),
            Self::Any(conditions) => conditions.iter().any(|one| one.holds(found)),
        }
    }
}

impl From<Vec<String>> for TextCondition {
    fn from(texts: Vec<String>) -> Self {
        Self::OneOf(texts)
    }
}

/// A pattern of SQL: `%` is any text, `_` any character, and `\` takes the next as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    ignores_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    AnyText,
    AnyCharacter,
    Character(char),
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str, ignores_case: bool) -> Self {
        let text = folded(text, ignores_case);
        let mut characters = text.chars();
        let mut parts = Vec::new();
        while let Some(character) = characters.next() {
            let part = match character {
                '%' if parts.last() == Some(&Part::AnyText) => continue,
                '%' => Part::AnyText,
                '_' => Part::AnyCharacter,
                '\\' => Part::Character(characters.next().unwrap_or('\\')),
                character => Part::Character(character),
            };
            parts.push(part);
        }
        Self {
            parts,
            ignores_case,
        }
    }

    /// A pattern for texts that hold this one somewhere, whatever its case.
    pub fn containing(text: &str) -> Self {
        let characters = folded(text, true);
        let mut parts = vec![Part::AnyText];
        parts.extend(characters.chars().map(Part::Character));
        parts.push(Part::AnyText);
        Self {
            parts,
            ignores_case: true,
        }
    }

    /// Whether a whole text fits.
    pub fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = folded(text, self.ignores_case).chars().collect();
        let (mut at, mut part) = (0, 0);
        // Where the last `%` stands, and the text it takes so far.
        let mut retry = None;
        loop {
            match self.parts.get(part) {
                Some(Part::AnyText) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(Part::AnyCharacter) if at < text.len() => {}
                Some(Part::Character(wanted)) if text.get(at) == Some(wanted) => {}
                None if at == text.len() => return true,
                _ => match retry.filter(|(_, taken)| *taken < text.len()) {
                    None => return false,
                    Some((any, taken)) => {
                        retry = Some((any, taken + 1));
                        (part, at) = (any + 1, taken + 1);
                        continue;
                    }
                },
            }
            (part, at) = (part + 1, at + 1);
        }
    }
}

fn folded(text: &str, ignores_case: bool) -> String {
    if ignores_case {
        return text.to_lowercase();
    }
    text.to_owned()
}

/// A condition on an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeCondition {
    /// It lies after this one.
    Greater(Timestamp),
    /// It is this one or later.
    GreaterOrEqual(Timestamp),
    /// It lies before this one.
    Less(Timestamp),
    /// It is this one or earlier.
    LessOrEqual(Timestamp),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds at least.
    Any(Vec<Self>),
}

impl TimeCondition {
    /// Whether it holds.
    pub fn holds(&self, at: Timestamp) -> bool {
        match self {
            Self::Greater(bound) => at > *bound,
            Self::GreaterOrEqual(bound) => at >= *bound,
            Self::Less(bound) => at < *bound,
            Self::LessOrEqual(bound) => at <= *bound,
            Self::All(conditions) => conditions.iter().all(|one| one.holds(at)),
            Self::Any(conditions) => conditions.iter().any(|one| one.holds(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, false).fits(text)
    }

    #[test]
    fn patterns_are_those_of_sql() {
        assert!(fits("gpt-4%", "gpt-4") && fits("gpt-4%", "gpt-4o-mini"));
        assert!(fits("%4%o%", "gpt-4-turbo") && fits("%", "") && fits("_%_", "ab"));
        assert!(fits("a%b%c", "a-b-b-c") && fits("100\\%", "100%") && fits("b_r", "b\u{e4}r"));
        assert!(!fits("gpt-4", "gpt-4o") && !fits("_", "") && !fits("100\\%", "1000"));
        assert!(!fits("GPT%", "gpt-4") && Pattern::new("GPT%", true).fits("gpt-4"));
        assert!(Pattern::containing("5%_").fits("at 5%_ OFF"));
        assert!(!Pattern::containing("5%_").fits("at 50% off"));
    }

    #[test]
    fn an_absent_text_is_the_empty_one_but_for_a_plain_list() {
        let texts = || vec![String::new()];
        assert!(!TextCondition::OneOf(texts()).holds(None));
        assert!(TextCondition::In(texts()).holds(None));
        assert!(!TextCondition::NotIn(texts()).holds(None));
        assert!(TextCondition::Less("a".into()).holds(None));
        let none_of = TextCondition::NotIn(vec!["a".into()]);
        assert!(TextCondition::All(vec![none_of.clone()]).holds(None));
        assert!(!TextCondition::Any(vec![none_of]).holds(Some("a")));
    }

    #[test]
    fn bounds_of_instants_take_their_own_instant_or_not() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(TimeCondition::GreaterOrEqual(at).holds(at));
        assert!(TimeCondition::LessOrEqual(at).holds(at));
        let both = vec![TimeCondition::Greater(at), TimeCondition::Less(at)];
        assert!(!TimeCondition::Any(both).holds(at));
    }
}
