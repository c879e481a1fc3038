package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// pairOf are the command lines of a leader and of a child that always listens.
func pairOf(t *testing.T, seed uint64) (w *sim.World, leader, child *terminal) {
	w = sim.New(seed, sim.Options{Ideal: true})
	leader, child = newTerminal(t, w), newTerminal(t, w)
	w.Link(leader.node, child.node)
	leader.form()
	child.join(leader, "rn")
	return w, leader, child
}

// What a client and a server of CoAP show of their requests.
func TestCoAP(t *testing.T) {
	_, server, client := pairOf(t, 11)
	to, from := server.ok("ipaddr mleid"), client.ok("ipaddr mleid")
	for _, c := range []string{"coap start", "coap start", "coap resource test-resource", "coap set Hello"} {
		server.ok(c)
	}
	if s := server.ok("coap resource"); s != "test-resource" {
		t.Errorf("resource %q", s)
	}
	client.ok("coap start")
	long := strings.Repeat("x", 31)
	for _, x := range []struct {
		command      string
		shown, heard []string // by the client after the reply, and by the server
	}{
		{"coap get " + to + " test-resource", []string{"Done", "coap response from " + to + " with payload: 48656c6c6f"},
			[]string{"coap request from " + from + " GET", "coap response sent"}},
		{"coap get " + to + " test-resource con", []string{"Done", "coap response from " + to + " with payload: 48656c6c6f"},
			[]string{"coap request from " + from + " GET", "coap response sent"}},
		{"coap get " + to + " test-resource?a=1&b block-16", []string{"Done", "coap response from " + to + " with payload: 48656c6c6f"},
			[]string{"coap request from " + from + " GET", "coap response sent"}},
		{"coap put " + to + " test-resource con payload", []string{"Done", "coap response from " + to},
			[]string{"coap request from " + from + " PUT with payload: 7061796c6f6164", "coap response sent"}},
		{"coap post " + to + " test-resource non-con 1", []string{"Done"},
			[]string{"coap request from " + from + " POST with payload: 31"}},
		{"coap delete " + to + " test-resource con", []string{"Done", "coap response from " + to},
			[]string{"coap request from " + from + " DELETE", "coap response sent"}},
		{"coap get " + to + " nothing con", []string{"Done", "coap response from " + to}, nil},
		{"coap get " + to, []string{"Error 7: InvalidArgs"}, nil},
		{"coap get there test", []string{"Error 6: Parse"}, nil},
		{"coap get " + to + " " + long + "x", []string{"Error 7: InvalidArgs"}, nil},
		{"coap get " + to + " test-resource block-17", []string{"Error 7: InvalidArgs"}, nil},
		{"coap resource " + long + "x", []string{"Error 7: InvalidArgs"}, nil},
		{"coap cancel", []string{"Error 13: InvalidState"}, nil},
		{"coap nothing", []string{"Error 35: InvalidCommand"}, nil},
	} {
		server.take()
		if got := client.do(x.command, time.Second); !slices.Equal(got, x.shown) {
			t.Errorf("%s: %q, want %q", x.command, got, x.shown)
		}
		if got := strings.FieldsFunc(server.take(), func(r rune) bool { return r == '\r' || r == '\n' }); !slices.Equal(got, x.heard) {
			t.Errorf("%s: the server shows %q, want %q", x.command, got, x.heard)
		}
	}
	client.do("coap put "+to+" test-resource block-64 3", 3*time.Second)
	if got := server.take(); !strings.Contains(got, " PUT with payload: ") || len(got) < 2*3*64 {
		t.Errorf("in blocks: %q", got)
	}
	server.ok("coap stop")
	if got := client.do("coap get "+to+" test-resource con", 100*time.Second); !slices.Contains(got, "coap receive response error 28: ResponseTimeout") {
		t.Errorf("nobody there: %q", got)
	}
}

func TestCoAPObserve(t *testing.T) {
	_, server, client := pairOf(t, 12)
	to, from := server.ok("ipaddr mleid"), client.ok("ipaddr mleid")
	server.ok("coap start")
	server.ok("coap resource r")
	if got := client.do("coap observe "+to+" r con", time.Second); len(got) != 2 || !strings.Contains(got[1], " OBS=") || !strings.HasSuffix(got[1], " with payload: 30") {
		t.Errorf("%q", got)
	}
	if got := server.take(); !strings.Contains(got, "GET OBS=0\r\n") || !strings.Contains(got, "Subscribing client\r\n") {
		t.Errorf("%q", got)
	}
	if got := server.do("coap set 31", time.Second); got[0] != "sending coap notification to "+from {
		t.Errorf("%q", got)
	}
	if got := client.take(); !strings.HasSuffix(got, " with payload: 3331\r\n") {
		t.Errorf("notified: %q", got)
	}
	client.do("coap cancel", time.Second)
	server.do("coap set 32", time.Second)
	if got := client.take(); got != "" {
		t.Errorf("after cancel: %q", got)
	}
}

func TestCoAPParameters(t *testing.T) {
	x := newTerminal(t, sim.New(13, sim.Options{}))
	for _, c := range []struct {
		command string
		want    []string
	}{
		{"coap parameters request", []string{"Transmission parameters for request:", "default", "Done"}},
		{"coap parameters request 1000 255 254 2", []string{"Transmission parameters for request:",
			"ACK_TIMEOUT=1000 ms, ACK_RANDOM_FACTOR=255/254, MAX_RETRANSMIT=2", "Done"}},
		{"coap parameters response", []string{"Transmission parameters for response:", "default", "Done"}},
		{"coap parameters request default", []string{"Transmission parameters for request:", "default", "Done"}},
		{"coap parameters request 1000 2 2 2", []string{"Error 7: InvalidArgs"}},
		{"coap parameters request 1000 2", []string{"Error 7: InvalidArgs"}},
		{"coap parameters", []string{"Error 7: InvalidArgs"}},
		{"coap get fd00::1 test con", []string{"Error 13: InvalidState"}},
	} {
		if got := x.do(c.command, 0); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
}
