package mdns

import (
	"time"

	"gatewayd/dnssd"
)

// A Browser is a Machine as a discovery proxy uses it: by labels, for what is
// on any link, told as often as it changes until stop is called, and never
// that it has gone. It makes a Machine a dnssd.Resolver's Browser.
type Browser struct{ Machine *Machine }

// Browse looks for instances of a type, or of a subtype unless that is "".
func (b Browser) Browse(typ, subtype string, found func(instance string, ttl time.Duration)) (stop func()) {
	if subtype != "" {
		typ = subtype + "._sub." + typ
	}
	return stopper(b.Machine.Browse(typ, func(ev Event) {
		if ev.Kind != Removed {
			found(ev.Service.Instance, ev.Service.TTL)
		}
	}))
}

// Resolve looks for an instance. What is found has one service, and its host's
// addresses as far as they are known. A host that is not in "local." is left
// out.
func (b Browser) Resolve(instance, typ string, found func(dnssd.Host)) (stop func()) {
	return stopper(b.Machine.resolve(instance, typ, false, func(ev Event) {
		if ev.Kind != Removed {
			tellHost(ev, []dnssd.Service{ev.Service}, found)
		}
	}))
}

// ResolveHost looks for a host's addresses.
func (b Browser) ResolveHost(name string, found func(dnssd.Host)) (stop func()) {
	return stopper(b.Machine.ResolveHost(name, func(ev Event) {
		if ev.Kind != Removed {
			tellHost(ev, nil, found)
		}
	}))
}

func tellHost(ev Event, services []dnssd.Service, found func(dnssd.Host)) {
	if label, rest := ev.Host.first(); rest.Equal(local) {
		found(dnssd.Host{Name: label, Addrs: ev.Addrs, TTL: hostTTL, Services: services})
	}
}

// stopper ends a watch; what is no name of multicast DNS is not found.
func stopper(w *Watch, err error) func() {
	if err != nil {
		return func() {}
	}
	return w.Stop
}
