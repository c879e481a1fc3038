package radius_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

// radclient runs FreeRADIUS's client with one packet, and returns what it
// wrote.
func radclient(t *testing.T, to netip.AddrPort, command, attributes string) string {
	t.Helper()
	bin := program(t, "radclient", "freeradius-utils")
	cmd := exec.Command(bin, "-x", "-r", "1", "-t", "5", to.String(), command, testSecret)
	cmd.Stdin = strings.NewReader(attributes)
	out, _ := cmd.CombinedOutput() // fails for a NAK too
	return string(out)
}

// FreeRADIUS's client orders sessions to end, and to authenticate anew.
func TestRadclient(t *testing.T) {
	clock := new(alarm.Clock)
	sockets, err := udp.New(udp.Options{Listen: []netip.AddrPort{anywhere}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	orders := make(chan radius.Order, 10)
	var tap wiretap
	d, err := radius.NewDynamic(radius.DynamicConfig{
		Clock: clock,
		Send: func(socket int, to netip.AddrPort, b []byte) {
			tap.add(t, sockets.Addr(socket), to, b)
			sockets.Send(socket, to, b)
		},
		Clients: []radius.Authorized{{Prefix: netip.PrefixFrom(loopback, 32), Secret: radius.Secret(testSecret)}},
		Carry: func(o radius.Order) radius.ErrorCause {
			orders <- o
			if o.UserName != "joe" {
				return radius.SessionContextNotFound
			}
			return 0
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, sockets, func(socket int, from netip.AddrPort, b []byte) {
		tap.add(t, from, sockets.Addr(socket), b)
		d.Receive(socket, from, b)
	})
	tests := []struct {
		command, attributes string
		want                string // in the output
		order               string
	}{
		{"disconnect", `User-Name=joe, Acct-Session-Id="5f1"`, "Received Disconnect-ACK", `{false joe 5f1  invalid IP []}`},
		{"disconnect", `User-Name=jim, Message-Authenticator=0x00`, "Error-Cause = Session-Context-Not-Found", `{false jim   invalid IP []}`},
		{"coa", `User-Name=joe, NAS-Identifier=gatewayd, Framed-IPv6-Address=2001:db8::5`, "Received CoA-ACK", `{true joe   2001:db8::5 []}`},
		{"coa", `User-Name=joe, Service-Type=Authorize-Only, State=0x01`, "Error-Cause = Request-Initiated", `{true joe   invalid IP []}`},
		{"coa", `User-Name=joe, Session-Timeout=5`, "Error-Cause = Unsupported-Attribute", ""},
	}
	for _, tt := range tests {
		out := radclient(t, sockets.Addr(0), tt.command, tt.attributes)
		got := ""
		select {
		case o := <-orders:
			got = strings.Replace(fmt.Sprint(o), " "+o.From.String()+"}", "}", 1)
		default:
		}
		if !strings.Contains(out, tt.want) || got != tt.order {
			t.Errorf("%s %s: carried out %s, want %s; radclient said\n%s", tt.command, tt.attributes, got, tt.order, out)
		}
	}
	tap.dissect(t, sockets.Addr(0))

	s := startServer(t, embedded(t, newAuthority(t, "ca")))
	if out := radclient(t, s.addr, "status", "Message-Authenticator=0x00"); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("Status-Server: radclient said\n%s", out)
	}
}

// hostapd is reached over IPv6 as well.
func TestHostapdIPv6(t *testing.T) {
	addr, _ := hostapd(t, newAuthority(t, "ca"), "::1")
	g := startClient(t, radius.Upstream{Auth: addr})
	g.succeeds(t, pskPeer(t, testKey))
}

// A Server whose backend is a Client is a proxy: eapol_test authenticates by
// FreeRADIUS behind it. One goroutine owns both machines.
func TestProxy(t *testing.T) {
	ca := newAuthority(t, "ca")
	ca.issue(t, "tls")
	auth, _, _ := freeRADIUS(t, ca)

	clock := new(alarm.Clock)
	front, err := udp.New(udp.Options{Listen: []netip.AddrPort{anywhere}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	back, err := udp.New(udp.Options{Deliver: func(f func()) { front.Do(f) }})
	if err != nil {
		t.Fatal(err)
	}
	client, err := radius.NewClient(radius.ClientConfig{Clock: clock, Entropy: rand.Reader, Send: back.Send,
		Servers: []radius.Upstream{{Auth: auth, Secret: radius.Secret(testSecret)}}})
	if err != nil {
		t.Fatal(err)
	}
	keys := &keeping{Backend: client}
	server, err := radius.NewServer(radius.ServerConfig{Clock: clock, Entropy: rand.Reader, Send: front.Send, Backend: keys,
		Clients: []radius.Authorized{{Prefix: netip.PrefixFrom(loopback, 32), Secret: radius.Secret(testSecret)}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, front, server.Receive)
	run(t, back, client.Receive)

	out, ok := eapolTest(t, front.Addr(0), fmt.Sprintf("eap=TLS\nidentity=\"tls\"\nca_cert=%q\nclient_cert=%q\nprivate_key=%q",
		ca.file("ca.pem"), ca.file("tls.pem"), ca.file("tls.key")))
	derived, received := keysOf(t, out)
	if !ok || len(derived) != 64 || !bytes.Equal(derived, received) || !bytes.Equal(derived, keys.last()) {
		t.Errorf("success %v, MSK: peer %x, received %x, client %x; eapol_test said\n%s", ok, derived, received, keys.last(), out[max(0, len(out)-3000):])
	}
}

// FreeRADIUS answers Status-Server; hostapd does not know it.
func TestStatus(t *testing.T) {
	ca := newAuthority(t, "ca")
	auth, acct, _ := freeRADIUS(t, ca)
	silent, _ := hostapd(t, ca)
	g := startClient(t, radius.Upstream{Name: "FreeRADIUS", Auth: auth, Acct: acct}, radius.Upstream{Name: "hostapd", Auth: silent})
	answers := make(chan string, 3)
	g.Do(func() {
		g.client.Test(func(s radius.ServerState, took time.Duration, err error) {
			answers <- fmt.Sprintf("%s %s %v %v", s.Name, s.Service, took < time.Second, err)
		})
	})
	got := map[string]bool{}
	for range 3 {
		select {
		case a := <-answers:
			got[a] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v", got)
		}
	}
	for _, want := range []string{
		"FreeRADIUS authentication true <nil>",
		"FreeRADIUS accounting true <nil>",
		"hostapd authentication false " + radius.ErrNoAnswer.Error(),
	} {
		if !got[want] {
			t.Errorf("no %q in %v", want, got)
		}
	}
}
