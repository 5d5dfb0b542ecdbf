#!/bin/bash
# install.sh FOLDER: installs the Python peer in FOLDER/venv and builds the Go peer as FOLDER/go. What cannot be installed is
# named, and left out.
set -u -o pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")" || exit

venv=$folder/venv
if ! cmp -s requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  { /usr/bin/python3 -m venv "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt &&
    cp requirements.txt "$venv"; } >"$folder/pip.log" 2>&1 || {
    rm -rf "$venv"
    echo "left out: the FastAPI peer; its packages cannot be installed: $(tail -n 1 "$folder/pip.log")" >&2
  }
fi

go=$(command -v go || find /usr/lib/go-*/bin /usr/local/go/bin -name go 2>/dev/null | sort -V | tail -n 1)
if [ -z "$go" ]; then
  echo "left out: the Go peer; there is no Go" >&2
elif ! (cd ../peer-go && GOTOOLCHAIN=auto "$go" build -o "$folder/go" .) >"$folder/go.log" 2>&1; then
  rm -f "$folder/go"
  echo "left out: the Go peer; it cannot be built: $(tail -n 1 "$folder/go.log")" >&2
fi
