package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/thread/keys"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// udp takes a datagram to the protocol of its port.
func (w *walker) udp(src, dst netip.AddrPort, data []byte) {
	switch {
	case dst.Port() == mle.Port:
		w.mle(src.Addr(), dst.Addr(), data)
	case dst.Port() == tmf.Port:
		w.coap(src, dst, data)
	case dst.Port() == meshcop.DefaultJoinerPort || src.Port() == meshcop.DefaultJoinerPort:
		w.dtls(src.Addr(), dst.Addr(), data)
	}
}

func (w *walker) mle(src, dst netip.Addr, data []byte) {
	p, err := mle.DecodePacket(slices.Clone(data))
	if err != nil || p.Suite == mle.SuiteUnsecured {
		if w.saw(mleLayer, data, p.Plain.AppendUnsecured(nil), err) {
			w.mleTLVs(p.Plain)
		}
		return
	}
	a := src.As16()
	ext := ieee802154.ExtAddrFromIID([8]byte(a[8:]))
	for _, network := range w.NetworkKeys {
		k, _ := keys.Derive(network, p.Header.Sequence)
		key := ieee802154.NewCCM(k)
		var m mle.Message
		if m, err = p.Open(key, ext, src, dst); err == nil {
			if w.saw(mleLayer, data, m.Seal(nil, key, p.Header, ext, src, dst), nil) {
				w.mleTLVs(m)
			}
			return
		}
	}
	w.saw(mleLayer, data, nil, err)
}

func (w *walker) mleTLVs(m mle.Message) {
	var n int
	for tlv := range m.TLVs.All() {
		again, err := mleValue(m.Command, tlv)
		if err != nil {
			err = fmt.Errorf("%v, %v: %w", m.Command, tlv.Type, err)
		}
		w.saw(mleTLVLayer, tlv.Value, again, err)
		n += len(mle.TLVs(nil).Append(tlv.Type, tlv.Value...))
	}
	if n != len(m.TLVs) {
		w.saw(mleTLVLayer, m.TLVs, nil, fmt.Errorf("%v: %d bytes are in no TLV", m.Command, len(m.TLVs)-n))
	}
}

// mleValue decodes a TLV's value and encodes it.
func mleValue(c mle.Command, t mle.TLV) (again []byte, err error) {
	v := t.Value
	switch t.Type {
	case mle.TypeMode, mle.TypeScanMask, mle.TypeLinkMargin, mle.TypeStatus:
		return number(v, 1)
	case mle.TypeSource, mle.TypeAddress16, mle.TypeVersion, mle.TypePANID, mle.TypeSupervision:
		return number(v, 2)
	case mle.TypeTimeout, mle.TypeLinkCounter, mle.TypeMLECounter, mle.TypeCSLTimeout:
		return number(v, 4)
	case mle.TypeChallenge, mle.TypeResponse:
		if len(v) < 4 || len(v) > 8 {
			return nil, mle.ErrInvalid
		}
		return v, nil
	case mle.TypeRequest:
		return v, nil
	case mle.TypeRoute:
		r, err := mle.DecodeRoute(v)
		return r.Append(nil), err
	case mle.TypeLeaderData:
		d, err := mle.DecodeLeaderData(v)
		return d.Append(nil), err
	case mle.TypeConnectivity:
		x, err := mle.DecodeConnectivity(v)
		return x.Append(nil), err
	case mle.TypeAddresses:
		a, err := mle.DecodeAddresses(v)
		return mle.AppendAddresses(nil, a), err
	case mle.TypeNetworkData:
		return networkData(v)
	case mle.TypeChannel:
		x, err := meshcop.DecodeChannel(v)
		return x.Append(nil), err
	case mle.TypeActiveTimestamp, mle.TypePendingTimestamp:
		ts, err := meshcop.ParseTimestamp(v)
		b := ts.Bytes()
		return b[:], err
	case mle.TypeActiveDataset, mle.TypePendingDataset:
		d, err := meshcop.DecodeDataset(v)
		return d.Append(nil), err
	case mle.TypeDiscovery:
		if c == mle.DiscoveryRequest {
			d, err := meshcop.DecodeDiscoveryRequest(v)
			return d.Append(nil), err
		}
		d, err := meshcop.DecodeDiscoveryResponse(v)
		return d.Append(nil), err
	}
	return nil, errOpaque
}

// number checks the size of a big-endian integer.
func number(v []byte, size int) ([]byte, error) {
	if len(v) != size {
		return nil, fmt.Errorf("%d bytes, want %d", len(v), size)
	}
	return v, nil
}

// networkData decodes network data, and the commissioning data in it.
func networkData(v []byte) ([]byte, error) {
	d, err := netdata.Decode(v)
	if err != nil {
		return nil, err
	}
	if d.Commissioning != nil {
		c, err := d.Commissioning.Decode()
		if err != nil {
			return nil, err
		}
		if again := c.Append(nil); sorted(again) != sorted(d.Commissioning.TLVs) {
			return nil, fmt.Errorf("commissioning data %w: %x", errUnlike, again)
		}
	}
	return d.Append(nil), nil
}

// sorted is a sequence of TLVs in an order of its own: a codec may write them
// in another one than they came in.
func sorted(b []byte) string {
	var parts []string
	for t := range meshcop.TLVs(b).All() {
		parts = append(parts, string(binary.BigEndian.AppendUint16(nil, uint16(t.Type)))+string(t.Value))
	}
	slices.Sort(parts)
	return fmt.Sprintf("%q", parts)
}
