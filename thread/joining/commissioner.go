package joining

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/dtls"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Timing of a commissioner's petition, OpenThread's.
const (
	keepAliveInterval  = petitionTimeout / 2
	petitionTries      = 2
	petitionRetryDelay = time.Second
	returnDelay        = 10 * time.Second // after a session was lost; our own
)

// DefaultID is the name under which a commissioner petitions.
const DefaultID = "gatewayd"

// CommissionerState is a commissioner's.
type CommissionerState uint8

// The states, named as OpenThread's command line does.
const (
	Disabled CommissionerState = iota
	Petitioning
	Active
)

func (s CommissionerState) String() string {
	return [...]string{"disabled", "petitioning", "active"}[s]
}

// CommissionerConfig is what a Commissioner needs. StateChanged, JoinerChanged,
// Relayed and DatasetChanged may be nil.
type CommissionerConfig struct {
	Clock   *alarm.Clock
	Rand    *rand.Rand
	Entropy io.Reader // for keys
	TMF     *tmf.Agent
	IP      *ip.Stack
	// Attached reports whether the node is part of a network.
	Attached func() bool
	// RLOC16 is the node's own; Address the mesh-local address of an RLOC16 or
	// ALOC16.
	RLOC16  func() uint16
	Address func(locator16 uint16) netip.Addr
	// StateChanged is called with the new state, and why, if the commissioner
	// did not come to it by command.
	StateChanged func(s CommissionerState, why error)
	// JoinerChanged is called with an entry of which something changed.
	JoinerChanged func(e Entry)
	// Relayed takes the payloads of RLY_RX.ntf while the commissioner is not
	// active: those of a border agent's commissioner.
	Relayed func(payload []byte)
	// DatasetChanged is called when the leader says so.
	DatasetChanged func()
	// Return has the commissioner petition again after it lost its session, as
	// when the leader is another one, while there is somebody on the list.
	Return bool
}

// Commissioner is a commissioner on a node of the mesh.
type Commissioner struct {
	cfg     CommissionerConfig
	state   CommissionerState
	id, url string

	term    uint64 // counts starts and ends: late answers to others do not count
	tries   int
	session uint16
	rloc16  uint16     // the leader knows us at
	aloc    netip.Addr // ours while active
	timer   *alarm.Timer
	lost    bool         // the last session, without having been stopped
	back    *alarm.Timer // to begin another one then

	list     []*entry
	history  []*entry
	expiry   *alarm.Timer
	publish  publisher
	sessions []*session
	front    dtls.Front
	frontAge time.Time // when its key was drawn

	Counters CommissionerCounters
}

// CommissionerCounters count what came by RLY_RX and what became of it.
type CommissionerCounters struct {
	Relayed   uint32 // datagrams for a session
	Cookies   uint32 // greetings that were asked for a cookie
	Sessions  uint32 // begun
	Accepted  uint32 // joiners given the KEK
	Refused   uint32 // joiners refused, for a wrong PSKd or else
	Unknown   uint32 // datagrams of joiners that are not on the list
	Stray     uint32 // datagrams that belong to no session
	Full      uint32 // joiners that had to wait for others
	Malformed uint32 // messages that made no sense
}

// NewCommissioner returns a Commissioner that is disabled.
func NewCommissioner(cfg CommissionerConfig) *Commissioner {
	c := &Commissioner{cfg: cfg, id: DefaultID}
	c.timer = cfg.Clock.NewTimer(c.due)
	c.back = cfg.Clock.NewTimer(c.comeBack)
	c.expiry = cfg.Clock.NewTimer(c.expire)
	c.publish.init(c)
	cfg.TMF.Handle(tmf.RelayReceive, c.relayed)
	cfg.TMF.Handle(tmf.DatasetChanged, c.datasetChanged)
	return c
}

// State is the present state.
func (c *Commissioner) State() CommissionerState { return c.state }

// SessionID is that of the session; it counts only while active.
func (c *Commissioner) SessionID() uint16 { return c.session }

