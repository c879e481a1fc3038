package otcli

import (
	"fmt"
	"time"

	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

const hour = time.Hour

// duration is so many units.
func duration(v uint64, unit time.Duration) time.Duration { return time.Duration(v) * unit }

func childTimeout(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.ChildTimeout / time.Second) }

func setChildTimeout(c *CLI, v uint64) error {
	if c.node.MLE().SetChildTimeout(duration(v, time.Second)) != nil {
		return InvalidArgs
	}
	return nil
}

func pollPeriod(c *CLI) uint64 { return uint64(c.node.MLE().PollPeriod() / time.Millisecond) }

func setPollPeriod(c *CLI, v uint64) error {
	if c.node.MLE().SetPollPeriod(duration(v, time.Millisecond)) != nil {
		return InvalidArgs
	}
	return nil
}

func leaderWeight(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.LeaderWeight) }

func setLeaderWeight(c *CLI, v uint64) error {
	c.node.MLE().SetLeaderWeight(uint8(v))
	return nil
}

func networkIDTimeout(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.LeaderTimeout / time.Second) }

func setNetworkIDTimeout(c *CLI, v uint64) error {
	c.node.MLE().Tuning.LeaderTimeout = duration(v, time.Second)
	return nil
}

func upgradeThreshold(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.UpgradeThreshold) }

func setUpgradeThreshold(c *CLI, v uint64) error {
	c.node.MLE().Tuning.UpgradeThreshold = int(v)
	return nil
}

func downgradeThreshold(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.DowngradeThreshold) }

func setDowngradeThreshold(c *CLI, v uint64) error {
	c.node.MLE().Tuning.DowngradeThreshold = int(v)
	return nil
}

func selectionJitter(c *CLI) uint64 { return uint64(c.node.MLE().Tuning.SelectionJitter / time.Second) }

func setSelectionJitter(c *CLI, v uint64) error {
	c.node.MLE().Tuning.SelectionJitter = duration(v, time.Second)
	return nil
}

func routerEligible(c *CLI) bool { return c.node.MLE().RouterEligible() }

func setRouterEligible(c *CLI, on bool) error { return c.node.MLE().SetRouterEligible(on) }

func preferRouterID(c *CLI, args []string) error {
	if len(args) != 1 {
		return InvalidArgs
	}
	v, err := parseUint(args[0], 8)
	if err != nil {
		return err
	}
	c.node.MLE().Tuning.PreferredRouterID = uint8(min(v, neighbor.InvalidID))
	return nil
}

// releaseRouterID takes a router id back, as leader.
func releaseRouterID(c *CLI, args []string) error {
	if len(args) != 1 {
		return InvalidArgs
	}
	id, err := parseUint(args[0], 8)
	switch {
	case err != nil || id > neighbor.MaxRouterID:
		return InvalidArgs
	case c.node.MLE().Role() == mle.Leader && c.node.Table().Router(uint8(id)) == nil:
		return NotFound
	}
	return c.node.MLE().ReleaseRouterID(uint8(id))
}

func contextReuseDelay(c *CLI) uint64 {
	return uint64(c.node.MLE().Tuning.ContextReuseDelay / time.Second)
}

func setContextReuseDelay(c *CLI, v uint64) error {
	c.node.MLE().SetContextReuseDelay(duration(v, time.Second))
	return nil
}

func childSupervision(c *CLI, args []string) error {
	m := c.node.MLE()
	seconds := func(now time.Duration, set func(time.Duration)) error {
		return number(16, func(*CLI) uint64 { return uint64(now / time.Second) }, func(_ *CLI, v uint64) error {
			set(duration(v, time.Second))
			return nil
		})(c, args[1:])
	}
	switch word(args, 0) {
	case "interval":
		return seconds(m.Tuning.SupervisionInterval, func(d time.Duration) { m.Tuning.SupervisionInterval = d })
	case "checktimeout":
		return seconds(m.Tuning.SupervisionCheck, m.SetSupervisionCheck)
	case "failcounter":
		switch word(args, 1) {
		case "":
			c.line("%d", m.Silences())
			return nil
		case "reset":
			m.ResetSilences()
			return nil
		}
	}
	return InvalidArgs
}

func advertisementMax(c *CLI) string {
	return fmt.Sprint(c.node.MLE().AdvertisementMax().Milliseconds())
}
