# The suite `exhaustion`: ten thousand slow connections, a flood of resets and one of CONTINUATION frames, and an honest
# client all the while. What it feels of that, what the proxy takes for it, and what is left when it is over. Sourced by
# `run`.

# Slow connections: of a hundred, forty say nothing, thirty send a head slowly, twenty-five a body, and five read nothing of an
# answer of many megabytes. Five connections over HTTP/2 besides do not read fifty such answers each.
SLOW=${SLOW:-10000}
# Seconds for which the honest client is measured under attack; the attack lasts longer at both ends.
SIEGE=${SIEGE:-60}
# Frames a second of each flood.
FLOOD=${FLOOD:-2000}

exhaustion_suite() {
  need python3 "the attackers are written in it"
  local ports address admin pid pids
  read -ra ports <<<"$(free_ports 4)"
  mkdir -m 700 "$WORK/sandbox"
  begin sandbox env TMPDIR="$WORK/sandbox" "$PROXY" sandbox --listen "127.0.0.1:${ports[0]}" --admin "127.0.0.1:${ports[1]}"
  until_up sandbox "$PID" 60 all_tokens "${ports[1]}"
  SANDBOX=$(echo "$WORK"/sandbox/*)
  # As a user has it, but for the two workers, which are what two CPUs get, and the access log.
  configure exhaustion 'kind = "memory"'
  sed -i 's/^workers = 1/workers = 2/' "$WORK/exhaustion.toml"
  address=127.0.0.1:${ports[2]} admin=127.0.0.1:${ports[3]}
  begin proxy "$PROXY" run -c "$WORK/exhaustion.toml" --listen "$address" --admin "$admin"
  pid=$PID
  until_up proxy "$pid" 60 all_tokens "${ports[3]}"

  honest quiet "$address" 40
  note "quiet: $(taken "$pid")"
  local before cpu_before
  before=$(memory "$pid")
  cpu_before=$(cpu "$pid")

  local percent=$((SLOW / 100))
  begin attack python3 "$HERE/exhaustion/attack.py" "${address%:*}" "${address#*:}" $((SIEGE + 60)) silent=$((40 * percent)) \
    heads=$((30 * percent)) bodies=$((25 * percent)) readers=$((5 * percent)) windows=5 resets="$FLOOD" continuations="$FLOOD"
  local attack=$PID
  # Until they are all there.
  sleep 12
  honest siege "$address" "$SIEGE"
  holds "the attack lasted until the honest client was done" kill -0 "$attack"
  note "siege: $(taken "$pid"), $(open_connections "$admin") connections open"
  local high
  high=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
  wait "$attack" 2>/dev/null || true
  note "attackers: $(tail -n 1 "$WORK/attack.log"); the proxy's CPU seconds meanwhile: $(($(cpu "$pid") - cpu_before))"

  # Longer than every deadline for a head, and than memory takes to be given back.
  sleep 20
  honest after "$address" 40
  note "after: $(taken "$pid")"
  local protocol
  for protocol in rest grpc; do
    holds "$protocol: p99 under siege is less than ten times the quiet one" less "$(p99 siege $protocol)" "$(p99 quiet $protocol)" 10
    holds "$protocol: p99 afterwards is as before" less "$(p99 after $protocol)" "$(p99 quiet $protocol)" 2
  done
  holds "no honest request failed" [ "$(failures quiet)+$(failures siege)+$(failures after)" = 0+0+0 ]
  note "the most memory that the proxy took: $((high / 1024)) MiB"
  holds "it took less than 256 MiB" [ "$high" -lt $((256 * 1024)) ]
  holds "its descriptors are as before" [ "$(descriptors "$pid")" -le $((DESCRIPTORS + 8)) ]
  holds "its memory is as before, but for 16 MiB" [ "$(memory "$pid")" -le $((before + 16 * 1024)) ]
  drains "$pid"
}

# honest NAME ADDRESS SECONDS: an open loop of 100 requests a second over REST and 100 over gRPC, twice each and in turn.
honest() {
  "$PROXY" bench --target "proxy=http://$2" --protocol rest --protocol grpc --rate 100 --duration $(($3 / 4))s --connections 8 \
    --out "$WORK/$1.json" >"$WORK/$1.txt" 2>&1 || { tail -n 20 "$WORK/$1.txt"; die "the honest client cannot measure"; }
  note "$1: p99 of REST $(p99 "$1" rest) ms, of gRPC $(p99 "$1" grpc) ms; $(failures "$1") failures"
  [ "$1" != quiet ] || DESCRIPTORS=$(descriptors "$pid")
}

p99() { python3 "$HERE/exhaustion/honest.py" "$WORK/$1.json" p99 "$2"; }
failures() { python3 "$HERE/exhaustion/honest.py" "$WORK/$1.json" failures; }
# less VALUE OTHER TIMES
less() { python3 -c "import sys; a, b, n = map(float, sys.argv[1:]); sys.exit(f'{a} is not less than {n:g} times {b}' if a >= max(b, 1) * n else 0)" "$@"; }

memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) / hz) }' "/proc/$1/stat"; }
taken() { echo "$(($(memory "$1") / 1024)) MiB, $(descriptors "$1") descriptors"; }
open_connections() { curl -s "http://$1/metrics" | sed -n 's/^camunda_proxy_open_connections \([0-9]*\).*/\1/p'; }
