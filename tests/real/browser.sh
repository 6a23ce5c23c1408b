# The suite `browser`: a page of somebody else's in a real Chromium, on the machine where the proxy runs. Sourced by `run`.

browser_suite() {
  need python3 "the page's server and the upstream run on it"
  local chromium ports proxy admin upstream address
  chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} ||
    die "chromium is needed: Debian's package chromium, or its path in CHROMIUM"
  read -ra ports <<<"$(free_ports 3)"
  proxy=${ports[0]} admin=${ports[1]} upstream=${ports[2]}

  # What stands behind the proxy answers whoever asks, and lets every page read it: nothing but the proxy keeps them out.
  begin upstream python3 "$HERE/browser/upstream.py" "$upstream" "$WORK/arrived"
  until_up upstream "$PID" 20 http_up "http://127.0.0.1:$upstream/up"
  address=http://127.0.0.1:$upstream
  printf "export %s='%s'\n" ZEEBE_CLIENT_ID id ZEEBE_CLIENT_SECRET secret CAMUNDA_OAUTH_URL "$address/token" \
    ZEEBE_REST_ADDRESS "$address" CAMUNDA_OPERATE_BASE_URL "$address" CAMUNDA_TASKLIST_BASE_URL "$address" \
    CAMUNDA_OPTIMIZE_BASE_URL "$address" >"$WORK/credentials.txt"
  chmod 600 "$WORK/credentials.txt"
  begin proxy "$PROXY" run --credentials "$WORK/credentials.txt" --listen "127.0.0.1:$proxy" --admin "127.0.0.1:$admin"
  local pid=$PID
  until_up proxy "$pid" 30 http_up "http://127.0.0.1:$admin/startupz"
  holds "curl: GET /v2/topology, as a client does" answers 200 "http://127.0.0.1:$proxy/v2/topology"

  timeout 600 python3 "$HERE/browser/attack.py" --chromium "$chromium" --proxy "$proxy" --admin "$admin" \
    --upstream "$upstream" --arrived "$WORK/arrived" --log "$WORK/proxy.log" --folder "$WORK" 2>"$WORK/attack.err" ||
    { failed "the attack ended with $?"; tail -n 12 "$WORK/attack.err" | sed 's/^/      /'; }
  # Facts of the attack are its own; a failed one is counted here.
  drains "$pid"
}
