package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"gatewayd/enrol"
	"gatewayd/pacd"
	"gatewayd/pana"
	"gatewayd/radio"
	"gatewayd/wpan"
)

// plainDevice is a device of a plain network, on a radio of its own.
type plainDevice struct {
	t     *testing.T
	calls chan func(*wpan.Node) // run by the device's own goroutine
}

// startDevice runs a device with a key until the test ends.
func startDevice(t *testing.T, url, key string, event func(pana.Event)) *plainDevice {
	t.Helper()
	u, err := radio.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	psk, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}
	d := &plainDevice{t: t, calls: make(chan func(*wpan.Node))}
	cfg := pacd.DeviceConfig{Radio: u, Role: wpan.Host, DataDir: t.TempDir(), Session: event, Ready: d.serve,
		Credential: pacd.Credential{Identity: "pump", PSK: psk}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pacd.RunDevice(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

// serve takes calls whenever the device's clock lets it.
func (d *plainDevice) serve(n *wpan.Node) {
	var look func()
	look = func() {
		select {
		case f := <-d.calls:
			f(n)
		default:
		}
		n.Clock().After(10*time.Millisecond, look)
	}
	look()
}

// do runs a function in the device as soon as that has an address.
func (d *plainDevice) do(f func(*wpan.Node)) {
	d.t.Helper()
	done := make(chan struct{})
	select {
	case d.calls <- func(n *wpan.Node) { f(n); close(done) }:
		<-done
	case <-time.After(20 * time.Second):
		d.t.Fatal("the device has no address")
	}
}

// address is the device's routable address.
func (d *plainDevice) address() (a netip.Addr) {
	d.t.Helper()
	d.do(func(n *wpan.Node) {
		list := n.Addresses()
		a = list[len(list)-1]
	})
	return a
}

// ping pings and returns how many answers came.
func (d *plainDevice) ping(to netip.Addr, size, count int) int {
	d.t.Helper()
	answers := make(chan int, 1)
	d.do(func(n *wpan.Node) {
		n.Ping(&wpan.Ping{Dst: to, Size: size, Count: count, Interval: 200 * time.Millisecond, Timeout: 3 * time.Second,
			Done: func(_, received int) { answers <- received }})
	})
	return <-answers
}
