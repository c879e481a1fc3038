package otcli

import (
	"fmt"

	"gatewayd/ieee802154"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

func state(c *CLI, args []string) error {
	m := c.node.MLE()
	switch word(args, 0) {
	case "":
		c.line("%s", m.Role())
		return nil
	case "detached":
		return m.BecomeDetached()
	case "child":
		return m.BecomeChild()
	case "router":
		return m.BecomeRouter(mle.TooFewRouters)
	case "leader":
		// Another leader is only replaced by one of more weight.
		if d, ok := m.LeaderData(); ok && m.Role() != mle.Leader && m.Tuning.LeaderWeight <= d.Weight {
			return NotCapable
		}
		return m.BecomeLeader()
	}
	return InvalidArgs
}

func mode(c *CLI) string { return c.node.MLE().Mode().String() }

func setMode(c *CLI, value string) error {
	var m neighbor.Mode
	if value != "-" {
		var err error
		if m, err = parseLetters(value, map[rune]neighbor.Mode{
			'r': neighbor.ModeRxOnWhenIdle, 'd': neighbor.ModeFullThread, 'n': neighbor.ModeFullNetworkData}); err != nil {
			return err
		}
	}
	if c.node.MLE().SetMode(m) != nil {
		return InvalidArgs
	}
	return nil
}

func ifconfig(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		s := "down"
		if c.node.Up() {
			s = "up"
		}
		c.line("%s", s)
	case "up":
		c.node.InterfaceUp()
	case "down":
		c.node.InterfaceDown()
	default:
		return InvalidArgs
	}
	return nil
}

func threadCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "start":
		if c.node.MLE().Role() != mle.Disabled {
			return nil
		}
		return c.node.Start()
	case "stop":
		c.node.Stop()
	case "version":
		c.line("%d", mle.Version)
	default:
		return InvalidCommand
	}
	return nil
}

func detach(c *CLI, args []string) error {
	if word(args, 0) == "async" {
		c.node.MLE().Detach(nil)
		return nil
	}
	c.node.MLE().Detach(func() {
		c.line("Finished detaching")
		c.finish(nil)
	})
	return Pending
}

func rloc16(c *CLI) string { return fmt.Sprintf("%04x", c.node.MLE().RLOC16()) }

func leaderData(c *CLI, _ []string) error {
	d, ok := c.node.MLE().LeaderData()
	if !ok {
		return Detached
	}
	c.line("Partition ID: %d", d.Partition)
	c.line("Weighting: %d", d.Weight)
	c.line("Data Version: %d", d.DataVersion)
	c.line("Stable Data Version: %d", d.StableVersion)
	c.line("Leader Router ID: %d", d.LeaderID)
	return nil
}

func partitionID(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		c.line("%d", c.node.MLE().Partition())
		return nil
	case "preferred":
		t := &c.node.MLE().Tuning
		return number(32, func(*CLI) uint64 { return uint64(t.PreferredPartition) }, func(_ *CLI, v uint64) error {
			t.PreferredPartition = uint32(v)
			return nil
		})(c, args[1:])
	}
	return InvalidCommand
}

// singleton reports whether no other router is in the partition.
func singleton(c *CLI) string {
	return fmt.Sprint(c.node.MLE().Singleton())
}

// attachTime is how long the node has been part of its network.
func attachTime(c *CLI) string {
	m := c.node.MLE()
	if !m.Attached() {
		return clockTime(0)
	}
	return clockTime(c.now().Sub(m.RoleSince()))
}

func macCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "altshortaddr":
		a := c.node.MAC().Settings().AltShort
		if a == 0 {
			a = ieee802154.InvalidShort
		}
		c.line("0x%04x", a)
		return nil
	case "retries":
		r := &c.node.MAC().Retries
		of := map[string]*uint8{"direct": &r.Direct, "indirect": &r.Indirect}[word(args, 1)]
		if of == nil {
			return InvalidArgs
		}
		return number(8, func(*CLI) uint64 { return uint64(*of) }, func(_ *CLI, v uint64) error {
			*of = uint8(v)
			return nil
		})(c, args[2:])
	case "send":
		if len(args) != 2 || args[1] != "datarequest" {
			return InvalidArgs
		}
		return c.node.MLE().PollNow()
	}
	return InvalidCommand
}
