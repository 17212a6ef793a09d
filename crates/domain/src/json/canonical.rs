//! The canonical form of a JSON text, made without a tree.

use std::cmp::Ordering;
use std::hash::Hasher;

use super::scan::Scanner;
use super::{Gathered, hash_number, hash_text, prefix};

/// Bytes of a key's tag and length.
const KEY_HEAD_BYTES: usize = 9;

/// The same bytes [`super::Json::hash_canonical`] feeds, with room that is used again.
#[derive(Debug, Default)]
pub(crate) struct Canonical {
    form: Gathered,
    /// Members of the objects that are open.
    members: Vec<Member>,
    ordered: Vec<u8>,
}

/// Where a member lies in the form.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// The first bytes of its key.
    prefix: u64,
    start: usize,
    key_end: usize,
    end: usize,
}

impl Canonical {
    /// Starts over.
    pub(crate) fn clear(&mut self) {
        self.form.0.clear();
        self.members.clear();
    }

    /// What was made since the start.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.form.0
    }

    /// Appends `null`.
    pub(crate) fn null(&mut self) {
        self.form.write_u8(b'n');
    }

    /// Appends a value of at most `left` levels; `None` leaves it to the tree.
    pub(crate) fn value(&mut self, scanner: &mut Scanner<'_>, left: usize) -> Option<()> {
        match scanner.peek()? {
            b'"' => hash_text(b's', &scanner.string()?, &mut self.form),
            b'n' => {
                scanner.word("null")?;
                self.null();
            }
            b't' => {
                scanner.word("true")?;
                self.form.write_u8(b't');
            }
            b'f' => {
                scanner.word("false")?;
                self.form.write_u8(b'f');
            }
            b'[' => {
                let left = left.checked_sub(1)?;
                self.form.write_u8(b'[');
                let mut more = scanner.starts(b'[', b']')?;
                while more {
                    self.value(scanner, left)?;
                    more = scanner.goes_on(b']')?;
                }
                self.form.write_u8(b']');
            }
            b'{' => self.object(scanner, left.checked_sub(1)?)?,
            // Spelled as the full parser does, where it cannot be an exact decimal.
            _ => return hash_number(&scanner.number()?, &mut self.form).then_some(()),
        }
        Some(())
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, left: usize) -> Option<()> {
        self.form.write_u8(b'{');
        let (first, mut sorted) = (self.members.len(), true);
        let mut more = scanner.starts(b'{', b'}')?;
        while more {
            let key = scanner.key()?;
            let start = self.form.0.len();
            hash_text(b'k', &key, &mut self.form);
            let key_end = self.form.0.len();
            self.value(scanner, left)?;
            let member = Member {
                prefix: prefix(key.as_bytes()),
                start,
                key_end,
                end: self.form.0.len(),
            };
            let last = self.members.get(first..)?.last();
            sorted &= last.is_none_or(|last| compare(&self.form.0, last, &member).is_lt());
            self.members.push(member);
            more = scanner.goes_on(b'}')?;
        }
        if !sorted {
            self.order(first)?;
        }
        self.members.truncate(first);
        self.form.write_u8(b'}');
        Some(())
    }

    /// Sorts the members from `first` on by key; of equal keys the last one stays.
    fn order(&mut self, first: usize) -> Option<()> {
        let members = self.members.get_mut(first..)?;
        let start = members.first()?.start;
        let form = &mut self.form.0;
        members.sort_by(|one, other| compare(form, one, other));
        self.ordered.clear();
        for (index, member) in members.iter().enumerate() {
            let next = members.get(index + 1);
            if next.is_none_or(|next| compare(form, member, next).is_ne()) {
                let bytes = form.get(member.start..member.end)?;
                self.ordered.extend_from_slice(bytes);
            }
        }
        form.truncate(start);
        form.extend_from_slice(&self.ordered);
        Some(())
    }
}

/// Compares two members by key.
fn compare(form: &[u8], one: &Member, other: &Member) -> Ordering {
    let key = |member: &Member| form.get(member.start + KEY_HEAD_BYTES..member.key_end);
    let prefixes = one.prefix.cmp(&other.prefix);
    prefixes.then_with(|| key(one).cmp(&key(other)))
}
