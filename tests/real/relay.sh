# The suite `relay`: clients that insist on OAuth, with an id and a secret that nobody knows, set up as the README says. The
# proxy is their token endpoint, and the embedded Camunda behind it refuses what they get there. Sourced by `run`.

relay_suite() {
  install_python
  install_node
  install_java
  install_java spring clients pom-spring.xml
  local java ports grpc rest admin pid
  java=$(java_home 17)/bin/java || die "the Java clients want a JDK of version 17 or later"
  read -ra ports <<<"$(free_ports 3)"
  grpc=127.0.0.1:${ports[0]} rest=http://127.0.0.1:${ports[1]} admin=127.0.0.1:${ports[2]}
  begin sandbox "$PROXY" sandbox --listen "$grpc" --listen "${rest#http://}" --admin "$admin"
  pid=$PID
  until_up sandbox "$pid" 30 http_up "http://$admin/readyz"

  local url=$rest/oauth/token jars
  # What the file of Camunda's Console leaves in a profile, with addresses that nobody answers at: who does not take those that
  # are set after it fails. Tokens are kept below the home folder, unless told otherwise.
  local dead=https://127.0.0.1:9 console
  console=(
    env HOME="$WORK" ZEEBE_CLIENT_ID=any-id ZEEBE_CLIENT_SECRET=any-secret ZEEBE_TOKEN_AUDIENCE=zeebe.camunda.io
    ZEEBE_ADDRESS="${dead#https://}" ZEEBE_GRPC_ADDRESS="grpcs://${dead#https://}" ZEEBE_REST_ADDRESS="$dead"
    ZEEBE_AUTHORIZATION_SERVER_URL="$dead/oauth/token" CAMUNDA_OAUTH_URL="$dead/oauth/token"
    CAMUNDA_CLUSTER_ID=any-cluster CAMUNDA_CLUSTER_REGION=any-1 CAMUNDA_CREDENTIALS_SCOPES=Zeebe,Operate
    CAMUNDA_CLIENT_ID=any-id CAMUNDA_CLIENT_SECRET=any-secret CAMUNDA_CLIENT_MODE=saas
    CAMUNDA_CLIENT_AUTH_CLIENTID=any-id CAMUNDA_CLIENT_AUTH_CLIENTSECRET=any-secret
    CAMUNDA_CLIENT_CLOUD_CLUSTERID=any-cluster CAMUNDA_CLIENT_CLOUD_REGION=any-1
  )
  local old=(ZEEBE_ADDRESS="$grpc" ZEEBE_INSECURE_CONNECTION=true ZEEBE_AUTHORIZATION_SERVER_URL="$url")

  relayed "pyzeebe" client pyzeebe-oauth "${console[@]}" OAUTHLIB_INSECURE_TRANSPORT=1 \
    "$CACHE/venv/bin/python" "$HERE/clients/oauth_pyzeebe.py" "$grpc" "$rest"
  relayed "@camunda8/sdk" client sdk-oauth "${console[@]}" node "$HERE/clients/oauth_sdk.js" "$grpc" "$rest"
  relayed "zbctl" holds "zbctl with OAuth: status" \
    "${console[@]}" "${old[@]}" "$CACHE/npm/node_modules/.bin/zbctl-cli.linux" --insecure --address "$grpc" status
  relayed "zeebe-node" client zeebe-node-oauth "${console[@]}" ZEEBE_ADDRESS="$grpc" ZEEBE_SECURE_CONNECTION=false \
    ZEEBE_AUTHORIZATION_SERVER_URL="$url" node "$HERE/clients/oauth_zeebe_node.js"
  jars=$CACHE/java/lib/*
  relayed "zeebe-client-java 8.6" client zeebe-client-java "${console[@]}" "${old[@]}" ZEEBE_GRPC_ADDRESS="http://$grpc" \
    ZEEBE_REST_ADDRESS="$rest" ZEEBE_CLIENT_CONFIG_PATH="$WORK/tokens-zeebe" \
    "$java" -cp "$jars" "$HERE/clients/OauthZeebe.java"
  jars=$CACHE/spring/lib/*
  relayed "camunda-client-java 8.8" client camunda-client-java "${console[@]}" CAMUNDA_AUTHORIZATION_SERVER_URL="$url" \
    CAMUNDA_GRPC_ADDRESS="http://$grpc" CAMUNDA_REST_ADDRESS="$rest" CAMUNDA_CLIENT_CONFIG_PATH="$WORK/tokens-camunda" \
    "$java" -cp "$jars" "$HERE/clients/OauthCamunda.java"
  # As variables, since those that are there win over an application's own file.
  local spring=(
    CAMUNDA_CLIENT_MODE=self-managed CAMUNDA_CLIENT_GRPCADDRESS="http://$grpc" CAMUNDA_CLIENT_RESTADDRESS="$rest"
    "$java" -cp "$jars" "$HERE/clients/OauthSpring.java"
  )
  relayed "Spring starter 8.8" client spring-oauth "${console[@]}" CAMUNDA_CLIENT_AUTH_TOKENURL="$url" \
    CAMUNDA_CLIENT_AUTH_METHOD=oidc CAMUNDA_CLIENT_AUTH_CREDENTIALSCACHEPATH="$WORK/tokens-spring" "${spring[@]}" "with OAuth"
  client spring "${console[@]}" CAMUNDA_CLIENT_AUTH_METHOD=none "${spring[@]}" "with the method none"

  holds "no more than one token request for each of the four scopes" tokens_between 1 4 "$admin"
  drains "$pid"
}

# relayed TEXT COMMAND…: what the client does, that it has asked the proxy for a token, and that it has sent that one.
relayed() {
  local text=$1 handed sent
  shift
  handed=$(counted requests_total 'code_class="2xx",origin="proxy"') sent=$(counted client_authorization_total 'action="replaced"')
  "$@"
  holds "$text: asked the proxy for a token" [ "$(counted requests_total 'code_class="2xx",origin="proxy"')" -gt "$handed" ]
  holds "$text: sent it, and the proxy put the real one in its place" \
    [ "$(counted client_authorization_total 'action="replaced"')" -gt "$sent" ]
}

# counted METRIC LABELS: the sum of what the proxy counts under these labels.
counted() {
  curl -sS --max-time 10 "http://$admin/metrics" |
    awk -v metric="camunda_proxy_$1{" -v labels="$2" 'index($0, metric) == 1 && index($0, labels) { sum += $NF } END { print sum + 0 }'
}
