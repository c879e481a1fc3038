package otcli

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// What is shown where there is no dataset: OpenThread's values.
const (
	defaultName   = "OpenThread"
	defaultDomain = "DefaultDomain"
)

// defaultExtPANID is an Extended PAN ID that no network is meant to have.
var defaultExtPANID = meshcop.ExtPANID{0xde, 0xad, 0, 0xbe, 0xef, 0, 0xca, 0xfe}

// active is the active dataset, an empty one if there is none.
func (c *CLI) active() *meshcop.Dataset {
	if d := c.node.Datasets().Active(); d != nil {
		return d
	}
	return &meshcop.Dataset{}
}

// configure changes what the next network is to be like. What there is of a
// dataset is then ours and not some network's: it has no timestamp any more.
func (c *CLI) configure(change func(d *meshcop.Dataset)) error {
	if err := c.disabled(); err != nil {
		return err
	}
	d := c.active().Clone()
	d.Remove(meshcop.TypeActiveTimestamp)
	change(&d)
	c.node.SetActiveDataset(&d)
	c.node.Datasets().SetPending(nil)
	return nil
}

func channel(c *CLI, args []string) error {
	switch word(args, 0) {
	case "supported", "preferred":
		c.line("0x%x", c.channels())
		return nil
	}
	return number(8, func(c *CLI) uint64 {
		if ch := c.node.MAC().Channel(); ch != 0 {
			return uint64(ch)
		}
		return meshcop.FirstChannel
	}, func(c *CLI, v uint64) error {
		ch := meshcop.Channel{Number: uint16(v)}
		if !ch.Valid() {
			return InvalidArgs
		}
		return c.configure(func(d *meshcop.Dataset) { d.Channel = &ch })
	})(c, args)
}

// channels are those that the radio supports, bit n for channel n.
func (c *CLI) channels() uint32 {
	if m := c.node.MAC().Info().Channels; m != 0 {
		return m
	}
	return meshcop.AllChannels().Bits()
}

func panID(c *CLI) string { return fmt.Sprintf("0x%04x", c.node.MAC().PANID()) }

func setPANID(c *CLI, value string) error {
	v, err := parseUint(value, 16)
	if err != nil {
		return err
	}
	return c.configure(func(d *meshcop.Dataset) { d.PANID = new(uint16(v)) })
}

func extPANID(c *CLI) string {
	if x := c.active().ExtPANID; x != nil {
		return x.String()
	}
	return defaultExtPANID.String()
}

func setExtPANID(c *CLI, value string) error {
	var x meshcop.ExtPANID
	if err := parseExactHex(value, x[:]); err != nil {
		return err
	}
	return c.configure(func(d *meshcop.Dataset) { d.ExtPANID = &x })
}

func networkName(c *CLI) string {
	if s := c.active().NetworkName; s != "" {
		return s
	}
	return defaultName
}

func setNetworkName(c *CLI, value string) error {
	if err := c.disabled(); err != nil {
		return err
	}
	name, err := parseName(value)
	if err != nil {
		return err
	}
	return c.configure(func(d *meshcop.Dataset) { d.NetworkName = name })
}

// parseName checks a network name.
func parseName(s string) (string, error) {
	d := meshcop.Dataset{NetworkName: s}
	if s == "" || len(s) > meshcop.MaxNetworkNameLen {
		return "", InvalidArgs
	}
	if _, err := meshcop.DecodeDataset(d.Append(nil)); err != nil {
		return "", InvalidArgs
	}
	return s, nil
}

func networkKey(c *CLI) string {
	k := c.node.Keys().NetworkKey()
	return hex.EncodeToString(k[:])
}

func setNetworkKey(c *CLI, value string) error {
	var k meshcop.Key
	if err := parseExactHex(value, k[:]); err != nil {
		return err
	}
	return c.configure(func(d *meshcop.Dataset) { d.NetworkKey = &k })
}

func pskc(c *CLI, args []string) error {
	var k meshcop.Key
	switch {
	case len(args) == 0:
		if p := c.active().PSKc; p != nil {
			k = *p
		}
		secret := k.Reveal()
		c.line("%x", secret[:])
		return nil
	case len(args) == 1:
		if err := parseExactHex(args[0], k[:]); err != nil {
			return err
		}
	case len(args) == 2 && args[0] == "-p":
		var err error
		if k, err = c.derivePSKc(args[1], c.active()); err != nil {
			return err
		}
	default:
		return InvalidArgs
	}
	return c.configure(func(d *meshcop.Dataset) { d.PSKc = &k })
}

// derivePSKc makes a PSKc of a passphrase for the network of a dataset.
func (c *CLI) derivePSKc(passphrase string, d *meshcop.Dataset) (meshcop.Key, error) {
	name, x := d.NetworkName, d.ExtPANID
	if name == "" {
		name = networkName(c)
	}
	if x == nil {
		if x = c.active().ExtPANID; x == nil {
			x = &defaultExtPANID
		}
	}
	k, err := meshcop.PSKc(passphrase, name, *x)
	if err != nil {
		return meshcop.Key{}, InvalidArgs
	}
	return k, nil
}

func extAddr(c *CLI) string { return c.node.MAC().Ext().String() }

func setExtAddr(c *CLI, value string) error {
	e, err := parseExt(value)
	if err != nil {
		return err
	}
	if err := c.disabled(); err != nil {
		return err
	}
	c.node.SetExtAddress(e, true)
	return nil
}

func meshLocalPrefix(c *CLI) netip.Prefix {
	if p := c.node.MeshLocalPrefix(); p.IsValid() {
		return p
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 64)
}

func keySequence(c *CLI, args []string) error {
	k := c.node.Keys()
	switch word(args, 0) {
	case "counter":
		return number(32, func(*CLI) uint64 { return uint64(k.Sequence()) }, func(_ *CLI, v uint64) error {
			k.SetSequence(uint32(v))
			return nil
		})(c, args[1:])
	case "guardtime":
		return number(16, func(*CLI) uint64 { return uint64(k.Guard() / hour) }, func(_ *CLI, v uint64) error {
			k.SetGuard(duration(v, hour))
			return nil
		})(c, args[1:])
	}
	return InvalidArgs
}

func parentPriority(c *CLI) string { return strconv.Itoa(int(c.node.MLE().Tuning.ParentPriority)) }

func setParentPriority(c *CLI, value string) error {
	v, err := parseInt(value, 8)
	if err != nil {
		return err
	}
	p := mle.ParentPriority(v)
	if !slices.Contains([]mle.ParentPriority{mle.PriorityAuto, mle.PriorityLow, mle.PriorityMedium, mle.PriorityHigh}, p) {
		return InvalidArgs
	}
	c.node.MLE().Tuning.ParentPriority = p
	return nil
}
