package otcli

import (
	"time"

	"gatewayd/thread/mle"
)

// csl is when a sleepy device listens: `csl`, `csl channel|period|timeout VALUE`.
func csl(c *CLI, args []string) error {
	v := c.node.MLE().Tuning.CSL
	if len(args) == 0 {
		c.line("channel: %d", v.Channel)
		c.line("period: %dus", v.Period/time.Microsecond)
		c.line("timeout: %ds", v.Timeout/time.Second)
		return nil
	}
	set := func(bits int, take func(n uint64)) error {
		if len(args) != 2 {
			return InvalidArgs
		}
		n, err := parseUint(args[1], bits)
		if err != nil {
			return err
		}
		take(n)
		switch err := c.node.MLE().SetCSL(v); err {
		case nil, mle.ErrNotCapable:
			return err
		default:
			return InvalidArgs
		}
	}
	switch args[0] {
	case "channel":
		return set(8, func(n uint64) { v.Channel = uint8(n) })
	case "period":
		return set(32, func(n uint64) { v.Period = duration(n, time.Microsecond) })
	case "timeout":
		return set(32, func(n uint64) { v.Timeout = duration(n, time.Second) })
	}
	return InvalidArgs
}
