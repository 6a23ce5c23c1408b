# The suite `h2spec`: the conformance tests of HTTP/2 and HPACK by that name, against a plain and a TLS listener. Sourced by
# `run`.

H2SPEC=2.2.1

h2spec_suite() {
  need openssl "it makes certificates"
  install_h2spec
  local ports admin tls=$WORK/h2spec-tls pid
  mkdir "$tls"
  certificates "$tls" 2>"$tls/openssl.log" || die "openssl made no certificate"
  read -ra ports <<<"$(free_ports 3)"
  admin=127.0.0.1:${ports[2]}
  cat >"$WORK/h2spec.toml" <<TOML
[[listener]]
address = "127.0.0.1:${ports[0]}"

[[listener]]
address = "127.0.0.1:${ports[1]}"
tls = { cert_file = "$tls/cert.pem", key_file = "$tls/key.pem" }
TOML
  begin h2spec-proxy "$PROXY" sandbox -c "$WORK/h2spec.toml" --admin "$admin"
  pid=$PID
  until_up h2spec-proxy "$pid" 30 http_up "http://$admin/readyz"

  conforms plaintext "$HERE/h2spec/accepted.txt" --port "${ports[0]}"
  # ALPN says beforehand which HTTP it is: nothing is left to accept.
  conforms TLS /dev/null --port "${ports[1]}" --tls --insecure
  holds "the proxy serves on after that" answers 200 "http://127.0.0.1:${ports[0]}/v2/topology"
  drains "$pid"
}

# conforms NAME ACCEPTED OPTION…: the tests that find fault are those that ACCEPTED lists, no more and no less.
conforms() {
  local name=$1 accepted=$2 report=$WORK/h2spec-$1.xml
  shift 2
  # A request that is answered with some hundred bytes, since the tests of flow control want DATA.
  timeout 300 "$CACHE/h2spec-$H2SPEC/h2spec" --host 127.0.0.1 --path /v2/topology --timeout 3 --strict --junit-report "$report" \
    "$@" >"$WORK/h2spec-$name.log" 2>&1 || true
  holds "h2spec, $name: $(python3 "$HERE/h2spec/judge.py" count "$report")" \
    python3 "$HERE/h2spec/judge.py" judge "$report" "$accepted"
}

install_h2spec() {
  [ -x "$CACHE/h2spec-$H2SPEC/h2spec" ] && return
  need go "h2spec is built with it"
  note "installing h2spec"
  GOBIN=$CACHE/h2spec-$H2SPEC go install "github.com/summerwind/h2spec/cmd/h2spec@v$H2SPEC+incompatible" \
    >"$WORK/install-h2spec.log" 2>&1 || { tail -n 20 "$WORK/install-h2spec.log"; die "h2spec cannot be built"; }
}
