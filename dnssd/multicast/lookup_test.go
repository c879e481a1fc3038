package multicast

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Hosts and services that avahi publishes are found, by the names that people
// write down.
func TestLookup(t *testing.T) {
	peer, outside := namespaces(t, "avahi-daemon", "avahi-publish", "dbus-daemon")
	if outside {
		return
	}
	av := startAvahi(t, peer, "slzb-06")
	var out output
	av.start(t, &out, "avahi-publish", "-s", "Attic radio", "_slzb-06._tcp", "6638", "radio_type=ot")
	eventually(t, 10*time.Second, "avahi has the service", func() bool { return strings.Contains(out.String(), "Established") })
	for _, tt := range []struct {
		name string
		port uint16
	}{
		{"slzb-06.local", 0},
		{"SLZB-06.local.", 0},
		{"_slzb-06._tcp.local", 6638},
		{`Attic radio._slzb-06._tcp.local`, 6638},
	} {
		// avahi may tell its IPv4 address a second after the other.
		got, err := Lookup(t.Context(), tt.name)
		if v4, v6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::2"); err != nil || got.Port() != tt.port ||
			got.Addr() != v4 && (got.Addr().WithZone("") != v6 || got.Addr().Zone() == "") {
			t.Errorf("%s is at %v, %v, want %v or %v, port %d", tt.name, got, err, v4, v6, tt.port)
		}
	}
	for name, want := range map[string]string{
		"nobody.local":      "nobody on the network answers to nobody.local",
		"_none._tcp.local":  "nobody on the network",
		"a.b.local":         "neither a host nor a service",
		"local":             "neither",
		"x..local":          "label",
		"a.b.c.d.e.f.local": "neither",
	} {
		if got, err := Lookup(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is at %v, %v, want %q", name, got, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Lookup(ctx, "slzb-06.local"); err == nil {
		t.Errorf("found at %v after the end", got)
	}
}

func TestLocal(t *testing.T) {
	for name, want := range map[string]bool{"a.local": true, "A.LOCAL.": true, "_x._tcp.local": true, "local": false, "alocal": false, "a.local.example": false, "": false} {
		if Local(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
