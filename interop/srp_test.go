//go:build interop

package interop

import (
	"strings"
	"testing"
	"time"
)

// registered waits until a client's host is registered, and reports whether it
// is before the limit.
func (c *otCLI) registered(limit time.Duration) bool {
	c.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if strings.Contains(strings.Join(c.ask("srp client host"), ""), "state:Registered") {
			return true
		}
	}
	return false
}

// browses waits until a browse of a client's prints all of the texts.
func (c *otCLI) browses(name string, limit time.Duration, texts ...string) {
	c.t.Helper()
	var got []string
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Second) {
		got, err = c.try("dns browse "+name+".default.service.arpa.", 20*time.Second)
		all := err == nil
		for _, s := range texts {
			all = all && strings.Contains(strings.Join(got, "\n"), s)
		}
		if all {
			return
		}
	}
	c.t.Errorf("dns browse %s: %q, %v; want %q", name, got, err, texts)
}

// A name belongs to the device that had it first, whatever becomes of the
// gateway meanwhile, until the device gives it up. What a device registered goes
// when it does not renew it.
func TestNamesOfDevices(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	dataset := strings.TrimSpace(g.ctl("dataset", "export"))
	device := func(node int) *otCLI {
		c := ns.cli("ot-cli-mtd", node)
		for _, s := range []string{"mode rn", "dataset set active " + dataset, "ifconfig up", "thread start"} {
			c.ask(s)
		}
		waitState(t, c.ask, 20*time.Second, "child")
		return c
	}
	register := func(c *otCLI, service string) {
		for _, s := range []string{"srp client host name same", "srp client host address auto", "srp client service add " + service, "srp client autostart enable"} {
			c.ask(s)
		}
	}
	first, second := device(2), device(3)
	register(first, "Lamp _light._udp,_dim 1234 1 2 0474657374")
	if !first.registered(40 * time.Second) {
		t.Fatalf("not registered: %q", first.ask("srp client host"))
	}
	second.ask("srp client leaseinterval 30")
	register(second, "Other _light._udp 99")
	if second.registered(8 * time.Second) {
		t.Error("a second device has the name of the first")
	}
	second.browses("_light._udp", 5*time.Second, "Lamp", "Port:1234, Priority:1, Weight:2", "Host:same.", "TXT:[test]")
	second.browses("_dim._sub._light._udp", 5*time.Second, "Lamp")

	g.cmd.Process.Kill()
	g.cmd.Wait()
	g.run()
	g.waitRole(15*time.Second, "leader", "router")
	second.browses("_light._udp", 30*time.Second, "Lamp", "Port:1234", "TXT:[test]")
	if second.registered(time.Second) {
		t.Error("the gateway forgot whose name it is")
	}

	first.ask("srp client host remove 1")
	if !second.registered(90 * time.Second) {
		t.Fatalf("a name that was given up cannot be had: %q", second.ask("srp client host"))
	}
	second.browses("_light._udp", 5*time.Second, "Other", "Port:99")
	first.browses("_light._udp", 5*time.Second, "Other")

	second.kill()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(time.Second) {
		got, err := first.try("dns browse _light._udp.default.service.arpa.", 20*time.Second)
		if err == nil && !strings.Contains(strings.Join(got, "\n"), "Other") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("a device that is gone is still found: %q, %v", got, err)
		}
	}
}
