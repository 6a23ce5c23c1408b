# The suite `camunda`: a real Zeebe that demands tokens from a real Keycloak, the proxy in front of it, and real clients
# that have no token. Sourced by `run`.

ZEEBE=8.6.0
CLIENT=legacy-clients
SECRET=a-secret-that-no-client-knows

# keycloak PORT: one realm with two clients. The second one's tokens live 10 s, to see renewals soon.
keycloak() {
  keycloak_home
  local home=$KEYCLOAK_HOME
  mkdir -p "$home/data/import"
  python3 - "$CLIENT" "$SECRET" >"$home/data/import/camunda-realm.json" <<'PY'
import json, sys

def client(name, **attributes):
    return {
        "clientId": name, "secret": sys.argv[2], "protocol": "openid-connect", "publicClient": False,
        "serviceAccountsEnabled": True, "standardFlowEnabled": False, "attributes": attributes,
        # Keycloak ignores the request's `audience` parameter: only a mapper puts one into the token.
        "protocolMappers": [{
            "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "zeebe-api", "access.token.claim": "true"},
        }],
    }

json.dump({
    "realm": "camunda", "enabled": True, "sslRequired": "none", "accessTokenLifespan": 300,
    "eventsListeners": ["jboss-logging"],
    "clients": [client(sys.argv[1]), client(sys.argv[1] + "-short", **{"access.token.lifespan": "10"})],
}, sys.stdout)
PY
  # Without --cache=local it would listen on every interface, for a cluster. Each token it gives out is a line in its log,
  # so that the proxy's own count can be checked.
  JAVA_OPTS_KC_HEAP='-Xms128m -Xmx512m' begin keycloak "$home/bin/kc.sh" start --optimized --import-realm --cache=local \
    --http-enabled=true --http-host=127.0.0.1 --http-port="$1" --hostname="http://127.0.0.1:$1" \
    --spi-events-listener-jboss-logging-success-level=info
  until_up keycloak "$PID" 180 http_up "http://127.0.0.1:$1/realms/camunda/.well-known/openid-configuration"
}

# keycloak_tokens CLIENT: how many tokens Keycloak gave to this client, by its own log.
keycloak_tokens() { grep -c "type=\"CLIENT_LOGIN\".*clientId=\"$1\"" "$WORK/keycloak.log" || true; }

# keycloak_gave N CLIENT
keycloak_gave() { [ "$(keycloak_tokens "$2")" -eq "$1" ] || { echo "$(keycloak_tokens "$2") tokens"; return 1; }; }

# zeebe ISSUER GRPC REST MANAGEMENT COMMAND INTERNAL: a broker with a gateway inside; the last five are ports.
zeebe() {
  local home=$WORK/zeebe java
  java=$(java_home 21) || die "Zeebe wants a JDK of version 21 or later: set JAVA_HOME to one"
  distribution "io.camunda:camunda-zeebe:$ZEEBE:tar.gz" "camunda-zeebe-$ZEEBE"
  # It keeps data and logs beside its program. Hard links cost nothing, where the file system has them.
  cp -al "$CACHE/camunda-zeebe-$ZEEBE" "$home" 2>/dev/null || { rm -rf "$home"; cp -r "$CACHE/camunda-zeebe-$ZEEBE" "$home"; }
  local settings=(
    JAVA_HOME="$java" JAVA_OPTS='-Xms256m -Xmx1g'
    ZEEBE_BROKER_DATA_DIRECTORY="$home/data" ZEEBE_BROKER_DATA_LOGSEGMENTSIZE=16MB
    # A full disk would stop it; the defaults want several GB free.
    ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING=200MB ZEEBE_BROKER_DATA_DISK_FREESPACE_REPLICATION=100MB
    ZEEBE_BROKER_EXPERIMENTAL_ROCKSDB_MEMORYLIMIT=64MB
    ZEEBE_BROKER_GATEWAY_NETWORK_HOST=127.0.0.1 ZEEBE_BROKER_GATEWAY_NETWORK_PORT="$2"
    SERVER_ADDRESS=127.0.0.1 SERVER_PORT="$3" MANAGEMENT_SERVER_ADDRESS=127.0.0.1 MANAGEMENT_SERVER_PORT="$4"
    ZEEBE_BROKER_NETWORK_HOST=127.0.0.1 ZEEBE_BROKER_NETWORK_COMMANDAPI_PORT="$5"
    ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT="$6" ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS="127.0.0.1:$6"
    # Both are needed: the mode guards gRPC, the profile beside it REST.
    ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_MODE=identity SPRING_PROFILES_ACTIVE=identity-auth
    CAMUNDA_IDENTITY_TYPE=KEYCLOAK CAMUNDA_IDENTITY_ISSUER="$1" CAMUNDA_IDENTITY_ISSUERBACKENDURL="$1"
    CAMUNDA_IDENTITY_AUDIENCE=zeebe-api
  )
  begin zeebe env -C "$home" "${settings[@]}" bin/broker
  until_up zeebe "$PID" 180 zeebe_up "$2" "$4"
}
# Its management port can be ready before its gRPC port listens.
zeebe_up() { http_up "http://127.0.0.1:$2/ready" && tcp_up "$1"; }

