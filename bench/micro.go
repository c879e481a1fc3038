//go:build bench

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// micro takes the figures of single operations from the packages' own
// benchmarks.
func (t *table) micro() {
	for _, b := range []struct {
		row       int
		pkg, name string
		unit      float64 // ns
	}{
		{rowHandshake, "gatewayd/dtls", "BenchmarkHandshake", 1e6},
		{rowCCM, "gatewayd/ieee802154", "BenchmarkCCMSeal", 1},
	} {
		v, err := benchmark(b.pkg, b.name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "\n*** %s %s: %v ***\n\n", b.pkg, b.name, err)
			continue
		}
		t.set(b.row, ours, v/b.unit)
	}
	if v, err := opensslCCM(); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: OpenSSL's CCM: %v ***\n\n", err)
	} else {
		t.set(rowCCM, reference, v)
	}
}

var bytesPerSecond = regexp.MustCompile(`(?m)^\+F:\d+:[^:]*:([\d.]+)$`)

// opensslCCM is what OpenSSL takes to encrypt and authenticate 100 bytes, in ns.
func opensslCCM() (float64, error) {
	out, err := exec.Command("openssl", "speed", "-elapsed", "-mr", "-seconds", "2", "-bytes", "100", "-aead", "-evp", "aes-128-ccm").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	m := bytesPerSecond.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no result in %q", out)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	return 100 / v * 1e9, err
}

var nsPerOp = regexp.MustCompile(`\s([\d.]+) ns/op`)

// benchmark is the best of several runs, in ns: what disturbs one only ever
// makes it slower.
func benchmark(pkg, name string) (best float64, err error) {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "^"+name+"$", "-count", "3", pkg).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	for _, m := range nsPerOp.FindAllSubmatch(out, -1) {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		if best == 0 || v < best {
			best = v
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("no result in %q", out)
	}
	return best, nil
}
