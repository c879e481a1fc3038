package dhcp6

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"gatewayd/alarm"
)

// ClientState is what a Client is doing.
type ClientState uint8

// The states.
const (
	Stopped    ClientState = iota
	Soliciting             // looking for servers
	Requesting             // one was chosen
	Delegating             // there are prefixes
	Renewing               // asking the server to extend them
	Rebinding              // asking any
	Confirming             // asking any, after a restart or on another link
	Releasing              // giving them back
)

var clientStates = [...]string{"stopped", "soliciting", "requesting", "delegating", "renewing", "rebinding", "confirming", "releasing"}

func (s ClientState) String() string {
	if int(s) < len(clientStates) {
		return clientStates[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// ClientConfig is a Client's. Clock, Rand, DUID and Send are required.
type ClientConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	DUID  []byte // the same ever since
	IAID  uint32 // of the interface, the same ever since
	// Send sends from port 546 of the link to AllServersAndRelays, port 547.
	Send func(b []byte)
	// Hint is the prefix that is wished for; "::/56" says only its length.
	Hint        netip.Prefix
	RapidCommit bool       // take what the first server gives
	Last        Delegation // of before a restart
	// Changed, if not nil, is told what there is whenever that is something else.
	Changed func(d Delegation)
}

// Client gets prefixes delegated (RFC 8415 Section 6.3) for one identity
// association, and keeps them. Its timers are on the Config's Clock.
type Client struct {
	cfg   ClientConfig
	state ClientState
	has   Delegation

	xid    [3]byte
	rt     retransmission
	resend *alarm.Timer // and the delay before the first
	due    *alarm.Timer // T1, T2
	expiry *alarm.Timer

	best     *advert       // of the Advertises so far
	waited   bool          // the time to collect them is over
	solMaxRT time.Duration // as servers want it
	failures int           // requests in a row that came to nothing
	told     bool          // that there are prefixes
	stats    Stats
}

// advert is an Advertise.
type advert struct {
	server     []byte
	preference uint8
	offer      offered
}

// NewClient returns a Client that does nothing yet.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{cfg: cfg, solMaxRT: solMaxRT}
	c.resend = cfg.Clock.NewTimer(c.transmit)
	c.due = cfg.Clock.NewTimer(c.extend)
	c.expiry = cfg.Clock.NewTimer(c.expire)
	return c
}

// Start begins to ask. Prefixes of before a restart hold until a server says
// otherwise (RFC 8415 Section 18.2.12).
func (c *Client) Start() {
	if c.state != Stopped && c.state != Releasing {
		return
	}
	c.stop()
	c.has = c.cfg.Last
	c.cfg.Last = Delegation{}
	if _, next := c.has.expire(c.cfg.Clock.Now()); len(c.has.Prefixes) > 0 {
		c.startExpiry(next)
		c.changed()
		c.begin(Confirming, confirmTimes, c.delay(cnfMaxDelay))
		return
	}
	c.solicit()
}

// Stop ends everything without a word. The prefixes are still ours.
func (c *Client) Stop() { c.stop() }

func (c *Client) stop() {
	c.state = Stopped
	c.resend.Stop()
	c.due.Stop()
	c.expiry.Stop()
	c.best = nil
}

// Release gives the prefixes back and stops.
func (c *Client) Release() {
	had := c.has
	c.stop()
	if len(had.Prefixes) == 0 || had.Server == nil {
		return
	}
	c.has.Prefixes = nil
	c.changed()
	c.has = had // what to release
	c.begin(Releasing, releaseTimes, 0)
}

// LinkChanged says that the link went away and came back, maybe as another one.
func (c *Client) LinkChanged() {
	switch c.state {
	case Stopped, Releasing:
	case Soliciting, Requesting:
		c.lose()
	default:
		c.due.Stop()
		c.begin(Confirming, confirmTimes, c.delay(cnfMaxDelay))
	}
}

// State is what the Client is doing.
func (c *Client) State() ClientState { return c.state }

// Delegation is what there is now.
func (c *Client) Delegation() Delegation {
	if c.state == Releasing {
		return Delegation{}
	}
	d := c.has
	d.Prefixes, d.DNS, d.SNTP = slices.Clone(d.Prefixes), slices.Clone(d.DNS), slices.Clone(d.SNTP)
	return d
}

// Stats counts messages received.
func (c *Client) Stats() Stats { return c.stats }

func (c *Client) changed() {
	d := c.Delegation()
	if len(d.Prefixes) == 0 && !c.told {
		return
	}
	c.told = len(d.Prefixes) > 0
	if c.cfg.Changed != nil {
		c.cfg.Changed(d)
	}
}

func (c *Client) delay(most time.Duration) time.Duration {
	return time.Duration(c.cfg.Rand.Int64N(int64(most)))
}

// solicit begins anew, later if that came to nothing before.
func (c *Client) solicit() {
	// What a server that offers and does not give can make of us is bounded.
	const most = 8
	wait := c.delay(solMaxDelay)
	if c.failures > 0 {
		wait += time.Second << min(c.failures, most)
	}
	c.has = Delegation{}
	c.due.Stop()
	c.expiry.Stop()
	c.best, c.waited = nil, false
	times := solicitTimes
	times.most = c.solMaxRT
	c.begin(Soliciting, times, wait)
}

// begin starts an exchange.
func (c *Client) begin(s ClientState, times schedule, wait time.Duration) {
	c.state = s
	c.xid = [3]byte(binary.BigEndian.AppendUint32(nil, c.cfg.Rand.Uint32()))
	c.rt = retransmission{schedule: times}
	if wait > 0 {
		c.resend.Start(wait)
		return
	}
	c.transmit()
}

// transmit sends the message of the exchange, or ends it.
func (c *Client) transmit() {
	now := c.cfg.Clock.Now()
	switch {
	case c.state == Soliciting && c.rt.sent > 0 && c.best != nil:
		c.request()
		return
	case c.rt.sent == 0:
		c.rt.began = now
	case c.rt.over(now):
		c.giveUp()
		return
	}
	c.waited = c.rt.sent > 0
	c.cfg.Send(c.message(now).ToBytes())
	c.resend.Start(c.rt.next(now, c.cfg.Rand))
}

// giveUp is what follows an exchange that nobody answered.
func (c *Client) giveUp() {
	switch c.state {
	case Requesting:
		c.failures++
		c.lose()
	case Confirming: // nobody objects
		c.state = Delegating
		c.schedule()
	case Releasing:
		c.has = Delegation{}
		c.stop()
	}
}

// request asks the best server for what it offered.
func (c *Client) request() {
	c.has.Server = c.best.server
	c.begin(Requesting, requestTimes, 0)
}

// extend is T1 or T2.
func (c *Client) extend() {
	now := c.cfg.Clock.Now()
	if !c.has.T2.IsZero() && !now.Before(c.has.T2) || c.has.Server == nil {
		c.begin(Rebinding, rebindTimes, 0)
		return
	}
	if !c.has.T2.IsZero() {
		c.due.StartAt(c.has.T2)
	}
	c.begin(Renewing, renewTimes, 0)
}

// schedule starts the timers of a delegation.
func (c *Client) schedule() {
	c.resend.Stop()
	if c.due.Stop(); !c.has.T1.IsZero() {
		c.due.StartAt(c.has.T1)
	}
	_, next := c.has.expire(c.cfg.Clock.Now())
	c.startExpiry(next)
}

func (c *Client) startExpiry(next time.Time) {
	if c.expiry.Stop(); !next.IsZero() {
		c.expiry.StartAt(next)
	}
}

// expire is the end of a prefix.
func (c *Client) expire() {
	changed, next := c.has.expire(c.cfg.Clock.Now())
	c.startExpiry(next)
	if !changed {
		return
	}
	if len(c.has.Prefixes) == 0 {
		c.lose()
		return
	}
	c.changed()
}

// message is the question of the state.
func (c *Client) message(now time.Time) *dhcpv6.Message {
	m := &dhcpv6.Message{TransactionID: c.xid}
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientID, OptionData: c.cfg.DUID})
	prefixes := make([]netip.Prefix, 0, len(c.has.Prefixes))
	for _, p := range c.has.Prefixes {
		prefixes = append(prefixes, p.Prefix)
	}
	toServer := true
	switch c.state {
	case Soliciting:
		m.MessageType, toServer = dhcpv6.MessageTypeSolicit, false
		if c.cfg.RapidCommit {
			m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
		}
		if c.cfg.Hint.IsValid() {
			prefixes = append(prefixes, c.cfg.Hint)
		}
	case Requesting:
		m.MessageType = dhcpv6.MessageTypeRequest
		if c.best != nil {
			for _, p := range c.best.offer.prefixes {
				prefixes = append(prefixes, p.prefix)
			}
		}
	case Renewing:
		m.MessageType = dhcpv6.MessageTypeRenew
	case Releasing:
		m.MessageType = dhcpv6.MessageTypeRelease
	default:
		m.MessageType, toServer = dhcpv6.MessageTypeRebind, false
	}
	if toServer {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionServerID, OptionData: c.has.Server})
	}
	elapsed := uint16(min(now.Sub(c.rt.began)/(10*time.Millisecond), 0xffff))
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionElapsedTime, OptionData: binary.BigEndian.AppendUint16(nil, elapsed)})
	if c.state != Releasing {
		m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionSolMaxRT, dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionSNTPServerList))
	}
	m.AddOption(iaPD(c.cfg.IAID, prefixes))
	return m
}

