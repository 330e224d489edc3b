# A static midstate in an image that holds nothing else.
#
#   docker build -t midstate .
#   docker run --rm midstate demo
#
# Linted (hadolint) and not yet built: where midstate is made there is no Docker.
FROM rust:1-alpine AS build
# For ring, whose assembly and C want a compiler's headers; no version is better than the image's.
# hadolint ignore=DL3018
RUN apk add --no-cache ca-certificates musl-dev
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin midstate

FROM scratch
# The authorities that vouch for pools with TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/midstate /midstate
# Nobody in particular; there is no user database here to look it up in.
USER 65534:65534
ENTRYPOINT ["/midstate"]
CMD ["demo"]
