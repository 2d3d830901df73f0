#!/usr/bin/env bash
# Fuzzes one target for some time, 10 minutes if not told: tests/fuzz/run.sh job_file|json_lines [SECONDS]
# Needs a nightly compiler, cargo-fuzz and a C++ compiler. What it learns stays in corpus/, what it finds in artifacts/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
target="${1:?which target: job_file or json_lines}"
seconds="${2:-600}"

# The seeds of the job file are the jobs of the catalogue as they are today.
corpus="corpus/$target"
mkdir -p "$corpus"
case "$target" in
job_file) cp ../../jobs/catalog/*.toml "$corpus" ;;
json_lines) cp seeds/json_lines/* "$corpus" ;;
*) echo "no such target: $target" >&2; exit 2 ;;
esac

# The nightly programs first, so that nothing in front of them picks another compiler.
PATH="$(dirname "$(rustup which --toolchain nightly cargo)"):$PATH"
exec cargo fuzz run --fuzz-dir . "$target" -- \
    -dict="dictionaries/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
