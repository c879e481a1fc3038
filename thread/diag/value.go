package diag

import (
	"encoding/binary"
	"net/netip"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// Value is the value of one TLV.
type Value interface {
	Type() Type
	append(b []byte) []byte
}

// The values that are one thing.
type (
	ExtAddress      ieee802154.ExtAddr
	Address16       uint16
	Mode            neighbor.Mode
	PollTimeout     time.Duration // full seconds
	Connectivity    struct{ mle.Connectivity }
	Route           struct{ mle.Route }
	LeaderData      struct{ mle.LeaderData }
	NetworkData     []byte // as package netdata decodes it
	Addresses       []netip.Addr
	BatteryLevel    uint8  // percent
	SupplyVoltage   uint16 // mV
	ChannelPages    []byte
	Types           []Type
	MaxChildTimeout time.Duration // full seconds
	EUI64           ieee802154.ExtAddr
	Version         uint16 // as in MLE's Version TLV
	QueryID         uint16
)

// Text is a vendor's name, model, software version or URL, or the version of
// the stack. It is UTF-8 if its sender is right.
type Text struct {
	Kind Type
	Text string
}

// Answer numbers the messages that answer a query.
type Answer struct {
	Last  bool
	Index uint8 // 7 bits
}

// End ends a list of TLVs of a type.
type End struct{ Of Type }

// Raw is a TLV of a type that is not known here.
type Raw struct {
	Kind  Type
	Value []byte
}

func (ExtAddress) Type() Type      { return TypeExtAddress }
func (Address16) Type() Type       { return TypeAddress16 }
func (Mode) Type() Type            { return TypeMode }
func (PollTimeout) Type() Type     { return TypePollTimeout }
func (Connectivity) Type() Type    { return TypeConnectivity }
func (Route) Type() Type           { return TypeRoute }
func (LeaderData) Type() Type      { return TypeLeaderData }
func (NetworkData) Type() Type     { return TypeNetworkData }
func (Addresses) Type() Type       { return TypeAddresses }
func (BatteryLevel) Type() Type    { return TypeBatteryLevel }
func (SupplyVoltage) Type() Type   { return TypeSupplyVoltage }
func (ChannelPages) Type() Type    { return TypeChannelPages }
func (Types) Type() Type           { return TypeTypes }
func (MaxChildTimeout) Type() Type { return TypeMaxChildTimeout }
func (EUI64) Type() Type           { return TypeEUI64 }
func (Version) Type() Type         { return TypeVersion }
func (QueryID) Type() Type         { return TypeQueryID }
func (t Text) Type() Type          { return t.Kind }
func (Answer) Type() Type          { return TypeAnswer }
func (e End) Type() Type           { return e.Of }
func (r Raw) Type() Type           { return r.Kind }

func (v ExtAddress) append(b []byte) []byte      { return append(b, v[:]...) }
func (v Address16) append(b []byte) []byte       { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func (v Mode) append(b []byte) []byte            { return append(b, byte(v)) }
func (v PollTimeout) append(b []byte) []byte     { return appendSeconds(b, time.Duration(v)) }
func (v Connectivity) append(b []byte) []byte    { return v.Connectivity.Append(b) }
func (v Route) append(b []byte) []byte           { return v.Route.Append(b) }
func (v LeaderData) append(b []byte) []byte      { return v.LeaderData.Append(b) }
func (v NetworkData) append(b []byte) []byte     { return append(b, v...) }
func (v Addresses) append(b []byte) []byte       { return appendAddrs(b, v) }
func (v BatteryLevel) append(b []byte) []byte    { return append(b, byte(v)) }
func (v SupplyVoltage) append(b []byte) []byte   { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func (v ChannelPages) append(b []byte) []byte    { return append(b, v...) }
func (v MaxChildTimeout) append(b []byte) []byte { return appendSeconds(b, time.Duration(v)) }
func (v EUI64) append(b []byte) []byte           { return append(b, v[:]...) }
func (v Version) append(b []byte) []byte         { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func (v QueryID) append(b []byte) []byte         { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func (v Text) append(b []byte) []byte            { return append(b, v.Text...) }
func (End) append(b []byte) []byte               { return b }
func (v Raw) append(b []byte) []byte             { return append(b, v.Value...) }

func (v Types) append(b []byte) []byte {
	for _, t := range v {
		b = append(b, byte(t))
	}
	return b
}

const answerLast = 0x8000

func (v Answer) append(b []byte) []byte {
	n := uint16(v.Index & 0x7f)
	if v.Last {
		n |= answerLast
	}
	return binary.BigEndian.AppendUint16(b, n)
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(min(max(d/time.Second, 0), 1<<32-1)))
}

func appendAddrs(b []byte, all []netip.Addr) []byte {
	for _, a := range all {
		x := a.As16()
		b = append(b, x[:]...)
	}
	return b
}

// sizes are the lengths that values have at least.
var sizes = map[Type]int{
	TypeExtAddress: 8, TypeAddress16: 2, TypeMode: 1, TypePollTimeout: 4, TypeMACCounters: macCountersLen,
	TypeBatteryLevel: 1, TypeSupplyVoltage: 2, TypeMaxChildTimeout: 4, TypeEUI64: 8, TypeVersion: 2,
	TypeChild: childLen, TypeChildAddresses: 2, TypeRouterNeighbor: routerNeighborLen,
	TypeAnswer: 2, TypeQueryID: 2, TypeMLECounters: mleCountersLen,
}

func decodeValue(t Type, b []byte) (Value, error) {
	if t.List() && len(b) == 0 {
		return End{t}, nil
	}
	if len(b) < sizes[t] {
		return nil, ErrShort
	}
	switch t {
	case TypeExtAddress:
		return ExtAddress(b[:8]), nil
	case TypeAddress16:
		return Address16(binary.BigEndian.Uint16(b)), nil
	case TypeMode:
		return Mode(b[0]), nil
	case TypePollTimeout:
		return PollTimeout(seconds(b)), nil
	case TypeConnectivity:
		c, err := mle.DecodeConnectivity(b)
		return Connectivity{c}, err
	case TypeRoute:
		r, err := mle.DecodeRoute(b)
		return Route{r}, err
	case TypeLeaderData:
		d, err := mle.DecodeLeaderData(b)
		return LeaderData{d}, err
	case TypeNetworkData:
		return NetworkData(b), nil
	case TypeAddresses:
		a, err := addrs(b)
		return Addresses(a), err
	case TypeMACCounters:
		return decodeMACCounters(b), nil
	case TypeBatteryLevel:
		return BatteryLevel(b[0]), nil
	case TypeSupplyVoltage:
		return SupplyVoltage(binary.BigEndian.Uint16(b)), nil
	case TypeChildTable:
		return decodeChildTable(b)
	case TypeChannelPages:
		return ChannelPages(b), nil
	case TypeTypes:
		l := make(Types, len(b))
		for i, x := range b {
			l[i] = Type(x)
		}
		return l, nil
	case TypeMaxChildTimeout:
		return MaxChildTimeout(seconds(b)), nil
	case TypeEUI64:
		return EUI64(b[:8]), nil
	case TypeVersion:
		return Version(binary.BigEndian.Uint16(b)), nil
	case TypeVendorName, TypeVendorModel, TypeVendorVersion, TypeStackVersion, TypeVendorAppURL:
		return Text{t, string(b)}, nil
	case TypeChild:
		return decodeChild(b), nil
	case TypeChildAddresses:
		a, err := addrs(b[2:])
		return ChildAddresses{binary.BigEndian.Uint16(b), a}, err
	case TypeRouterNeighbor:
		return decodeRouterNeighbor(b), nil
	case TypeAnswer:
		n := binary.BigEndian.Uint16(b)
		return Answer{Last: n&answerLast != 0, Index: uint8(n & 0x7f)}, nil
	case TypeQueryID:
		return QueryID(binary.BigEndian.Uint16(b)), nil
	case TypeMLECounters:
		return decodeMLECounters(b), nil
	}
	return Raw{t, b}, nil
}

func seconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

func addrs(b []byte) ([]netip.Addr, error) {
	if len(b)%16 != 0 {
		return nil, ErrShort
	}
	out := make([]netip.Addr, 0, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		out = append(out, netip.AddrFrom16([16]byte(b)))
	}
	return out, nil
}
