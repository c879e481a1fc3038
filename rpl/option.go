package rpl

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Types of control message options (RFC 6550 Section 6.7, Section 20.4).
const (
	OptPad1             uint8 = 0x00
	OptPadN             uint8 = 0x01
	OptMetricContainer  uint8 = 0x02
	OptRouteInformation uint8 = 0x03
	OptDODAGConfig      uint8 = 0x04
	OptTarget           uint8 = 0x05
	OptTransit          uint8 = 0x06
	OptSolicited        uint8 = 0x07
	OptPrefix           uint8 = 0x08
	OptTargetDescriptor uint8 = 0x09
)

// An Option is an option of an RPL message: MetricContainer, RouteInformation,
// DODAGConfig, Target, Transit, Solicited, PrefixInformation, TargetDescriptor
// or RawOption. Padding is dropped when decoding.
type Option interface {
	// Append appends the option with its type and length.
	Append(b []byte) []byte
}

var (
	_ Option = MetricContainer{}
	_ Option = RouteInformation{}
	_ Option = DODAGConfig{}
	_ Option = Target{}
	_ Option = Transit{}
	_ Option = Solicited{}
	_ Option = PrefixInformation{}
	_ Option = TargetDescriptor(0)
	_ Option = RawOption{}
)

// RawOption is an option of a type that is not known here.
type RawOption struct {
	Type uint8
	Data []byte // at most 255 bytes
}

func (o RawOption) Append(b []byte) []byte {
	return append(append(b, o.Type, uint8(len(o.Data))), o.Data...)
}

// RouteInformation is a prefix that the root can reach (RFC 6550 Section
// 6.7.5).
type RouteInformation struct {
	Prefix     netip.Prefix
	Preference int8          // -1 low, 0, 1 high (RFC 4191 Section 2.1)
	Lifetime   time.Duration // whole seconds; Infinite
}

// Infinite is a lifetime without end.
const Infinite time.Duration = 1<<63 - 1

func (o RouteInformation) Append(b []byte) []byte {
	n := (o.Prefix.Bits() + 63) / 64 * 8 // whole 8-byte words, as in RFC 4191
	b = append(b, OptRouteInformation, uint8(6+n), uint8(o.Prefix.Bits()), uint8(o.Preference&3)<<3)
	b = appendSeconds(b, o.Lifetime)
	return appendPrefix(b, o.Prefix, n)
}

// DODAGConfig is the configuration that the root gives to all nodes (RFC 6550
// Section 6.7.6).
//
//	+-------+-+-----+---------------+---------------+---------------+
//	| Flags |A| PCS | DIOIntDoubl.  |  DIOIntMin.   |   DIORedun.   |
//	+-------+-+-----+---------------+---------------+---------------+
//	|        MaxRankIncrease        |      MinHopRankIncrease       |
//	+-------------------------------+---------------+---------------+
//	|              OCP              |   Reserved    | Def. Lifetime |
//	+-------------------------------+---------------+---------------+
//	|         Lifetime Unit         |
type DODAGConfig struct {
	RPI23              bool  // routers send the RPL option with type 0x23 (RFC 9008 Section 4.1.3)
	Authenticated      bool  // A
	PathControlSize    uint8 // PCS, 0 to 7
	IntervalDoublings  uint8
	IntervalMin        uint8 // the smallest interval is 2^IntervalMin ms
	Redundancy         uint8 // k; zero means no suppression
	MaxRankIncrease    uint16
	MinHopRankIncrease uint16
	OCP                uint16 // the objective function, OCPOF0 or OCPMRHOF
	DefaultLifetime    uint8  // of routes, in LifetimeUnit; 0xff infinite
	LifetimeUnit       uint16 // seconds
}

const configLen = 14

func (o DODAGConfig) Append(b []byte) []byte {
	b = append(b, OptDODAGConfig, configLen,
		flag(o.RPI23, 0x10)|flag(o.Authenticated, 0x08)|o.PathControlSize&7,
		o.IntervalDoublings, o.IntervalMin, o.Redundancy)
	b = binary.BigEndian.AppendUint16(b, o.MaxRankIncrease)
	b = binary.BigEndian.AppendUint16(b, o.MinHopRankIncrease)
	b = binary.BigEndian.AppendUint16(b, o.OCP)
	b = append(b, 0, o.DefaultLifetime)
	return binary.BigEndian.AppendUint16(b, o.LifetimeUnit)
}

// Target is an address or prefix that can be reached (RFC 6550 Section 6.7.7).
type Target struct {
	Prefix netip.Prefix
}

