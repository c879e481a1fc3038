#!/bin/sh
# Buildroot's last step: hands kernel, root and firmware to image/assemble.sh.
set -eu
in=$BUILD_DIR/gatewayd-image
firmware=$BINARIES_DIR/rpi-firmware

rm -rf "$in"
mkdir -p "$in/slot" "$in/boot"
gzip -9nc "$BINARIES_DIR/Image" >"$in/slot/kernel8.img"
cp "$BINARIES_DIR/rootfs.cpio.zst" "$BINARIES_DIR"/*.dtb "$in/slot/"
cp "$firmware"/*.elf "$firmware"/*.dat "$in/slot/"
# Boards before the fourth start from this file, and from no slot.
cp "$firmware/bootcode.bin" "$in/boot/"
IMAGE_BOARD=raspberrypi "$BR2_EXTERNAL_GATEWAYD_PATH/../image/assemble.sh" "$in" "$BINARIES_DIR"
echo "root $(stat -c %s "$in/slot/rootfs.cpio.zst") bytes, kernel $(stat -c %s "$in/slot/kernel8.img")"
