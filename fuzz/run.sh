#!/usr/bin/env bash
# Fuzzes, guided by coverage: needs stable Rust and a C++ compiler, installs nothing. What does not hold is written to
# fuzz/findings, where `cargo test` replays it for ever; what was learned stays in target/fuzz.
#
#   fuzz/run.sh SECONDS [TARGET…]   each target for so long, two at a time; without a target all of them
#   FUZZ_JOBS=1                     one at a time
#   FUZZ_DRAW=7                     the same changes every time, as far as the time goes; without it new ones
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { printf 'fuzz: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

readonly seconds=${1:?say for how many seconds}
shift
readonly all=(stream document dialects request form boundary query record)
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=("${all[@]}")
for target in "${targets[@]}"; do
  [[ " ${all[*]} " == *" $target "* ]] || fail "there is no target \`$target\`; the targets are ${all[*]}"
done
command -v c++ >/dev/null || fail 'a C++ compiler is missing, the engine is built with it (Debian: apt-get install g++)'

say 'building with counters'
RUSTC_WORKSPACE_WRAPPER=$PWD/fuzz/instrument.sh CARGO_INCREMENTAL=0 \
  cargo build --quiet --locked --workspace --features fuzz/guided --bin guided
readonly guided=target/debug/guided

# A target for its time: progress and a summary, and the finding where there is one.
run_one() {
  local target=$1 corpus=target/fuzz/corpus/$1 log=target/fuzz/$1.log
  mkdir -p "$corpus" "fuzz/findings/$target"
  if FUZZ_TARGET=$target FUZZ_SEEDS=$corpus "$guided" -max_total_time="$seconds" -seed="${FUZZ_DRAW:-0}" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
    -use_value_profile=1 -dict=fuzz/words.dict -print_final_stats=1 \
    -artifact_prefix="fuzz/findings/$target/" "$corpus" >"$log" 2>&1; then
    rmdir --ignore-fail-on-non-empty "fuzz/findings/$target"
    say "$target: $(grep -oE 'Done [0-9]+ runs in [0-9]+ second' "$log")s, $(grep -oE 'cov: [0-9]+' "$log" | tail -n1)"
  else
    grep -E -A4 'panicked at|ERROR:|Test unit written' "$log" | head -n 30 >&2 || true
    say "$target: something does not hold; see $log and fuzz/findings/$target"
    return 1
  fi
}

status=0
running=0
for target in "${targets[@]}"; do
  if ((running >= ${FUZZ_JOBS:-2})); then
    wait -n || status=1
    running=$((running - 1))
  fi
  say "$target for $seconds s"
  run_one "$target" &
  running=$((running + 1))
done
while ((running > 0)); do
  wait -n || status=1
  running=$((running - 1))
done
exit "$status"
