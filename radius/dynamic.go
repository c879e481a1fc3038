package radius

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// timestampWindow is how far an Event-Timestamp may be from now (RFC 5176
// Section 6.3).
const timestampWindow = 300 * time.Second

// ErrorCause is why an order was not carried out (RFC 5176 Section 3.5).
type ErrorCause uint32

// The causes; 0 is none.
const (
	UnsupportedAttribute   ErrorCause = 401
	MissingAttribute       ErrorCause = 402
	NASMismatch            ErrorCause = 403
	InvalidRequest         ErrorCause = 404
	UnsupportedService     ErrorCause = 405
	InvalidAttributeValue  ErrorCause = 407
	AdminProhibited        ErrorCause = 501
	SessionContextNotFound ErrorCause = 503
	ResourcesUnavailable   ErrorCause = 506
	RequestInitiated       ErrorCause = 507
)

// Order is what a Dynamic Authorization Client wants (RFC 5176 Section 3).
type Order struct {
	// Reauthenticate asks the session to authenticate anew; otherwise it is
	// to end.
	Reauthenticate bool
	// A session is meant if it has all of these that are not zero; at least
	// one is not.
	UserName       string
	SessionID      string // Acct-Session-Id
	CallingStation string
	Address        netip.Addr
	// Class as it was granted; nil: not named.
	Class []byte
	// From is who ordered it.
	From netip.AddrPort
}

// DynamicConfig is what a Dynamic needs.
type DynamicConfig struct {
	Clock *alarm.Clock // must be the wall clock's
	// Clients may give orders: usually the RADIUS servers.
	Clients []Authorized
	// Send answers from the socket that the order came to.
	Send func(socket int, to netip.AddrPort, b []byte)
	// Carry carries an order out, on the sessions that it means. 0 says that
	// it was done; SessionContextNotFound, that there is no such session.
	Carry func(Order) ErrorCause

	// NASIdentifier and NASAddress must be those of the Client: an order for
	// another one is refused.
	NASIdentifier string
	NASAddress    netip.Addr
	// RequireTimestamp refuses orders without Event-Timestamp, which somebody
	// who recorded them could repeat.
	RequireTimestamp bool
	// Replies bounds the answers kept for clients that ask again. Default 256.
	Replies int
	// Discarded is called with every datagram that was silently discarded.
	// May be nil.
	Discarded func(from netip.AddrPort, why error)
}

// DynamicCounters count orders and what became of them.
type DynamicCounters struct {
	Orders     uint64 // new ones, verified
	Duplicates uint64
	Done       uint64 // ACK, or NAK with RequestInitiated
	Refused    uint64 // NAK

	// Silently discarded:
	UnknownClient uint64
	Malformed     uint64
	Forged        uint64
	WrongCode     uint64
	Stale         uint64 // Event-Timestamp out of the window, or missing
}

// ErrStale is why an order that is too old is discarded.
var ErrStale = errors.New("radius: the order's Event-Timestamp is missing or too far from the present")

// Dynamic is a Dynamic Authorization Server (RFC 5176): it takes orders to end
// sessions or to have them authenticate anew.
type Dynamic struct {
	cfg     DynamicConfig
	clients []Authorized
	replies replies

	Counters DynamicCounters
}

// NewDynamic returns a Dynamic, or an error that wraps ErrConfig.
func NewDynamic(cfg DynamicConfig) (*Dynamic, error) {
	clients, err := byPrefix(cfg.Clients)
	if err != nil {
		return nil, err
	}
	if cfg.Replies < 0 {
		return nil, fmt.Errorf("%w: negative number of replies", ErrConfig)
	}
	cfg.NASIdentifier = cmp.Or(cfg.NASIdentifier, defaultNASIdentifier)
	d := &Dynamic{cfg: cfg, clients: clients}
	d.replies.init(cfg.Clock, cmp.Or(cfg.Replies, 256))
	return d, nil
}

