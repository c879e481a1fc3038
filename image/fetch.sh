#!/usr/bin/env bash
# Downloads Debian's kernel, BusyBox, e2fsck and Dropbear with its libraries for
# arm64 into OUT/debian/tree, if they are not there yet. It is an apt of its own, which can only download:
# nothing of the host changes.
# Usage: image/fetch.sh OUT
set -euo pipefail
suite=trixie
packages="busybox-static e2fsck-static dropbear-bin libc6 libcrypt1 libtomcrypt1 libtommath1 libgmp10 zlib1g"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$1"
cache=$(cd "$1" && pwd)/debian
[[ $(cat "$cache/complete" 2>/dev/null) != "$packages" ]] || exit 0
rm -rf "$cache"
apt=$cache/apt
mkdir -p "$apt"/{state/lists/partial,cache/archives/partial}
: >"$apt/status"
echo "deb [signed-by=$keyring] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<CONF
APT::Get::Download-Only "true";
APT::Sandbox::User "$(id -un)";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
Dir::Bin::dpkg "/bin/false";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
CONF
apt() { APT_CONFIG=$apt/apt.conf "$@"; }

apt apt-get -qq update
# The kernel by what depends on it: its name changes.
kernel=$(apt apt-cache depends linux-image-arm64 | awk '$1 == "Depends:" && /linux-image/ && !n++ { print $2 }')
(cd "$cache" && apt apt-get -qq download "$kernel" $packages)
for deb in "$cache"/*.deb; do dpkg-deb -x "$deb" "$cache/tree"; done
rm -r "$apt" "$cache"/*.deb
echo "$packages" >"$cache/complete"
