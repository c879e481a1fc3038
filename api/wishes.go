package api

import (
	"encoding/hex"

	"gatewayd/thread/meshcop"
)

// wishes are what both a new network and a change of one may be told.
type wishes struct {
	name            string
	channel         uint16
	panID           *uint16
	meshLocalPrefix string
	networkKey      string
}

// apply puts what is wished for into a dataset.
func (w wishes) apply(d *meshcop.Dataset, supported meshcop.ChannelMask) (err error) {
	if w.name != "" {
		if len(w.name) > meshcop.MaxNetworkNameLen {
			return badRequest("the name %q has %d bytes, at most %d are possible", w.name, len(w.name), meshcop.MaxNetworkNameLen)
		}
		d.NetworkName = w.name
	}
	if w.channel != 0 {
		c := meshcop.Channel{Number: w.channel}
		if !supported.Contains(c) {
			return badRequest("the radio does not do channel %d, but %d", w.channel, supported.Channels())
		}
		d.Channel = &c
	}
	if w.panID != nil {
		if *w.panID == 0xffff {
			return badRequest("PAN ID 0xffff is that of everybody")
		}
		d.PANID = w.panID
	}
	if w.meshLocalPrefix != "" {
		if d.MeshLocalPrefix, err = meshLocal(w.meshLocalPrefix); err != nil {
			return err
		}
	}
	if w.networkKey != "" {
		b, err := digits("network key", w.networkKey, len(meshcop.Key{}))
		if err != nil {
			return err
		}
		d.NetworkKey = new(meshcop.Key(b))
	}
	return nil
}

// digits reads n bytes as hexadecimal digits.
func digits(what, s string, n int) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != n {
		return nil, badRequest("the %s is not %d hexadecimal digits", what, 2*n)
	}
	return b, nil
}
