#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the Debian packages that a step needs and that are missing, by name, and say so.
# usage: scripts/ensure-packages.sh GROUP...   (groups: scripts/packages.txt)
# Needs no network, and prints nothing, when nothing is missing.
set -eu

list=$(dirname "$0")/packages.txt
wanted=
for group in "$@"; do
    packages=$(sed -n "s/^$group:[[:space:]]*//p" "$list")
    if [ -z "$packages" ]; then
        echo "ensure-packages: no group '$group' in $list" >&2
        exit 2
    fi
    wanted="$wanted $packages"
done

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These Debian packages are missing:$missing" >&2
    echo "Install them as root:  apt-get install --no-install-recommends$missing" >&2
    exit 2
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086 # package names are words
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
}
# Once more: a mirror may be away for a moment, or be renewed between the two commands.
if ! install >"$log" 2>&1 && ! install >"$log" 2>&1; then
    cat "$log" >&2
    echo "Could not install:$missing" >&2
    exit 2
fi
