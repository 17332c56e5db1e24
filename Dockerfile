# One of the programs on distroless, for whoever has a container engine:
#   docker build --build-arg PROGRAM=manager --build-arg VERSION=v0.10.0 --tag ghcr.io/capmaas/capmaas-manager:v0.10.0 .
# make image-tarballs makes the images without one.
ARG GO_VERSION=1.26.11
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS build
ARG PROGRAM
ARG VERSION=unknown
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} GOFLAGS='-trimpath -buildvcs=false' \
    make "build-${PROGRAM}" VERSION="${VERSION}" BIN=/out && mv "/out/${PROGRAM}" /out/program

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/program /program
USER 65532:65532
ENTRYPOINT ["/program"]
