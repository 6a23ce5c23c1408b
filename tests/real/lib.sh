# What all suites of tests/real/run need: facts, processes that are surely ended, free ports, installed packages.
# Sourced by `run`, which sets HERE, ROOT, CACHE and WORK.

# --- Facts: one line each on stdout. A failed one is counted, so that the rest is still seen.

FAILED=0
ok() { echo "ok    $*"; }
failed() { echo "FAIL  $*"; FAILED=$((FAILED + 1)); }
note() { echo "      $*"; }
die() { failed "$*"; exit 1; }

# holds TEXT COMMAND…: the command succeeds.
holds() {
  local text=$1 output
  shift
  if output=$("$@" 2>&1); then ok "$text"; else failed "$text"; sed 's/^/      /' <<<"$output" | tail -n 15; fi
}

# client NAME COMMAND…: a client program, which prints facts of its own; what it says on stderr matters only when it fails.
client() {
  local name=$1
  shift
  timeout 180 "$@" 2>"$WORK/$name.err" && return
  failed "$name ended with $?"
  # The words, and not the frames of Java and Node.
  grep -v '^[[:space:]]*at ' "$WORK/$name.err" | tail -n 12 | sed 's/^/      /'
}

# answers STATUS CURL-ARGUMENT…: this status, and nothing else.
answers() {
  local status=$1 seen
  shift
  seen=$(curl -sS -o "$WORK/answer" -w '%{http_code}' --max-time 60 "$@") || return
  [ "$seen" = "$status" ] && return
  echo "status $seen instead of $status: $(head -c 300 "$WORK/answer")"
  return 1
}

# --- Processes. Each gets a session of its own, so that it is ended with its children (Keycloak's script is the parent of
# its Java process) and nothing else is.

PIDS=()
# begin NAME COMMAND…: in the background, output into $WORK/NAME.log. The process id is left in PID.
begin() {
  local name=$1
  shift
  setsid "$@" >"$WORK/$name.log" 2>&1 </dev/null 9>&- &
  PID=$!
  PIDS+=("$PID")
}

# end PID: ask, wait, insist. Answers the process's own exit status.
end() {
  kill -TERM -- "-$1" 2>/dev/null || true
  for _ in $(seq 150); do
    kill -0 "$1" 2>/dev/null || break
    sleep 0.2
  done
  kill -KILL -- "-$1" 2>/dev/null || true
  wait "$1" 2>/dev/null
}

end_all() {
  local i
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do end "${PIDS[i]}" || true; done
  PIDS=()
}

# until_up NAME PID SECONDS COMMAND…: waits for the command to succeed, and gives up where the process has ended.
until_up() {
  local name=$1 pid=$2 limit=$((SECONDS + $3)) begun=$SECONDS
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $limit ]; then
      tail -n 25 "$WORK/$name.log" | sed 's/^/      /'
      die "$name did not come up, see $WORK/$name.log"
    fi
    sleep 0.3
  done
  note "$name is up after $((SECONDS - begun)) s"
}

http_up() { curl -sf -o /dev/null --max-time 2 "$1"; }
tcp_up() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

# free_ports N: so many different free ports on loopback, taken from below the range that outgoing connections use.
free_ports() {
  python3 - "$1" <<'PY'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(20000, 32000)))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
PY
}

# certificates FOLDER [NAME]: an authority, and a certificate of it for localhost and another name.
certificates() {
  local new=(req -newkey rsa:2048 -nodes)
  openssl "${new[@]}" -x509 -days 2 -subj '/CN=authority' -keyout "$1/ca.key" -out "$1/ca.pem" &&
    openssl "${new[@]}" -subj '/CN=localhost' -keyout "$1/key.pem" -out "$1/request.pem" &&
    openssl x509 -req -days 2 -in "$1/request.pem" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial \
      -extfile <(echo "subjectAltName=DNS:localhost${2:+,DNS:$2}") -out "$1/cert.pem"
}

# --- Packages, through their ordinary clients. Each is installed once into $CACHE; a changed list installs it again.

need() { command -v "$1" >/dev/null || die "$1 is needed: $2"; }

# once NAME LIST COMMAND…
once() {
  local name=$1 list=$2 sum
  shift 2
  sum=$(sha256sum <"$list")
  [ "$(cat "$CACHE/.$name.installed" 2>/dev/null)" = "$sum" ] && return
  note "installing $name"
  "$@" >"$WORK/install-$name.log" 2>&1 || { tail -n 20 "$WORK/install-$name.log"; die "$name cannot be installed"; }
  echo "$sum" >"$CACHE/.$name.installed"
}

