# A static binary in an empty image. Builds with Docker and with Debian's podman and buildah: no BuildKit syntax. The
# latter two need `--format docker`, or they leave the HEALTHCHECK out.
#
# Loopback stays the default inside the container as well, so nothing is reachable before you say so. Give the
# addresses to `run`, publish them on the host's loopback only, and say that the network is yours. The credentials
# file is mounted, readable for user 65532; `--env-file` would stumble over its `export`.
#
#   docker run --read-only --cap-drop ALL -v "$PWD/credentials.txt:/credentials.txt:ro" \
#     -e CAMUNDA_PROXY_ANONYMOUS=anywhere -p 127.0.0.1:26500:26500 -p 127.0.0.1:8080:8080 \
#     camunda-auth-proxy run --credentials /credentials.txt --listen 0.0.0.0:26500 --listen 0.0.0.0:8080
FROM rust:1.95-bookworm AS build
WORKDIR /src
# glibc, not musl: name look-up by nss_files and nss_dns is built into static glibc since 2.34.
ENV RUSTFLAGS="-C target-feature=+crt-static"
# `.dockerignore` lets in what the build needs and nothing else.
COPY . .
# The target is named even though it is this machine's: otherwise procedural macros would be linked statically too.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --locked --release --bin camunda-auth-proxy --target "$target" \
 && install -D "target/$target/release/camunda-auth-proxy" /out/camunda-auth-proxy \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -D -m 644 -t /out/usr/share/doc/camunda-auth-proxy .licenses/LICENSE-APACHE .licenses/LICENSE-MIT

FROM scratch
COPY --from=build /out/ /
# By number: there is no /etc/passwd. Nothing here belongs to this user, and nothing is written.
USER 65532:65532
EXPOSE 26500 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s CMD ["/camunda-auth-proxy", "healthcheck"]
ENTRYPOINT ["/camunda-auth-proxy"]
CMD ["run"]
