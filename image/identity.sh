# Sourced with a folder: exports what an image is and whose updates it takes,
# unless that is given, and gatewayd for this machine.
#   IMAGE_VERSION          by Git; before the first release by how many commits there are
#   IMAGE_KEY              file with the key that updates are signed with; one
#                          for development is made in the folder if none is named
#   IMAGE_TRUST            folder with public keys, *.pem, that are trusted: beside
#                          IMAGE_KEY if that is named, else alone
#   GATEWAYD_HOST_PROGRAM  built in the folder
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(cd "$1" && pwd)
if [[ -z ${IMAGE_VERSION-} ]]; then
	IMAGE_VERSION=$(git -C "$repository" describe --tags --dirty 2>/dev/null) ||
		IMAGE_VERSION=0-$(git -C "$repository" rev-list --count HEAD)-g$(git -C "$repository" rev-parse --short HEAD)
fi
if [[ -z ${GATEWAYD_HOST_PROGRAM-} ]]; then
	GATEWAYD_HOST_PROGRAM=$folder/gatewayd-host
	(cd "$repository" && CGO_ENABLED=0 go build -o "$GATEWAYD_HOST_PROGRAM" ./cmd/gatewayd)
fi
if [[ -z ${IMAGE_KEY-} ]]; then
	IMAGE_KEY=$folder/development.key
	[[ -e $IMAGE_KEY ]] || "$GATEWAYD_HOST_PROGRAM" update key "$IMAGE_KEY"
	IMAGE_UNTRUSTED=${IMAGE_TRUST:+yes}
	echo "note: IMAGE_KEY names no key: updates are signed with $IMAGE_KEY, which is for development" >&2
fi
IMAGE_KEY=$(realpath "$IMAGE_KEY")
export IMAGE_VERSION IMAGE_KEY IMAGE_TRUST=${IMAGE_TRUST-} IMAGE_UNTRUSTED=${IMAGE_UNTRUSTED-} GATEWAYD_HOST_PROGRAM
