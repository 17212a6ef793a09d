//! Names of the members of an event: attributes of CloudEvents are in lower case.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

/// The attributes that are read.
const ATTRIBUTES: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "organization",
    "data",
    "data_base64",
];

/// The first member whose name is that of an attribute in another case, and the attribute.
#[derive(Debug)]
pub(super) struct Names(pub(super) Option<(String, &'static str)>);

/// The attribute that a name would be in lower case.
pub(super) fn misspelled(name: &str) -> Option<&'static str> {
    let mut attributes = ATTRIBUTES.into_iter();
    attributes.find(|known| *known != name && known.eq_ignore_ascii_case(name))
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Names;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Names, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = members.next_key()? {
            members.next_value::<IgnoredAny>()?;
            let expected = misspelled(&name);
            found = found.or_else(|| expected.map(|expected| (name.into_owned(), expected)));
        }
        Ok(Names(found))
    }
}

/// A name, copied only where it is escaped.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
