# The suite `websocket`: the `ws` client on a `websockets` server, through the proxy, which takes no part but for the token.
# Sourced by `run`.

websocket_suite() {
  need openssl "it makes certificates"
  install_python websocket-python websocket
  install_node websocket-node websocket
  local p tls=$WORK/websocket-tls admin sandbox
  mkdir "$tls"
  certificates "$tls" 2>"$tls/openssl.log" || die "openssl made no certificate"
  read -ra p <<<"$(free_ports 8)"
  begin websocket-server "$CACHE/websocket-python/bin/python" "$HERE/websocket/server.py" "${p[0]}" "${p[1]}" "$tls/cert.pem" "$tls/key.pem"
  until_up websocket-server "$PID" 20 tcp_up "${p[1]}"
  token_endpoint "${p[2]}" "${p[3]}"
  holds "the server refuses who brings no token" answers 401 -H 'connection: upgrade' -H 'upgrade: websocket' \
    -H 'sec-websocket-version: 13' -H 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==' "http://127.0.0.1:${p[0]}/v2/any"

  proxy_before websocket "$tls" "${p[4]}" "${p[5]}" "address = \"http://127.0.0.1:${p[0]}\""
  client websocket-plain node "$HERE/websocket/client.js" "ws://localhost:${p[4]}/v2/any?with=query" "plaintext to plaintext"
  client websocket-tls node "$HERE/websocket/client.js" "wss://localhost:${p[5]}/v2/any" "TLS to plaintext" "$tls/ca.pem"
  proxy_before websocket-tls "$tls" "${p[6]}" "${p[7]}" "address = \"https://localhost:${p[1]}\""
  client websocket-upstream node "$HERE/websocket/client.js" "ws://localhost:${p[6]}/v2/any" "plaintext to TLS"
  client websocket-both node "$HERE/websocket/client.js" "wss://localhost:${p[7]}/v2/any" "TLS to TLS" "$tls/ca.pem"
}
