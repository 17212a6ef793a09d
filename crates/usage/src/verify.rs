//! Reads every byte of a store and tells what does not fit.
