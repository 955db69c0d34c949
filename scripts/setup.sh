#!/usr/bin/env bash
# Makes a fresh clone ready: checks the toolchain, installs the embedded engine and, for tests, Kafka, makes their Python and Node environments.
# Each part says what it does, once; a part that is done costs nothing. It must not build the project.
#
#   scripts/setup.sh          everything
#   scripts/setup.sh run      what running needs: no Kafka, no Python and no Node packages
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root part=${1:-all}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

[[ $part == all || $part == run ]] || fail "there is no part \`$part\`; say \`run\`, or nothing"

check_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
  command -v cargo >/dev/null && command -v rustc >/dev/null \
    || fail "Rust is missing: install $wanted or newer with rustup (https://rustup.rs)"
  found=$(rustc --version | cut -d' ' -f2)
  [[ $(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n1) == "$wanted" ]] \
    || fail "Rust $found is too old, $wanted or newer is needed: run \`rustup update stable\`"
}

check_c() {
  command -v cc >/dev/null \
    || fail 'a C compiler is missing, TLS, checksums and the client of Kafka are built with it (Debian: apt-get install build-essential)'
}

check_perl() {
  command -v perl >/dev/null && command -v make >/dev/null \
    || fail 'perl or make is missing, the TLS of the client of Kafka is built with them (Debian: apt-get install make perl)'
}

check_rust
check_c
check_perl
"$root/scripts/engine.sh" >/dev/null
if [[ $part == all ]]; then
  "$root/scripts/python.sh" >/dev/null
  "$root/scripts/node.sh" >/dev/null
  "$root/scripts/kafka.sh" >/dev/null
fi
say 'ready'
