# A static midstate in an image that holds nothing else.
#
#   docker build -t midstate .
#   docker run --rm midstate demo
FROM rust:1-alpine AS build
RUN apk add --no-cache cmake g++ make musl-dev perl
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin midstate

FROM scratch
COPY --from=build /src/target/release/midstate /midstate
# Nobody in particular; there is no user database here to look it up in.
USER 65534:65534
ENTRYPOINT ["/midstate"]
CMD ["demo"]
