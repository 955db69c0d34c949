#!/usr/bin/env bash
# Makes target/node with the Node packages that tests need: pinned in tests/js/package-lock.json, once.
# It must not write into tests/js. Prints the path of the folder that holds node_modules on success.
#
#   NODE=path   check this Node instead of the first `node` in the path
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root pins=$root/tests/js folder=${CARGO_TARGET_DIR:-$root/target}/node
readonly stamp=$folder/package-lock.sha256 oldest=20
readonly remedy="install Node $oldest or newer with npm (Debian: apt-get install nodejs npm; or https://nodejs.org)"

say() { printf 'node: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

node=$(command -v "${NODE:-node}") || fail "Node is missing, tests drive the official client with it: $remedy"
command -v npm >/dev/null || fail "npm is missing, it fetches the official client: $remedy"
found=$("$node" -p 'process.versions.node') || fail "$node does not run: $remedy"
((${found%%.*} >= oldest)) || fail "Node $found is too old: $remedy, or name one with NODE=path"

wanted=$(cat -- "$pins/package.json" "$pins/package-lock.json" | sha256sum | cut -d' ' -f1)
installed() { [[ -d $folder/node_modules/openai && -f $stamp && $(<"$stamp") == "$wanted" ]]; }
if installed; then
  printf '%s\n' "$folder"
  exit 0
fi

mkdir -p -- "$folder"
exec 9>"$folder.lock"
flock 9 || fail "cannot lock $folder.lock"
if installed; then # another set-up finished while this one waited
  printf '%s\n' "$folder"
  exit 0
fi

say "installing the pinned packages of tests/js/package-lock.json into $folder"
rm -rf -- "$folder"
mkdir -p -- "$folder"
cp -- "$pins/package.json" "$pins/package-lock.json" "$folder/"
(cd -- "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 >npm.txt 2>&1) \
  || fail "npm could not install tests/js/package-lock.json ($(grep -m1 -oE 'code E[A-Z0-9_]+' "$folder/npm.txt" || echo 'no reason given')): it needs to reach a package registry, or npm_config_registry to name one"
printf '%s\n' "$wanted" >"$stamp"
say "ready: $folder"
printf '%s\n' "$folder"
