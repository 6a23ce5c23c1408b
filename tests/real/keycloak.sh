# The suite `keycloak`: every way in which the proxy can prove who it is, against a real Keycloak over TLS; tokens that
# live for a minute, and a secret that is changed while they are used. Sourced by `run`.

# The secret holds what Basic has to encode; the id what it would otherwise be cut at.
LOGIN=camunda:client
FIRST_SECRET='s+e/c:r=e%t~1'
PASSWORD=of-the-key-store

# keys FOLDER: an authority, Keycloak's certificate, and the client's keys as people make them.
keys() {
  mkdir -p "$1"
  (
    cd "$1"
    local ec=(-algorithm EC -pkeyopt ec_paramgen_curve:P-256)
    openssl genpkey -quiet "${ec[@]}" -out ca.key
    openssl req -x509 -new -key ca.key -days 30 -subj '/CN=authority' -out ca.pem
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out server.key
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
    openssl genpkey -quiet "${ec[@]}" -out ec.pem
    signed() {
      openssl req -new -key "$1" -subj "$2" -out request.csr
      openssl x509 -req -in request.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile <(echo "$3") -out "$4"
    }
    signed server.key /CN=localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1' server.pem
    signed rsa.pem /CN=camunda-auth-proxy 'extendedKeyUsage=clientAuth' client.pem
    openssl pkcs12 -export -inkey rsa.pem -in client.pem -name client -passout "pass:$PASSWORD" -out client.p12
    keytool -importcert -noprompt -alias authority -file ca.pem -keystore trusted.p12 -storetype PKCS12 -storepass "$PASSWORD"
    keytool -genkeypair -keystore ended.p12 -storetype PKCS12 -storepass "$PASSWORD" -alias ended -keyalg RSA \
      -keysize 2048 -dname CN=ended -startdate -10d -validity 1
    chmod 600 ./*
  ) >"$WORK/keys.log" 2>&1 || die "the keys cannot be made, see $WORK/keys.log"
}

# keycloak_over_tls PORT KEYS: one realm with a client for each way.
keycloak_over_tls() {
  keycloak_home
  local modulus point
  modulus=$(openssl rsa -in "$2/rsa.pem" -noout -modulus | sed 's/^Modulus=//')
  point=$(openssl pkey -in "$2/ec.pem" -pubout -outform DER | tail -c 64 | od -An -v -tx1 | tr -d ' \n')
  mkdir -p "$KEYCLOAK_HOME/data/import"
  python3 - "$LOGIN" "$FIRST_SECRET" "$modulus" "$point" >"$KEYCLOAK_HOME/data/import/camunda-realm.json" <<'PY'
import base64, json, sys

login, secret, modulus, point = sys.argv[1:]

def encoded(hexadecimal):
    return base64.urlsafe_b64encode(bytes.fromhex(hexadecimal)).rstrip(b"=").decode()

def client(name, authenticator, **attributes):
    return {
        "clientId": name, "secret": secret, "protocol": "openid-connect", "publicClient": False,
        "clientAuthenticatorType": authenticator, "serviceAccountsEnabled": True, "standardFlowEnabled": False,
        "attributes": attributes,
        # Keycloak ignores the request's `audience` parameter: only a mapper puts one into the token.
        "protocolMappers": [{
            "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "zeebe-api", "access.token.claim": "true"},
        }],
    }

def signing(name, algorithm, **key):
    jwks = json.dumps({"keys": [{"use": "sig", "kid": name, "alg": algorithm, **key}]})
    more = {"use.jwks.string": "true", "jwks.string": jwks, "token.endpoint.auth.signing.alg": algorithm}
    return client(name, "client-jwt", **more)

json.dump({
    "realm": "camunda", "enabled": True, "sslRequired": "none", "accessTokenLifespan": 300,
    "eventsListeners": ["jboss-logging"],
    "clients": [
        client(login, "client-secret"),
        client("minute", "client-secret", **{"access.token.lifespan": "60"}),
        signing("rs256", "RS256", kty="RSA", n=encoded(modulus), e="AQAB"),
        signing("es256", "ES256", kty="EC", crv="P-256", x=encoded(point[:64]), y=encoded(point[64:])),
        client("certified", "client-x509", **{"x509.subjectdn": "CN=camunda-auth-proxy"}),
    ],
}, sys.stdout)
PY
  KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=$PASSWORD JAVA_OPTS_KC_HEAP='-Xms128m -Xmx512m' \
    begin keycloak "$KEYCLOAK_HOME/bin/kc.sh" start --optimized --import-realm --cache=local --http-host=127.0.0.1 \
    --https-port="$1" --hostname="https://localhost:$1" --https-client-auth=request \
    --https-certificate-file="$2/server.pem" --https-certificate-key-file="$2/server.key" \
    --https-trust-store-file="$2/trusted.p12" --https-trust-store-password="$PASSWORD" --https-trust-store-type=PKCS12 \
    --spi-events-listener-jboss-logging-success-level=info
  until_up keycloak "$PID" 240 curl -sf --cacert "$2/ca.pem" -o /dev/null --max-time 2 \
    "https://localhost:$1/realms/camunda/.well-known/openid-configuration"
}

# upstream PORT: answers 200 to whoever brings a token that has not ended, and 401 to all others.
upstream() {
  cat >"$WORK/upstream.py" <<'PY'
import base64, http.server, json, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            scheme, token = self.headers["authorization"].split(" ")
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            good = scheme == "Bearer" and claims["exp"] > time.time() and "zeebe-api" in claims["aud"]
        except Exception:
            good = False
        self.send_response(200 if good else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
PY
  begin upstream python3 "$WORK/upstream.py" "$1"
  until_up upstream "$PID" 20 tcp_up "$1"
}

# configured NAME LINE…: a configuration whose [oauth] has these lines. Written aside and moved, as mounted secrets are.
configured() {
  local name=$1
  shift
  printf '[oauth]\n%s\n[scopes.zeebe]\naddress = "http://127.0.0.1:%s"\n' \
    "$(printf '%s\n' "ca_file = \"$WORK/keys/ca.pem\"" "$@")" "$UPSTREAM" >"$WORK/$name.toml"
}

# secret_file NAME SECRET
secret_file() { (umask 077; printf '%s\n' "$2" >"$WORK/$1.new"; mv "$WORK/$1.new" "$WORK/$1"); }

# gets_token NAME CLIENT: one token, made out to this client.
gets_token() {
  "$PROXY" token zeebe --config "$WORK/$1.toml" --format json >"$WORK/$1.json" || return
  python3 -c 'import json, sys; claims = json.load(open(sys.argv[1]))["claims"]; sys.exit(claims["azp"] != sys.argv[2])' \
    "$WORK/$1.json" "$2"
}

# is_refused NAME TEXT: no token, and this is what a user is told.
is_refused() {
  ! "$PROXY" token zeebe --config "$WORK/$1.toml" >"$WORK/$1.out" 2>&1 && grep -qF -- "$2" "$WORK/$1.out" ||
    { cat "$WORK/$1.out"; return 1; }
}

# check_says NAME TEXT
check_says() {
  "$PROXY" check --config "$WORK/$1.toml" >"$WORK/$1.out" 2>&1 && grep -qF -- "$2" "$WORK/$1.out" ||
    { cat "$WORK/$1.out"; return 1; }
}

# as_admin PATH CURL-ARGUMENT…: Keycloak's own administration.
as_admin() {
  local path=$1 token
  shift
  token=$(curl -sSf --cacert "$WORK/keys/ca.pem" -d grant_type=password -d client_id=admin-cli -d username=admin \
    -d "password=$PASSWORD" "$KEYCLOAK_URL/realms/master/protocol/openid-connect/token" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])') || return
  curl -sSf --cacert "$WORK/keys/ca.pem" -H "authorization: Bearer $token" "$@" "$KEYCLOAK_URL/admin/realms/camunda/$path"
}

# rotate CLIENT FILE: Keycloak makes a new secret, which ends the old one, and the file gets it.
rotate() {
  local id secret
  id=$(as_admin "clients?clientId=$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])') || return
  secret=$(as_admin "clients/$id/client-secret" -X POST | python3 -c 'import json, sys; print(json.load(sys.stdin)["value"])') || return
  secret_file "$2" "$secret"
}

# gave_between LEAST MOST CLIENT: tokens that Keycloak gave out, by its own log.
gave_between() {
  local seen
  seen=$(keycloak_tokens "$3")
  [ "$seen" -ge "$1" ] && [ "$seen" -le "$2" ] || { echo "$seen tokens"; return 1; }
}
none_refused() { ! grep -E "type=\"?CLIENT_LOGIN_ERROR.*clientId=\"?$1\"?[,\" ]" "$WORK/keycloak.log"; }
within() { for _ in $(seq "$1"); do "${@:2}" >/dev/null 2>&1 && return; sleep 1; done; "${@:2}"; }

keycloak_suite() {
  need openssl "the keys are made with it"
  need keytool "it comes with a JDK"
  local p k=$WORK/keys issuer pid traffic rest admin
  read -ra p <<<"$(free_ports 4)"
  KEYCLOAK_URL=https://localhost:${p[0]} UPSTREAM=${p[1]} rest=http://127.0.0.1:${p[2]} admin=127.0.0.1:${p[3]}
  issuer=$KEYCLOAK_URL/realms/camunda
  keys "$k"
  upstream "$UPSTREAM"
  keycloak_over_tls "${p[0]}" "$k"

  # Tokens of a minute, used all the time while the rest goes on.
  secret_file minute.secret "$FIRST_SECRET"
  configured minute "issuer = \"$issuer\"" 'client_id = "minute"' "client_secret_file = \"$WORK/minute.secret\""
  begin proxy "$PROXY" run --config "$WORK/minute.toml" --listen "${rest#http://}" --admin "$admin"
  pid=$PID
  until_up proxy "$pid" 30 http_up "http://$admin/readyz"
  holds "the issuer's token endpoint is in /status" status_shows "$admin" "$issuer/protocol/openid-connect/token"
  steadily "$rest/v2/topology" 200 >"$WORK/traffic.log" 2>&1 &
  traffic=$!

  local secret="client_secret = \"$FIRST_SECRET\"" login="client_id = \"$LOGIN\"" url by_issuer="issuer = \"$issuer\""
  url="url = \"$issuer/protocol/openid-connect/token\""
  configured post "$url" "$login" "$secret"
  holds "client_secret_post" gets_token post "$LOGIN"
  configured basic "$url" "$login" "$secret" 'client_auth = "client_secret_basic"'
  holds "client_secret_basic, id and secret with : + / = %" gets_token basic "$LOGIN"
  configured preset 'preset = "keycloak"' "server = \"$KEYCLOAK_URL\"" 'realm = "camunda"' "$login" "$secret"
  holds "the preset keycloak" gets_token preset "$LOGIN"
  configured issuer "$by_issuer" "$login" "$secret"
  holds "the issuer alone" gets_token issuer "$LOGIN"
  local assertion='client_auth = "private_key_jwt"' p12="key_file = \"$k/client.p12\""
  local password="key_password = \"$PASSWORD\""
  configured rs256 "$url" 'client_id = "rs256"' "$assertion" "key_file = \"$k/rsa.pem\"" 'key_id = "rs256"'
  holds "private_key_jwt, RS256, PEM" gets_token rs256 rs256
  configured es256 "$by_issuer" 'client_id = "es256"' "$assertion" "key_file = \"$k/ec.pem\"" 'key_id = "es256"'
  holds "private_key_jwt, ES256, PEM, by issuer" gets_token es256 es256
  configured p12 "$url" 'client_id = "rs256"' "$assertion" "$p12" "$password" 'key_id = "rs256"'
  holds "private_key_jwt, RS256, PKCS#12" gets_token p12 rs256
  local certified='client_id = "certified"' mutual='client_auth = "tls_client_auth"'
  configured mtls "$url" "$certified" "$mutual" "key_file = \"$k/rsa.pem\"" "cert_file = \"$k/client.pem\""
  holds "tls_client_auth, PEM" gets_token mtls certified
  configured mtls-p12 "$by_issuer" "$certified" "$mutual" "$p12" "$password"
  holds "tls_client_auth, PKCS#12, by issuer" gets_token mtls-p12 certified

  configured wrong "$url" "$login" 'client_secret = "wrong"'
  holds "a wrong secret is told" is_refused wrong "the token endpoint answered 401 (unauthorized_client)"
  configured kid "$url" 'client_id = "rs256"' "$assertion" "key_file = \"$k/rsa.pem\"" 'key_id = "other"'
  holds "a wrong kid is told" is_refused kid "the token endpoint answered 400 (invalid_client)"
  configured other "$url" 'client_id = "es256"' "$assertion" "key_file = \"$k/rsa.pem\"" 'key_id = "es256"'
  holds "a key that is another client's is told" is_refused other "(invalid_client)"
  configured bare "$url" "$certified" "$secret"
  holds "a certificate that is not shown is told" is_refused bare "the token endpoint answered 401"
  configured slash "issuer = \"$issuer/\"" "$login" "$secret"
  holds "an issuer with a slash too many is told" is_refused slash "write that as oauth.issuer if it is meant"
  configured ended "$url" "$certified" "$mutual" "key_file = \"$k/ended.p12\"" "$password"
  holds "a certificate that has ended is told by check" check_says ended "has ended"
  configured untrusted "$url" "$login" "$secret"
  sed -i '/^ca_file/d' "$WORK/untrusted.toml"
  holds "an authority that is not trusted is told" is_refused untrusted "the token endpoint cannot be reached"

  local asked
  # By Keycloak's count: the proxy's begins anew with the new secret.
  asked=$(keycloak_tokens minute)
  holds "Keycloak makes a new secret" rotate minute minute.secret
  holds "it is asked for a token with the new one" within 10 gave_between $((asked + 1)) 99 minute
  if wait "$traffic"; then ok "tokens of 60 s: every call of 200 s is answered"; else
    failed "tokens of 60 s: every call of 200 s is answered"
    tail -n 5 "$WORK/traffic.log"
  fi
  holds "tokens of 60 s: renewed, and not more often than needed" gave_between 4 9 minute
  holds "no token request of theirs was refused" none_refused minute
  holds "neither secret nor token in the log, /status or /metrics" keeps_secrets "$admin" "$WORK/proxy.log" "$(cat "$WORK/minute.secret")"
  drains "$pid"
}
