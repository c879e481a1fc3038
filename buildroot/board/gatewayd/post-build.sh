#!/bin/sh
# Buildroot's step before the root is packed: what the overlay cannot hold.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# Kconfig drops options that it does not know, or whose own needs are not met,
# without a word.
kept() { # fragment, configuration
	said=0
	while read -r line; do
		case $line in
		CONFIG_*=y) ;;
		CONFIG_*=m) grep -qx "${line%m}y" "$2" && continue ;;
		*) continue ;;
		esac
		grep -qx "$line" "$2" && continue
		echo "$1: $line is not in $2" >&2
		said=1
	done <"$1"
	return $said
}
kept "$here/busybox.fragment" "$(echo "$BUILD_DIR"/busybox-*/.config)"
kept "$here/linux.fragment" "$BUILD_DIR/linux-custom/.config"

# Packages bring steps of their own, and earlier builds in the same folder left
# some: those of the overlay are all there are.
for file in "$1"/etc/init.d/* "$1"/usr/libexec/gatewayd/*; do
	[ -e "$BR2_EXTERNAL_GATEWAYD_PATH/../overlay/${file#"$1"/}" ] || rm "$file"
done

IMAGE_BOARD=raspberrypi "$BR2_EXTERNAL_GATEWAYD_PATH/../image/root.sh" "$1"
