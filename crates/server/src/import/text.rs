//! The bytes of a file as UTF-8, whatever encoding its mapping names, in bounded memory.

use std::fmt;
use std::io::{self, Read};

use encoding_rs::{DecoderResult, mem};

use super::encoding::{Decoder, Encoding, MARK_BYTES_MAX, Wanted};

/// Bytes of the file that are decoded at once.
const RAW_BYTES: usize = 64 * 1024;

/// Why a text cannot be read on.
#[derive(Debug)]
pub(super) enum TextError {
    /// The file cannot be read.
    Io(io::Error),
    /// It begins with a mark of another encoding, or lacks one; says what was expected.
    Mark(String),
    /// A byte does not belong to the encoding.
    Malformed(Malformed),
}

/// A byte that does not belong to the encoding of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The encoding.
    pub(crate) encoding: Encoding,
    /// The byte; `None` where it is not at hand any more.
    pub(crate) byte: Option<u8>,
    /// Its place in the unpacked file, from 0.
    pub(crate) offset: u64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.encoding.name())?;
        match self.byte {
            Some(byte) => write!(formatter, "byte 0x{byte:02X}")?,
            None => write!(formatter, "a byte")?,
        }
        write!(formatter, " at offset {} of the unpacked file", self.offset)
    }
}

/// A text that is being read.
pub(super) struct Text {
    input: Box<dyn Read + Send>,
    wanted: Wanted,
    decoder: Option<Decoder>,
    raw: Box<[u8]>,
    /// What is in `raw` and not decoded.
    start: usize,
    end: usize,
    /// Bytes of the file before `raw`.
    before: u64,
    ended: bool,
    failed: Option<TextError>,
}

impl Text {
    pub(super) fn new(input: Box<dyn Read + Send>, wanted: Wanted) -> Self {
        Self {
            input,
            wanted,
            decoder: None,
            raw: vec![0; RAW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            before: 0,
            ended: false,
            failed: None,
        }
    }

    /// Appends the next piece of text; `false`, and nothing, at the end.
    ///
    /// An error comes after all the text before it, which it ends.
    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, TextError> {
        let old = out.len();
        while out.len() == old {
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            if self.ended && self.start == self.end {
                return Ok(false);
            }
            if let Err(error) = self.step(out) {
                self.failed = Some(error);
            }
        }
        Ok(true)
    }

    /// Reads some bytes of the file and decodes them.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<(), TextError> {
        if self.decoder.is_none() {
            self.begin()?;
        } else {
            self.before += self.end as u64;
            (self.start, self.end) = (0, 0);
            self.fetch()?;
        }
        let raw = &self.raw[self.start..self.end];
        let read = match &mut self.decoder {
            None => 0,
            Some(Decoder::AsIs) => {
                out.extend_from_slice(raw);
                raw.len()
            }
            Some(Decoder::Latin1) => {
                let old = out.len();
                out.resize(old + 2 * raw.len(), 0);
                let written = mem::convert_latin1_to_utf8(raw, &mut out[old..]);
                out.truncate(old + written);
                raw.len()
            }
            Some(Decoder::Other(encoding, decoder)) => {
                let decoded = decode(decoder, raw, self.ended, out);
                decoded.map_err(|(read, malformed)| {
                    // The bytes of a character may have come with what was read before.
                    let place = (self.start + read).checked_sub(malformed);
                    TextError::Malformed(Malformed {
                        encoding: *encoding,
                        byte: place.map(|place| self.raw[place]),
                        offset: self.before + (self.start + read) as u64 - malformed as u64,
                    })
                })?;
                raw.len()
            }
        };
        self.start += read;
        Ok(())
    }

