package radius

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// TerminateCause is why a session ended (RFC 2866 Section 5.10).
type TerminateCause uint32

// The causes that a gateway has.
const (
	UserRequest    TerminateCause = 1
	LostCarrier    TerminateCause = 2
	IdleTimeout    TerminateCause = 4
	SessionExpired TerminateCause = 5 // Session Timeout
	AdminReset     TerminateCause = 6
	AdminReboot    TerminateCause = 7
	NASError       TerminateCause = 9
	NASRequest     TerminateCause = 10
	NASReboot      TerminateCause = 11
)

// Values of Acct-Status-Type and Acct-Authentic (RFC 2866 Sections 5.1, 5.6).
const (
	acctStart   = 1
	acctStop    = 2
	acctInterim = 3
	acctOn      = 7
	acctOff     = 8

	authenticRADIUS = 1
)

// minInterim is the shortest interval of interim records (RFC 2869 Section
// 5.16).
const minInterim = time.Minute

// Usage is what a session used so far.
type Usage struct {
	InputOctets, OutputOctets   uint64 // from and to the peer
	InputPackets, OutputPackets uint64
}

// AccountConfig describes a session to account for.
type AccountConfig struct {
	// ID is the Acct-Session-Id, unique over restarts, at most 253 bytes.
	ID       string
	Port     eap.Port
	UserName string     // the Grant's
	Class    [][]byte   // the Grant's
	Address  netip.Addr // the peer's; may be invalid
	// Interim is how often the session is reported in between, at least a
	// minute; 0: not.
	Interim time.Duration
	// Usage is asked for each interim and stop record; nil: no counts are
	// sent.
	Usage func() Usage
}

// Account is the accounting of one session (RFC 2866): start, interim and stop
// records, each repeated until a server confirms it.
type Account struct {
	c       *Client
	cfg     AccountConfig
	began   time.Time
	interim *alarm.Timer
	sending bool // a record
	// next is the record that waits for the one before to be confirmed, so
	// that a server gets them in order; a stop replaces an interim.
	next    Attributes
	stopped bool
}

// Account reports the start of a session. Without an accounting server it does
// nothing.
func (c *Client) Account(cfg AccountConfig) *Account {
	a := &Account{c: c, cfg: cfg, began: c.cfg.Clock.Now()}
	if len(c.acct) == 0 {
		a.stopped = true
		return a
	}
	a.interim = c.cfg.Clock.NewTimer(a.interimDue)
	a.record(a.attributes(acctStart))
	if cfg.Interim > 0 {
		a.interim.Start(max(cfg.Interim, minInterim))
	}
	return a
}

// Stop reports the end of the session. A second Stop does nothing.
func (a *Account) Stop(cause TerminateCause) {
	if a.stopped {
		return
	}
	a.stopped = true
	a.interim.Stop()
	as := a.attributes(acctStop)
	as.AddUint32(AcctTerminateCause, uint32(cause))
	a.record(as)
}

func (a *Account) interimDue() {
	a.interim.Start(max(a.cfg.Interim, minInterim))
	a.record(a.attributes(acctInterim))
}

// attributes are a record's (RFC 2866 Section 5.13).
func (a *Account) attributes(status uint32) Attributes {
	var as Attributes
	as.AddUint32(AcctStatusType, status)
	as.AddText(AcctSessionID, a.cfg.ID)
	as.AddText(UserName, a.cfg.UserName)
	a.c.nas(&as)
	portAttributes(&as, a.cfg.Port)
	as.addAddr(FramedIPAddress, FramedIPv6Address, a.cfg.Address)
	as.AddUint32(AcctAuthentic, authenticRADIUS)
	now := a.c.cfg.Clock.Now()
	as.AddUint32(EventTimestamp, uint32(now.Unix()))
	for _, c := range a.cfg.Class {
		as.Add(Class, c)
	}
	if status == acctStart {
		return as
	}
	as.AddUint32(AcctSessionTime, uint32(now.Sub(a.began)/time.Second))
	if a.cfg.Usage != nil {
		u := a.cfg.Usage()
		as.addCount(AcctInputOctets, AcctInputGigawords, u.InputOctets)
		as.addCount(AcctOutputOctets, AcctOutputGigawords, u.OutputOctets)
		as.AddUint32(AcctInputPackets, uint32(u.InputPackets))
		as.AddUint32(AcctOutputPackets, uint32(u.OutputPackets))
	}
	return as
}

// addCount appends a count of 64 bits in two attributes (RFC 2869 Section
// 5.1).
func (as *Attributes) addCount(low, high Type, n uint64) {
	as.AddUint32(low, uint32(n))
	if n>>32 != 0 {
		as.AddUint32(high, uint32(n>>32))
	}
}

func (a *Account) record(as Attributes) {
	if a.sending {
		a.next = as
		return
	}
	a.sending = true
	a.c.account(as, func() {
		a.sending = false
		if next := a.next; next != nil {
			a.next = nil
			a.record(next)
		}
	})
}

// account sends a record to the accounting servers; done is called when one
// confirmed it, or none did, maybe before account returns.
func (c *Client) account(as Attributes, done func()) {
	x := &exchange{c: c, code: AccountingRequest, attrs: as, pool: c.acct}
	x.done = func(_ *exchange, _ Packet, err error) {
		if err != nil {
			c.Counters.AccountingLost++
		}
		done()
	}
	x.start()
}

// AccountingOn tells the accounting server that no session is left from
// before (RFC 2866 Section 5.1); AccountingOff, that none will be.
func (c *Client) AccountingOn() { c.announce(acctOn) }

// AccountingOff is AccountingOn's opposite.
func (c *Client) AccountingOff() { c.announce(acctOff) }

func (c *Client) announce(status uint32) {
	if len(c.acct) == 0 {
		return
	}
	var as Attributes
	as.AddUint32(AcctStatusType, status)
	// Required in every record (RFC 2866 Section 5.5).
	as.AddText(AcctSessionID, "0")
	c.nas(&as)
	as.AddUint32(EventTimestamp, uint32(c.cfg.Clock.Now().Unix()))
	c.account(as, func() {})
}
