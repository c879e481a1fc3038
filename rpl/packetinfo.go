package rpl

import (
	"encoding/binary"

	"gatewayd/ipv6"
)

// Types of the RPL option of a hop-by-hop options header. The first makes a
// host that does not know it drop the packet (RFC 6553 Section 6), the second
// makes it skip the option (RFC 9008 Section 4.2).
const (
	HopOption   uint8 = 0x63
	HopOption23 uint8 = 0x23
)

// PacketInfo is the RPL packet information in a datagram (RFC 6550 Section
// 11.2), carried by the RPL option (RFC 6553 Section 3).
//
//	+-+-+-+---------+---------------+-------------------------------+
//	|O|R|F|0|0|0|0|0| RPLInstanceID |          SenderRank           |
//	+-+-+-+---------+---------------+-------------------------------+
type PacketInfo struct {
	Down            bool // O
	RankError       bool // R
	ForwardingError bool // F
	Instance        uint8
	SenderRank      uint16 // DAGRank of who forwarded it last, zero from its source
	SubTLVs         []byte
}

// DecodePacketInfo reads the data of an RPL option.
func DecodePacketInfo(d []byte) (PacketInfo, error) {
	if len(d) < 4 {
		return PacketInfo{}, decodeError("RPL option", len(d), ErrShort)
	}
	p := PacketInfo{
		Down:            d[0]&0x80 != 0,
		RankError:       d[0]&0x40 != 0,
		ForwardingError: d[0]&0x20 != 0,
		Instance:        d[1],
		SenderRank:      binary.BigEndian.Uint16(d[2:]),
	}
	if len(d) > 4 {
		p.SubTLVs = d[4:]
	}
	return p, nil
}

// Append appends the data of the option.
func (p PacketInfo) Append(b []byte) []byte {
	b = append(b, p.flags(), p.Instance)
	b = binary.BigEndian.AppendUint16(b, p.SenderRank)
	return append(b, p.SubTLVs...)
}

func (p PacketInfo) flags() uint8 {
	return flag(p.Down, 0x80) | flag(p.RankError, 0x40) | flag(p.ForwardingError, 0x20)
}

// Option returns the option under one of its two types.
func (p PacketInfo) Option(typ uint8) ipv6.Option {
	return ipv6.Option{Type: typ, Data: p.Append(nil)}
}

// FindPacketInfo looks for an RPL option of either type in the hop-by-hop
// header of a packet and returns where its data start. No such option is not
// an error.
func FindPacketInfo(packet []byte) (p PacketInfo, at int, found bool, err error) {
	if len(packet) < ipv6.HeaderLen {
		return PacketInfo{}, 0, false, decodeError("IPv6 header", len(packet), ErrShort)
	}
	if packet[6] != ipv6.ProtoHopByHop {
		return PacketInfo{}, 0, false, nil
	}
	e, _, err := ipv6.DecodeExt(ipv6.ProtoHopByHop, packet[ipv6.HeaderLen:])
	if err != nil {
		return PacketInfo{}, 0, false, decodeError("hop-by-hop header", len(packet), ErrShort)
	}
	for data := e.Data; len(data) > 0; {
		at = ipv6.HeaderLen + 2 + len(e.Data) - len(data)
		var o ipv6.Option
		if o, data, err = ipv6.NextOption(data); err != nil {
			return PacketInfo{}, 0, false, decodeError("hop-by-hop option", at, ErrShort)
		}
		if o.Type == HopOption || o.Type == HopOption23 {
			if p, err = DecodePacketInfo(o.Data); err != nil {
				return PacketInfo{}, 0, false, decodeError("RPL option", at, ErrShort)
			}
			return p, at + 2, true, nil
		}
	}
	return PacketInfo{}, 0, false, nil
}

// put overwrites the first four bytes of the option's data at a place that
// FindPacketInfo returned.
func (p PacketInfo) put(packet []byte, at int) {
	packet[at], packet[at+1] = p.flags(), p.Instance
	binary.BigEndian.PutUint16(packet[at+2:], p.SenderRank)
}
