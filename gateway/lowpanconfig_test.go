package gateway

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const plant = `
radio = "sim:1"
mode  = "lowpan"

[lowpan]
name             = "plant 7"
channel          = 20
pan-id           = "0xBEEF"
prefix           = "fd00:7::/64"
dhcp             = true
key-rotation     = "720h"
session-lifetime = "12h"

[lowpan.eap]
certificate = "/etc/gatewayd/server.pem"
key         = "/etc/gatewayd/server.key"
ca          = "/etc/gatewayd/ca.pem"

[lowpan.radius]
servers     = ["192.0.2.1:1812", "[2001:db8::1]:1812"]
accounting  = ["192.0.2.1:1813"]
secret-file = "/etc/gatewayd/radius.secret"
dynamic     = "[::]:3799"

[lowpan.radius-server]
listen      = "[::]:1812"
clients     = ["192.0.2.0/24"]
secret-file = "/etc/gatewayd/clients.secret"
`

func TestLowpanConfig(t *testing.T) {
	c, err := ParseConfig("c.toml", []byte(plant))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	l := c.Lowpan
	if l.Name != "plant 7" || l.Channel != 20 || time.Duration(l.KeyRotation) != 720*time.Hour || len(l.RADIUS.Servers) != 2 || !l.DHCP {
		t.Errorf("%+v", l)
	}
	if pan, err := l.pan(); err != nil || *pan != 0xbeef {
		t.Errorf("%v %v", pan, err)
	}
	if l.RADIUS.Identifier != "gatewayd" {
		t.Errorf("what is not said is the default, not %q", l.RADIUS.Identifier)
	}
	d := Defaults()
	d.Mode, d.Radio = ModeLowpan, "sim:1"
	if err := d.Validate(); err != nil {
		t.Errorf("a radio and a mode are all that must be said: %v", err)
	}
}

// Each mistake is named with its key.
func TestLowpanMistakes(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{`channel          = 20`, `channel = 27`, "lowpan.channel: 27 is none of 11 to 26"},
		{`radio = "sim:1"`, "radio = \"sim:1\"\nnetwork = \"new\"", "network: is of Thread only"},
		{`"plant 7"`, `"a name that is too long"`, "lowpan.name"},
		{`"0xBEEF"`, `"0xffff"`, "lowpan.pan-id"},
		{`"0xBEEF"`, `"beefy"`, "lowpan.pan-id"},
		{`"fd00:7::/64"`, `"fd00:7::/48"`, "lowpan.prefix"},
		{`"fd00:7::/64"`, `"fd00:7::1/64"`, "lowpan.prefix"},
		{`"fd00:7::/64"`, `"fe80::/64"`, "lowpan.prefix"},
		{`"720h"`, `"1s"`, "lowpan.key-rotation"},
		{`"12h"`, `"-1h"`, "lowpan.session-lifetime"},
		{`ca          = "/etc/gatewayd/ca.pem"`, ``, "lowpan.eap"},
		{`"192.0.2.1:1812"`, `"192.0.2.1"`, "lowpan.radius.servers"},
		{`"192.0.2.1:1813"`, `"x:1"`, "lowpan.radius.accounting"},
		{`"[::]:3799"`, `"3799"`, "lowpan.radius.dynamic"},
		{`servers     = ["192.0.2.1:1812", "[2001:db8::1]:1812"]`, ``, "lowpan.radius.dynamic: there are no servers"},
		{`"[::]:1812"`, `"1812"`, "lowpan.radius-server.listen"},
		{`clients     = ["192.0.2.0/24"]`, ``, "lowpan.radius-server.clients"},
		{`"192.0.2.0/24"`, `"192.0.2.0"`, "lowpan.radius-server.clients"},
		{`secret-file = "/etc/gatewayd/radius.secret"`, ``, "lowpan.radius.secret-file"},
	} {
		if !strings.Contains(plant, tt.from) {
			t.Fatalf("no %q to replace", tt.from)
		}
		c, err := ParseConfig("c.toml", []byte(strings.Replace(plant, tt.from, tt.to, 1)))
		if err != nil {
			t.Errorf("%s: %v", tt.to, err)
			continue
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q for %q: %v, want %q", tt.to, tt.from, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"[lowpan]\nchanel = 11":              `c.toml:2:1: no such key "lowpan.chanel"`,
		"[lowpan]\nchannel = 'x'":            `c.toml:2:11: lowpan.channel`,
		"[lowpan]\nkey-rotation = 'monthly'": `"monthly" is no duration`,
	} {
		if _, err := ParseConfig("c.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	var zero LowpanConfig
	if reflect.DeepEqual(zero, defaultLowpan()) || len(zero.check()) == 0 {
		t.Error("nothing is a configuration")
	}
}
