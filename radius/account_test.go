package radius

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func accounted(usage *Usage) AccountConfig {
	return AccountConfig{
		ID: "5f1", Port: aPort, UserName: "Joe", Class: [][]byte{[]byte("c1"), []byte("c2")},
		Address: netip.MustParseAddr("2001:db8::5"), Interim: 5 * time.Minute,
		Usage: func() Usage { return *usage },
	}
}

func statusType(p Packet) uint32 { n, _ := p.Attributes.Uint32(AcctStatusType); return n }

// A session from start to stop.
func TestAccounting(t *testing.T) {
	r := newRig(t, nil)
	usage := &Usage{InputOctets: 1, OutputOctets: 5<<32 + 2, InputPackets: 3, OutputPackets: 4}
	a := r.c.Account(accounted(usage))
	s := r.take()
	if s.to != acctA {
		t.Errorf("goes to %v", s.to)
	}
	if err := VerifyRequest(s.raw, Secret("first")); err != nil {
		t.Error(err)
	}
	dump := func(s sent) (out string) {
		for _, a := range s.packet.Attributes {
			out += fmt.Sprintf("%d=%x ", a.Type, a.Value)
		}
		return out
	}
	common := `44=356631 1=4a6f65 32=6761746577617964 4=c0000263 30=6777 31=30322d30302d35452d31302d30302d30302d30302d3031 5=00000007 61=00000012 168=20010db8000000000000000000000005 45=00000001 `
	class := `25=6331 25=6332 `
	if got, want := dump(s), "40=00000001 "+common+fmt.Sprintf("55=%08x ", start.Unix())+class; got != want {
		t.Errorf("start\n%s, want\n%s", got, want)
	}
	r.reply(s, AccountingResponse)

	r.run(5 * time.Minute)
	s = r.take()
	counts := "42=00000001 43=00000002 53=00000005 47=00000003 48=00000004 "
	if got, want := dump(s), "40=00000003 "+common+fmt.Sprintf("55=%08x ", start.Unix()+300)+class+"46=0000012c "+counts; got != want {
		t.Errorf("interim\n%s, want\n%s", got, want)
	}
	r.reply(s, AccountingResponse)

	r.run(time.Minute)
	a.Stop(LostCarrier)
	a.Stop(UserRequest)
	s = r.take()
	if got, want := dump(s), "40=00000002 "+common+fmt.Sprintf("55=%08x ", start.Unix()+360)+class+"46=00000168 "+counts+"49=00000002 "; got != want {
		t.Errorf("stop\n%s, want\n%s", got, want)
	}
	r.reply(s, AccountingResponse)
	r.run(time.Hour)
	if len(r.sent) != 0 || r.c.Counters.AccountingLost != 0 {
		t.Errorf("%d requests after the stop, %d lost", len(r.sent), r.c.Counters.AccountingLost)
	}
}

// Records of a session come in order: what happens while one is under way
// waits, and a stop is worth more than the interim before it.
func TestAccountingOrder(t *testing.T) {
	r := newRig(t, nil)
	a := r.c.Account(accounted(&Usage{}))
	first := r.sent[0]
	a.interimDue()
	a.interimDue()
	a.Stop(AdminReset)
	r.run(5 * time.Second)
	if slices.ContainsFunc(r.sent, func(s sent) bool { return statusType(s.packet) != acctStart }) {
		t.Error("another record goes out before the start is confirmed")
	}
	r.sent = nil
	r.reply(first, AccountingResponse)
	if s := r.take(); statusType(s.packet) != acctStop {
		t.Errorf("the next record has status %d", statusType(s.packet))
	}
}

// A record is repeated unchanged and goes on to the other server; one that
// nobody confirms is counted.
func TestAccountingFailover(t *testing.T) {
	r := newRig(t, nil)
	r.c.AccountingOn()
	r.run(15 * time.Second)
	if len(r.sent) < 4 || string(r.sent[0].raw) != string(r.sent[2].raw) || r.sent[3].to != acctB {
		t.Fatalf("%d requests", len(r.sent))
	}
	if err := VerifyRequest(r.sent[3].raw, Secret("second")); err != nil {
		t.Error(err)
	}
	r.reply(r.sent[3], AccountingResponse)
	if r.c.Counters.AccountingLost != 0 {
		t.Error("confirmed, and lost")
	}
	// The authentication port of the same server is not affected.
	if len(r.events) != 1 || r.c.auth[0].dead {
		t.Errorf("events %q", r.events)
	}
	r.c.AccountingOff()
	r.run(2 * time.Minute)
	if r.c.Counters.AccountingLost != 1 {
		t.Errorf("%d records lost", r.c.Counters.AccountingLost)
	}
	// Status-Server to an accounting port is answered by an
	// Accounting-Response.
	i := slices.IndexFunc(r.sent, func(s sent) bool { return s.packet.Code == StatusServer && s.to == acctA })
	if i < 0 {
		t.Fatal("a dead accounting server is not probed")
	}
}

// Without an accounting server there is nothing to send, and nothing to stop.
func TestNoAccounting(t *testing.T) {
	r := newRig(t, func(c *ClientConfig) {
		for i := range c.Servers {
			c.Servers[i].Acct = netip.AddrPort{}
		}
	})
	r.c.AccountingOn()
	a := r.c.Account(accounted(&Usage{}))
	a.Stop(UserRequest)
	if len(r.sent) != 0 || !r.clock.Deadline().IsZero() {
		t.Errorf("%d requests", len(r.sent))
	}
}
