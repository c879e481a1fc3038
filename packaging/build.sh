#!/usr/bin/env bash
# Builds the packages of one commit into dist/, the same bytes each time.
# Usage: packaging/build.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.1
version=${1#v}
# A Debian version begins with a digit: one without a tag is before all others.
[[ $version == [0-9]* ]] || version=0~$version
epoch=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH=$epoch

rm -rf dist/{bin,*.deb,*.tar.gz,*.spdx.json,SHA256SUMS} && mkdir -p dist/bin
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
	tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf - "$dir" | gzip -n9 >"dist/$dir.tar.gz"
	rm -r "dist/$dir"
done
go run ./packaging/sbom -version "$version" -time "$epoch" dist/bin/gatewayd-amd64 >"dist/gatewayd-$version.spdx.json"
rm -r dist/bin
(cd dist && sha256sum -- *.deb *.tar.gz *.spdx.json >SHA256SUMS)
ls -l dist/*.* dist/SHA256SUMS
