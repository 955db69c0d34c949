#!/usr/bin/env bash
# Makes target/venv with the Python packages that tests need: pinned in tests/python/requirements.txt, once.
# It must not touch the system's Python. Prints the path of the interpreter on success.
#
#   PYTHON=path   make the environment with this interpreter instead of python3
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root requirements=$root/tests/python/requirements.txt venv=${CARGO_TARGET_DIR:-$root/target}/venv
readonly interpreter=$venv/bin/python stamp=$venv/requirements.sha256
readonly oldest='3.10'

say() { printf 'python: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

base=$(command -v "${PYTHON:-python3}") \
  || fail "Python is missing, tests drive the official clients with it: install Python $oldest or newer (Debian: apt-get install python3 python3-venv)"
"$base" -c "import sys; sys.exit(sys.version_info < (${oldest/./, }))" \
  || fail "$("$base" --version) is too old: install Python $oldest or newer, or name one with PYTHON=path"

wanted=$({ cat -- "$requirements"; "$base" -c 'import sys; print(sys.executable, sys.version)'; } | sha256sum | cut -d' ' -f1)
if [[ -x $interpreter && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
  printf '%s\n' "$interpreter"
  exit 0
fi

mkdir -p -- "$(dirname -- "$venv")"
exec 9>"$venv.lock"
flock 9 || fail "cannot lock $venv.lock"
if [[ -x $interpreter && -f $stamp && $(<"$stamp") == "$wanted" ]]; then # another set-up finished while this one waited
  printf '%s\n' "$interpreter"
  exit 0
fi

say "installing the pinned packages of $(basename -- "$requirements") into $venv"
rm -rf -- "$venv"
"$base" -m venv "$venv" >&2 \
  || fail "no environment can be made with $base: install its venv module (Debian: apt-get install python3-venv)"
"$interpreter" -m pip --disable-pip-version-check --quiet install --no-deps --only-binary :all: --requirement "$requirements" >&2 \
  || fail "pip could not install $requirements: see its words above; it needs to reach a package index, or PIP_INDEX_URL to name one"
"$interpreter" -m pip --disable-pip-version-check --quiet check >&2 \
  || fail "the pins in $requirements contradict each other: see pip's words above"
printf '%s\n' "$wanted" >"$stamp"
say "ready: $interpreter"
printf '%s\n' "$interpreter"
