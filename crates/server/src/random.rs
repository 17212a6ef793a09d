//! Random bits of the operating system, spelled as ids and secrets.

use domain::ids::UserId;

/// 128 random bits.
pub fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u128::from_le_bytes(bytes)
}

/// A key of 256 random bits.
pub fn key() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Characters of a random secret.
pub const SECRET_CHARS: usize = 2 * domain::ids::ID_LENGTH;
/// Characters of a random password: 119 bits.
const PASSWORD_CHARS: usize = 20;

/// A secret of 44 letters and digits holding 256 random bits.
pub fn secret() -> String {
    let half = || UserId::from_random(bits()).to_string();
    half() + &half()
}

/// A password for a person to change.
pub fn password() -> String {
    secret().split_off(SECRET_CHARS - PASSWORD_CHARS)
}
