package otcli

import (
	"bytes"
	"fmt"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/thread/neighbor"
)

// filterMode is what the list of addresses is for.
type filterMode uint8

const (
	filterOff filterMode = iota
	filterAllow
	filterDeny
)

func (m filterMode) String() string { return [...]string{"Disabled", "Allowlist", "Denylist"}[m] }

// macFilter says whom the node hears, and how well: for tests with radios that
// all hear each other.
type macFilter struct {
	mode   filterMode
	listed map[ieee802154.ExtAddr]bool
	rss    map[ieee802154.ExtAddr]int8
	common *int8 // RSSI of all others
}

// accept implements mac.MAC.Filter.
func (f *macFilter) accept(ext ieee802154.ExtAddr, rssi int8) (int8, bool) {
	if f.mode == filterAllow && !f.listed[ext] || f.mode == filterDeny && f.listed[ext] {
		return rssi, false
	}
	if v, ok := f.rss[ext]; ok {
		return v, true
	}
	if f.common != nil {
		return *f.common, true
	}
	return rssi, true
}

// RSSI that stands for a link quality, over the noise floor in dB, OpenThread's.
var qualityMargins = [...]int{0, 5, 15, 50}

// quality is the link quality of an RSSI.
func (c *CLI) quality(rssi int8) uint8 {
	return neighbor.QualityOf(int(rssi) - int(c.node.MAC().Info().RxSensitivity))
}

func macFilterCommand(c *CLI, args []string) error {
	f := &c.filter
	if f.listed == nil {
		f.listed, f.rss = map[ieee802154.ExtAddr]bool{}, map[ieee802154.ExtAddr]int8{}
		c.node.MAC().Filter = f.accept
	}
	switch word(args, 0) {
	case "":
		c.line("Address Mode: %s", f.mode)
		c.showFilter()
		c.line("RssIn List:")
		c.showRSS()
		return nil
	case "addr":
		return c.filterAddresses(args[1:])
	case "rss":
		return c.filterRSS(args[1:])
	}
	return InvalidCommand
}

func sorted[V any](m map[ieee802154.ExtAddr]V) []ieee802154.ExtAddr {
	var out []ieee802154.ExtAddr
	for e := range m {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b ieee802154.ExtAddr) int { return bytes.Compare(a[:], b[:]) })
	return out
}

func (c *CLI) filterEntry(e ieee802154.ExtAddr) {
	s := e.String()
	if v, ok := c.filter.rss[e]; ok {
		s += fmt.Sprintf(" : rss %d (lqi %d)", v, c.quality(v))
	}
	c.line("%s", s)
}

func (c *CLI) showFilter() {
	for _, e := range sorted(c.filter.listed) {
		c.filterEntry(e)
	}
}

func (c *CLI) showRSS() {
	for _, e := range sorted(c.filter.rss) {
		c.filterEntry(e)
	}
	if v := c.filter.common; v != nil {
		c.line("Default rss: %d (lqi %d)", *v, c.quality(*v))
	}
}

func (c *CLI) filterAddresses(args []string) error {
	f := &c.filter
	switch w := word(args, 0); w {
	case "":
		c.line("%s", f.mode)
		c.showFilter()
	case "add":
		e, err := parseExt(word(args, 1))
		if err != nil {
			return err
		}
		f.listed[e] = true
		if len(args) > 2 {
			v, err := parseInt(args[2], 8)
			if err != nil {
				return err
			}
			f.rss[e] = int8(v)
		}
	case "remove":
		e, err := parseExt(word(args, 1))
		if err != nil {
			return err
		}
		delete(f.listed, e)
	case "clear":
		clear(f.listed)
	case "disable", "allowlist", "denylist":
		if len(args) > 1 {
			return InvalidArgs
		}
		f.mode = filterMode(slices.Index([]string{"disable", "allowlist", "denylist"}, w))
	default:
		return InvalidCommand
	}
	return nil
}

func (c *CLI) filterRSS(args []string) error {
	f := &c.filter
	switch word(args, 0) {
	case "":
		c.showRSS()
		return nil
	case "add":
		v, err := parseInt(word(args, 2), 8)
		if err != nil {
			return err
		}
		return f.setRSS(args[1], int8(v))
	case "add-lqi":
		v, err := parseUint(word(args, 2), 8)
		if err != nil || v > 3 {
			return InvalidArgs
		}
		return f.setRSS(args[1], int8(int(c.node.MAC().Info().RxSensitivity)+qualityMargins[v]))
	case "remove":
		if word(args, 1) == "*" {
			f.common = nil
			return nil
		}
		e, err := parseExt(word(args, 1))
		if err == nil {
			delete(f.rss, e)
		}
		return err
	case "clear":
		clear(f.rss)
		f.common = nil
		return nil
	}
	return InvalidCommand
}

// setRSS sets the RSSI of one node, or with * that of all others.
func (f *macFilter) setRSS(who string, rssi int8) error {
	if who == "*" {
		f.common = &rssi
		return nil
	}
	e, err := parseExt(who)
	if err == nil {
		f.rss[e] = rssi
	}
	return err
}
