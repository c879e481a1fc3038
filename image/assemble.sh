#!/usr/bin/env bash
# Assembles sdcard.img from a kernel, a root and firmware: the same bytes each
# time, without root. Both ways of making a root end here.
# Usage: image/assemble.sh IN OUT
#   IN/slot  kernel8.img, rootfs.cpio.zst, device trees, firmware
#   IN/boot  what the boot loader of older boards wants beside its settings
# Needs genimage, mtools, dosfstools, e2fsprogs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
in=$1 out=$2
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
# The file system of the data partition is made by one tool and checked by another.
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH E2FSCK_TIME=$SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
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
awk -v boot="$(files boot)" -v slot="$(files slot)" '
	/@BOOT_FILES@/ { print boot; next }
	/@SLOT_FILES@/ { print slot; next }
	{ print }' "$here/genimage.cfg" >"$work/genimage.cfg"

if ! genimage --rootpath "$work/root" --tmppath "$work/tmp" --inputpath "$work/in" --outputpath "$work/out" \
	--config "$work/genimage.cfg" >"$work/log" 2>&1; then
	cat "$work/log" >&2
	exit 1
fi
cp --sparse=always "$work/out/sdcard.img" "$out/sdcard.img"
