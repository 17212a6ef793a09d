//! The `tallyport` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Gives memory back after bursts of small texts, where the system's keeps it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    server::cli::main()
}
