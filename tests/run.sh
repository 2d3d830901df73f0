#!/usr/bin/env bash
# Builds the program and runs all tests: units, examples in the documentation, the program as a whole, and the tests
# inside the job files of the catalogue. Needs cargo and nothing else; leaves nothing behind but the target folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_PROGRESS_WHEN=never

begin() {
    printf '== %s (%d s)\n' "$1" "$SECONDS"
}

# One profile for everything, so that DataFusion is compiled once.
begin build
cargo build --release --workspace --bins
programs="$(cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/release"
export TIDEGATE="$programs/tidegate" TIDEGATE_BENCH="$programs/tidegate-bench"

begin tests
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --workspace --no-fail-fast --status-level fail --final-status-level fail
else
    cargo test --release --workspace --lib --bins --tests --quiet
fi

begin 'examples in the documentation'
cargo test --release --workspace --doc --quiet

begin 'tests of the catalogue'
for job in jobs/catalog/*.toml; do
    "$TIDEGATE" test "$job"
done

begin done
