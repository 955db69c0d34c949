#!/usr/bin/env bash
# Builds the program of the last draft of the wire from this repository's history: the other side of the tests of a rolling
# upgrade. It must not touch this tree, or what was built of it. Prints the program's path on success.
# By its commit and not by a tag: a tag can be moved and is not in every clone; what a commit names is the same tree for ever.
#
#   draft.sh TARGET_DIR   where this tree is built: other people's crates are taken from there, or built there for both
#
#   TOLLGATE_DRAFT=path   use this program instead; nothing is built
set -euo pipefail

if [[ -n ${TOLLGATE_DRAFT:-} ]]; then
  printf '%s\n' "$TOLLGATE_DRAFT"
  exit 0
fi

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root target=${1:?name the target directory} commit=803ac8a7c8fcc91a4cc0626dcd25179a7736f3ec
readonly draft=$target/draft
readonly program=$draft/debug/tollgate stamp=$draft/commit

say() { printf 'draft: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
in_history() { git -C "$root" cat-file -e "$commit^{commit}" 2>/dev/null; }

# A shallow clone has no history; where it came from may have it.
fetch_it() {
  local remote
  remote=$(git -C "$root" remote 2>/dev/null | head -n 1) || true
  [[ -n $remote ]] || return 0
  say "fetching commit ${commit:0:12} from $remote"
  GIT_TERMINAL_PROMPT=0 timeout 300 git -C "$root" fetch --quiet --no-tags --depth 1 "$remote" "$commit" 2>/dev/null \
    || GIT_TERMINAL_PROMPT=0 timeout 300 git -C "$root" fetch --quiet --unshallow "$remote" 2>/dev/null \
    || true
}

mkdir -p -- "$draft"
exec 9>"$draft/.lock"
flock 9 || fail "cannot lock $draft/.lock"
if [[ -x $program && -f $stamp && $(<"$stamp") == "$commit" ]]; then
  printf '%s\n' "$program"
  exit 0
fi
in_history || fetch_it
in_history || fail "commit $commit (the last draft) is neither in this clone nor at its remote: fetch the whole history (git fetch --unshallow), or name a built program with TOLLGATE_DRAFT=path"

say "building the last draft of the wire, ${commit:0:12}, into $draft (once)"
rm -rf -- "$draft/source"
mkdir -p -- "$draft/source"
# Files are as old as now, or cargo might take what another draft left for built from them.
git -C "$root" archive "$commit" | tar -x -m -C "$draft/source"
# Cargo knows a crate by its place in its workspace and by its profile. By the profile ours and the draft's are told apart in
# one directory, and it is the one that is built soonest. Of its whole workspace, so that other people's crates have the features
# that they have here.
env CARGO_INCREMENTAL=0 CARGO_BUILD_BUILD_DIR="$target" CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false \
  "${CARGO:-cargo}" build --quiet --locked --workspace --bin tollgate --manifest-path "$draft/source/Cargo.toml" --target-dir "$draft" >&2 \
  || fail "the draft does not build: see above; or name a built program with TOLLGATE_DRAFT=path"
printf '%s\n' "$commit" >"$stamp"
say "built in $SECONDS s"
printf '%s\n' "$program"