// Receive takes a datagram that came to port 546.
func (c *Client) Receive(b []byte) {
	c.stats.Received++
	if !c.receive(b) {
		c.stats.Discarded++
	}
}

// receive validates an answer (RFC 8415 Section 16) and takes it; false if it
// is none, or none to what was asked.
func (c *Client) receive(b []byte) bool {
	if len(b) > 0 && (b[0] == byte(dhcpv6.MessageTypeRelayForward) || b[0] == byte(dhcpv6.MessageTypeRelayReply)) {
		return false
	}
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil || m.TransactionID != c.xid || c.rt.sent == 0 || !c.resend.Running() {
		return false
	}
	id, server := m.GetOneOption(dhcpv6.OptionClientID), m.GetOneOption(dhcpv6.OptionServerID)
	if id == nil || server == nil || !bytes.Equal(id.ToBytes(), c.cfg.DUID) || len(server.ToBytes()) > maxDUID {
		return false
	}
	from := server.ToBytes()
	switch {
	case m.MessageType == dhcpv6.MessageTypeAdvertise && c.state == Soliciting:
		c.setSolMaxRT(m)
		return c.advertised(m, from)
	case m.MessageType != dhcpv6.MessageTypeReply:
		return false
	}
	switch c.state {
	case Soliciting:
		if !c.cfg.RapidCommit || m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
			return false
		}
	case Requesting, Renewing, Releasing:
		if !bytes.Equal(from, c.has.Server) {
			return false
		}
	}
	c.setSolMaxRT(m)
	return c.replied(m, from)
}

