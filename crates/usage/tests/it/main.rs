//! Stories about the store as others use it.

mod intake;
