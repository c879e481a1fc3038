package joining

import (
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
)

// Info reads what the network data says about joining. It looks at the present
// network data at every call.
type Info struct {
	Data func() *netdata.Data
}

// Commissioning is the commissioning data, empty if there is none that can be
// read.
func (i Info) Commissioning() meshcop.CommissioningData {
	d := i.Data()
	if d == nil {
		return meshcop.CommissioningData{}
	}
	c, err := d.Commissioning.Decode()
	if err != nil {
		return meshcop.CommissioningData{}
	}
	return c
}

// JoiningAllowed reports whether a commissioner is active and lets somebody in.
func (i Info) JoiningAllowed() bool {
	c := i.Commissioning()
	return c.JoiningAllowed()
}

// SteeringData says who may join; nil while there is no active commissioner.
func (i Info) SteeringData() meshcop.SteeringData {
	c := i.Commissioning()
	if c.BorderAgentLocator == nil {
		return nil
	}
	return c.SteeringData
}

// JoinerPort is the UDP port of joiner routers.
func (i Info) JoinerPort() uint16 {
	c := i.Commissioning()
	return c.JoinerPort()
}

// Commissioner is the RLOC16 of the active commissioner, or of the border agent
// it speaks through, and its session id; false if there is none.
func (i Info) Commissioner() (rloc16, session uint16, ok bool) {
	c := i.Commissioning()
	if c.BorderAgentLocator == nil || c.SessionID == nil {
		return 0, 0, false
	}
	return *c.BorderAgentLocator, *c.SessionID, true
}

// Commissioner anycast locators (Thread 1.4 Section 5.2.2.2).
const (
	leaderALOC16       = 0xfc00
	commissionerALOC16 = 0xfc30
	commissionerALOCs  = 8
)

// CommissionerALOC16 is the anycast locator of a commissioner session.
func CommissionerALOC16(session uint16) uint16 { return commissionerALOC16 + session%commissionerALOCs }

// linkLocal is the link-local address with an interface identifier.
func linkLocal(iid [8]byte) netip.Addr {
	a := [16]byte{0: 0xfe, 1: 0x80}
	copy(a[8:], iid[:])
	return netip.AddrFrom16(a)
}

// iidOf is the interface identifier of an address.
func iidOf(a netip.Addr) [8]byte {
	b := a.As16()
	return [8]byte(b[8:])
}

// joinerID is the extended address that an interface identifier was made from.
func joinerID(iid [8]byte) ieee802154.ExtAddr {
	iid[0] ^= 0x02
	return ieee802154.ExtAddr(iid)
}
