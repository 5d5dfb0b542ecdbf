#!/bin/sh
# Installs missing distribution packages: to build and run (no argument), to test ("test"), to lint ("lint"), to fuzz
# ("fuzz"), and to build images for an architecture ("image amd64", "image arm64"), cross-compiling if it is not the machine's.
# Prints nothing and needs no root if everything is installed.
set -eu

tools='cmake ninja-build ccache pkg-config git python3 esbuild rapidjson-dev'
libraries='libpistache-dev libboost-dev prometheus-cpp-dev libyaml-cpp-dev libcurl4-openssl-dev zlib1g-dev opentelemetry-cpp-dev'
protobuf='libprotobuf-dev libopentelemetry-proto-dev'
test="$protobuf doctest-dev python3-venv chromium firefox-esr wrk procps valgrind ca-certificates"
lint='clang-tidy-19 clang-format-19 shellcheck gcovr'
fuzz="$protobuf clang-19 libclang-rt-19-dev llvm-19"

packages="g++ $tools $libraries"
foreign=
while [ $# -gt 0 ]; do
  case $1 in
    test)
      packages="$packages $test"
      testing=1
      ;;
    lint) packages="$packages $lint" ;;
    fuzz) packages="$packages $fuzz" ;;
    image)
      packages="$packages ca-certificates"
      if [ "${2:?image requires an architecture: amd64, arm64}" != "$(dpkg --print-architecture)" ]; then
        foreign=$2
        case $foreign in
          amd64) packages="$tools ca-certificates binutils g++-x86-64-linux-gnu" ;;
          arm64) packages="$tools ca-certificates binutils g++-aarch64-linux-gnu" ;;
          *)
            echo "unknown architecture '$foreign'; allowed: amd64, arm64" >&2
            exit 2
            ;;
        esac
        for library in $libraries; do packages="$packages $library:$foreign"; done
      fi
      shift
      ;;
    *)
      echo "unknown group '$1'; allowed: test, lint, fuzz, image" >&2
      exit 2
      ;;
  esac
  shift
done

# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $codename in
  bookworm | trixie) ;;
  *)
    echo "This builds on Debian 12 and 13. On any other system, Docker runs the same services: docker compose up" >&2
    exit 1
    ;;
esac

# The tests of charts and overlays require helm and kustomize, which are built with Go (tools/go-tool.sh).
if [ -n "${testing:-}" ] && ! command -v go >/dev/null && [ ! -x /usr/local/go/bin/go ] &&
  ! { command -v helm >/dev/null && command -v kubectl >/dev/null; }; then
  case $codename in
    bookworm) packages="$packages golang-1.23-go" ;;
    trixie) packages="$packages golang-1.24-go" ;;
  esac
fi

missing=
for package in $packages; do
  [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
# Prometheus, for the tests, is unpacked instead of installed: its package would start a server on port 9090, now and at each boot.
prometheus=$(dirname "$0")/../build/prometheus
unpack=
[ -z "${testing:-}" ] || [ -d "$prometheus" ] || unpack=prometheus
[ -z "$unpack" ] || [ "$codename" = bookworm ] || unpack="$unpack promtool"  # one package there
[ -n "$missing$unpack" ] || exit 0

root=
[ "$(id -u)" = 0 ] || root=sudo
if [ "$codename" = bookworm ] && ! apt-cache policy | grep 'n=bookworm-backports' >/dev/null; then
  # opentelemetry-cpp is in Debian 12's backports, on the same mirror as the other packages.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    awk '($1 == "URIs:" || $1 == "deb") { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/) { print $i; exit } }')
  if [ -z "$mirror" ]; then
    echo "no mirror for bookworm-backports found in /etc/apt; it is required for opentelemetry-cpp-dev" >&2
    exit 1
  fi
  echo "deb $mirror bookworm-backports main" | $root tee /etc/apt/sources.list.d/bookworm-backports.list >/dev/null
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
  grep -v '^[dp][lm]status:' "$folder/log" | tail -n 20 >&2
  echo "could not $*" >&2
  exit 1
}
# apt ARGUMENT...: runs apt-get with a progress display; its output is shown only on failure. The status is part of the
# output, since sudo closes other descriptors.
apt() {
  { $root env DEBIAN_FRONTEND=noninteractive apt-get -o APT::Status-Fd=1 -o DPkg::Lock::Timeout=300 "$@" 2>&1 ||
      touch "$folder/failed"; } | tee "$folder/log" | grep --line-buffered '^[dp][lm]status:' | "$(dirname "$0")/progress.sh"
  [ ! -e "$folder/failed" ]
}
[ -z "$foreign" ] || $root dpkg --add-architecture "$foreign"
echo "Updating the package lists"
apt update || fail "update the package lists"
if [ -n "$missing" ]; then
  echo "Installing:$missing"
  # shellcheck disable=SC2086
  apt install -y --no-install-recommends $missing || fail "install:$missing"
fi
if [ -n "$unpack" ]; then
  echo "Unpacking: $unpack"
  # shellcheck disable=SC2086
  (cd "$folder" && apt-get download $unpack && for deb in *.deb; do dpkg -x "$deb" unpacked || exit; done) >"$folder/log" 2>&1 ||
    fail "download and unpack $unpack"
  mkdir -p "$(dirname "$prometheus")"
  mv "$folder/unpacked" "$prometheus"
fi
