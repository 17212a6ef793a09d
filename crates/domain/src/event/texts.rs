//! The texts of one event in one piece of memory: millions of them come and go within seconds, and
//! often on another thread than they came on.

use std::fmt;

/// The texts of an event, one after the other.
#[derive(Clone, PartialEq, Eq)]
pub struct EventTexts {
    all: Box<str>,
    /// Where type, subject, source and id end.
    ends: [u32; 4],
    has_data: bool,
}

/// The texts of an event, each by its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextParts<'a> {
    /// CloudEvents `type`.
    pub event_type: &'a str,
    /// CloudEvents `subject`.
    pub subject: &'a str,
    /// CloudEvents `source`.
    pub source: &'a str,
    /// CloudEvents `id`.
    pub id: &'a str,
    /// The data object as sent; `None` for null or absent.
    pub data: Option<&'a str>,
}

impl From<TextParts<'_>> for EventTexts {
    /// Copies the parts; together they must be shorter than 4 GiB, as everything within the limits
    /// of an event is.
    fn from(parts: TextParts<'_>) -> Self {
        let data = parts.data.unwrap_or_default();
        let texts = [parts.event_type, parts.subject, parts.source, parts.id];
        let length = texts.iter().map(|text| text.len()).sum::<usize>() + data.len();
        let mut all = String::with_capacity(length);
        let ends = texts.map(|text| {
            all.push_str(text);
            u32::try_from(all.len()).expect("the texts of an event are limited")
        });
        all.push_str(data);
        Self {
            all: all.into_boxed_str(),
            ends,
            has_data: parts.data.is_some(),
        }
    }
}

impl EventTexts {
    /// CloudEvents `type`.
    pub fn event_type(&self) -> &str {
        self.part(0, self.ends[0])
    }

    /// CloudEvents `subject`.
    pub fn subject(&self) -> &str {
        self.part(self.ends[0], self.ends[1])
    }

    /// CloudEvents `source`.
    pub fn source(&self) -> &str {
        self.part(self.ends[1], self.ends[2])
    }

    /// CloudEvents `id`.
    pub fn id(&self) -> &str {
        self.part(self.ends[2], self.ends[3])
    }

    /// The data object as sent; `None` for null or absent.
    pub fn data(&self) -> Option<&str> {
        self.has_data.then(|| &self.all[self.ends[3] as usize..])
    }

    /// All of them by name.
    pub fn parts(&self) -> TextParts<'_> {
        TextParts {
            event_type: self.event_type(),
            subject: self.subject(),
            source: self.source(),
            id: self.id(),
            data: self.data(),
        }
    }

    /// Bytes of all together.
    pub fn bytes(&self) -> usize {
        self.all.len()
    }

    fn part(&self, start: u32, end: u32) -> &str {
        &self.all[start as usize..end as usize]
    }
}

impl fmt::Debug for EventTexts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_were_even_where_some_are_empty() {
        let whole = TextParts {
            event_type: "type",
            subject: "sübject",
            source: "",
            id: "1",
            data: Some("{}"),
        };
        let bare = TextParts {
            data: None,
            ..whole
        };
        let empty = TextParts::default();
        for (parts, bytes) in [(whole, 15), (bare, 13), (empty, 0)] {
            let texts = EventTexts::from(parts);
            assert_eq!(texts.parts(), parts);
            assert_eq!(texts.bytes(), bytes);
        }
        assert_ne!(EventTexts::from(whole), EventTexts::from(bare));
    }
}
