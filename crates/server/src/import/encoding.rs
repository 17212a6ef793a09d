//! Encodings of text, their names in a mapping and their byte order marks.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes in which a byte order mark shows.
pub(super) const MARK_BYTES_MAX: usize = 4;

/// How the text of a file is encoded, as a mapping names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, with a byte order mark or without.
    Utf8,
    /// Windows-1252 as the Encoding Standard has it: every byte is a character.
    Windows1252,
    /// ISO 8859-1 to the letter: byte N is character N, so 0x80 to 0x9F are control characters.
    Iso8859,
    /// UTF-16, in the order its mark says.
    Utf16,
    /// UTF-16 with the lower byte first.
    Utf16Le,
    /// UTF-16 with the higher byte first.
    Utf16Be,
}

/// What has no marks: lines that are looked at one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Text in an encoding; the first byte that does not belong to it ends the reading.
    Whole(Encoding),
    /// Bytes as they are: whoever takes them looks at each line.
    AsIs,
}

/// Turns the bytes of one file into UTF-8.
pub(super) enum Decoder {
    /// Not at all.
    AsIs,
    /// ISO 8859-1, where nothing can be malformed.
    Latin1,
    /// Any other encoding.
    Other(Encoding, Box<encoding_rs::Decoder>),
}

impl Encoding {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Utf8, "utf-8"),
        (Self::Windows1252, "windows-1252"),
        (Self::Iso8859, "iso-8859-1"),
        (Self::Utf16, "utf-16"),
        (Self::Utf16Le, "utf-16le"),
        (Self::Utf16Be, "utf-16be"),
    ];

    /// The encoding of a name, in upper or lower case.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name));
        found.map(|(encoding, _)| *encoding).ok_or_else(|| {
            let known = Self::ALL.map(|(_, known)| known).join(", ");
            format!("encoding is {name:?}: expected one of {known}")
        })
    }

    /// Its name in a mapping.
    pub(crate) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(known, _)| *known == self);
        found.map_or("", |(_, name)| name)
    }

    /// The one a byte order mark shows, with the length of the mark.
    fn marked(start: &[u8]) -> Option<(&'static str, usize)> {
        match start {
            [0xEF, 0xBB, 0xBF, ..] => Some(("utf-8", 3)),
            [0xFF, 0xFE, 0, 0] => Some(("utf-32le", 4)),
            [0, 0, 0xFE, 0xFF] => Some(("utf-32be", 4)),
            [0xFF, 0xFE, ..] => Some(("utf-16le", 2)),
            [0xFE, 0xFF, ..] => Some(("utf-16be", 2)),
            _ => None,
        }
    }

    fn decoder(self) -> Decoder {
        let encoding = match self {
            Self::Iso8859 => return Decoder::Latin1,
            Self::Utf8 => UTF_8,
            Self::Windows1252 => WINDOWS_1252,
            Self::Utf16 | Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
        };
        let decoder = encoding.new_decoder_without_bom_handling();
        Decoder::Other(self, Box::new(decoder))
    }
}

impl Wanted {
    /// Chooses the decoder by the first bytes of a file, and says how long their mark is; an error
    /// says what was expected.
    pub(super) fn decoder(self, start: &[u8]) -> Result<(Decoder, usize), String> {
        use Encoding::{Utf8, Utf16, Utf16Be, Utf16Le};
        let mark = Encoding::marked(start);
        let length = mark.map_or(0, |(_, length)| length);
        let encoding = match (self, mark.map(|(name, _)| name)) {
            (Self::AsIs, None | Some("utf-8")) => return Ok((Decoder::AsIs, length)),
            (Self::Whole(encoding), None) if encoding != Utf16 || start.is_empty() => encoding,
            (Self::Whole(Utf8), Some("utf-8")) => Utf8,
            (Self::Whole(Utf16 | Utf16Le), Some("utf-16le")) => Utf16Le,
            (Self::Whole(Utf16 | Utf16Be), Some("utf-16be")) => Utf16Be,
            (_, None) => {
                let reason = "has no byte order mark: expected encoding: utf-16le or utf-16be \
                              in the mapping, since either may be meant";
                return Err(reason.to_owned());
            }
            (wanted, Some(name)) => return Err(wanted.refuse(name)),
        };
        Ok((encoding.decoder(), length))
    }

    fn refuse(self, marked: &str) -> String {
        let wanted = match self {
            Self::Whole(encoding) => encoding.name(),
            Self::AsIs => "utf-8",
        };
        let remedy = match marked {
            "utf-16le" | "utf-16be" => "utf-8, or encoding: utf-16 in a mapping",
            "utf-32le" | "utf-32be" => "utf-8: convert the file",
            _ => "no encoding, or encoding: utf-8, in the mapping",
        };
        format!(
            "begins with the byte order mark of {marked} and is to be read as {wanted}: expected \
             {remedy}"
        )
    }
}