func (o Target) Append(b []byte) []byte {
	n := (o.Prefix.Bits() + 7) / 8
	b = append(b, OptTarget, uint8(2+n), 0, uint8(o.Prefix.Bits()))
	return appendPrefix(b, o.Prefix, n)
}

// TargetDescriptor is a tag of the Target before it (RFC 6550 Section
// 6.7.11).
type TargetDescriptor uint32

func (o TargetDescriptor) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, OptTargetDescriptor, 4), uint32(o))
}

// Transit says by which way the Targets before it are reached (RFC 6550
// Section 6.7.8).
type Transit struct {
	External     bool       // E: the target was learned from another protocol
	PathControl  uint8      // preference among parents, highest bits first
	PathSequence uint8      // lollipop counter of the target's owner
	PathLifetime uint8      // in lifetime units; 0 withdraws, 0xff is infinite
	Parent       netip.Addr // of the target, in non-storing mode; else invalid
}

func (o Transit) Append(b []byte) []byte {
	n := uint8(4)
	if o.Parent.IsValid() {
		n = 20
	}
	b = append(b, OptTransit, n, flag(o.External, 0x80), o.PathControl, o.PathSequence, o.PathLifetime)
	if o.Parent.IsValid() {
		b = appendAddr(b, o.Parent)
	}
	return b
}

// Solicited restricts who answers a DIS (RFC 6550 Section 6.7.9).
type Solicited struct {
	MatchVersion, MatchInstance, MatchDODAG bool // V, I, D: which fields count
	Instance                                uint8
	DODAGID                                 netip.Addr
	Version                                 uint8
}

const solicitedLen = 19

func (o Solicited) Append(b []byte) []byte {
	b = append(b, OptSolicited, solicitedLen, o.Instance,
		flag(o.MatchVersion, 0x80)|flag(o.MatchInstance, 0x40)|flag(o.MatchDODAG, 0x20))
	return append(appendAddr(b, o.DODAGID), o.Version)
}

// matches reports whether a member of the DODAG is meant.
func (o Solicited) matches(instance, version uint8, dodag netip.Addr) bool {
	return (!o.MatchInstance || o.Instance == instance) &&
		(!o.MatchVersion || o.Version == version) &&
		(!o.MatchDODAG || o.DODAGID == dodag)
}

// PrefixInformation is a prefix for addresses in the DODAG (RFC 6550 Section
// 6.7.10).
type PrefixInformation struct {
	Bits       uint8 // of Prefix that are the prefix, at most 128
	OnLink     bool  // L
	Autonomous bool  // A
	Router     bool  // R: Prefix is the sender's whole address
	Valid      time.Duration
	Preferred  time.Duration
	Prefix     netip.Addr
}

const prefixLen = 30

func (o PrefixInformation) Append(b []byte) []byte {
	b = append(b, OptPrefix, prefixLen, o.Bits,
		flag(o.OnLink, 0x80)|flag(o.Autonomous, 0x40)|flag(o.Router, 0x20))
	b = appendSeconds(b, o.Valid)
	b = appendSeconds(b, o.Preferred)
	return appendAddr(append(b, 0, 0, 0, 0), o.Prefix)
}

// Net is the prefix without the sender's address.
func (o PrefixInformation) Net() netip.Prefix {
	return netip.PrefixFrom(o.Prefix, int(o.Bits)).Masked()
}

// appendOptions appends the options one after the other.
func appendOptions(b []byte, opts []Option) []byte {
	for _, o := range opts {
		b = o.Append(b)
	}
	return b
}

// decodeOptions reads the options of body from off on.
func decodeOptions(body []byte, off int) (opts []Option, err error) {
	for off < len(body) {
		if body[off] == OptPad1 {
			off++
			continue
		}
		if len(body) < off+2 {
			return nil, decodeError("option header", len(body), ErrShort)
		}
		end := off + 2 + int(body[off+1])
		if len(body) < end {
			return nil, decodeError("option", len(body), ErrShort)
		}
		if body[off] != OptPadN {
			o, err := decodeOption(body[off], body[off+2:end:end], off+2)
			if err != nil {
				return nil, err
			}
			opts = append(opts, o)
		}
		off = end
	}
	return opts, nil
}