// setSolMaxRT heeds what servers say about asking (RFC 8415 Section 21.24).
func (c *Client) setSolMaxRT(m *dhcpv6.Message) {
	o := m.GetOneOption(dhcpv6.OptionSolMaxRT)
	if o == nil || len(o.ToBytes()) != 4 {
		return
	}
	d := time.Duration(binary.BigEndian.Uint32(o.ToBytes())) * time.Second
	if d < solMaxRTLeast || d > solMaxRTMost {
		return
	}
	c.solMaxRT = d
	if c.state == Soliciting {
		c.rt.most = d
	}
}

// advertised is RFC 8415 Section 18.2.9.
func (c *Client) advertised(m *dhcpv6.Message, server []byte) bool {
	offer, ok := offerOf(m, c.cfg.IAID)
	if st := m.Options.Status(); !ok || !offer.usable() || st != nil && st.StatusCode != iana.StatusSuccess {
		return false
	}
	a := &advert{server: bytes.Clone(server), preference: m.Options.Preference(), offer: offer}
	if c.best == nil || a.preference > c.best.preference {
		c.best = a
	}
	if a.preference == 255 || c.waited {
		c.request()
	}
	return true
}

// replied is RFC 8415 Section 18.2.10.
func (c *Client) replied(m *dhcpv6.Message, server []byte) bool {
	if c.state == Releasing {
		c.has = Delegation{}
		c.stop()
		return true
	}
	offer, ok := offerOf(m, c.cfg.IAID)
	status := offer.status
	if st := m.Options.Status(); st != nil && st.StatusCode != iana.StatusSuccess {
		status = st.StatusCode
	}
	switch {
	case status == iana.StatusNoBinding && c.state != Requesting && c.state != Soliciting:
		// The server knows nothing of it, but may well give it.
		c.has.Server = bytes.Clone(server)
		c.best = nil
		c.due.Stop()
		c.begin(Requesting, requestTimes, 0)
		return true
	case status != iana.StatusSuccess && c.state == Requesting && status != iana.StatusUnspecFail:
		c.failures++
		c.lose()
		return true
	case !ok || status != iana.StatusSuccess || len(offer.prefixes) == 0:
		return false // it is asked again, when that is due
	}
	now := c.cfg.Clock.Now()
	c.has.Server = bytes.Clone(server)
	c.has.take(now, &offer)
	c.has.DNS, c.has.SNTP = nil, nil
	for _, ip := range m.Options.DNS() {
		c.has.DNS = appendAddr(c.has.DNS, ip)
	}
	for _, ip := range m.Options.SNTP() {
		c.has.SNTP = appendAddr(c.has.SNTP, ip)
	}
	c.best = nil
	if len(c.has.Prefixes) == 0 { // all are withdrawn
		c.lose()
		return true
	}
	c.failures = 0
	c.state = Delegating
	c.schedule()
	c.changed()
	return true
}

// lose begins anew, without the prefixes that there are.
func (c *Client) lose() {
	c.solicit()
	c.changed()
}

func appendAddr(to []netip.Addr, ip []byte) []netip.Addr {
	if a, ok := netip.AddrFromSlice(ip); ok && len(to) < maxPrefixes {
		return append(to, a)
	}
	return to
}
