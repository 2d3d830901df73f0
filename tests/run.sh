#!/usr/bin/env bash
# Builds the program and runs all tests: units, examples in the documentation, the program as a whole, and the tests
# inside the job files of the catalogue. Needs cargo, and Python 3.11 or newer for the libraries that the measures of drift are
# compared with (it is installed where there is apt-get and none); leaves nothing behind but the target folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_PROGRESS_WHEN=never

begin() {
    printf '== %s (%d s)\n' "$1" "$SECONDS"
}

target="$(cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')"
mkdir -p "$target"
export TIDEGATE="$target/release/tidegate" TIDEGATE_BENCH="$target/release/tidegate-bench" TIDEGATE_REFERENCES="$target/references"

# Python libraries to compare with: made once, and again when other versions are asked for.
references() {
    cmp -s tests/references/requirements.txt "$TIDEGATE_REFERENCES/requirements.txt" && return
    python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' ||
        { apt-get update && apt-get install --yes --no-install-recommends python3-venv; } || return
    rm -rf "$TIDEGATE_REFERENCES"
    python3 -m venv "$TIDEGATE_REFERENCES" &&
        "$TIDEGATE_REFERENCES/bin/pip" install --quiet --disable-pip-version-check -r tests/references/requirements.txt &&
        cp tests/references/requirements.txt "$TIDEGATE_REFERENCES/"
}
references &
references=$!
trap 'kill "$references" 2>/dev/null || true' EXIT

# One profile for the program and the tests, so that DataFusion is compiled once; for its own unit tests the largest crate
# is not optimised: that is compiled in a third of the time. (Those of the operators try thousands of random cases.)
begin build
cargo build --release --workspace
tests=(--release --workspace --lib --test all --config 'profile.release.package.tidegate-jobs.opt-level=0')
cargo test "${tests[@]}" --no-run

begin 'Python libraries to compare with'
wait "$references"
trap - EXIT

begin tests
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run "${tests[@]}" --no-fail-fast --status-level fail --final-status-level fail
else
    cargo test "${tests[@]}" --quiet
fi

begin 'examples in the documentation'
cargo test --release --workspace --doc --quiet

begin 'tests of the catalogue'
for job in jobs/catalog/*.toml; do
    "$TIDEGATE" test "$job"
done

begin done