# credentials FILE CLIENT GRPC REST ISSUER: in the form that Camunda's Console hands out.
credentials() {
  (umask 077; cat >"$1") <<TXT
export ZEEBE_ADDRESS='grpc://127.0.0.1:$3'
export ZEEBE_REST_ADDRESS='http://127.0.0.1:$4'
export ZEEBE_CLIENT_ID='$2'
export ZEEBE_CLIENT_SECRET='$SECRET'
export ZEEBE_AUTHORIZATION_SERVER_URL='$5/protocol/openid-connect/token'
export ZEEBE_TOKEN_AUDIENCE='zeebe-api'
export CAMUNDA_CREDENTIALS_SCOPES='Zeebe'
TXT
}

refused_by_grpc() {
  ! zbctl "$1" status >"$WORK/refused" 2>&1 && grep -qi unauthenticated "$WORK/refused" || { cat "$WORK/refused"; return 1; }
}

# steadily URL SECONDS: twice a second, always 200.
steadily() {
  local limit=$((SECONDS + $2))
  while [ $SECONDS -lt $limit ]; do answers 200 "$1" || return; sleep 0.5; done
}

camunda_suite() {
  install_python
  install_node
  install_java
  models pyzeebe-polled pyzeebe-streamed zeebe-node zbctl sdk-polled sdk-streamed sdk-rest java-grpc java-rest
  local java
  java=$(java_home 17) || die "the Java client's test wants a JDK of version 17 or later"

  local p issuer
  read -ra p <<<"$(free_ports 11)"
  issuer=http://127.0.0.1:${p[0]}/realms/camunda
  keycloak "${p[0]}"
  zeebe "$issuer" "${p[1]}" "${p[2]}" "${p[3]}" "${p[4]}" "${p[5]}"
  # Otherwise everything below would prove nothing.
  holds "Zeebe refuses a gRPC call without a token" refused_by_grpc "127.0.0.1:${p[1]}"
  holds "Zeebe refuses a REST call without a token" answers 401 "http://127.0.0.1:${p[2]}/v2/topology"

  local grpc=127.0.0.1:${p[6]} rest=http://127.0.0.1:${p[7]} admin=127.0.0.1:${p[8]} pid
  credentials "$WORK/credentials" "$CLIENT" "${p[1]}" "${p[2]}" "$issuer"
  begin proxy "$PROXY" run --credentials "$WORK/credentials" --listen "$grpc" --listen "${rest#http://}" --admin "$admin"
  pid=$PID
  until_up proxy "$pid" 30 http_up "http://$admin/readyz"

  holds "curl: GET /v2/topology" answers 200 "$rest/v2/topology"
  holds "curl: GET /zeebe/v2/topology" answers 200 "$rest/zeebe/v2/topology"
  holds "curl: GET /v2/topology, HTTP/2 with prior knowledge" answers 200 --http2-prior-knowledge "$rest/v2/topology"
  holds "curl: GET /v2/topology with a stale token" answers 200 -H 'authorization: Bearer stale' "$rest/v2/topology"
  client pyzeebe "$CACHE/venv/bin/python" "$HERE/clients/pyzeebe_client.py" "$grpc" "$WORK/models"
  client sdk node "$HERE/clients/sdk_client.js" "$grpc" "$rest" "$WORK/models"
  client java "$java/bin/java" -cp "$CACHE/java/lib/*" "$HERE/clients/Client.java" "$grpc" "$rest" "$WORK/models"
  client zeebe-node node "$HERE/clients/zeebe_node_client.js" "$grpc" "$WORK/models"
  holds "zbctl: status, deploy, create, activate, complete" zbctl_works "$grpc"

  holds "/status is JSON and names the scope" status_shows "$admin" zeebe
  holds "one token request, says the proxy" tokens_between 1 1 "$admin"
  holds "one token request, says Keycloak" keycloak_gave 1 "$CLIENT"
  holds "neither secret nor token in the log, /status or /metrics" keeps_secrets "$admin" "$WORK/proxy.log" "$SECRET"
  drains "$pid"

  # Tokens of 10 s: renewed ahead of their end, one at a time, and never missed by a caller.
  rest=http://127.0.0.1:${p[9]} admin=127.0.0.1:${p[10]}
  credentials "$WORK/credentials-short" "$CLIENT-short" "${p[1]}" "${p[2]}" "$issuer"
  begin proxy-short "$PROXY" run --credentials "$WORK/credentials-short" --listen "${rest#http://}" --admin "$admin"
  pid=$PID
  until_up proxy-short "$pid" 30 http_up "http://$admin/readyz"
  holds "tokens of 10 s: every call of 30 s is answered" steadily "$rest/v2/topology" 30
  holds "tokens of 10 s: renewed, and not more often than needed" tokens_between 3 8 "$admin"
  drains "$pid"
}