// ID is the name under which the commissioner petitions.
func (c *Commissioner) ID() string { return c.id }

// SetID changes it, at most 64 bytes of UTF-8.
func (c *Commissioner) SetID(id string) error {
	if c.state != Disabled {
		return ErrInvalidState
	}
	if len(id) > meshcop.MaxCommissionerIDLen || !utf8.ValidString(id) {
		return ErrInvalidArgs.because("commissioner id of %d bytes, at most %d of UTF-8", len(id), meshcop.MaxCommissionerIDLen)
	}
	c.id = id
	return nil
}

// ProvisioningURL is the URL that a joiner that names one must name.
func (c *Commissioner) ProvisioningURL() string { return c.url }

// SetProvisioningURL changes it, at most 64 bytes of UTF-8.
func (c *Commissioner) SetProvisioningURL(url string) error {
	if len(url) > meshcop.MaxProvisioningURLLen || !utf8.ValidString(url) {
		return ErrInvalidArgs.because("provisioning URL of %d bytes, at most %d of UTF-8", len(url), meshcop.MaxProvisioningURLLen)
	}
	c.url = url
	return nil
}

// Start petitions the leader. The list may hold what was on it when another
// session was lost.
func (c *Commissioner) Start() error {
	switch {
	case !c.cfg.Attached():
		return ErrInvalidState
	case c.state != Disabled:
		return ErrAlready
	}
	c.back.Stop()
	c.term++
	c.tries = 0
	c.setState(Petitioning, nil)
	c.petition()
	return nil
}

// Stop resigns and clears the list.
func (c *Commissioner) Stop() error {
	if c.state == Disabled && !c.lost {
		return ErrAlready
	}
	c.lost = false
	active, session, list := c.state == Active, c.session, slices.Clone(c.list)
	if c.state != Disabled {
		c.end(nil)
	}
	c.back.Stop()
	if active {
		c.sendKeepAlive(meshcop.StateReject, session, nil)
	}
	for _, e := range list {
		c.drop(e, Removed)
	}
	return nil
}

// Update must be called when the node's role, RLOC16 or mesh-local prefix
// changed. The leader then learns at once where the commissioner is.
func (c *Commissioner) Update() {
	if c.state != Active {
		return
	}
	if a := c.cfg.Address(CommissionerALOC16(c.session)); a != c.aloc {
		c.cfg.IP.Remove(c.aloc)
		c.aloc = a
		c.cfg.IP.Add(ip.Address{Addr: a, Bits: 64, Locator: true})
	}
	if c.cfg.Attached() && c.cfg.RLOC16() != c.rloc16 {
		c.keepAlive()
	}
}

func (c *Commissioner) setState(s CommissionerState, why error) {
	c.state = s
	if c.cfg.StateChanged != nil {
		c.cfg.StateChanged(s, why)
	}
}

// end leaves the session without telling the leader.
func (c *Commissioner) end(why error) {
	for _, s := range slices.Clone(c.sessions) {
		s.abandon(Lost, ErrAbort)
	}
	c.term++
	c.timer.Stop()
	c.publish.stop()
	if c.aloc.IsValid() {
		c.cfg.IP.Remove(c.aloc)
		c.aloc = netip.Addr{}
	}
	if c.lost {
		c.back.Start(returnDelay)
	}
	c.setState(Disabled, why)
}

// lose is the end of an active session that nobody stopped.
func (c *Commissioner) lose(why error) {
	c.lost = c.cfg.Return
	c.end(why)
}

// comeBack petitions again as long as somebody is still to be let in.
func (c *Commissioner) comeBack() {
	switch {
	case c.state != Disabled:
	case len(c.list) == 0:
		c.lost = false
	case c.Start() != nil:
		c.back.Start(returnDelay)
	}
}

func (c *Commissioner) due() {
	switch c.state {
	case Petitioning:
		c.petition()
	case Active:
		c.keepAlive()
	}
}