    /// Reads the first bytes, which say what the rest is.
    fn begin(&mut self) -> Result<(), TextError> {
        while !self.ended && self.end < MARK_BYTES_MAX {
            self.fetch()?;
        }
        let first = &self.raw[..self.end.min(MARK_BYTES_MAX)];
        let decoder = self.wanted.decoder(first);
        let (decoder, mark) = decoder.map_err(TextError::Mark)?;
        self.decoder = Some(decoder);
        self.start = mark;
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), TextError> {
        let read = loop {
            match self.input.read(&mut self.raw[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(TextError::Io)?,
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }
}

/// Decodes all of `raw`; an error says how much of it was read, and how many bytes before that
/// the character begins that is none.
fn decode(
    decoder: &mut encoding_rs::Decoder,
    raw: &[u8],
    last: bool,
    out: &mut Vec<u8>,
) -> Result<(), (usize, usize)> {
    let old = out.len();
    let room = decoder.max_utf8_buffer_length_without_replacement(raw.len());
    out.resize(old + room.unwrap_or(4 * RAW_BYTES), 0);
    let (result, read, written) =
        decoder.decode_to_utf8_without_replacement(raw, &mut out[old..], last);
    out.truncate(old + written);
    match result {
        DecoderResult::InputEmpty => Ok(()),
        // There is always room: what is left would be taken for malformed, never dropped.
        DecoderResult::OutputFull => Err((read, 0)),
        DecoderResult::Malformed(length, behind) => {
            Err((read, usize::from(length) + usize::from(behind)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes a few at a time.
    struct Slow(Vec<u8>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(self.0.len()).min(buffer.len());
            buffer[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0.drain(..bytes);
            Ok(bytes)
        }
    }

    fn read(wanted: Wanted, bytes: &[u8], step: usize) -> (Vec<u8>, Option<TextError>) {
        let mut text = Text::new(Box::new(Slow(bytes.to_vec(), step)), wanted);
        let mut out = Vec::new();
        loop {
            match text.read(&mut out) {
                Ok(true) => {}
                Ok(false) => return (out, None),
                Err(error) => return (out, Some(error)),
            }
        }
    }

    fn decoded(name: &str, bytes: &[u8]) -> String {
        let encoding = Encoding::named(name).unwrap();
        let results = [1, 2, 3, 1000].map(|step| {
            let (out, error) = read(Wanted::Whole(encoding), bytes, step);
            assert!(error.is_none(), "{error:?}");
            String::from_utf8(out).unwrap()
        });
        assert!(results.iter().all(|text| *text == results[0]));
        results[0].clone()
    }

    fn malformed(name: &str, bytes: &[u8]) -> (Vec<u8>, u64) {
        let encoding = Encoding::named(name).unwrap();
        let results = [1, 3, 1000].map(|step| {
            let (out, error) = read(Wanted::Whole(encoding), bytes, step);
            match error {
                Some(TextError::Malformed(malformed)) => (out, malformed.offset),
                error => panic!("{error:?}"),
            }
        });
        assert!(results.iter().all(|found| *found == results[0]));
        results[0].clone()
    }

    #[test]
    fn every_encoding_is_read_however_the_bytes_arrive() {
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(bytes);
            units.collect::<Vec<u8>>()
        };
        let text = "b\u{e4}r,\u{20ac}\u{1f600}\n";
        assert_eq!(decoded("utf-8", text.as_bytes()), text);
        assert_eq!(decoded("UTF-8", format!("\u{feff}{text}").as_bytes()), text);
        let marked = format!("\u{feff}{text}");
        assert_eq!(decoded("utf-16", &utf16(&marked, u16::to_le_bytes)), text);
        assert_eq!(decoded("utf-16", &utf16(&marked, u16::to_be_bytes)), text);
        assert_eq!(decoded("utf-16be", &utf16(text, u16::to_be_bytes)), text);
        assert_eq!(decoded("windows-1252", b"b\xE4r \x80"), "b\u{e4}r \u{20ac}");
        assert_eq!(decoded("iso-8859-1", b"b\xE4r \x80"), "b\u{e4}r \u{80}");
        assert_eq!(decoded("utf-16", b""), "");
    }

    #[test]
    fn each_byte_of_the_encodings_of_one_byte_is_a_character_of_its_own() {
        let bytes: Vec<u8> = (0..=255).collect();
        for name in ["windows-1252", "iso-8859-1"] {
            let text = decoded(name, &bytes);
            let characters: std::collections::BTreeSet<char> = text.chars().collect();
            assert_eq!(characters.len(), 256, "{name}");
            assert!(!characters.contains(&char::REPLACEMENT_CHARACTER), "{name}");
        }
    }

    #[test]
    fn the_byte_that_does_not_belong_is_named_and_all_before_it_is_given() {
        assert_eq!(malformed("utf-8", b"id\nb\xE4r"), (b"id\nb".to_vec(), 4));
        assert_eq!(
            malformed("utf-8", b"\xEF\xBB\xBFa\xE2\x82"),
            (b"a".to_vec(), 4)
        );
        let (_, offset) = malformed("utf-16le", b"a\0\x3D\xD8b\0");
        assert_eq!(offset, 2, "half of a pair");
        let (_, offset) = malformed("utf-16le", b"a\0b");
        assert_eq!(offset, 2, "half of a character");
        let long = [&vec![b'x'; RAW_BYTES][..], b"y\xFFz"].concat();
        let (out, error) = read(Wanted::Whole(Encoding::Utf8), &long, RAW_BYTES);
        let Some(TextError::Malformed(found)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(out.len(), RAW_BYTES + 1);
        assert_eq!(
            (found.byte, found.offset),
            (Some(0xFF), RAW_BYTES as u64 + 1)
        );
    }

    #[test]
    fn a_mark_of_another_encoding_is_named() {
        let refused = |wanted, bytes: &[u8]| match read(wanted, bytes, 1).1 {
            Some(TextError::Mark(reason)) => reason,
            error => panic!("{error:?}"),
        };
        let utf8 = refused(Wanted::Whole(Encoding::Utf8), b"\xFF\xFEa\0");
        assert_eq!(
            utf8,
            "begins with the byte order mark of utf-16le and is to be read as utf-8: expected \
             utf-8, or encoding: utf-16 in a mapping"
        );
        assert!(refused(Wanted::AsIs, b"\xFE\xFF\0a").contains("utf-16be"));
        assert!(refused(Wanted::AsIs, b"\xFF\xFE\0\0a").contains("utf-32le"));
        let windows = Wanted::Whole(Encoding::Windows1252);
        assert!(refused(windows, b"\xEF\xBB\xBFa").contains("mark of utf-8"));
        let without = refused(Wanted::Whole(Encoding::Utf16), b"a\0b\0");
        assert!(without.contains("has no byte order mark"), "{without}");
        assert_eq!(read(Wanted::AsIs, b"\xEF\xBB\xBFa\xFF", 1).0, b"a\xFF");
    }
}
