# Kinetic's image: one program, its libraries, and the authorities that the system trusts; no shell, and nobody is root.
#
#   docker build --tag kinetic .                        from source
#   scripts/rootfs PROGRAM && docker build --target local --tag kinetic .    from a program built here: no registry is asked
#
# The same source, base and SOURCE_DATE_EPOCH make the same image: docker buildx build --build-arg SOURCE_DATE_EPOCH=0 --output type=oci,rewrite-timestamp=true,dest=…
# Pin the base by its digest: --build-arg RUST=docker.io/library/rust@sha256:…
ARG RUST=docker.io/library/rust:1.95-slim-bookworm

FROM ${RUST} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH=0
# Paths of this machine are no part of the program.
ENV CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/source=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN cargo build --locked --release --package kinetic && scripts/rootfs target/release/kinetic /rootfs

# What scripts/rootfs laid out in rootfs/ beside this file.
FROM scratch AS local
COPY rootfs/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/kinetic"]

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/kinetic"]
