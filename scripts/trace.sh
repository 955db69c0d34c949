#!/usr/bin/env bash
# Replays a trace through the whole product and holds its report against the provider's truth: tokens to the token,
# money to the last digit. Everything runs on this machine, in a directory of its own that is removed afterwards.
# It must not build anything, and must not know how a figure is counted or priced.
#
#   scripts/trace.sh FILE.csv          columns ContextTokens,GeneratedTokens; exit code 0 if everything is equal
#
#   TOLLGATE=path          the binary (target/release/tollgate)
#   TOLLGATE_PYTHON=path   the interpreter that has the pinned clients (scripts/python.sh makes it)
#   TRACE_CONCURRENCY=n    calls at once (16)
#   TRACE_KEEP=path        keep the run's files in this new directory
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly root trace=${1:-} tollgate=${TOLLGATE:-$root/target/release/tollgate}
readonly patience_s=60 tools=$root/tests/python models=gpt-4o-mini,gpt-4o,gpt-4.1-mini

say() { printf 'trace: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

[[ -r $trace ]] || { say 'name a readable trace: scripts/trace.sh FILE.csv'; exit 2; }
[[ -x $tollgate ]] || fail "$tollgate is missing: run \`cargo build --release\`, or name a binary with TOLLGATE=path"
python=${TOLLGATE_PYTHON:-$("$root/scripts/python.sh")}
[[ -x $python ]] || fail "$python is missing: run \`make setup\`"

if [[ -n ${TRACE_KEEP:-} ]]; then
  mkdir -- "$TRACE_KEEP" || fail "TRACE_KEEP must name a directory that does not exist yet"
  run=$(cd -- "$TRACE_KEEP" && pwd)
else
  run=$(mktemp -d)
fi
children=()

finish() {
  local code=$?
  local child
  for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
  for child in "${children[@]}"; do wait "$child" 2>/dev/null || true; done
  ((code == 0)) || { say "what tollgate logged last:"; tail -n 20 -- "$run/up.log" >&2 2>/dev/null || true; }
  [[ -n ${TRACE_KEEP:-} ]] || rm -rf -- "$run"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Prints what the expression finds in the file, as soon as it does, while the child lives.
await() {
  local file=$1 expression=$2 child=$3 found until=$((SECONDS + patience_s))
  until found=$(sed -n "s/$expression/\\1/p" -- "$file" | head -n1) && [[ -n $found ]]; do
    kill -0 "$child" 2>/dev/null || fail "a process ended at its start: $(tail -n 3 -- "$file")"
    ((SECONDS < until)) || fail "no \`$expression\` in $file after $patience_s s"
    sleep 0.1
  done
  printf '%s\n' "$found"
}

start_provider() {
  cat >"$run/simulator.toml" <<TOML
[settings]
prompt_count = "content_only"
truth_keep = 1
TOML
  "$tollgate" simulate --listen 127.0.0.1:0 --settings "$run/simulator.toml" --truth "$run/truth.ndjson" \
    >"$run/simulator.out" 2>"$run/simulator.log" &
  children+=($!)
  provider=$(await "$run/simulator.out" '^simulator on \(http:.*\)$' $!)
}

# Three tenants with a project and two keys each.
write_config() {
  local tenant number secret digest
  cat >"$run/tollgate.toml" <<TOML
data_dir = "data"
prices = "$root/prices.csv"
[gateway]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
[[deployments]]
id = "provider"
provider = "openai"
base_url = "$provider/v1"
api_key_env = "TRACE_PROVIDER_KEY"
TOML
  for model in ${models//,/ }; do
    printf '[[routes]]\nmodel = "%s"\ndeployment = "provider"\n' "$model" >>"$run/tollgate.toml"
  done
  echo 'key,secret' >"$run/keys.csv"
  for tenant in acme globex initech; do
    printf '[[tenants]]\nid = "%s"\n[[tenants.projects]]\nid = "code"\nkeys = [\n' "$tenant" >>"$run/tollgate.toml"
    for number in 1 2; do
      secret=tg-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
      digest=$(printf %s "$secret" | sha256sum | cut -d' ' -f1)
      printf '%s-%s,%s\n' "$tenant" "$number" "$secret" >>"$run/keys.csv"
      printf '  { id = "%s-%s", sha256 = "%s" },\n' "$tenant" "$number" "$digest" >>"$run/tollgate.toml"
    done
    echo ']' >>"$run/tollgate.toml"
  done
}

# The gateway serves at once, the ledger's engine may come a little later.
start_tollgate() {
  TRACE_PROVIDER_KEY=sk-trace "$tollgate" up --config "$run/tollgate.toml" 2>"$run/up.log" &
  children+=($!)
  gateway=$(await "$run/up.log" '.*serving.* app=\([0-9.:]*\).*' $!)
  until [[ -s $run/data/run/engine.json ]]; do
    kill -0 $! 2>/dev/null || fail "tollgate ended at its start: $(tail -n 3 -- "$run/up.log")"
    sleep 0.1
  done
}

calls=$(tail -n +2 -- "$trace" | grep -c '[0-9]')
start_provider
write_config
start_tollgate
say "$calls calls through http://$gateway to a simulated provider"
SECONDS=0
"$python" "$tools/replay.py" "$trace" --base-url "http://$gateway/v1" --keys "$run/keys.csv" --models "$models" \
  --log "$run/client.csv" --concurrency "${TRACE_CONCURRENCY:-16}" || fail 'not every call gave what its row says'
say "replayed in $SECONDS s"
"$python" "$tools/ledger.py" "$run/data" --events "$calls" >"$run/ledger.json" \
  || fail "the ledger does not have all calls: $(<"$run/ledger.json")"
today=$(date -u +%Y-%m-%d)
"$tollgate" report chargeback --config "$run/tollgate.toml" --by tenant,project,key,model --format json \
  --period "$(date -u -d "$today - 1 day" +%Y-%m-%dT00:00Z)/$(date -u -d "$today + 2 days" +%Y-%m-%dT00:00Z)" >"$run/report.json"
"$python" "$tools/recompute.py" "$run/truth.ndjson" "$root/prices.csv" --keys "$run/client.csv" >"$run/recomputed.json"
"$python" "$tools/compare.py" --trace "$trace" --log "$run/client.csv" --recomputed "$run/recomputed.json" \
  --report "$run/report.json" --ledger "$run/ledger.json"
