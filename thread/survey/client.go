package survey

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Why a request is not sent.
var (
	ErrInactive = errors.New("survey: the commissioner of this node is not active")
	ErrInvalid  = errors.New("survey: no such channels, count or time")
)

// Client asks nodes on behalf of the node's commissioner. Its Config needs TMF,
// RLOC, and a Session that is that of the commissioner while it is active.
type Client struct {
	cfg Config

	// Energy takes a report of measured energies in dBm, by round and channel;
	// Conflict the channels on which a PAN ID is in use. Both may be nil.
	Energy   func(from netip.Addr, r meshcop.EnergyReport)
	Conflict func(from netip.Addr, r meshcop.PANIDQuery)
}

// NewClient returns a Client that takes reports while the commissioner is
// active.
func NewClient(cfg Config) *Client {
	c := &Client{cfg: cfg}
	cfg.TMF.Handle(tmf.EnergyReport, func(r *tmf.Request) {
		m, err := meshcop.DecodeEnergyReport(r.Payload)
		if c.admit(r, err) && c.Energy != nil {
			c.Energy(r.From.Remote.Addr(), m)
		}
	})
	cfg.TMF.Handle(tmf.PANIDConflict, func(r *tmf.Request) {
		m, err := meshcop.DecodePANIDQuery(r.Payload)
		if c.admit(r, err) && c.Conflict != nil {
			c.Conflict(r.From.Remote.Addr(), m)
		}
	})
	return c
}

func (c *Client) admit(r *tmf.Request, err error) bool {
	if _, ok := c.cfg.Session(); !ok || r.Type != coap.Confirmable {
		r.NoResponse()
		return false
	}
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return false
	}
	r.Respond(coap.Changed, nil)
	return true
}

// EnergyScan asks for count rounds of measurements on each channel (channel n
// at 1<<n), period apart, of a duration. Times are in whole milliseconds, at
// most 65535.
func (c *Client) EnergyScan(to netip.Addr, channels uint32, count uint8, period, duration time.Duration) error {
	session, ok := c.cfg.Session()
	if !ok {
		return ErrInactive
	}
	p, err := milliseconds(period)
	if err != nil {
		return err
	}
	d, err := milliseconds(duration)
	if err != nil {
		return err
	}
	m := meshcop.EnergyScan{SessionID: session, ChannelMask: meshcop.MaskOf(channels), Count: count, Period: p, ScanDuration: d}
	c.send(tmf.EnergyScan, to, m.Append(nil))
	return nil
}

// QueryPANID asks who uses a PAN ID on any of the channels.
func (c *Client) QueryPANID(to netip.Addr, channels uint32, panID uint16) error {
	session, ok := c.cfg.Session()
	if !ok {
		return ErrInactive
	}
	m := meshcop.PANIDQuery{SessionID: &session, PANID: panID, ChannelMask: meshcop.MaskOf(channels)}
	c.send(tmf.PANIDQuery, to, m.Append(nil))
	return nil
}

// Announce asks for count Announces on each channel, period apart.
func (c *Client) Announce(to netip.Addr, channels uint32, count uint8, period time.Duration) error {
	session, ok := c.cfg.Session()
	if !ok {
		return ErrInactive
	}
	p, err := milliseconds(period)
	if err != nil {
		return err
	}
	m := meshcop.AnnounceBegin{SessionID: session, ChannelMask: meshcop.MaskOf(channels), Count: count, Period: p}
	c.send(tmf.AnnounceBegin, to, m.Append(nil))
	return nil
}

func milliseconds(d time.Duration) (uint16, error) {
	ms := d.Milliseconds()
	if ms < 0 || ms > 0xffff {
		return 0, fmt.Errorf("%w: %v", ErrInvalid, d)
	}
	return uint16(ms), nil
}

func (c *Client) send(uri string, to netip.Addr, payload []byte) {
	c.cfg.TMF.Send(uri, to, payload, tmf.Options{NonConfirmable: to.IsMulticast(), Priority: link.Net, Source: c.cfg.RLOC()}, nil)
}
