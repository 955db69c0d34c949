#!/usr/bin/env bash
# Compiles our own crates so that they count which of their edges run. Cargo calls it in place of the compiler
# (`RUSTC_WORKSPACE_WRAPPER`); build scripts run without the engine that reads the counts, so they are left as they are.
set -euo pipefail

for argument in "$@"; do
  if [[ $argument == build_script_build || $argument == proc-macro ]]; then
    exec "$@"
  fi
done
[[ " $* " == *' --crate-name '* ]] || exec "$@"
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
