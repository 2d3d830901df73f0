//! The tidegate program.

use std::process::ExitCode;

/// Allocates quickly from many threads, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate_jobs::allocator::keep_what_is_freed();
    tidegate_jobs::cli::main()
}
