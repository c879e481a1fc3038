package meshcop

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
)

// NewNetworkNamePrefix starts the name of a network made by NewRandom.
const NewNetworkNamePrefix = "OpenThread"

// NewRandom returns the complete active dataset of a new network, with
// timestamp 1, the default policy, every supported channel in the mask and all
// else random, read from rand (use crypto/rand.Reader). The channel is one of
// preferred, or of supported if preferred names none of them; both must not be
// empty of Thread's channels.
func NewRandom(rand io.Reader, supported, preferred ChannelMask) (Dataset, error) {
	r := random{r: rand}
	all := supported.Channels()
	if len(all) == 0 {
		return Dataset{}, fmt.Errorf("meshcop: new dataset: no supported channel")
	}
	best := MaskOf(supported.Bits() & preferred.Bits()).Channels()
	if len(best) == 0 {
		best = all
	}

	d := Dataset{
		ActiveTimestamp: &Timestamp{Seconds: 1},
		Channel:         &Channel{Number: uint16(best[r.below(len(best))])},
		WakeupChannel:   &Channel{Number: uint16(all[r.below(len(all))])},
		ChannelMask:     MaskOf(supported.Bits()),
		ExtPANID:        new(ExtPANID(r.bytes(8))),
		NetworkKey:      new(Key(r.bytes(16))),
		PANID:           new(r.panID()),
		PSKc:            new(Key(r.bytes(16))),
		SecurityPolicy:  new(DefaultSecurityPolicy()),
	}
	// RFC 4193 Section 3.2: fd and a random 40-bit global ID. The subnet is 0.
	ula := append([]byte{0xfd}, r.bytes(5)...)
	d.MeshLocalPrefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(append(ula, make([]byte, 10)...))), 64)
	d.NetworkName = fmt.Sprintf("%s-%04x", NewNetworkNamePrefix, *d.PANID)
	if r.err != nil {
		return Dataset{}, fmt.Errorf("meshcop: new dataset: %w", r.err)
	}
	return d, nil
}

// random draws from a source and remembers its first error.
type random struct {
	r   io.Reader
	err error
}

func (r *random) bytes(n int) []byte {
	b := make([]byte, n)
	if r.err == nil {
		_, r.err = io.ReadFull(r.r, b)
	}
	return b
}

func (r *random) uint16() uint16 { return binary.BigEndian.Uint16(r.bytes(2)) }

// below returns a number in [0, n), n at most 26: the bias of the modulo is
// below 0.1 % and no secret depends on it.
func (r *random) below(n int) int { return int(r.uint16()) % n }

// panID avoids the broadcast PAN ID.
func (r *random) panID() uint16 { return r.uint16() % 0xffff }
