//! Enums that are stored, sent and read as one word.

/// Declares an enum with the word each value has in SQL and JSON.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$value_doc:meta])* $value:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// The word used in SQL and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)* }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl $crate::database::Column for $name {
            type Stored = String;

            fn read(stored: &String) -> Option<Self> {
                Self::from_word(stored)
            }
        }

        impl From<$name> for $crate::database::Bind {
            fn from(value: $name) -> Self {
                value.as_str().into()
            }
        }

        impl From<Option<$name>> for $crate::database::Bind {
            fn from(value: Option<$name>) -> Self {
                value.map($name::as_str).into()
            }
        }
    };
}

pub(crate) use words;
