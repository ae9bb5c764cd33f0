#!/usr/bin/env bash
# Installs Debian packages whose program is missing.
#
#   need-packages.sh PROGRAM:PACKAGE...
#
# PROGRAM is a name in PATH (the sbin directories included) or a path, which may
# be that of a file that is no program.
# Nothing is done, and no root needed, when all programs are there. The
# packages' services are not started.
set -euo pipefail

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

missing=()
for pair in "$@"; do
  program=${pair%%:*} package=${pair##*:}
  if ! command -v "$program" >/dev/null && [ ! -e "$program" ]; then
    missing+=("$package")
  fi
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. This is not Debian; please install them by hand." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Please run as root: apt-get install ${missing[*]}" >&2
  exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}"
