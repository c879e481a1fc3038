#!/usr/bin/env bash
# Builds sdcard.img for Raspberry Pi 3, 4 and 5, and collects licences. It
# downloads the pinned Buildroot, unless BUILDROOT names a tree of that
# release, and Buildroot downloads everything else: an hour and 15 GB.
# Usage: buildroot/build.sh VERSION OUT
#   BUILDROOT         a tree of the pinned release
#   BUILDROOT_OPTIONS  file with options of Buildroot that are set beside the
#                     image's own: a mirror, a compiler cache
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$1 out=$2
mkdir -p "$out"
out=$(cd "$out" && pwd)
read -r release commit <"$here/pin"

if [[ -n ${BUILDROOT-} ]]; then
	have=$(sed -n 's/^export BR2_VERSION := //p' "$BUILDROOT/Makefile")
	[[ $have == "$release" ]] || { echo "$BUILDROOT is Buildroot $have, not $release" >&2; exit 1; }
else
	BUILDROOT=$out/buildroot
	[[ -d $BUILDROOT ]] || git clone -q --depth 1 --branch "$release" https://gitlab.com/buildroot.org/buildroot.git "$BUILDROOT"
	# A tag can be moved, a commit cannot.
	have=$(git -C "$BUILDROOT" rev-parse HEAD)
	[[ $have == "$commit" ]] || { echo "Buildroot's tag $release is $have, not $commit" >&2; exit 1; }
fi

# Buildroot takes the source as it lies there: what is committed, and beside it
# the modules, for it fetches none.
rm -rf "$out/source" && mkdir "$out/source"
git -C "$here/.." archive HEAD | tar -x -C "$out/source"
(cd "$out/source" && go mod vendor)

. "$here/../image/identity.sh" "$out"
br() { make -C "$BUILDROOT" O="$out/build" BR2_EXTERNAL="$here" GATEWAYD_SOURCE="$out/source" GATEWAYD_RELEASE="$version" "$@"; }
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
cat "$here/configs/gatewayd_rpi_defconfig" ${BUILDROOT_OPTIONS:+"$BUILDROOT_OPTIONS"} >"$out/defconfig"
br -s defconfig BR2_DEFCONFIG="$out/defconfig"
br
br -s legal-info
cp --sparse=always "$out/build/images/sdcard.img" "$out/sdcard.img"
"$here/../image/manifest.sh" "$out/sdcard.img" >"$out/gatewayd.rpi-imager-manifest"
cp "$out/build/images/raspberrypi.update" "$out/"
