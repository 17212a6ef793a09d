//! Bytes of a gzip member (RFC 1952) around the deflated data of its one file.

use domain::Timestamp;

/// Starts every member: deflated, no name and no comment.
const START: [u8; 4] = [0x1f, 0x8b, 8, 0];
/// No flags for the level, and an unknown system.
const END: [u8; 2] = [0, 255];

/// What stands before the data; a time that 32 bits do not hold is left out.
pub(super) fn header(time: Timestamp) -> Vec<u8> {
    let seconds = u32::try_from(time.as_second()).unwrap_or(0);
    [&START[..], &seconds.to_le_bytes(), &END].concat()
}

/// What stands after the data; the length counts to 4 GiB and begins again.
pub(super) fn trailer(crc: u32, bytes: u64) -> Vec<u8> {
    let length = bytes.to_le_bytes();
    [&crc.to_le_bytes(), &length[..4]].concat()
}
