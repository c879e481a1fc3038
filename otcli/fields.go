package otcli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// wordList are words that are taken one after the other.
type wordList struct{ left []string }

func (w *wordList) empty() bool { return len(w.left) == 0 }

// next is the next word, "" if there is none.
func (w *wordList) next() string {
	if len(w.left) == 0 {
		return ""
	}
	s := w.left[0]
	w.left = w.left[1:]
	return s
}

// peek is the next word, which is not taken.
func (w *wordList) peek() string { return word(w.left, 0) }

// field is an element of a dataset: how it is called, shown and set.
type field struct {
	title string // "" for a further name
	name  string
	kind  meshcop.Type
	show  func(d *meshcop.Dataset) string
	set   func(c *CLI, d *meshcop.Dataset, w *wordList) error
}

func findField(name string) *field {
	all := fields()
	i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// fields are the elements in the order in which they are shown.
func fields() []field {
	delay := field{"Delay", "delay", meshcop.TypeDelayTimer,
		func(d *meshcop.Dataset) string { return fmt.Sprint(*d.Delay) },
		unsigned(32, func(d *meshcop.Dataset, v uint64) { d.Delay = new(uint32(v)) })}
	meshLocal := field{"Mesh Local Prefix", "meshlocalprefix", meshcop.TypeMeshLocalPrefix,
		func(d *meshcop.Dataset) string { return prefix(d.MeshLocalPrefix) }, setMeshLocal}
	delay2, meshLocal2 := delay, meshLocal
	delay2.title, delay2.name = "", "delaytimer"
	meshLocal2.title, meshLocal2.name = "", "localprefix"
	return []field{
		{"Pending Timestamp", "pendingtimestamp", meshcop.TypePendingTimestamp,
			func(d *meshcop.Dataset) string { return fmt.Sprint(d.PendingTimestamp.Seconds) },
			unsigned(48, func(d *meshcop.Dataset, v uint64) { d.PendingTimestamp = &meshcop.Timestamp{Seconds: v} })},
		{"Active Timestamp", "activetimestamp", meshcop.TypeActiveTimestamp,
			func(d *meshcop.Dataset) string { return fmt.Sprint(d.ActiveTimestamp.Seconds) },
			unsigned(48, func(d *meshcop.Dataset, v uint64) { d.ActiveTimestamp = &meshcop.Timestamp{Seconds: v} })},
		{"Channel", "channel", meshcop.TypeChannel,
			func(d *meshcop.Dataset) string { return fmt.Sprint(d.Channel.Number) },
			unsigned(16, func(d *meshcop.Dataset, v uint64) { d.Channel = &meshcop.Channel{Number: uint16(v)} })},
		{"Wake-up Channel", "wakeupchannel", meshcop.TypeWakeupChannel,
			func(d *meshcop.Dataset) string { return fmt.Sprint(d.WakeupChannel.Number) },
			unsigned(16, func(d *meshcop.Dataset, v uint64) { d.WakeupChannel = &meshcop.Channel{Number: uint16(v)} })},
		{"Channel Mask", "channelmask", meshcop.TypeChannelMask,
			func(d *meshcop.Dataset) string { return fmt.Sprintf("0x%08x", d.ChannelMask.Bits()) },
			unsigned(32, func(d *meshcop.Dataset, v uint64) { d.ChannelMask = meshcop.MaskOf(uint32(v)) })},
		delay, delay2,
		{"Ext PAN ID", "extpanid", meshcop.TypeExtPANID,
			func(d *meshcop.Dataset) string { return d.ExtPANID.String() },
			func(_ *CLI, d *meshcop.Dataset, w *wordList) error {
				var x meshcop.ExtPANID
				if err := parseExactHex(w.next(), x[:]); err != nil {
					return err
				}
				d.ExtPANID = &x
				return nil
			}},
		meshLocal, meshLocal2,
		{"Network Key", "networkkey", meshcop.TypeNetworkKey,
			func(d *meshcop.Dataset) string { return reveal(d.NetworkKey) },
			func(_ *CLI, d *meshcop.Dataset, w *wordList) (err error) {
				d.NetworkKey, err = parseKey(w.next(), d.NetworkKey)
				return err
			}},
		{"Network Name", "networkname", meshcop.TypeNetworkName,
			func(d *meshcop.Dataset) string { return d.NetworkName },
			func(_ *CLI, d *meshcop.Dataset, w *wordList) error {
				name, err := parseName(w.next())
				if err == nil {
					d.NetworkName = name
				}
				return err
			}},
		{"PAN ID", "panid", meshcop.TypePANID,
			func(d *meshcop.Dataset) string { return fmt.Sprintf("0x%04x", *d.PANID) },
			unsigned(16, func(d *meshcop.Dataset, v uint64) { d.PANID = new(uint16(v)) })},
		{"PSKc", "pskc", meshcop.TypePSKc, func(d *meshcop.Dataset) string { return reveal(d.PSKc) }, setFieldPSKc},
		{"Security Policy", "securitypolicy", meshcop.TypeSecurityPolicy,
			func(d *meshcop.Dataset) string { return policy(d.SecurityPolicy) }, setPolicy},
	}
}

// unsigned sets an element that is a number.
func unsigned(bits int, set func(d *meshcop.Dataset, v uint64)) func(*CLI, *meshcop.Dataset, *wordList) error {
	return func(_ *CLI, d *meshcop.Dataset, w *wordList) error {
		v, err := parseUint(w.next(), bits)
		if err == nil {
			set(d, v)
		}
		return err
	}
}

func reveal(k *meshcop.Key) string {
	b := k.Reveal()
	return fmt.Sprintf("%x", b[:])
}

// parseKey reads a key; the old one stays if it is none.
func parseKey(s string, old *meshcop.Key) (*meshcop.Key, error) {
	var k meshcop.Key
	if err := parseExactHex(s, k[:]); err != nil {
		return old, err
	}
	return &k, nil
}

func setMeshLocal(_ *CLI, d *meshcop.Dataset, w *wordList) error {
	a, err := parseAddr(w.next())
	if err != nil {
		return err
	}
	d.MeshLocalPrefix = netip.PrefixFrom(a, 64).Masked()
	return nil
}

// setFieldPSKc takes a key, or -p and the passphrase it is derived from.
func setFieldPSKc(c *CLI, d *meshcop.Dataset, w *wordList) (err error) {
	if w.peek() != "-p" {
		d.PSKc, err = parseKey(w.next(), d.PSKc)
		return err
	}
	w.next()
	if w.empty() {
		return InvalidArgs
	}
	k, err := c.derivePSKc(w.next(), d)
	if err != nil {
		return err
	}
	d.PSKc = &k
	return nil
}

// policyFlags are the letters of a security policy.
func policyFlags(p *meshcop.SecurityPolicy) []struct {
	letter byte
	on     *bool
} {
	return []struct {
		letter byte
		on     *bool
	}{
		{'o', &p.ObtainNetworkKey}, {'n', &p.NativeCommissioning}, {'r', &p.Routers}, {'c', &p.ExternalCommissioning},
		{'C', &p.CommercialCommission}, {'e', &p.AutonomousEnrollment}, {'p', &p.NetworkKeyProvisioning},
		{'R', &p.NonCCMRouters},
	}
}

func policy(p *meshcop.SecurityPolicy) string {
	var s strings.Builder
	for _, f := range policyFlags(p) {
		if *f.on {
			s.WriteByte(f.letter)
		}
	}
	return fmt.Sprintf("%d %s %d", p.RotationHours, s.String(), p.VersionThreshold)
}

// setPolicy takes rotation time, letters and version threshold, of which the
// latter two may be missing.
func setPolicy(_ *CLI, d *meshcop.Dataset, w *wordList) error {
	hours, err := parseUint(w.next(), 16)
	if err != nil {
		return err
	}
	p := meshcop.SecurityPolicy{RotationHours: uint16(hours)}
	flags := policyFlags(&p)
	for _, r := range []byte(w.next()) {
		i := slices.IndexFunc(flags, func(f struct {
			letter byte
			on     *bool
		}) bool {
			return f.letter == r
		})
		if i < 0 {
			return InvalidArgs
		}
		*flags[i].on = true
	}
	if !w.empty() {
		v, err := parseUint(w.next(), 8)
		if err != nil || v > 7 {
			return InvalidArgs
		}
		p.VersionThreshold = uint8(v)
	}
	d.SecurityPolicy = &p
	return nil
}

// leader is the leader's address: its anycast locator.
func (c *CLI) leader() netip.Addr { return c.node.MLE().Locator(leaderALOC16) }

const leaderALOC16 = 0xfc00

// manage sends a management request whose answer nobody waits for.
func (c *CLI) manage(uri string, to netip.Addr, payload []byte) error {
	if !c.node.MLE().Attached() {
		return InvalidState
	}
	c.node.TMF().Send(uri, to, payload, tmf.Options{NonConfirmable: to.IsMulticast(), Source: c.node.RLOC()}, nil)
	return nil
}
