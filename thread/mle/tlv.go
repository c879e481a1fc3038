package mle

import (
	"encoding/binary"
	"fmt"
	"iter"

	"gatewayd/thread/meshcop"
)

// extendedLength in the length byte announces a 16-bit length.
const extendedLength = 0xff

// TLVs is an encoded sequence of TLVs. Of several TLVs of one type the first
// counts; what follows one that is cut short is not looked at; unknown types
// are passed over.
type TLVs []byte

// TLV is one of them.
type TLV struct {
	Type  Type
	Value []byte
}

// Append appends a TLV.
func (t TLVs) Append(typ Type, value ...byte) TLVs {
	if len(value) < extendedLength {
		return append(append(t, byte(typ), byte(len(value))), value...)
	}
	t = binary.BigEndian.AppendUint16(append(t, byte(typ), extendedLength), uint16(len(value)))
	return append(t, value...)
}

// AppendUint16 appends a TLV with a 16-bit value.
func (t TLVs) AppendUint16(typ Type, v uint16) TLVs {
	return binary.BigEndian.AppendUint16(append(t, byte(typ), 2), v)
}

// AppendUint32 appends a TLV with a 32-bit value.
func (t TLVs) AppendUint32(typ Type, v uint32) TLVs {
	return binary.BigEndian.AppendUint32(append(t, byte(typ), 4), v)
}

// AppendTimestamp appends an Active or Pending Timestamp TLV.
func (t TLVs) AppendTimestamp(typ Type, ts meshcop.Timestamp) TLVs {
	b := ts.Bytes()
	return t.Append(typ, b[:]...)
}

// AppendRequest appends a TLV Request TLV.
func (t TLVs) AppendRequest(types ...Type) TLVs {
	t = append(t, byte(TypeRequest), byte(len(types)))
	for _, x := range types {
		t = append(t, byte(x))
	}
	return t
}

// All iterates over the TLVs and stops at one that is cut short.
func (t TLVs) All() iter.Seq[TLV] {
	return func(yield func(TLV) bool) {
		for b := []byte(t); len(b) >= 2; {
			head, n := 2, int(b[1])
			if n == extendedLength {
				if len(b) < 4 {
					return
				}
				head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
			}
			if len(b) < head+n || !yield(TLV{Type(b[0]), b[head : head+n : head+n]}) {
				return
			}
			b = b[head+n:]
		}
	}
}

// Find returns the value of the first TLV of a type.
func (t TLVs) Find(typ Type) (value []byte, ok bool) {
	for x := range t.All() {
		if x.Type == typ {
			return x.Value, true
		}
	}
	return nil, false
}

// Has reports whether there is a TLV of a type.
func (t TLVs) Has(typ Type) bool {
	_, ok := t.Find(typ)
	return ok
}

// typeNames are for errors.
var typeNames = map[Type]string{
	TypeSource: "source address", TypeMode: "mode", TypeTimeout: "timeout", TypeChallenge: "challenge",
	TypeResponse: "response", TypeLinkCounter: "link frame counter", TypeLinkQuality: "link quality",
	TypeNetworkParam: "network parameter", TypeMLECounter: "mle frame counter", TypeRoute: "route",
	TypeAddress16: "address16", TypeLeaderData: "leader data", TypeNetworkData: "network data",
	TypeRequest: "tlv request", TypeScanMask: "scan mask", TypeConnectivity: "connectivity",
	TypeLinkMargin: "link margin", TypeStatus: "status", TypeVersion: "version", TypeAddresses: "address registration",
	TypeChannel: "channel", TypePANID: "pan id", TypeActiveTimestamp: "active timestamp",
	TypePendingTimestamp: "pending timestamp", TypeActiveDataset: "active dataset", TypePendingDataset: "pending dataset",
	TypeDiscovery: "discovery", TypeSupervision: "supervision interval", TypeCSLChannel: "csl channel",
	TypeCSLTimeout: "csl timeout", TypeCSLAccuracy: "csl clock accuracy", TypeMetricsQuery: "link metrics query",
	TypeMetricsManage: "link metrics management", TypeMetricsReport: "link metrics report",
	TypeMetricsProbe: "link probe",
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("tlv %d", uint8(t))
}
