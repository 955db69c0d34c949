#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies against deny.toml. Needs no advisory database.
#
#   TOLLGATE_INSTALL_TOOLS=1   install cargo-deny if it is missing; it takes some minutes
set -euo pipefail

readonly version=0.20.2

say() { printf 'deny: %s\n' "$*" >&2; }

if ! cargo deny --version >/dev/null 2>&1; then
  if [[ ${TOLLGATE_INSTALL_TOOLS:-} != 1 ]]; then
    say "cargo-deny is missing: install it with \`cargo install cargo-deny --version $version --locked\`"
    exit 1
  fi
  # It runs for seconds: built without optimisation it is there sooner.
  say "installing cargo-deny $version, some minutes"
  CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug cargo-deny --version "$version" --locked
fi
cargo deny --log-level error check --hide-inclusion-graph bans licenses sources