// Receive takes a datagram that came to a socket.
func (d *Dynamic) Receive(socket int, from netip.AddrPort, b []byte) {
	from = unmap(from)
	client := find(d.clients, from.Addr())
	if client == nil {
		d.discard(&d.Counters.UnknownClient, from, ErrUnknownClient)
		return
	}
	p, err := Decode(b)
	if err != nil {
		d.discard(&d.Counters.Malformed, from, err)
		return
	}
	if p.Code != DisconnectRequest && p.Code != CoARequest {
		d.discard(&d.Counters.WrongCode, from, fmt.Errorf("%w: %v", ErrCode, p.Code))
		return
	}
	if err := VerifyRequest(b, client.Secret); err != nil {
		n := &d.Counters.Forged
		if de := (*DecodeError)(nil); errors.As(err, &de) {
			n = &d.Counters.Malformed
		}
		d.discard(n, from, err)
		return
	}
	key := asked{socket, from, p.ID}
	if old := d.replies.lookup(key, p.Authenticator); old != nil {
		d.Counters.Duplicates++
		d.cfg.Send(socket, from, old.answer)
		return
	}
	if !d.fresh(p.Attributes) {
		d.discard(&d.Counters.Stale, from, ErrStale)
		return
	}
	d.Counters.Orders++
	answer := d.carry(p, from)
	answer.ID = p.ID
	for _, a := range p.Attributes {
		if a.Type == State || a.Type == ProxyState {
			answer.Attributes = append(answer.Attributes, a)
		}
	}
	r := d.replies.add(key, p.Authenticator)
	r.answer = answer.AppendResponse(nil, client.Secret, p.Authenticator)
	d.cfg.Send(socket, from, r.answer)
}

func (d *Dynamic) discard(n *uint64, from netip.AddrPort, why error) {
	*n++
	if d.cfg.Discarded != nil {
		d.cfg.Discarded(from, why)
	}
}

// fresh reports whether an order is no old one again.
func (d *Dynamic) fresh(as Attributes) bool {
	t, ok := as.Uint32(EventTimestamp)
	if !ok {
		return !d.cfg.RequireTimestamp
	}
	return d.cfg.Clock.Now().Sub(time.Unix(int64(t), 0)).Abs() <= timestampWindow
}

// carry has an order carried out and returns the answer to it. An order to
// authorize only is answered by a NAK even if it is followed (RFC 5176 Section
// 3.2).
func (d *Dynamic) carry(p Packet, from netip.AddrPort) Packet {
	ack, nak := DisconnectACK, DisconnectNAK
	if p.Code == CoARequest {
		ack, nak = CoAACK, CoANAK
	}
	o, authorizeOnly, cause := d.order(p)
	if cause == 0 {
		o.From = from
		cause = d.cfg.Carry(o)
	}
	if cause == 0 && authorizeOnly {
		cause = RequestInitiated
	}
	if cause == 0 {
		d.Counters.Done++
		return Packet{Code: ack}
	}
	out := Packet{Code: nak}
	if cause == RequestInitiated {
		d.Counters.Done++
		out.Attributes.AddUint32(ServiceType, serviceAuthorizeOnly)
	} else {
		d.Counters.Refused++
	}
	out.Attributes.AddUint32(ErrorCauseAttr, uint32(cause))
	return out
}

// order reads what is wanted. An attribute that would change the session, or
// means nothing here, refuses the order (RFC 5176 Section 3).
func (d *Dynamic) order(p Packet) (o Order, authorizeOnly bool, cause ErrorCause) {
	o.Reauthenticate = p.Code == CoARequest
	state := false
	named := false
	for _, a := range p.Attributes {
		v := a.Value
		switch a.Type {
		case NASIdentifier:
			if string(v) != d.cfg.NASIdentifier {
				return o, false, NASMismatch
			}
		case NASIPAddress, NASIPv6Address:
			addr, ok := netip.AddrFromSlice(v)
			if !ok {
				return o, false, InvalidAttributeValue
			}
			if addr != d.cfg.NASAddress {
				return o, false, NASMismatch
			}
		case UserName:
			o.UserName, named = string(v), true
		case AcctSessionID:
			o.SessionID, named = string(v), true
		case CallingStationID:
			o.CallingStation, named = string(v), true
		case Class:
			o.Class, named = append([]byte{}, v...), true
		case FramedIPAddress, FramedIPv6Address:
			addr, ok := netip.AddrFromSlice(v)
			if !ok {
				return o, false, InvalidAttributeValue
			}
			o.Address, named = addr, true
		case ServiceType:
			if !o.Reauthenticate || len(v) != 4 || binary.BigEndian.Uint32(v) != serviceAuthorizeOnly {
				return o, false, UnsupportedService
			}
			authorizeOnly = true
		case State:
			state = true
		case CalledStationID, NASPort, NASPortType, EventTimestamp, MessageAuthenticator, ProxyState, AcctTerminateCause, ReplyMessage:
			// Nothing to select by, or nothing to do.
		default:
			return o, false, UnsupportedAttribute
		}
	}
	if !named || authorizeOnly && !state {
		return o, false, MissingAttribute
	}
	return o, authorizeOnly, 0
}
