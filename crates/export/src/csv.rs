//! Step 5 of usage out: rows become lines, in the one dialect of the metering family.
//!
//! UTF-8 without a mark, LF, commas, a header, quotes only where a field needs them, and a line end
//! after the last line.

use domain::export::{Column, Row, make_safe};

/// Appends the header line.
pub fn write_header<'c, C: 'c>(
    columns: impl IntoIterator<Item = &'c Column<C>>,
    line: &mut Vec<u8>,
) {
    write_fields(columns.into_iter(), line, |column, line| {
        push_field(column.header, line);
    });
}

/// Appends one row as a line; `cell` is room to work in.
///
/// What `must_be_safe` names is made safe for spreadsheets.
pub fn write_row<'c, R: Row>(
    columns: impl IntoIterator<Item = &'c Column<R::Cell>>,
    row: &R,
    must_be_safe: impl Fn(R::Cell) -> bool,
    cell: &mut String,
    line: &mut Vec<u8>,
) where
    R::Cell: 'c,
{
    write_fields(columns.into_iter(), line, |column, line| {
        cell.clear();
        row.write(column.cell, cell);
        if must_be_safe(column.cell) {
            make_safe(cell);
        }
        push_field(cell, line);
    });
}

fn write_fields<T>(
    fields: impl Iterator<Item = T>,
    line: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            line.push(b',');
        }
        write(field, line);
    }
    line.push(b'\n');
}

fn push_field(text: &str, line: &mut Vec<u8>) {
    if !text
        .bytes()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
    {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words([&'static str; 2]);

    impl Row for Words {
        type Cell = usize;

        fn write(&self, cell: usize, text: &mut String) {
            text.push_str(self.0[cell]);
        }
    }

    fn line(words: [&'static str; 2]) -> String {
        written(words, |_| false)
    }

    fn written(words: [&'static str; 2], must_be_safe: impl Fn(usize) -> bool) -> String {
        let columns = [
            Column {
                header: "a",
                cell: 0,
            },
            Column {
                header: "b",
                cell: 1,
            },
        ];
        let mut line = Vec::new();
        write_header(&columns, &mut line);
        let words = Words(words);
        write_row(
            &columns,
            &words,
            must_be_safe,
            &mut String::new(),
            &mut line,
        );
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_text_is_made_safe_before_it_is_quoted_and_a_number_stays() {
        let safe = |words| written(words, |cell| cell == 0);
        assert_eq!(safe(["=1+1", "-1.5"]), "a,b\n'=1+1,-1.5\n");
        assert_eq!(safe(["-a,b", "-1.5"]), "a,b\n\"'-a,b\",-1.5\n");
        assert_eq!(safe(["\r", ""]), "a,b\n\"'\r\",\n");
    }

    #[test]
    fn quotes_stand_only_where_a_field_needs_them() {
        assert_eq!(line(["plain text", ""]), "a,b\nplain text,\n");
        assert_eq!(
            line(["one, two", "say \"hi\""]),
            "a,b\n\"one, two\",\"say \"\"hi\"\"\"\n"
        );
        assert_eq!(line(["two\nlines", "\r"]), "a,b\n\"two\nlines\",\"\r\"\n");
    }
}
