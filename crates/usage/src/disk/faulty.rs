//! A file system in memory that fails like a real one.
