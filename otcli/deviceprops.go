package otcli

import (
	"slices"
	"strconv"
)

// device is what a device is, as far as it says how good a leader it would be.
type device struct {
	supply       int // of supplies
	borderRouter bool
	ccm          bool // that can commission commercially
	unstable     bool
	adjustment   int8
}

// supply is a kind of power supply and what it adds to the weight.
type supply struct {
	name   string
	weight int8
}

var supplies = []supply{{"battery", -8}, {"external", 0}, {"external-stable", 4}, {"external-unstable", -4}}

const (
	battery = iota
	external
	_
	externalUnstable
)

// Weights of the other properties, OpenThread's.
const (
	baseWeight            = 64
	borderRouterWeight    = 1
	ccmBorderRouterWeight = 8
	unstableWeight        = -4
	maxAdjustment         = 16
)

func (d *device) leaderWeight() uint8 {
	w := baseWeight + int(supplies[d.supply].weight) + int(d.adjustment)
	switch {
	case d.borderRouter && d.ccm:
		w += ccmBorderRouterWeight
	case d.borderRouter:
		w += borderRouterWeight
	}
	if d.unstable && d.supply != battery && d.supply != externalUnstable {
		w += unstableWeight
	}
	return uint8(w)
}

// deviceProperties is `[supply border-router ccm unstable adjustment]`. The
// leader weight follows.
func deviceProperties(c *CLI, args []string) error {
	if len(args) == 0 {
		d := &c.device
		c.line("PowerSupply      : %s", supplies[d.supply].name)
		c.line("IsBorderRouter   : %s", yesNo(d.borderRouter))
		c.line("SupportsCcm      : %s", yesNo(d.ccm))
		c.line("IsUnstable       : %s", yesNo(d.unstable))
		c.line("WeightAdjustment : %d", d.adjustment)
		return nil
	}
	var d device
	d.supply = slices.IndexFunc(supplies, func(s supply) bool { return s.name == args[0] })
	if d.supply < 0 || len(args) != 5 {
		return InvalidArgs
	}
	for i, b := range []*bool{&d.borderRouter, &d.ccm, &d.unstable} {
		v, err := parseUint(args[1+i], 32)
		if err != nil {
			return err
		}
		*b = v != 0
	}
	v, err := strconv.ParseInt(args[4], 10, 8)
	if err != nil {
		return InvalidArgs
	}
	d.adjustment = int8(min(max(v, -maxAdjustment), maxAdjustment))
	c.device = d
	c.node.MLE().SetLeaderWeight(d.leaderWeight())
	return nil
}
