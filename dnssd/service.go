package dnssd

import (
	"net/netip"
	"time"
)

// A Host is a name with its addresses and services.
type Host struct {
	Name     string // one label, as it was registered: "sensor-7"
	Addrs    []netip.Addr
	TTL      time.Duration
	Services []Service
}

// A Service is an instance of a service on a host (RFC 6763).
type Service struct {
	Instance string   // one label, any text: "Kitchen Lamp"
	Type     string   // "_hap._udp"
	Subtypes []string // labels: "_printer"
	Priority uint16
	Weight   uint16
	Port     uint16
	TXT      []byte // RDATA: strings with their lengths; never empty (RFC 6763 Section 6.1)
	TTL      time.Duration
}
