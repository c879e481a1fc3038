//go:build bench

package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// eapRuns is how many authentications each figure is of.
const eapRuns = 2000

// eap measures authentications by RADIUS: the embedded EAP server's, hostapd's
// and FreeRADIUS's, with the driver of package radius's own benchmark. The
// reference of EAP-PSK is hostapd, the only other server that has it, and that
// of EAP-TLS is FreeRADIUS.
func (t *table) eap() {
	defer t.pana()
	runs := eapRuns
	if t.packets < 1000 {
		runs /= 10 // -quick
	}
	got, err := authentications(runs)
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: authentications by RADIUS: %v ***\n\n", err)
		return
	}
	for _, m := range []struct{ method, reference string }{
		{"PSK", "hostapd"}, {"TLS_1.2", "FreeRADIUS"}, {"TLS_1.3", "FreeRADIUS"},
	} {
		t.rows = append(t.rows, row{what: "EAP-" + m.method + " by RADIUS, server's CPU", unit: "ms", value: [2]float64{math.NaN(), math.NaN()}})
		for name, c := range map[string]column{"gatewayd": ours, m.reference: reference} {
			if a, ok := got[m.method+"/"+name]; ok {
				t.set(len(t.rows)-1, c, a.cpu)
			}
		}
		for _, name := range []string{"gatewayd", "hostapd", "FreeRADIUS"} {
			if a, ok := got[m.method+"/"+name]; ok {
				t.note("EAP-%s by RADIUS, %s: %s authentications/s, %s ms of CPU each", m.method, name, figure(a.rate), figure(a.cpu))
			}
		}
	}
}

// panaLine is a result of package pana's benchmark: client and agent, whole
// authentications with the network key handed out, on one core.
var panaLine = regexp.MustCompile(`(?m)^BenchmarkAuthentication/(\S+?)(?:-\d+)?\s.*?\s([\d.]+) auth/s`)

// pana notes how many authentications by PANA there are in a second, to be
// compared with those of the servers above.
func (t *table) pana() {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkAuthentication$", "-cpu", "1", "gatewayd/pana").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: authentications by PANA: %v: %s ***\n\n", err, out)
		return
	}
	for _, m := range panaLine.FindAllSubmatch(out, -1) {
		rate, _ := strconv.ParseFloat(string(m[2]), 64)
		t.note("%s by PANA, client and agent on one core: %s authentications/s", m[1], figure(rate))
	}
}

// authentication is what one takes of a server.
type authentication struct {
	rate float64 // per second, with the driver on the same machine
	cpu  float64 // ms, the server's alone
}

var authenticationLine = regexp.MustCompile(`(?m)^BenchmarkAuthentication/(\S+?)(?:-\d+)?\s.*?\s([\d.]+) auths/s\s+([\d.]+) server-ms/auth`)

// authentications runs the benchmark; what it skips is missing.
func authentications(n int) (map[string]authentication, error) {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkAuthentication$", "-benchtime", strconv.Itoa(n)+"x", "gatewayd/radius").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	got := map[string]authentication{}
	for _, m := range authenticationLine.FindAllSubmatch(out, -1) {
		rate, _ := strconv.ParseFloat(string(m[2]), 64)
		cpu, _ := strconv.ParseFloat(string(m[3]), 64)
		got[string(m[1])] = authentication{rate, cpu}
	}
	if len(got) == 0 {
		return nil, fmt.Errorf("no result in %q", out)
	}
	return got, nil
}
