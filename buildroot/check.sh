#!/usr/bin/env bash
# Checks this tree against a Buildroot tree, without building anything.
# Usage: buildroot/check.sh [BUILDROOT]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C
if [[ -z ${1-} ]]; then
	echo "SKIP: no Buildroot tree is given: make check-buildroot BUILDROOT=DIR"
	exit 0
fi
buildroot=$(cd "$1" && pwd)
read -r release _ <"$here/pin"
have=$(sed -n 's/^export BR2_VERSION := //p' "$buildroot/Makefile")
[[ $have == "$release" ]] || echo "note: this is Buildroot $have, the pinned release is $release"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
br() { make -s -C "$buildroot" O="$out" BR2_EXTERNAL="$here" GATEWAYD_SOURCE="$here/.." "$@"; }

diff "$here/symbols.txt" <("$here/symbols.sh" "$buildroot") || { echo "symbols.txt is not what symbols.sh prints" >&2; exit 1; }
for config in "$here"/configs/*_defconfig; do
	name=$(basename "$config")
	br "$name" >/dev/null
	# What Buildroot does not know it drops without a word.
	br savedefconfig DEFCONFIG="$out/saved" >/dev/null
	diff <(sort "$config") <(sort "$out/saved") || { echo "$name does not survive: < is lost or needless, > is missing" >&2; exit 1; }
	br show-info >"$out/info"
	grep -q '"gatewayd"' "$out/info" || { echo "$name does not build gatewayd" >&2; exit 1; }
	echo "$name: every symbol is there"
done

if /usr/bin/python3 -c 'import magic' 2>/dev/null; then
	# By Debian's Python: others do not see its packages.
	/usr/bin/python3 "$buildroot/utils/check-package" -b "$here"/Config.in "$here"/external.* "$here"/package/*/* "$here"/configs/*
else
	echo "SKIP: check-package needs python3-magic"
fi
