package radius

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
)

// dynamicRig is a Dynamic whose client is the test.
type dynamicRig struct {
	t      *testing.T
	clock  alarm.Clock
	d      *Dynamic
	out    [][]byte
	orders []Order
	says   ErrorCause
	ids    uint8
}

func newDynamicRig(t *testing.T, change func(*DynamicConfig)) *dynamicRig {
	r := &dynamicRig{t: t}
	r.clock.Set(start)
	cfg := DynamicConfig{
		Clock:      &r.clock,
		Clients:    []Authorized{{Prefix: netip.MustParsePrefix("198.51.100.7/32"), Secret: Secret("s")}},
		Send:       func(_ int, _ netip.AddrPort, b []byte) { r.out = append(r.out, b) },
		Carry:      func(o Order) ErrorCause { r.orders = append(r.orders, o); return r.says },
		NASAddress: netip.MustParseAddr("2001:db8::1"),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.d, err = NewDynamic(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// order sends an order and returns the answer to it.
func (r *dynamicRig) order(code Code, as ...Attribute) Packet {
	r.t.Helper()
	r.ids++
	b := Packet{Code: code, ID: r.ids, Attributes: as}.AppendRequest(nil, Secret("s"))
	n := len(r.out)
	r.d.Receive(0, nasAddr, b)
	if len(r.out) != n+1 {
		r.t.Fatalf("%d answers", len(r.out)-n)
	}
	if err := VerifyResponse(r.out[n], Secret("s"), [16]byte(b[authOffset:])); err != nil {
		r.t.Error(err)
	}
	p, err := Decode(r.out[n])
	if err != nil || p.ID != r.ids {
		r.t.Errorf("answer %+v, %v", p, err)
	}
	return p
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func TestDynamic(t *testing.T) {
	user := Attribute{UserName, []byte("joe")}
	addr6 := netip.MustParseAddr("2001:db8::9").As16()
	own := netip.MustParseAddr("2001:db8::1").As16()
	tests := []struct {
		name  string
		code  Code
		as    Attributes
		says  ErrorCause
		want  Code
		cause ErrorCause
		order *Order // nil: none is carried out
	}{
		{"disconnect", DisconnectRequest, Attributes{user, {AcctSessionID, []byte("5f1")}, {CallingStationID, []byte("02-00")},
			{FramedIPv6Address, addr6[:]}, {Class, []byte("c")}, {NASIdentifier, []byte("gatewayd")}, {NASIPv6Address, own[:]}, {AcctTerminateCause, number(6)}},
			0, DisconnectACK, 0, &Order{UserName: "joe", SessionID: "5f1", CallingStation: "02-00", Address: netip.AddrFrom16(addr6), Class: []byte("c"), From: nasAddr}},
		{"unknown session", DisconnectRequest, Attributes{user}, SessionContextNotFound, DisconnectNAK, SessionContextNotFound, &Order{UserName: "joe", From: nasAddr}},
		{"authenticate anew", CoARequest, Attributes{user}, 0, CoAACK, 0, &Order{Reauthenticate: true, UserName: "joe", From: nasAddr}},
		{"authorize only", CoARequest, Attributes{user, {ServiceType, number(17)}, {State, []byte("st")}}, 0, CoANAK, RequestInitiated, &Order{Reauthenticate: true, UserName: "joe", From: nasAddr}},
		{"authorize only without State", CoARequest, Attributes{user, {ServiceType, number(17)}}, 0, CoANAK, MissingAttribute, nil},
		{"other service", CoARequest, Attributes{user, {ServiceType, number(2)}}, 0, CoANAK, UnsupportedService, nil},
		{"authorize a disconnect", DisconnectRequest, Attributes{user, {ServiceType, number(17)}, {State, []byte("st")}}, 0, DisconnectNAK, UnsupportedService, nil},
		{"nobody named", DisconnectRequest, Attributes{{EventTimestamp, number(uint32(start.Unix()))}}, 0, DisconnectNAK, MissingAttribute, nil},
		{"another gateway's name", DisconnectRequest, Attributes{user, {NASIdentifier, []byte("other")}}, 0, DisconnectNAK, NASMismatch, nil},
		{"another gateway's address", DisconnectRequest, Attributes{user, {NASIPAddress, []byte{1, 2, 3, 4}}}, 0, DisconnectNAK, NASMismatch, nil},
		{"half an address", DisconnectRequest, Attributes{user, {FramedIPAddress, []byte{1, 2}}}, 0, DisconnectNAK, InvalidAttributeValue, nil},
		{"a change", CoARequest, Attributes{user, {SessionTimeout, number(60)}}, 0, CoANAK, UnsupportedAttribute, nil},
		{"a vendor's wish", CoARequest, Attributes{user, {VendorSpecific, []byte{0, 0, 0, 9, 1, 3, 1}}}, 0, CoANAK, UnsupportedAttribute, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newDynamicRig(t, nil)
			r.says = tt.says
			p := r.order(tt.code, append(tt.as, Attribute{ProxyState, []byte("2")}, Attribute{ProxyState, []byte("1")})...)
			cause, _ := p.Attributes.Uint32(ErrorCauseAttr)
			if p.Code != tt.want || ErrorCause(cause) != tt.cause {
				t.Errorf("%v, cause %d, want %v, %d", p.Code, cause, tt.want, tt.cause)
			}
			var want []Order
			if tt.order != nil {
				want = []Order{*tt.order}
			}
			if fmt.Sprintf("%+v", r.orders) != fmt.Sprintf("%+v", want) {
				t.Errorf("carried out %+v, want %+v", r.orders, want)
			}
			if got := fmt.Sprint(p.Attributes.All(ProxyState)); got != "[[50] [49]]" {
				t.Errorf("Proxy-State %s", got)
			}
		})
	}
}

// Who may not, what is old, and what comes twice.
func TestDynamicDiscards(t *testing.T) {
	user := Attribute{UserName, []byte("joe")}
	at := func(d time.Duration) Attribute {
		return Attribute{EventTimestamp, number(uint32(start.Add(d).Unix()))}
	}
	good := Packet{Code: DisconnectRequest, Attributes: Attributes{user}}
	tests := []struct {
		name string
		from netip.AddrPort
		b    []byte
		n    func(*DynamicCounters) uint64
	}{
		{"stranger", nas6Addr, good.AppendRequest(nil, Secret("s")), func(c *DynamicCounters) uint64 { return c.UnknownClient }},
		{"wrong secret", nasAddr, good.AppendRequest(nil, Secret("x")), func(c *DynamicCounters) uint64 { return c.Forged }},
		{"an access request", nasAddr, Packet{Code: AccessRequest}.AppendRequest(nil, Secret("s")), func(c *DynamicCounters) uint64 { return c.WrongCode }},
		{"cut", nasAddr, good.AppendRequest(nil, Secret("s"))[:21], func(c *DynamicCounters) uint64 { return c.Malformed }},
		{"old", nasAddr, Packet{Code: DisconnectRequest, Attributes: Attributes{user, at(-301 * time.Second)}}.AppendRequest(nil, Secret("s")), func(c *DynamicCounters) uint64 { return c.Stale }},
		{"from the future", nasAddr, Packet{Code: DisconnectRequest, Attributes: Attributes{user, at(301 * time.Second)}}.AppendRequest(nil, Secret("s")), func(c *DynamicCounters) uint64 { return c.Stale }},
	}
	for _, tt := range tests {
		r := newDynamicRig(t, nil)
		r.d.Receive(0, tt.from, tt.b)
		if len(r.out) != 0 || len(r.orders) != 0 || tt.n(&r.d.Counters) != 1 {
			t.Errorf("%s: %d answers, %d orders, counters %+v", tt.name, len(r.out), len(r.orders), r.d.Counters)
		}
	}
	r := newDynamicRig(t, func(c *DynamicConfig) { c.RequireTimestamp = true })
	r.d.Receive(0, nasAddr, good.AppendRequest(nil, Secret("s")))
	if len(r.out) != 0 || r.d.Counters.Stale != 1 {
		t.Error("an order without a time is taken")
	}
	b := Packet{Code: DisconnectRequest, Attributes: Attributes{user, at(-299 * time.Second)}}.AppendRequest(nil, Secret("s"))
	r.d.Receive(0, nasAddr, b)
	r.d.Receive(0, nasAddr, b)
	if len(r.out) != 2 || !bytes.Equal(r.out[0], r.out[1]) || len(r.orders) != 1 || r.d.Counters.Duplicates != 1 {
		t.Errorf("%d answers, %d orders, counters %+v", len(r.out), len(r.orders), r.d.Counters)
	}
}
