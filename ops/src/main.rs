//! The binary `leasehold`: see `cli`.

use std::process::ExitCode;

// RocksDB and the packet path allocate from many threads; its arenas keep them from waiting for one another.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ops::cli::run()
}
