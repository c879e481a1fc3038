#!/usr/bin/env bash
# Makes an ordinary Debian machine for QEMU out of Debian's packages, as its
# installer would: kernel, systemd, the network by systemd-networkd. Needs root,
# mmdebstrap, e2fsprogs, kmod, cpio, zstd, xz, and Debian's archive.
# Usage: image/vm.sh OUT
#   OUT gets kernel, initrd and disk; what is there already is kept
set -euo pipefail
suite=trixie
mkdir -p "$1"
out=$(cd "$1" && pwd)
[[ ! -e $out/complete ]] || exit 0
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# The kernel is unpacked only: its package would make an initrd for any machine.
cat >"$work/kernel" <<'HOOK'
set -e
cd "$1/tmp"
name=$(chroot "$1" apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" && /linux-image/ && !n++ { print $2 }')
chroot "$1" sh -c "cd /tmp && apt-get -qq download $name"
dpkg-deb --fsys-tarfile linux-image-*.deb | tar -C "$1" -x --exclude='*/drivers/gpu/*' --exclude='*/sound/*' --exclude='*/drivers/media/*'
rm linux-image-*.deb
chroot "$1" depmod "$(ls "$1/usr/lib/modules")"
HOOK
nice mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
	--include=systemd-sysv,dbus,udev,kmod,init-system-helpers,iproute2,iputils-ping,nftables,procps,busybox-static \
	--customize-hook="sh $work/kernel \"\$1\"" \
	"$suite" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"

version=$(ls "$root/usr/lib/modules")
echo debian >"$root/etc/hostname"
echo "/dev/vda / ext4 defaults 0 1" >"$root/etc/fstab"
cat >"$root/etc/systemd/network/lan.network" <<'CONF'
[Match]
Name=en*
[Network]
DHCP=yes
CONF
chroot "$root" systemctl -q enable systemd-networkd.service
chroot "$root" passwd -q -d root
# The console of the test: root without a password, and no colours.
mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d"
cat >"$root/etc/systemd/system/serial-getty@ttyS0.service.d/login.conf" <<'CONF'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 ttyS0 dumb
CONF

mkdir -p "$work/initrd"/{bin,proc,sys,dev,root,lib/modules/"$version"}
cp "$root/usr/bin/busybox" "$work/initrd/bin/busybox"
for module in virtio_pci virtio_blk ext4; do
	modprobe -d "$root/usr" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
	name=$(basename "${file%.xz}")
	xz -dc "$file" >"$work/initrd/lib/modules/$name"
	echo "$name"
done >"$work/initrd/lib/modules/order"
cat >"$work/initrd/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
while read -r name; do $b insmod "/lib/modules/$name"; done </lib/modules/order
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 /dev/vda /root && exec $b switch_root /root /sbin/init
INIT
chmod +x "$work/initrd/init"
(cd "$work/initrd" && find . | cpio -o -H newc -R 0:0 --quiet) | zstd -q >"$out/initrd"
cp "$root/boot/vmlinuz-$version" "$out/kernel"
rm -f "$out/disk"
mke2fs -q -t ext4 -d "$root" "$out/disk" 2G
touch "$out/complete"