func (c *Commissioner) leader() netip.Addr { return c.cfg.Address(leaderALOC16) }

// rloc is the node's routing locator, from which the leader is spoken to.
func (c *Commissioner) rloc() netip.Addr { return c.cfg.Address(c.cfg.RLOC16()) }

// petition sends LEAD_PET.req.
func (c *Commissioner) petition() {
	c.tries++
	term, from := c.term, c.cfg.RLOC16()
	m := meshcop.Petition{CommissionerID: c.id}
	c.cfg.TMF.Send(tmf.LeaderPetition, c.leader(), m.Append(nil), tmf.Options{Priority: link.Net, Source: c.rloc()},
		func(r tmf.Response, err error) {
			a, err := decodePetition(r, err)
			if c.term != term || c.state != Petitioning {
				if err == nil && a.State == meshcop.StateAccept && c.state == Disabled {
					// Stopped meanwhile: others should not have to wait.
					c.sendKeepAlive(meshcop.StateReject, *a.SessionID, nil)
				}
				return
			}
			switch {
			case err != nil && c.tries < petitionTries:
				c.timer.Start(petitionRetryDelay)
			case err != nil:
				c.end(ErrResponseTimeout.because("petition: %w", err))
			case a.State != meshcop.StateAccept:
				c.end(ErrRejected.because("the leader has another commissioner: %q", a.CommissionerID))
			default:
				c.activate(*a.SessionID, from)
			}
		})
}

func decodePetition(r tmf.Response, err error) (a meshcop.PetitionResponse, _ error) {
	if err != nil {
		return a, err
	}
	if r.Code != coap.Changed {
		return a, fmt.Errorf("joining: the leader answered with %v", r.Code)
	}
	a, err = meshcop.DecodePetitionResponse(r.Payload)
	if err == nil && a.State == meshcop.StateAccept && a.SessionID == nil {
		err = fmt.Errorf("joining: the leader accepted without a session id")
	}
	return a, err
}

func (c *Commissioner) activate(session, from uint16) {
	c.session, c.rloc16, c.lost = session, from, false
	c.aloc = c.cfg.Address(CommissionerALOC16(session))
	c.cfg.IP.Add(ip.Address{Addr: c.aloc, Bits: 64, Locator: true})
	c.timer.Start(keepAliveInterval)
	c.setState(Active, nil)
	if len(c.list) > 0 {
		c.publish.changed()
	}
}

// keepAlive tells the leader that the commissioner is there, and where.
func (c *Commissioner) keepAlive() {
	term, from := c.term, c.cfg.RLOC16()
	c.rloc16 = from
	c.timer.Stop()
	c.sendKeepAlive(meshcop.StateAccept, c.session, func(r tmf.Response, err error) {
		if c.term != term {
			return
		}
		if err == nil && r.Code != coap.Changed {
			err = fmt.Errorf("joining: the leader answered with %v", r.Code)
		}
		if err != nil {
			c.lose(ErrResponseTimeout.because("keep-alive: %w", err))
			return
		}
		if s, err := meshcop.DecodeState(r.Payload); err == nil && s != meshcop.StateAccept {
			c.lose(ErrRejected.because("the leader has ended the session"))
			return
		}
		c.timer.Start(keepAliveInterval)
	})
}

func (c *Commissioner) sendKeepAlive(s meshcop.State, session uint16, done func(tmf.Response, error)) {
	m := meshcop.KeepAlive{State: s, SessionID: session}
	c.cfg.TMF.Send(tmf.LeaderKeepAlive, c.leader(), m.Append(nil), tmf.Options{Priority: link.Net, Source: c.rloc()}, done)
}

// datasetChanged takes the leader's word that a dataset is another one.
func (c *Commissioner) datasetChanged(r *tmf.Request) {
	if c.state != Active || r.Type != coap.Confirmable {
		r.NoResponse()
		return
	}
	r.Respond(coap.Changed, nil)
	if c.cfg.DatasetChanged != nil {
		c.cfg.DatasetChanged()
	}
}
