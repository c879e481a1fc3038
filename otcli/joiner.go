package otcli

import (
	"fmt"

	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

func joinerCommands() []command {
	return []command{
		{"discerner", joinerDiscerner},
		{"id", show(func(c *CLI) string { return c.node.Joiner().ID().String() })},
		{"start", joinerStart},
		{"state", show(func(c *CLI) string { return c.node.Joiner().State().String() })},
		{"stop", func(c *CLI, _ []string) error {
			c.node.Joiner().Stop()
			return nil
		}},
	}
}

// joinerStart joins by a PSKd. How it ended is told later, without a prompt.
func joinerStart(c *CLI, args []string) error {
	if len(args) == 0 {
		return InvalidArgs
	}
	if !c.node.Up() || c.node.MLE().Role() != mle.Disabled {
		return InvalidState
	}
	pskd, err := joining.ParsePSKd(args[0])
	if err != nil {
		return err
	}
	from := &c.node.Diag().Vendor
	v := joining.Vendor{Name: from.Name, Model: from.Model, SWVersion: from.Version}
	return c.node.Joiner().Start(pskd, word(args, 1), v, func(err error) {
		if err != nil {
			c.line("Join failed [%s]", errorOf(err).Word())
			return
		}
		c.line("Join success")
	})
}

func joinerDiscerner(c *CLI, args []string) error {
	j := c.node.Joiner()
	switch {
	case len(args) == 0:
		d, ok := j.Discerner()
		if !ok {
			return NotFound
		}
		c.line("%s", discerner(d))
		return nil
	case args[0] == "clear":
		return j.ClearDiscerner()
	case len(args) > 1:
		return InvalidArgs
	}
	d, is, err := parseDiscerner(args[0])
	if !is || err != nil {
		return InvalidArgs
	}
	return j.SetDiscerner(d)
}

// discerner is a discerner's number and bits: of more than 32 bits, the lower
// half with all its digits.
func discerner(d meshcop.Discerner) string {
	if d.Bits <= 32 {
		return fmt.Sprintf("0x%x/%d", d.Value, d.Bits)
	}
	return fmt.Sprintf("0x%x%08x/%d", d.Value>>32, uint32(d.Value), d.Bits)
}

func joinerPort(c *CLI) uint64 { return uint64(c.node.JoinerRouter().JoinerPort()) }

func setJoinerPort(c *CLI, v uint64) error {
	c.node.JoinerRouter().SetJoinerPort(uint16(v))
	return nil
}
