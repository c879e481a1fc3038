package netdata

import (
	"encoding/binary"
	"net/netip"
)

// Service data of the services Thread defines, under ThreadEnterprise (Thread
// 1.4 Sections 5.15.7 and 14.2). The first byte names the service.
const (
	serviceBackboneRouter = 0x01
	serviceSRPAnycast     = 0x5c
	serviceSRPUnicast     = 0x5d
)

// A BackboneRouter is what a Backbone Router publishes of itself (Thread 1.4
// Section 5.21.2).
type BackboneRouter struct {
	RLOC16              uint16
	Sequence            uint8
	ReregistrationDelay uint16 // s
	MLRTimeout          uint32 // s, lifetime of multicast registrations
}

// BackboneRouterService is the service data of Backbone Routers.
func BackboneRouterService() []byte { return []byte{serviceBackboneRouter} }

// ServerData returns the server data that publishes b.
func (b BackboneRouter) ServerData() []byte {
	d := binary.BigEndian.AppendUint16([]byte{b.Sequence}, b.ReregistrationDelay)
	return binary.BigEndian.AppendUint32(d, b.MLRTimeout)
}

// BackboneRouters returns the Backbone Routers in the network data.
func (d *Data) BackboneRouters() []BackboneRouter {
	var out []BackboneRouter
	for s := range d.ServicesOf(ThreadEnterprise, BackboneRouterService()) {
		for _, e := range s.Servers {
			if len(e.Data) < 7 {
				continue
			}
			out = append(out, BackboneRouter{
				RLOC16:              e.RLOC16,
				Sequence:            e.Data[0],
				ReregistrationDelay: binary.BigEndian.Uint16(e.Data[1:]),
				MLRTimeout:          binary.BigEndian.Uint32(e.Data[3:]),
			})
		}
	}
	return out
}

// PrimaryBackboneRouter returns the Backbone Router that counts: the one on the
// leader, else that with the highest sequence number, else with the highest
// locator.
func (d *Data) PrimaryBackboneRouter(leader uint16) (best BackboneRouter, ok bool) {
	for _, b := range d.BackboneRouters() {
		if !ok || b.preferredTo(best, leader) {
			best, ok = b, true
		}
	}
	return best, ok
}

func (b BackboneRouter) preferredTo(c BackboneRouter, leader uint16) bool {
	switch {
	case b.RLOC16 == leader || c.RLOC16 == leader:
		return b.RLOC16 == leader
	case b.Sequence != c.Sequence:
		return b.Sequence > c.Sequence
	}
	return b.RLOC16 > c.RLOC16
}

// An SRPAnycast is an SRP server and DNS resolver that is reached, on port 53,
// at the anycast locator of its service.
type SRPAnycast struct {
	RLOC16    uint16
	ServiceID uint8
	Sequence  uint8 // a new one makes clients register again
	Version   uint8
}

// SRPAnycastService returns the service data of an SRPAnycast.
func SRPAnycastService(sequence uint8) []byte { return []byte{serviceSRPAnycast, sequence} }

// SRPAnycasts returns the SRP anycast servers in the network data.
func (d *Data) SRPAnycasts() []SRPAnycast {
	var out []SRPAnycast
	for s := range d.ServicesOf(ThreadEnterprise, []byte{serviceSRPAnycast}) {
		if len(s.Data) < 2 {
			continue
		}
		for _, e := range s.Servers {
			a := SRPAnycast{RLOC16: e.RLOC16, ServiceID: s.ID, Sequence: s.Data[1]}
			if len(e.Data) > 0 {
				a.Version = e.Data[0]
			}
			out = append(out, a)
		}
	}
	return out
}

// An SRPUnicast is an SRP server with an address and port of its own.
type SRPUnicast struct {
	RLOC16        uint16
	Addr          netip.Addr // the zero Addr: the server's RLOC
	Port          uint16
	Version       uint8
	InServiceData bool // published in service data, which clients prefer, instead of server data
}

// SRPUnicastService is the service data of an SRP server that puts its address
// into server data.
func SRPUnicastService() []byte { return []byte{serviceSRPUnicast} }

// SRPUnicastServiceAt returns the service data of an SRP server that puts its
// address there; its server data is empty.
func SRPUnicastServiceAt(at netip.AddrPort, version uint8) []byte {
	return append(SRPUnicastService(), SRPUnicastServer(at, version)...)
}

// SRPUnicastServer returns the server data of an SRP server that puts its
// address there.
func SRPUnicastServer(at netip.AddrPort, version uint8) []byte {
	a := at.Addr().As16()
	b := binary.BigEndian.AppendUint16(a[:], at.Port())
	if version != 0 {
		b = append(b, version) // absent is version 0
	}
	return b
}

// SRPUnicasts returns the SRP unicast servers in the network data.
func (d *Data) SRPUnicasts() []SRPUnicast {
	var out []SRPUnicast
	for s := range d.ServicesOf(ThreadEnterprise, SRPUnicastService()) {
		if u, ok := srpUnicast(s.Data[1:]); ok {
			for _, e := range s.Servers {
				u.RLOC16, u.InServiceData = e.RLOC16, true
				out = append(out, u)
			}
			continue
		}
		for _, e := range s.Servers {
			u, ok := srpUnicast(e.Data)
			if !ok && len(e.Data) == 2 {
				u, ok = SRPUnicast{Port: binary.BigEndian.Uint16(e.Data)}, true
			}
			if ok {
				u.RLOC16 = e.RLOC16
				out = append(out, u)
			}
		}
	}
	return out
}

// srpUnicast reads address, port and optional version.
func srpUnicast(b []byte) (u SRPUnicast, ok bool) {
	if len(b) < 18 {
		return SRPUnicast{}, false
	}
	u.Addr = netip.AddrFrom16([16]byte(b[:16]))
	u.Port = binary.BigEndian.Uint16(b[16:])
	if len(b) > 18 {
		u.Version = b[18]
	}
	return u, true
}
