# The suite `sandbox`: the proxy's own embedded Camunda, which refuses every call without a token, and real clients that
# have none. Sourced by `run`.

sandbox_suite() {
  install_python
  install_node
  models pyzeebe-polled pyzeebe-streamed zeebe-node zbctl sdk-polled sdk-streamed sdk-rest

  # Two addresses as a user has them by default, one for gRPC and one for REST, although either answers both.
  local ports grpc rest admin pid
  read -ra ports <<<"$(free_ports 3)"
  grpc=127.0.0.1:${ports[0]} rest=http://127.0.0.1:${ports[1]} admin=127.0.0.1:${ports[2]}
  begin sandbox "$PROXY" sandbox --listen "$grpc" --listen "${rest#http://}" --admin "$admin"
  pid=$PID
  until_up sandbox "$pid" 30 http_up "http://$admin/readyz"

  local json=(-H 'content-type: application/json' -d '{}')
  holds "curl: POST /operate/v1/process-instances/search" answers 200 "${json[@]}" "$rest/operate/v1/process-instances/search"
  holds "curl: POST /tasklist/v1/tasks/search" answers 200 "${json[@]}" "$rest/tasklist/v1/tasks/search"
  holds "curl: GET /optimize/api/public/dashboard" answers 200 "$rest/optimize/api/public/dashboard?collectionId=any"
  holds "curl: GET /zeebe/v2/topology" answers 200 "$rest/zeebe/v2/topology"
  holds "curl: GET /v2/topology" answers 200 "$rest/v2/topology"
  holds "curl: GET /v2/topology on the gRPC address" answers 200 "http://$grpc/v2/topology"
  holds "curl: GET /v2/topology, HTTP/2 with prior knowledge" answers 200 --http2-prior-knowledge "$rest/v2/topology"
  holds "curl: GET /v2/topology with an empty authorization" answers 200 -H 'authorization;' "$rest/v2/topology"
  holds "curl: GET /v2/topology with two stale tokens" \
    answers 200 -H 'authorization: Bearer stale' -H 'authorization: Bearer older' "$rest/v2/topology"
  # Operate and Tasklist both have this path, so there is no telling.
  holds "curl: GET /v1/variables/1 has no route" answers 404 "$rest/v1/variables/1"

  client pyzeebe "$CACHE/venv/bin/python" "$HERE/clients/pyzeebe_client.py" "$grpc" "$WORK/models"
  client zeebe-node node "$HERE/clients/zeebe_node_client.js" "$grpc" "$WORK/models"
  client sdk node "$HERE/clients/sdk_client.js" "$grpc" "$rest" "$WORK/models" web
  holds "zbctl: status, deploy, create, activate, complete" zbctl_works "$grpc"

  holds "/status is JSON and names the scopes" status_shows "$admin" optimize
  holds "no more than one token request for each of the four scopes" tokens_between 1 4 "$admin"
  holds "no token in the log, /status or /metrics" keeps_secrets "$admin" "$WORK/sandbox.log" 'Bearer e'
  drains "$pid"
}