# Each takes the name of a folder in the cache, and the one beside this file that holds the list.
install_python() {
  local name=${1:-venv} list=$HERE/${2:-clients}/requirements.txt
  need python3 "clients run on it"
  once "$name" "$list" python_packages "$name" "$list"
}
python_packages() {
  python3 -m venv --clear "$CACHE/$1"
  "$CACHE/$1/bin/pip" -q install -r "$2"
}

install_node() {
  local name=${1:-npm} list=$HERE/${2:-clients}/package.json
  need npm "clients come by it"
  once "$name" "$list" node_packages "$name" "$list"
  # The clients' programs are not beside these packages.
  export NODE_PATH=$CACHE/$name/node_modules
}
node_packages() {
  mkdir -p "$CACHE/$1"
  cp "$2" "$CACHE/$1/"
  npm --prefix "$CACHE/$1" install --no-audit --no-fund --loglevel=error
}

install_java() {
  local name=${1:-java} list=$HERE/${2:-clients}/${3:-pom.xml}
  need mvn "Java clients come by it"
  once "$name" "$list" java_packages "$name" "$list"
}
java_packages() {
  rm -rf "${CACHE:?}/$1"
  mkdir -p "$CACHE/$1"
  cp "$2" "$CACHE/$1/pom.xml"
  mvn -B -q -f "$CACHE/$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$CACHE/$1/lib"
}

# distribution ARTIFACT FOLDER: a Maven artifact that is an archive, unpacked as $CACHE/FOLDER.
distribution() {
  [ -d "$CACHE/$2" ] && return
  need mvn "$2 comes by it"
  note "fetching $2"
  local fetched=$WORK/fetched
  mkdir -p "$fetched"
  mvn -B -q dependency:copy -Dartifact="$1" -DoutputDirectory="$fetched" >"$WORK/fetch.log" 2>&1 ||
    { tail -n 20 "$WORK/fetch.log"; die "$1 cannot be fetched"; }
  # Unpacked aside and moved, so that an interrupted run leaves nothing half done.
  case $1 in
    *:zip) need unzip "$2 is a zip file"; unzip -q "$fetched"/*.zip -d "$fetched" ;;
    *) tar -xzf "$fetched"/*.tar.gz -C "$fetched" ;;
  esac
  mv "$fetched/$2" "$CACHE/$2"
  rm -rf "$fetched"
}

KEYCLOAK=26.7.3
# keycloak_home: a Keycloak that can be started, in KEYCLOAK_HOME.
keycloak_home() {
  KEYCLOAK_HOME=$CACHE/keycloak-$KEYCLOAK-built
  distribution "org.keycloak:keycloak-quarkus-dist:$KEYCLOAK:zip" "keycloak-$KEYCLOAK"
  [ -e "$KEYCLOAK_HOME/.built-for-certificates" ] && return
  # Once: Keycloak rewrites its own jars for the chosen database, here one in memory, and to look at certificates.
  note "building keycloak"
  rm -rf "$KEYCLOAK_HOME"
  cp -r "$CACHE/keycloak-$KEYCLOAK" "$KEYCLOAK_HOME"
  "$KEYCLOAK_HOME/bin/kc.sh" build --db=dev-mem --https-client-auth=request >"$WORK/keycloak-build.log" 2>&1 ||
    die "see $WORK/keycloak-build.log"
  touch "$KEYCLOAK_HOME/.built-for-certificates"
}

# java_home OLDEST: the home of a JDK of at least this version.
java_home() {
  local java version
  for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)" /usr/lib/jvm/*/bin/java; do
    [ -x "$java" ] || continue
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    java=$(readlink -f "$java")
    if [ "${version:-0}" -ge "$1" ] && [ -x "${java%java}javac" ]; then echo "${java%/bin/java}"; return; fi
  done
  return 1
}

# --- The proxy

# The models that the clients deploy: one process and one type of job for each NAME.
models() {
  mkdir -p "$WORK/models"
  for name; do sed "s/NAME/$name/g" "$HERE/clients/process.bpmn" >"$WORK/models/$name.bpmn"; done
}

