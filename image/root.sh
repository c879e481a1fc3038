#!/usr/bin/env bash
# Adds to a root what the overlay cannot hold: which board and version it is,
# whose updates it takes, and the data partition that a factory reset makes.
# Usage: image/root.sh ROOT
#   IMAGE_BOARD  what it is for
#   IMAGE_VERSION, IMAGE_KEY, IMAGE_TRUST, GATEWAYD_HOST_PROGRAM  by identity.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
share=$1/usr/share/gatewayd
rm -rf "$share/image"
mkdir -p "$share/image/keys"
echo "$IMAGE_BOARD" >"$share/image/board"
echo "$IMAGE_VERSION" >"$share/image/version"
if [[ -z $IMAGE_UNTRUSTED ]]; then
	name=$(basename "$IMAGE_KEY")
	"$GATEWAYD_HOST_PROGRAM" update public "$IMAGE_KEY" >"$share/image/keys/${name%.key}.pem"
fi
if [[ -n $IMAGE_TRUST ]]; then
	for key in "$IMAGE_TRUST"/*.pem; do
		# Whoever has the image can read what is in it.
		[[ $(<"$key") == "-----BEGIN PUBLIC KEY-----"* ]] || {
			echo "$key is no public key: \`gatewayd update public\` prints one" >&2
			exit 1
		}
		cp "$key" "$share/image/keys/"
	done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/data.sh" "$work/data.ext4"
gzip -9nc "$work/data.ext4" >"$share/data.ext4.gz"
