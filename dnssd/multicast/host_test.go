package multicast

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// A host whose name another one has gets the next, under which avahi finds it
// with its page, by whatever addresses it has just then.
func TestPublish(t *testing.T) {
	peer, outside := namespaces(t, "avahi-daemon", "avahi-browse", "avahi-resolve", "dbus-daemon")
	if outside {
		return
	}
	av := startAvahi(t, peer, "gatewayd")

	var mu sync.Mutex
	var names []string
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- Publish(ctx, Host{Name: "gatewayd", Services: []dnssd.Service{{Type: "_http._tcp", Port: 80, TXT: []byte("\x06path=/")}},
			Named: func(n string) {
				mu.Lock()
				defer mu.Unlock()
				names = append(names, n)
			}})
	}()
	eventually(t, 15*time.Second, "the host has got a name", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(names, []string{"gatewayd-2"})
	})
	if out := av.ask(t, "avahi-resolve", "-4", "-n", "gatewayd-2.local"); !strings.Contains(out, "gatewayd-2.local\t192.0.2.1") {
		t.Error("avahi-resolve does not find the host by IPv4")
	}
	if out := av.ask(t, "avahi-resolve", "-6", "-n", "gatewayd-2.local"); !strings.Contains(out, "gatewayd-2.local\tfe80::1") {
		t.Error("avahi-resolve does not find the host by IPv6")
	}
	if out := av.ask(t, "avahi-resolve", "-4", "-n", "gatewayd.local"); !strings.Contains(out, "gatewayd.local\t192.0.2.2") {
		t.Error("the other host has lost its name")
	}
	if out := av.ask(t, "avahi-browse", "-krtp", "_http._tcp"); !strings.Contains(out, "=;v1;IPv4;gatewayd;_http._tcp;local;gatewayd-2.local;192.0.2.1;80;\"path=/\"") {
		t.Error("avahi-browse does not find the page")
	}

	for _, args := range [][]string{{"addr", "del", "192.0.2.1/24", "dev", "v0"}, {"addr", "add", "192.0.2.7/24", "dev", "v0"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	eventually(t, 15*time.Second, "avahi finds the host by its new address", func() bool {
		return strings.Contains(av.ask(t, "avahi-resolve", "-4", "-n", "gatewayd-2.local"), "\t192.0.2.7")
	})

	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	eventually(t, 15*time.Second, "avahi knows that the page is gone", func() bool {
		return !strings.Contains(av.ask(t, "avahi-browse", "-tp", "_http._tcp"), "gatewayd")
	})
}