// decodeOption reads the data of one option, which starts at byte off of the
// message.
func decodeOption(typ uint8, d []byte, off int) (Option, error) {
	need := func(n int, what string) error {
		if len(d) < n {
			return decodeError(what, off+len(d), ErrLength)
		}
		return nil
	}
	switch typ {
	case OptMetricContainer:
		return decodeMetrics(d, off)
	case OptRouteInformation:
		if err := need(6, "route information"); err != nil {
			return nil, err
		}
		p, err := prefixFrom(d[6:], int(d[0]), off+6)
		return RouteInformation{Prefix: p, Preference: routePreference(d[1]), Lifetime: seconds(d[2:])}, err
	case OptDODAGConfig:
		if err := need(configLen, "DODAG configuration"); err != nil {
			return nil, err
		}
		return DODAGConfig{
			RPI23:              d[0]&0x10 != 0,
			Authenticated:      d[0]&0x08 != 0,
			PathControlSize:    d[0] & 7,
			IntervalDoublings:  d[1],
			IntervalMin:        d[2],
			Redundancy:         d[3],
			MaxRankIncrease:    binary.BigEndian.Uint16(d[4:]),
			MinHopRankIncrease: binary.BigEndian.Uint16(d[6:]),
			OCP:                binary.BigEndian.Uint16(d[8:]),
			DefaultLifetime:    d[11],
			LifetimeUnit:       binary.BigEndian.Uint16(d[12:]),
		}, nil
	case OptTarget:
		if err := need(2, "RPL target"); err != nil {
			return nil, err
		}
		p, err := prefixFrom(d[2:], int(d[1]), off+2)
		return Target{p}, err
	case OptTransit:
		if err := need(4, "transit information"); err != nil {
			return nil, err
		}
		o := Transit{External: d[0]&0x80 != 0, PathControl: d[1], PathSequence: d[2], PathLifetime: d[3]}
		if len(d) == 4 {
			return o, nil
		}
		if err := need(20, "transit parent"); err != nil {
			return nil, err
		}
		o.Parent = netip.AddrFrom16([16]byte(d[4:20]))
		return o, nil
	case OptSolicited:
		if err := need(solicitedLen, "solicited information"); err != nil {
			return nil, err
		}
		return Solicited{
			Instance:      d[0],
			MatchVersion:  d[1]&0x80 != 0,
			MatchInstance: d[1]&0x40 != 0,
			MatchDODAG:    d[1]&0x20 != 0,
			DODAGID:       netip.AddrFrom16([16]byte(d[2:18])),
			Version:       d[18],
		}, nil
	case OptPrefix:
		if err := need(prefixLen, "prefix information"); err != nil {
			return nil, err
		}
		if d[0] > 128 {
			return nil, decodeError("prefix length", off, ErrLength)
		}
		return PrefixInformation{
			Bits:       d[0],
			OnLink:     d[1]&0x80 != 0,
			Autonomous: d[1]&0x40 != 0,
			Router:     d[1]&0x20 != 0,
			Valid:      seconds(d[2:]),
			Preferred:  seconds(d[6:]),
			Prefix:     netip.AddrFrom16([16]byte(d[14:30])),
		}, nil
	case OptTargetDescriptor:
		if err := need(4, "target descriptor"); err != nil {
			return nil, err
		}
		return TargetDescriptor(binary.BigEndian.Uint32(d)), nil
	}
	return RawOption{Type: typ, Data: d}, nil
}

// routePreference reads the two-bit signed preference; the reserved value 10
// counts as medium (RFC 4191 Section 2.1 would ignore the option).
func routePreference(b uint8) int8 {
	switch b >> 3 & 3 {
	case 1:
		return 1
	case 3:
		return -1
	}
	return 0
}

// prefixFrom reads a prefix of the given length from as many bytes as were
// sent; bits beyond the length are dropped (RFC 6550 Section 6.7.7: ignored).
func prefixFrom(d []byte, bits, off int) (netip.Prefix, error) {
	if bits > 128 {
		return netip.Prefix{}, decodeError("prefix length", off-1, ErrLength)
	}
	if len(d) < (bits+7)/8 {
		return netip.Prefix{}, decodeError("prefix", off+len(d), ErrLength)
	}
	var a [16]byte
	copy(a[:], d)
	return netip.PrefixFrom(netip.AddrFrom16(a), bits).Masked(), nil
}

func appendPrefix(b []byte, p netip.Prefix, n int) []byte {
	a := p.Masked().Addr().As16()
	return append(b, a[:n]...)
}

// appendSeconds appends a lifetime of four bytes, all ones for Infinite.
func appendSeconds(b []byte, d time.Duration) []byte {
	s := d / time.Second
	if d == Infinite || s > 0xffffffff {
		s = 0xffffffff
	}
	return binary.BigEndian.AppendUint32(b, uint32(s))
}

func seconds(b []byte) time.Duration {
	s := binary.BigEndian.Uint32(b)
	if s == 0xffffffff {
		return Infinite
	}
	return time.Duration(s) * time.Second
}
