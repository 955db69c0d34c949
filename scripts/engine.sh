#!/usr/bin/env bash
# Installs the embedded engine (libchdb.so) into the user's cache: pinned version, pinned digests, atomically, once.
# It must not build anything, start anything, or write anywhere else. Prints the library's path on success.
#
#   TOLLGATE_ENGINE_LIBRARY=path   use this libchdb.so; nothing is fetched
#   TOLLGATE_ENGINE_TARBALL=path   take the package from this file instead of fetching it
#   TOLLGATE_ENGINE_DIR=path       install here instead of the user's cache
set -euo pipefail

readonly package='@chdb/lib-linux-x64-gnu' version='26.5.3'
readonly tarball_sha512='7cfacb991b79328a2bf721b3e266b36eb3637b8b7b5fd281da64c6917156471441b3688acbcca1ea3c75d71b1ad10af788314c53fc87a9df9b55d6095eedd069'
readonly tarball_sha512_base64='fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ=='
readonly library_sha256='4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc'
readonly library_bytes=559044752
readonly remedy='install npm, or put the tarball of the package somewhere and set TOLLGATE_ENGINE_TARBALL=path, or set TOLLGATE_ENGINE_LIBRARY=path to a libchdb.so of this version'

say() { printf 'engine: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
bytes_of() { stat -c %s -- "$1"; }

if [[ -n ${TOLLGATE_ENGINE_LIBRARY:-} ]]; then
  [[ -r $TOLLGATE_ENGINE_LIBRARY ]] || fail "TOLLGATE_ENGINE_LIBRARY=$TOLLGATE_ENGINE_LIBRARY is not a readable file; unset it or correct it"
  printf '%s\n' "$TOLLGATE_ENGINE_LIBRARY"
  exit 0
fi

[[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] \
  || fail "the embedded engine's package is for Linux on x86_64, this is $(uname -s) on $(uname -m); use a ClickHouse server by URL instead"

if [[ -z ${TOLLGATE_ENGINE_DIR:-} && -z ${XDG_CACHE_HOME:-} && -z ${HOME:-} ]]; then
  fail 'there is no HOME to keep the engine in; set TOLLGATE_ENGINE_DIR=path'
fi
directory=${TOLLGATE_ENGINE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/tollgate/engine/$version}
library=$directory/libchdb.so
stamp=$directory/libchdb.so.sha256

# The stamp is written only after the whole library was digested; size and stamp are checked each time, which costs nothing.
installed() {
  [[ -f $library && -f $stamp && $(bytes_of "$library") == "$library_bytes" && $(<"$stamp") == "$library_sha256" ]]
}
if installed; then
  printf '%s\n' "$library"
  exit 0
fi

mkdir -p -- "$directory" || fail "cannot create $directory; set TOLLGATE_ENGINE_DIR=path to a directory you may write to"
exec 9>"$directory/.lock"
flock 9 || fail "cannot lock $directory/.lock"
if installed; then # another set-up finished while this one waited
  printf '%s\n' "$library"
  exit 0
fi

work=$(mktemp -d -- "$directory/.install.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

if [[ -n ${TOLLGATE_ENGINE_TARBALL:-} ]]; then
  tarball=$TOLLGATE_ENGINE_TARBALL
  [[ -r $tarball ]] || fail "TOLLGATE_ENGINE_TARBALL=$tarball is not a readable file; unset it or correct it"
  say "taking the package from $tarball"
else
  command -v npm >/dev/null || fail "npm is missing, it fetches the embedded engine $version: $remedy"
  say "fetching $package $version (166 MB, once per user; the next clone finds it in $directory)"
  (cd "$work" && npm pack --silent --fetch-retries=1 "$package@$version" >name.txt 2>npm.txt) &
  fetching=$!
  while kill -0 "$fetching" 2>/dev/null; do
    sleep 5 &
    wait -n "$fetching" $! 2>/dev/null || true
    kill -0 "$fetching" 2>/dev/null && say "still fetching, ${SECONDS}s"
  done
  wait "$fetching" || fail "npm could not fetch $package $version ($(grep -m1 -oE 'code E[A-Z0-9_]+' "$work/npm.txt" || echo 'no reason given')): $remedy"
  tarball=$work/$(tail -n1 "$work/name.txt")
fi

say 'checking the package'
found=$(sha512sum -- "$tarball" | cut -d' ' -f1)
[[ $found == "$tarball_sha512" ]] \
  || fail "the package's sha512 is not the pinned one (sha512-$tarball_sha512_base64); it was not installed: fetch it again, or $remedy"

say 'unpacking (559 MB)'
tar -xzf "$tarball" -C "$work" package/libchdb.so || fail "the package could not be unpacked into $directory; is the disk full?"
say 'checking the library'
found=$(sha256sum -- "$work/package/libchdb.so" | cut -d' ' -f1)
[[ $found == "$library_sha256" ]] || fail "the library's sha256 is not the pinned one; it was not installed: $remedy"

chmod 0555 "$work/package/libchdb.so"
sync -- "$work/package/libchdb.so"
mv -f -- "$work/package/libchdb.so" "$library"
printf '%s\n' "$library_sha256" >"$work/stamp"
mv -f -- "$work/stamp" "$stamp"
say "installed $library"
printf '%s\n' "$library"
