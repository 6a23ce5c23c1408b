# The suite `soak`: honest load for MINUTES while faults take turns: of the upstreams, the token endpoint, the store, the
# files, the process itself. What was lost, and what is left at the end. Sourced by `run`.

soak_suite() {
  need redis-server "it is a store; Debian's package is redis-server"
  need openssl "it makes certificates"
  install_python
  local ports folder=$WORK/soak
  read -ra ports <<<"$(free_ports 3)"
  mkdir -m 700 "$folder" "$WORK/sandbox"
  certificates "$folder" upstream.test 2>"$folder/openssl.log" || die "openssl made no certificate"
  openssl req -newkey rsa:2048 -nodes -x509 -days 2 -subj '/CN=localhost' -keyout "$folder/bad.key" -out "$folder/bad.pem" \
    2>>"$folder/openssl.log" || die "openssl made no certificate"

  # Its own proxy stays idle; the ones under test are started by soak.py, which has to stop and start them.
  begin sandbox env TMPDIR="$WORK/sandbox" "$PROXY" sandbox --plaintext --listen "127.0.0.1:${ports[0]}" --admin "127.0.0.1:${ports[1]}"
  until_up sandbox "$PID" 60 all_tokens "${ports[1]}"

  # What needs rights or packages that are not everywhere is left out, and said.
  mkdir "$folder/full"
  if mount -t tmpfs -o size=256k,mode=700 tmpfs "$folder/full" 2>/dev/null; then FULL=$folder/full; else
    note "left out, since this user may not mount: a full disk"
  fi
  if unshare --mount true 2>/dev/null; then
    printf '127.0.0.1 localhost upstream.test\n' >"$folder/hosts"
    export SOAK_HOSTS=$folder/hosts
  else note "left out, since this user may not unshare: a name that flaps"; fi

  "$CACHE/venv/bin/python" "$HERE/soak/soak.py" "$MINUTES" "$folder" "$PROXY" "$WORK"/sandbox/*/credentials.txt "${ports[2]}" &
  PIDS+=($!)
  wait $! || FAILED=$((FAILED + 1))
}
