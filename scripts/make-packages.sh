#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the Debian packages of this tree into a folder; nothing else of the tree is touched, and root is not needed.
# usage: scripts/make-packages.sh FOLDER
# What git knows of the tree is copied and built elsewhere. DEB_BUILD_OPTIONS is dpkg-buildpackage's; by default the tests
# are not run again (nocheck). VERSION=1.2 builds that version.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/xenlevel-packages.XXXXXX")
trap 'rm -rf "$work"' EXIT

mkdir "$work/xenlevel"
(cd "$top" && git ls-files --cached --others --exclude-standard -z |
    tar --null --ignore-failed-read --warning=no-failed-read -cf - -T -) | tar -C "$work/xenlevel" -xf -
cd "$work/xenlevel"
[ -z "${VERSION:-}" ] || sed -i "1s/(.*)/($VERSION)/" debian/changelog
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-nocheck}"
if ! dpkg-buildpackage --build=binary --no-sign --no-pre-clean >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi
grep '^dpkg-.*: warning' "$work/log" >&2 || :
rm -f "$folder"/*.deb "$folder"/*.changes "$folder"/*.buildinfo
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$folder"/
ls "$folder"/*.deb
