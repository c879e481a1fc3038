#!/usr/bin/env bash
# Assembles sdcard.img, and the update to it, from a kernel, a root and firmware:
# the same bytes each time, without root. Both ways of making a root end here.
# Usage: image/assemble.sh IN OUT
#   IN/slot  kernel8.img, rootfs.cpio.zst, device trees, firmware
#   IN/boot  what the boot loader of older boards wants beside its settings
#   IMAGE_BOARD    what it is for
#   IMAGE_VERSION, IMAGE_KEY, GATEWAYD_HOST_PROGRAM  by identity.sh
#   IMAGE_MINIMUM  the oldest version that takes the update; empty: any
# Needs genimage, mtools, dosfstools, e2fsprogs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
in=$1 out=$2
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export TZ=UTC LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{root,in,boot,slot} "$out"
cp -r "$in/slot/." "$here/slot/." "$work/slot"
[[ ! -d $in/boot ]] || cp -r "$in/boot/." "$work/boot"
cp -r "$here/boot/." "$work/boot"

# Times in the file systems are those of the files.
find "$work/boot" "$work/slot" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
files() { find "$work/$1" -mindepth 1 -maxdepth 1 -printf '%P\n' | sort | sed "s|.*|file & { image = \"$work/$1/&\" }|" | paste -sd'\n'; }
made() { # by genimage, out of a configuration here
	awk -v boot="$(files boot)" -v slot="$(files slot)" '
		/@BOOT_FILES@/ { print boot; next }
		/@SLOT_FILES@/ { print slot; next }
		{ print }' "$here/$1" >"$work/$1"
	rm -rf "$work/tmp"
	if ! genimage --rootpath "$work/root" --tmppath "$work/tmp" --inputpath "$work/in" --outputpath "$work/out" \
		--config "$work/$1" >"$work/log" 2>&1; then
		cat "$work/log" >&2
		exit 1
	fi
}

made slot.cfg
update=$work/out/$IMAGE_BOARD.update
"$GATEWAYD_HOST_PROGRAM" update bundle --key "$IMAGE_KEY" --board "$IMAGE_BOARD" --version "$IMAGE_VERSION" --minimum "${IMAGE_MINIMUM-}" \
	"$work/out/slot.vfat" "$update"
# A slot ends with the header of the update that it is.
cp --sparse=always "$work/out/slot.vfat" "$work/in/slot.img"
truncate -s 128M "$work/in/slot.img"
dd if="$update" of="$work/in/slot.img" bs=64k count=1 seek=2047 conv=notrunc status=none
"$here/data.sh" "$work/in/data.ext4"
made genimage.cfg
cp --sparse=always "$work/out/sdcard.img" "$out/sdcard.img"
cp "$update" "$out/$IMAGE_BOARD.update"
