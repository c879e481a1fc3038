package otcli

import (
	"time"

	"gatewayd/thread/mac"
	"gatewayd/thread/mle"
)

// scanTime is how long a channel is listened to.
const scanTime = 300 * time.Millisecond

// scanTable is the table of beacons, and the end of that of networks.
func scanTable() []column {
	return []column{{"PAN", 6}, {"MAC Address", 18}, {"Ch", 4}, {"dBm", 5}, {"LQI", 5}}
}

// scan looks for beacons, or with `energy` measures; on one channel or on all.
func scan(c *CLI, args []string) error {
	w := wordList{args}
	energy := w.peek() == "energy"
	dwell := scanTime
	if energy {
		w.next()
		if !w.empty() {
			ms, err := parseUint(w.next(), 16)
			if err != nil {
				return err
			}
			if ms > 0 {
				dwell = duration(ms, time.Millisecond)
			}
		}
	}
	mask, err := parseScanChannel(w.next())
	if err != nil {
		return err
	}
	if mask == 0 {
		mask = c.channels()
	}
	if c.node.MAC().Scanning() {
		return Busy
	}
	// The radio may be asked before the interface is up.
	c.node.MAC().Enable(true)
	done := func() {
		c.node.MAC().Enable(c.node.Up())
		c.finish(nil)
	}
	if energy {
		c.header(column{"Ch", 4}, column{"RSSI", 6})
		c.node.MAC().EnergyScan(mask, dwell, func(e mac.Energy) { c.line("| %2d | %4d |", e.Channel, e.RSSI) }, done)
		return Pending
	}
	c.header(scanTable()...)
	c.node.MAC().ActiveScan(mask, dwell, func(b mac.Beacon) {
		c.line("| %04x | %s | %2d | %3d | %3d |", b.PANID, b.Ext, b.Channel, b.RSSI, b.LQI)
	}, done)
	return Pending
}

// parseScanChannel reads a channel as a mask; 0 stands for all.
func parseScanChannel(s string) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	ch, err := parseUint(s, 8)
	if err != nil || ch > 31 {
		return 0, InvalidArgs
	}
	return 1 << ch, nil
}

// discover looks for Thread networks.
func discover(c *CLI, args []string) error {
	mask, err := parseScanChannel(word(args, 0))
	if err != nil {
		return err
	}
	if !c.node.Up() {
		return InvalidState
	}
	err = c.node.MLE().Discover(mle.DiscoverOptions{Channels: mask}, func(r mle.DiscoverResult) {
		c.line("| %-16s | %s | %04x | %s | %2d | %3d | %3d |", r.NetworkName, r.ExtPANID, r.PANID, r.Ext, r.Channel, r.RSSI, r.LQI)
	}, func() { c.finish(nil) })
	if err != nil {
		return err
	}
	c.header(append([]column{{"Network Name", 18}, {"Extended PAN", 18}}, scanTable()...)...)
	return Pending
}
