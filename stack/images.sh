#!/bin/bash
# images.sh [save|load]: prepares the stack for clusters without internet access. `save` saves its images and charts in
# build/stack, which can be copied elsewhere; `load` loads the images from there into the kind cluster `dice`. No argument: both,
# `load` only if that cluster exists.
set -eu -o pipefail
# shellcheck source=stack/lib.sh
. "$(dirname "$0")/lib.sh"
action=${1:-both}
one_of action "$action" save load both
archive=$stack/../build/stack/images.tar

save() {
  local each images
  need docker helm
  mkdir -p "$(dirname "$archive")"
  mapfile -t images <"$stack/images.txt"
  for each in "${images[@]}"; do
    docker image inspect "$each" >/dev/null 2>&1 || docker pull "$each" || fail "could not pull $each"
  done
  for each in $(releases); do chart "$each" >/dev/null; done
  docker save --output "$archive" "${images[@]}"
  echo "Saved ${#images[@]} images: $(du -h "$archive" | cut -f 1)"
}

load() {
  need docker kind
  [ -f "$archive" ] || fail "build/stack/images.tar is missing: run stack/images.sh save on a machine with internet access"
  kind load image-archive "$archive" --name dice
}

case $action in
  both)
    save
    if kind get clusters 2>/dev/null | grep -x dice >/dev/null; then load; fi
    ;;
  *) "$action" ;;
esac
