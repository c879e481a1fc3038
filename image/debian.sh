#!/usr/bin/env bash
# Makes an image for the test out of Debian's kernel and BusyBox and this
# tree's overlay, settings and layout. It has neither the boards' firmware nor
# Buildroot's packages. No root, no mounts, and nothing of the host changes.
# Usage: image/debian.sh GATEWAYD OUT
#   GATEWAYD  the program for arm64
#   OUT       gets sdcard.img and debian.update; OUT/debian is what fetch.sh downloads
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
gatewayd=$1 out=$2
export IMAGE_BOARD=debian
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

"$here/fetch.sh" "$out"
out=$(cd "$out" && pwd)
tree=$out/debian/tree
. "$here/identity.sh" "$out"
version=$(ls "$tree/usr/lib/modules")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc/init.d,lib/modules/"$version",boot,data,root,proc,sys,dev,run,tmp} "$work/in/slot"
cp -r "$here/../overlay/." "$root"
cp "$gatewayd" "$root/usr/bin/gatewayd"
cp "$tree/usr/bin/busybox" "$root/bin/busybox"
cp "$tree/usr/sbin/e2fsck.static" "$root/sbin/e2fsck"
cp "$tree"/usr/sbin/dropbear "$tree"/usr/bin/dropbearkey "$root/usr/sbin/"
# Its libraries, and what loads them.
mkdir -p "$root/lib/aarch64-linux-gnu"
for lib in libc.so.6 libcrypt.so.1 libtomcrypt.so.1 libtommath.so.1 libgmp.so.10 libz.so.1; do
	cp -L "$(find "$tree" -name $lib)" "$root/lib/aarch64-linux-gnu/"
done
cp -L "$tree/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$root/lib/"
ln -s /bin/busybox "$root/bin/sh"
ln -s /bin/busybox "$root/sbin/init"
ln -s sbin/init "$root/init"
# BusyBox knows its own commands.
printf '#!/bin/sh\nexec /bin/busybox --install -s\n' >"$root/etc/init.d/S00commands"

[[ -e $tree/usr/lib/modules/$version/modules.dep ]] || depmod -b "$tree/usr" "$version"
sed 's/#.*//' "$here/modules.txt" | while read -r module; do
	[[ -n $module ]] || continue
	modprobe -d "$tree/usr" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | sort -u | while read -r file; do
	to=$root/lib/modules/$version/${file#*/modules/"$version"/}
	mkdir -p "$(dirname "$to")"
	case $file in
	*.xz) xz -dc "$file" >"${to%.xz}" ;;
	*) cp "$file" "$to" ;;
	esac
done
cp "$tree/usr/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$version/"
depmod -b "$root" "$version"

"$here/root.sh" "$root"

# Modes as git keeps them, whatever the umask.
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod 644 {} +
chmod 755 "$root"/bin/busybox "$root"/sbin/e2fsck "$root"/usr/bin/gatewayd "$root"/etc/init.d/* "$root"/usr/libexec/gatewayd/* "$root"/usr/share/udhcpc/* "$root"/usr/sbin/dropbear* "$root"/lib/ld-linux*
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$root" && find . -print0 | sort -z | cpio -0 -o -H newc -R 0:0 --reproducible --quiet) | zstd -q -12 >"$work/in/slot/rootfs.cpio.zst"
gzip -9nc "$tree/boot/vmlinuz-$version" >"$work/in/slot/kernel8.img"
cp "$tree/usr/lib/linux-image-$version/broadcom/bcm2837-rpi-3-b.dtb" "$work/in/slot/"

"$here/assemble.sh" "$work/in" "$out"
echo "root $(stat -c %s "$work/in/slot/rootfs.cpio.zst") bytes, of which gatewayd $(stat -c %s "$gatewayd") before compression"