# token_requests ADMIN: how many token requests the proxy says it made, whatever their labels.
token_requests() {
  curl -sS --max-time 10 "http://$1/metrics" |
    sed -n 's/^camunda_proxy_token_requests_total\({.*}\)\{0,1\} \([0-9.]*\).*/\2/p' |
    awk '{ sum += $1; n++ } END { if (!n) exit 1; print sum }'
}

# all_tokens PORT: the tokens of all four scopes are there, says the admin address on this port.
all_tokens() { [ "$(curl -sf --max-time 2 "http://127.0.0.1:$1/metrics" | grep -c 'state="valid"} 1')" = 4 ]; }

# tokens_between LEAST MOST ADMIN
tokens_between() {
  local seen
  seen=$(token_requests "$3") || { echo "no camunda_proxy_token_requests_total in /metrics"; return 1; }
  [ "$seen" -ge "$1" ] && [ "$seen" -le "$2" ] || { echo "$seen token requests"; return 1; }
}

# status_shows ADMIN WORD: /status is JSON and has the word.
status_shows() {
  curl -sS --max-time 10 "http://$1/status" >"$WORK/status.json" || return
  python3 -m json.tool "$WORK/status.json" >/dev/null && grep -qi -- "$2" "$WORK/status.json"
}

# keeps_secrets ADMIN LOG SECRET: neither the secret nor the beginning of a JSON Web Token ("eyJ") is in a sink.
keeps_secrets() {
  { curl -sS "http://$1/status"; curl -sS "http://$1/metrics"; cat "$2"; } >"$WORK/sinks" || return
  ! grep -n -e "$3" -e eyJ "$WORK/sinks"
}

# drains PID: a fact of its own, because only the shell that began a process can ask for its exit status.
drains() { if end "$1"; then ok "SIGTERM: exit status 0"; else failed "SIGTERM: exit status $?"; fi; }

# zbctl ADDRESS ARGUMENT…: the Go client; one connection for each command.
zbctl() {
  local address=$1
  shift
  "$CACHE/npm/node_modules/.bin/zbctl-cli.linux" --insecure --address "$address" "$@"
}

# zbctl_works ADDRESS: deploy, create, activate, complete.
zbctl_works() {
  local key
  zbctl "$1" status || return
  zbctl "$1" deploy resource "$WORK/models/zbctl.bpmn" || return
  zbctl "$1" create instance zbctl --variables '{"number": 21}' || return
  key=$(zbctl "$1" activate jobs zbctl --requestTimeout 20s |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"][0]["key"])') || return
  zbctl "$1" complete job "$key" --variables '{"doubled": 42}'
}

# --- A proxy in front of a server that is not a Camunda's.

# token_endpoint PORT PORT: an embedded Camunda, of which only the token endpoint is used; its files are in TOKENS.
token_endpoint() {
  TOKENS=$(mktemp -d "$WORK/tokens.XXXXXX")
  begin token-endpoint env TMPDIR="$TOKENS" "$PROXY" sandbox --listen "127.0.0.1:$1" --admin "127.0.0.1:$2"
  # The proxy that comes with it asks too, from the same address: others come when it has its tokens, and a second later.
  until_up token-endpoint "$PID" 60 all_tokens "$2"
  sleep 1.2
  TOKENS=$(echo "$TOKENS"/*)
}

# proxy_before NAME CERTIFICATES PORT TLS-PORT SETTING: what it does as Zeebe's is set by SETTING; callers reach it on two ports.
proxy_before() {
  local name=$1 admin
  admin=127.0.0.1:$(free_ports 1)
  (umask 077; grep -E '_OAUTH_URL|_CLIENT_ID|_CLIENT_SECRET|_TOKEN_AUDIENCE' "$TOKENS/credentials.txt" >"$WORK/$name.credentials")
  cat >"$WORK/$name.toml" <<TOML
credentials = "$WORK/$name.credentials"

[[listener]]
address = "127.0.0.1:$3"

[[listener]]
address = "127.0.0.1:$4"
tls = { cert_file = "$2/cert.pem", key_file = "$2/key.pem" }

[admin]
address = "$admin"

[oauth]
ca_file = "$TOKENS/ca.pem"

[scopes.zeebe]
$5
ca_file = "$2/ca.pem"
TOML
  begin "$name" "$PROXY" run -c "$WORK/$name.toml"
  until_up "$name" "$PID" 60 http_up "http://$admin/readyz"
}
