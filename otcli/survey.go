package otcli

import (
	"net/netip"
	"time"

	"gatewayd/thread/meshcop"
)

// commissionerAnnounce asks for Announces: mask, count, period in ms, address.
func commissionerAnnounce(c *CLI, args []string) error {
	v, err := parseNumbers(args, 32, 8, 16)
	if err != nil {
		return err
	}
	to, err := parseAddr(word(args, 3))
	if err != nil {
		return err
	}
	return c.node.Survey().Announce(to, uint32(v[0]), uint8(v[1]), duration(v[2], time.Millisecond))
}

// commissionerEnergy asks for measurements: mask, count, period and duration in
// ms, address. Reports are shown as they come.
func commissionerEnergy(c *CLI, args []string) error {
	v, err := parseNumbers(args, 32, 8, 16, 16)
	if err != nil {
		return err
	}
	to, err := parseAddr(word(args, 4))
	if err != nil {
		return err
	}
	s := c.node.Survey()
	s.Energy = func(_ netip.Addr, r meshcop.EnergyReport) {
		c.print("Energy: %08x ", r.ChannelMask.Bits())
		for _, dBm := range r.Energy {
			c.print("%d ", dBm)
		}
		c.line("")
	}
	return s.EnergyScan(to, uint32(v[0]), uint8(v[1]), duration(v[2], time.Millisecond), duration(v[3], time.Millisecond))
}

// commissionerPANID asks who uses a PAN ID: PAN ID, mask, address. Conflicts are
// shown as they come.
func commissionerPANID(c *CLI, args []string) error {
	v, err := parseNumbers(args, 16, 32)
	if err != nil {
		return err
	}
	to, err := parseAddr(word(args, 2))
	if err != nil {
		return err
	}
	s := c.node.Survey()
	s.Conflict = func(_ netip.Addr, r meshcop.PANIDQuery) {
		c.line("Conflict: %04x, %08x", r.PANID, r.ChannelMask.Bits())
	}
	return s.QueryPANID(to, uint32(v[1]), uint16(v[0]))
}

// parseNumbers reads the first words as numbers of so many bits.
func parseNumbers(args []string, bits ...int) ([]uint64, error) {
	out := make([]uint64, len(bits))
	for i, n := range bits {
		v, err := parseUint(word(args, i), n)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
