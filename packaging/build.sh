#!/usr/bin/env bash
# Builds the packages of one commit into dist/, the same bytes each time.
# Usage: packaging/build.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.1
version=${1#v}
# Without a tag it is a commit's name, which may look like a number: before all
# others.
[[ $1 == v* || $version == [0-9]*.* ]] || version=0~$version
version=${version/-rc/\~rc} # which comes before its release
epoch=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH=$epoch

rm -rf dist/{bin,*.deb,*.tar.gz,*.spdx.json,SHA256SUMS} && mkdir -p dist/bin
archive() { # of a folder in another, the same bytes each time
	tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf - "$2" | gzip -n9 >"dist/$3.tar.gz"
}
# arch of Go, variables, arch of Debian
rows=("amd64 GOARCH=amd64 amd64" "arm64 GOARCH=arm64 arm64" "arm GOARCH=arm,GOARM=6 armhf")
for row in "${rows[@]}"; do
	read -r goarch vars deb <<<"$row"
	bin=dist/bin/gatewayd-$deb
	env CGO_ENABLED=0 GOOS=linux ${vars//,/ } go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$1" -o "$bin" ./cmd/gatewayd

	sed -e "s|\${ARCH}|$deb|; s|\${VERSION}|$version|; s|\${BIN}|$bin|; s|\${MTIME}|$(date -u -d "@$epoch" +%FT%TZ)|" \
		packaging/deb/nfpm.yaml >dist/nfpm-$deb.yaml
	GOFLAGS= go run "$nfpm" package -f dist/nfpm-$deb.yaml -p deb -t "dist/gatewayd_${version}_$deb.deb" >/dev/null
	rm dist/nfpm-$deb.yaml

	dir=gatewayd-$version-linux-$deb
	mkdir "dist/$dir"
	cp "$bin" "dist/$dir/gatewayd"
	cp LICENSE README.md packaging/deb/gatewayd.toml packaging/deb/gatewayd.service "dist/$dir/"
	chmod 755 "dist/$dir/gatewayd"
	chmod 644 "dist/$dir"/{LICENSE,README.md,gatewayd.toml,gatewayd.service}
	archive dist "$dir" "$dir"
	rm -r "dist/$dir"
done
# The add-on as Home Assistant wants it, a folder with everything in it. Its
# version is also a container's tag, which has no tilde.
dir=dist/home-assistant/gatewayd
mkdir -p "$dir"
cp packaging/home-assistant/{Dockerfile,config.yaml,run.sh} LICENSE "$dir/"
sed -i "s|^version: .*|version: \"${version//\~/-}\"|" "$dir/config.yaml"
cp dist/bin/gatewayd-amd64 "$dir/gatewayd-amd64"
cp dist/bin/gatewayd-arm64 "$dir/gatewayd-aarch64"
chmod 755 "$dir"/{run.sh,gatewayd-*}
chmod 644 "$dir"/{Dockerfile,config.yaml,LICENSE}
archive dist/home-assistant gatewayd "gatewayd-$version-home-assistant"
rm -r dist/home-assistant

go run ./packaging/sbom -version "$version" -time "$epoch" dist/bin/gatewayd-amd64 >"dist/gatewayd-$version.spdx.json"
rm -r dist/bin
(cd dist && sha256sum -- *.deb *.tar.gz *.spdx.json >SHA256SUMS)
ls -l dist/*.* dist/SHA256SUMS
