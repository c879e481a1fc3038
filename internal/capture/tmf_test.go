package capture

import (
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/coap"
	"gatewayd/thread/diag"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// request is what an answer is matched to: the asker and the token.
type request struct {
	from  netip.AddrPort
	token string
}

func (w *walker) coap(src, dst netip.AddrPort, data []byte) {
	m, err := coap.Decode(data)
	if !w.saw(coapLayer, data, m.Append(nil), err) || m.Code == coap.Empty {
		return
	}
	path := m.Path()
	if m.Code.IsRequest() {
		w.requests[request{src, string(m.Token)}] = path
	} else {
		path = w.requests[request{dst, string(m.Token)}]
	}
	b, err := body(path, m.Code.IsRequest(), m.Payload)
	if err != nil {
		err = fmt.Errorf("%v %q: %w", m.Code, path, err)
	}
	w.saw(bodyLayer, m.Payload, b, err)
	if err == nil {
		w.relayed(path, m.Payload)
	}
}

type appender[T any] interface {
	*T
	Append([]byte) []byte
}

// by decodes with one function of package meshcop and encodes the result.
func by[T any, P appender[T]](b []byte, decode func([]byte) (T, error)) ([]byte, error) {
	m, err := decode(b)
	return P(&m).Append(nil), err
}

// body decodes what a message about a path carries and encodes it.
func body(path string, isRequest bool, b []byte) ([]byte, error) {
	switch {
	case len(b) == 0:
		return b, nil
	case strings.HasPrefix(path, "a/"):
		return networkLayer(b)
	case strings.HasPrefix(path, "d/"):
		return diagnostic(b)
	case isRequest:
		return requestBody(path, b)
	}
	switch path {
	case tmf.LeaderPetition:
		return by(b, meshcop.DecodePetitionResponse)
	case tmf.LeaderKeepAlive, tmf.CommissionerSet, tmf.ActiveSet, tmf.ActiveReplace, tmf.PendingSet, tmf.JoinerFinalize:
		s, err := meshcop.DecodeState(b)
		return meshcop.AppendState(nil, s), err
	case tmf.CommissionerGet:
		return commissioning(b)
	case tmf.ActiveGet, tmf.PendingGet:
		return by(b, meshcop.DecodeDataset)
	}
	return nil, errOpaque
}

func requestBody(path string, b []byte) ([]byte, error) {
	switch path {
	case tmf.LeaderPetition:
		return by(b, meshcop.DecodePetition)
	case tmf.LeaderKeepAlive:
		return by(b, meshcop.DecodeKeepAlive)
	case tmf.CommissionerGet, tmf.ActiveGet, tmf.PendingGet:
		types, err := meshcop.DecodeGet(b)
		return meshcop.AppendGet(nil, types...), err
	case tmf.CommissionerSet:
		return commissioning(b)
	case tmf.ActiveSet, tmf.ActiveReplace, tmf.PendingSet:
		return by(b, meshcop.DecodeDatasetSet)
	case tmf.RelayReceive:
		return by(b, meshcop.DecodeRelayRx)
	case tmf.RelayTransmit:
		return by(b, meshcop.DecodeRelayTx)
	case tmf.JoinerEntrust:
		return by(b, meshcop.DecodeJoinerEntrust)
	case tmf.JoinerFinalize:
		return by(b, meshcop.DecodeJoinerFinalize)
	case tmf.AnnounceBegin:
		return by(b, meshcop.DecodeAnnounceBegin)
	case tmf.EnergyScan:
		return by(b, meshcop.DecodeEnergyScan)
	case tmf.EnergyReport:
		return by(b, meshcop.DecodeEnergyReport)
	case tmf.PANIDQuery, tmf.PANIDConflict:
		return by(b, meshcop.DecodePANIDQuery)
	}
	return nil, errOpaque
}

// commissioning data is encoded in an order of its own.
func commissioning(b []byte) ([]byte, error) {
	again, err := by(b, meshcop.DecodeCommissioningData)
	if err == nil && sorted(again) == sorted(b) {
		return b, nil
	}
	return again, err
}

// networkLayer looks every TLV up by its type and encodes what it found.
func networkLayer(b []byte) ([]byte, error) {
	in := tmf.TLVs(b)
	var out tmf.TLVs
	for t := range meshcop.TLVs(b).All() {
		typ := tmf.Type(t.Type)
		switch typ {
		case tmf.Target:
			a, err := in.Addr(typ)
			if err != nil {
				return nil, err
			}
			out = out.AppendAddr(typ, a)
		case tmf.ExtMAC:
			e, err := in.Ext(typ)
			if err != nil {
				return nil, err
			}
			out = out.Append(typ, e[:]...)
		case tmf.RLOC16, tmf.Session:
			v, err := in.Uint16(typ)
			if err != nil {
				return nil, err
			}
			out = out.AppendUint16(typ, v)
		case tmf.LastTransaction, tmf.Timeout:
			v, err := in.Uint32(typ)
			if err != nil {
				return nil, err
			}
			out = out.AppendUint32(typ, v)
		case tmf.Status:
			v, err := in.Uint8(typ)
			if err != nil {
				return nil, err
			}
			out = out.Append(typ, v)
		case tmf.NetworkData:
			v, err := networkData(t.Value)
			if err != nil {
				return nil, err
			}
			out = out.Append(typ, v...)
		case tmf.MLEID, tmf.RouterMask, tmf.NetworkName, tmf.Addresses:
			v, err := in.Find(typ, 1)
			if err != nil {
				return nil, err
			}
			out = out.Append(typ, v...)
		default:
			return nil, fmt.Errorf("TLV %d: %w", typ, errOpaque)
		}
	}
	return out, nil
}

// diagnostic takes network diagnostics apart into values.
func diagnostic(b []byte) ([]byte, error) {
	values, err := diag.Decode(b)
	var again []byte
	for _, v := range values {
		if _, raw := v.(diag.Raw); raw {
			return nil, fmt.Errorf("%v: %w", v.Type(), errOpaque)
		}
		again = diag.Append(again, v)
	}
	return again, err
}
