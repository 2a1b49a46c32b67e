# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by deploy/quickstart and tests/run: steps with times, packages, builds.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
step_number=0
steps_total='?'

seconds() { awk "BEGIN { printf \"%.1f s\", $EPOCHREALTIME - $1 }"; }

# step TITLE COMMAND...: runs it with its output in a log; a failure shows its end and exits.
step() {
  local title=$1 start=$EPOCHREALTIME log line pid
  shift
  step_number=$((step_number + 1))
  line=$(printf '[%d/%s] %-52s' "$step_number" "$steps_total" "$title")
  log=$(mktemp "/tmp/lbd-step-XXXXXX.log")
  "$@" >"$log" 2>&1 &
  pid=$!
  printf '%s' "$line"
  if [[ -t 1 ]]; then
    while kill -0 "$pid" 2>/dev/null; do
      printf '\r%s %s  %.40s\e[K' "$line" "$(seconds "$start")" \
        "$(tail -n 1 "$log" | tr -dc '[:print:]')"
      sleep 0.2
    done
    printf '\r%s\e[K' "$line"
  fi
  if wait "$pid"; then
    printf ' %s\n' "$(seconds "$start")"
    rm -f "$log"
  else
    printf ' FAILED after %s\n\n' "$(seconds "$start")"
    tail -n 25 "$log" >&2
    printf '\nStep "%s" failed; all of its output: %s\n' "$title" "$log" >&2
    exit 1
  fi
}

require_root() {
  if ((EUID != 0)); then
    echo "$0: needs root, for network namespaces and BPF: sudo $0 $*" >&2
    exit 1
  fi
}

# packages SECTION...: the packages of these sections of deploy/packages.
packages() {
  local sections=" $* " section='' line
  while read -r line; do
    case $line in
      '' | '#'*) ;;
      '['*']') section=${line:1:-1} ;;
      *) if [[ $sections == *" $section "* ]]; then echo "$line"; fi ;;
    esac
  done <"$root/deploy/packages"
}

# install_packages SECTION...: installs what is missing; asks nothing, starts no services.
install_packages() {
  local name missing=() policy=/usr/sbin/policy-rc.d
  for name in $(packages "$@"); do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) != installed ]]; then
      missing+=("$name")
    fi
  done
  if ((${#missing[@]} == 0)); then return 0; fi
  echo "installing ${missing[*]}"
  apt-get update -q || return
  if [[ -e $policy ]]; then policy=; else
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  local result=$?
  if [[ -n $policy ]]; then rm -f "$policy"; fi
  # The demonstration runs its own nginx in network namespaces; the host is to serve nothing.
  if [[ " ${missing[*]} " == *' nginx-light '* ]]; then update-rc.d nginx disable; fi
  return "$result"
}

# build PRESET DIRECTORY [TARGET...]
build() {
  cd "$root" || return
  if [[ ! -e $2/build.ninja ]]; then cmake --preset "$1" -B "$2" || return; fi
  cmake --build "$2" ${3:+--target "${@:3}"}
}
