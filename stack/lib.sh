# Functions shared by the bash scripts in this folder.
# shellcheck shell=bash
stack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHARTS=${CHARTS:-$stack/../build/stack}

fail() {
  echo "$*" >&2
  exit 1
}

# one_of NAME VALUE ALLOWED...
one_of() {
  local name=$1 value=$2 each
  shift 2
  for each in "$@"; do [ "$value" != "$each" ] || return 0; done
  fail "$name=$value is unknown; allowed: $(printf '%s, ' "$@" | sed 's/, $//')"
}

# need PROGRAM...
need() {
  local each
  for each in "$@"; do command -v "$each" >/dev/null || fail "$each is missing: install it and add it to PATH"; done
}

# releases: prints the names of the releases
releases() { awk '!/^#/ { print $1 }' "$stack/charts.txt"; }

# chart RELEASE: prints the file of its chart, which is downloaded if CHARTS does not have it.
chart() {
  local name version repository
  read -r name version repository < <(awk -v release="$1" '$1 == release { print $2, $3, $4 }' "$stack/charts.txt")
  mkdir -p "$CHARTS"
  if [ ! -f "$CHARTS/$name-$version.tgz" ]; then
    echo "Downloading the chart $name $version" >&2
    helm pull "$name" --version "$version" --repo "$repository" --destination "$CHARTS" >&2 ||
      fail "$CHARTS has no $name-$version.tgz, and it could not be downloaded from $repository"
  fi
  echo "$CHARTS/$name-$version.tgz"
}
