# Four images from one build: docker build --target frontend|dice-roller|die-service|loadgen .
# Each contains a program, the libraries that it loads and CA certificates: no shell, no package manager.
# The compiler runs on the machine's own architecture and compiles for that of --platform.
FROM --platform=$BUILDPLATFORM debian:trixie-slim AS build
ARG TARGETARCH
COPY tools/setup.sh tools/progress.sh /src/tools/
RUN /src/tools/setup.sh image "$TARGETARCH" && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json ./
COPY charts/dice/Chart.yaml charts/dice/
COPY services services
COPY loadgen loadgen
ARG COMMIT=unknown
# With BuildKit's cache mounts, a change only recompiles what it affects.
ENV CCACHE_DIR=/ccache
RUN --mount=type=cache,target=/ccache \
    set -eu; \
    preset=release; \
    [ "$TARGETARCH" = "$(dpkg --print-architecture)" ] || preset=cross-$TARGETARCH; \
    cmake --preset "$preset" -DDICE_COMMIT="$COMMIT" -DCMAKE_EXE_LINKER_FLAGS=-s; \
    cmake --build "build/$preset"; \
    ln -s "build/$preset/bin" bin
COPY tools/image_root.py tools/
RUN set -eu; \
    for program in frontend dice-roller die-service loadgen; do \
      python3 tools/image_root.py "bin/$program" "/images/$program"; \
    done; \
    install -D -m 644 -t /images/die-service/etc/dice services/die-service/dice.yaml

FROM scratch AS base
USER 65532:65532
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.licenses=Apache-2.0

FROM base AS frontend
COPY --from=build /images/frontend /
LABEL org.opencontainers.image.title=frontend \
      org.opencontainers.image.description="Web page for rolling dice, and its API"
EXPOSE 8400 9400
ENTRYPOINT ["/usr/bin/frontend"]

FROM base AS dice-roller
COPY --from=build /images/dice-roller /
LABEL org.opencontainers.image.title=dice-roller \
      org.opencontainers.image.description="Rolls a die, once or many times concurrently"
EXPOSE 8401 9401
ENTRYPOINT ["/usr/bin/dice-roller"]

FROM base AS die-service
COPY --from=build /images/die-service /
LABEL org.opencontainers.image.title=die-service \
      org.opencontainers.image.description="Serves the specifications of dice"
ENV DIE_SPECIFICATIONS=/etc/dice/dice.yaml
EXPOSE 8402 9402
ENTRYPOINT ["/usr/bin/die-service"]

FROM base AS loadgen
COPY --from=build /images/loadgen /
LABEL org.opencontainers.image.title=loadgen \
      org.opencontainers.image.description="Load generator and verifier for the dice services"
ENTRYPOINT ["/usr/bin/loadgen"]
CMD ["traffic"]
