#!/usr/bin/env bash
# Prints every symbol that this tree names and Buildroot has, with its type,
# for symbols.txt.
# Usage: buildroot/symbols.sh BUILDROOT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C

read -r release commit <"$here/pin"
echo "# Symbols of Buildroot $release, commit $commit."
awk '
	FNR == NR { wanted[$1]; next }
	$1 == "config" || $1 == "menuconfig" { symbol = $2; next }
	$1 ~ /^(bool|string|int|hex)$/ && symbol in wanted { print symbol, $1; delete wanted[symbol] }
' <(grep -rhoE 'BR2_[A-Za-z0-9_]+' "$here/configs" "$here"/package/*/Config.in | sort -u) \
	<(find "$1" -name 'Config*.in*' -not -path '*/output/*' -print0 | sort -z | xargs -0 cat) | sort -u
