# The one binary, small and without root. It links nothing but libc, so the second stage needs nothing but the roots of TLS.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package tollgate && cp target/release/tollgate /usr/local/bin/tollgate

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/tollgate /usr/local/bin/tollgate
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/tollgate
USER 10001:10001
ENV TOLLGATE_CONFIG=/etc/tollgate/tollgate.toml
VOLUME /var/lib/tollgate
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["tollgate", "ready"]
ENTRYPOINT ["tollgate"]
CMD ["gateway"]
