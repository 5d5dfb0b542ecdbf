#!/bin/sh
# Shows the progress of ninja or apt (APT::Status-Fd) from their output on standard input: on a terminal as one line that is
# overwritten, otherwise as a line every 5 seconds. All other output is passed through.
set -eu
terminal=
[ ! -t 1 ] || terminal=1
due=0
written=

clear_line() {
  [ -z "$written" ] || printf '\r\033[K'
  written=
}

show() {
  if [ -n "$terminal" ]; then
    printf '\r\033[K  %.70s' "$1"
    written=1
  else
    now=$(date +%s)
    [ "$now" -ge "$due" ] || return 0
    due=$((now + 5))
    printf '  %s\n' "$1"
  fi
}

while IFS= read -r line; do
  case $line in
    "["[0-9]*"] "*)  # [12/34] Building CXX object …/parser.cc.o; [56] k8s.io/client-go/discovery
      count=${line%%]*}
      what=${line#*"] "}
      case $what in
        Building* | Linking*) what=${what##*/} ;;
      esac
      show "${count#?} ${what%.o}"
      ;;
    dlstatus:* | pmstatus:*)  # dlstatus:3:41.5:Retrieving file 3 of 40; pmstatus:libboost-dev:41.5:Unpacking …
      what=${line#*:*:}
      percent=${what%%:*}
      show "${percent%.*} % ${what#*:}"
      ;;
    "ninja: no work to do.") ;;
    *)
      clear_line
      printf '%s\n' "$line"
      ;;
  esac
done
clear_line
