# The suite `grpc`: gRPC's published interop cases by five clients of four makes on two servers of two makes, directly and
# through the proxy, which must make no difference. Sourced by `run`.

grpc_suite() {
  need openssl "it makes certificates"
  install_python interop-python interop
  install_node interop-node interop
  install_java interop-java interop
  install_go
  local java ports
  java=$(java_home 17)/bin/java || die "grpc-java's cases want a JDK of version 17 or later"
  TLS=$WORK/tls CASES=$WORK/cases
  mkdir "$TLS"
  certificates "$TLS" 2>"$TLS/openssl.log" || die "openssl made no certificate"

  read -ra ports <<<"$(free_ports 14)"
  begin interop-go "$CACHE/interop-go/bin/server" "${ports[0]}" "${ports[1]}" "$TLS/cert.pem" "$TLS/key.pem"
  until_up interop-go "$PID" 20 tcp_up "${ports[1]}"
  begin interop-java "$java" -cp "$CACHE/interop-java/lib/*" "$HERE/interop/Server.java" \
    "${ports[2]}" "${ports[3]}" "$TLS/cert.pem" "$TLS/key.pem"
  until_up interop-java "$PID" 60 tcp_up "${ports[3]}"

  token_endpoint "${ports[4]}" "${ports[5]}"
  grpc_server go "${ports[0]}" "${ports[1]}" "${ports[@]:6:4}"
  grpc_server java "${ports[2]}" "${ports[3]}" "${ports[@]:10:4}"
  python3 "$HERE/interop/table.py" show "$CASES"
}

# grpc_server SERVER PORT TLS-PORT PORT…: the clients on this server, and through two proxies, one for each of its ports.
# The last four are ports to use.
grpc_server() {
  local server=$1 client
  proxy_before "proxy-$server" "$TLS" "$4" "$5" "grpc_address = \"grpc://127.0.0.1:$2\""
  proxy_before "proxy-$server-tls" "$TLS" "$6" "$7" "grpc_address = \"grpcs://localhost:$3\""
  for client in go grpcio grpc-js netty okhttp; do
    cases "$client" "$server" direct "$2"
    cases "$client" "$server" h2c-h2c "$4"
    cases "$client" "$server" h2c-tls "$6"
    cases "$client" "$server" tls-tls "$7" "$TLS/ca.pem"
    holds "$client on the server in $server: $(cases_run "$client" "$server") cases end with the proxy as without" \
      python3 "$HERE/interop/table.py" same "$CASES" "$client" "$server"
  done
}

cases_run() { grep -c "^$1 $2 direct " "$CASES"; }

# cases CLIENT SERVER WAY PORT [AUTHORITY]: all cases of one client against one port.
cases() {
  local client=$1 label="$1 $2 $3" port=$4 authority=(${5:+"$5"}) jars="$CACHE/interop-java/lib/*"
  case $client in
    go) go_cases "$port" "${authority[@]}" ;;
    grpcio) "$CACHE/interop-python/bin/python" -B "$HERE/interop/client.py" "$port" "${authority[@]}" ;;
    grpc-js) node "$HERE/interop/client.js" "$port" "${authority[@]}" ;;
    *) "$java" -Xmx1g -cp "$jars" "$HERE/interop/Client.java" "$client" "$port" "${authority[@]}" ;;
  esac 2>"$WORK/${label// /-}.err" | sed "s|^|$label |" >>"$CASES" || failed "$label: see $WORK/${label// /-}.err"
}

# go_cases PORT [AUTHORITY]: grpc-go's own program does one case at a time.
go_cases() {
  local name told secure=(${2:+--use_tls --use_test_ca --ca_file="$2" --server_host_override=localhost})
  for name in empty_unary large_unary client_streaming server_streaming ping_pong empty_stream custom_metadata \
    status_code_and_message special_status_message unimplemented_method unimplemented_service cancel_after_begin \
    cancel_after_first_response timeout_on_sleeping_server; do
    if told=$(timeout 30 "$CACHE/interop-go/bin/client" --server_host=localhost --server_port="$1" --test_case="$name" \
      "${secure[@]}" 2>&1); then
      echo "$name ok"
    else
      echo "$name failed $(tail -n 1 <<<"$told")"
    fi
  done
}

install_go() {
  need go "grpc-go's cases are built with it"
  cat "$HERE/interop/go.mod" "$HERE/interop/server.go" >"$WORK/go-sources"
  once interop-go "$WORK/go-sources" go_programs
}
go_programs() {
  mkdir -p "$CACHE/interop-go/bin"
  cp "$HERE/interop/go.mod" "$HERE/interop/server.go" "$CACHE/interop-go/"
  # The sums of what go.mod needs are the module proxy's business, and are not kept here.
  (cd "$CACHE/interop-go" && go mod tidy && go build -o bin/server . && go build -o bin/client google.golang.org/grpc/interop/client)
}
