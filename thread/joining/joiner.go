package joining

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/dtls"
	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Timing and bounds of a joiner, OpenThread's.
const (
	finalizeTimeout = 4 * time.Second        // for JOIN_FIN.rsp
	entrustTimeout  = 4 * time.Second        // for JOIN_ENT.ntf
	readdressDelay  = 100 * time.Millisecond // after JOIN_ENT, so that its answer gets out
	maxCandidates   = 2
)

// JoinerState is a joiner's.
type JoinerState uint8

// The states, named as OpenThread's command line does.
const (
	JoinerIdle JoinerState = iota
	JoinerDiscover
	JoinerConnecting
	JoinerConnected
	JoinerEntrust
	JoinerJoined
)

func (s JoinerState) String() string {
	return [...]string{"Idle", "Discover", "Connecting", "Connected", "Entrust", "Joined"}[s]
}

// Found is a joiner router that answered a Discovery Request.
type Found struct {
	Ext          ieee802154.ExtAddr
	ExtPANID     meshcop.ExtPANID
	NetworkName  string
	PANID        uint16
	Channel      uint8
	RSSI         int8 // dBm
	SteeringData meshcop.SteeringData
	JoinerPort   uint16 // 0 if it takes no joiners
}

// Discoverer looks for networks (MLE Discovery).
type Discoverer interface {
	// Discover asks on channels, bit n for channel n, 0 for all. found is
	// called for each answer, done at the end. It returns false if it cannot
	// begin, and calls nothing then.
	Discover(joiner bool, channels uint32, found func(Found), done func()) bool
}

// Device is the part of the node that a joiner has to change.
type Device interface {
	// SetExtAddress changes the extended and the link-local address, for good
	// if keep is set.
	SetExtAddress(e ieee802154.ExtAddr, keep bool)
	SetPANID(pan uint16)
	SetChannel(channel uint8)
}

// Vendor is what a joiner tells of itself: at most 32, 32, 16 and 64 bytes of
// UTF-8.
type Vendor struct {
	Name, Model, SWVersion, Data string
}

// Credentials are what a joiner gets.
type Credentials struct {
	// Dataset is what is known of the active dataset. It has no timestamp, so
	// that all of it comes when the device attaches.
	Dataset meshcop.Dataset
	// KeySequence is the network's, 0 if it was not told.
	KeySequence uint32
}

// JoinerConfig is what a Joiner needs. StackVersion and StateChanged may be nil.
type JoinerConfig struct {
	Clock      *alarm.Clock
	Rand       *rand.Rand
	Entropy    io.Reader // for keys and addresses
	TMF        *tmf.Agent
	IP         *ip.Stack
	Keys       KEKs
	Discoverer Discoverer
	Device     Device
	// EUI64 is the radio's address.
	EUI64 func() ieee802154.ExtAddr
	// Ready reports whether the interface is up and the node not part of a
	// network.
	Ready        func() bool
	StackVersion *meshcop.StackVersion
	StateChanged func(JoinerState)
	// Joined takes the credentials, before the joiner is done.
	Joined func(Credentials)
}

// Joiner is the machine of a device that wants to get into a network.
type Joiner struct {
	cfg       JoinerConfig
	state     JoinerState
	discerner *meshcop.Discerner
	random    ieee802154.ExtAddr // the joiner ID of the discerner

	attempt uint64 // number of the present one: late calls of others do not count
	pskd    PSKd
	hello   []byte // JOIN_FIN.req
	done    func(error)

	candidates []Found // best first
	tried      int
	err        error // of the first that was tried
	router     Found // being talked to
	session    *secured
	open       bool // the UDP port
	kek        bool // the link layer has our KEK
	refused    bool // by the answer to JOIN_FIN
	timer      *alarm.Timer
}

// NewJoiner returns a Joiner that is idle.
func NewJoiner(cfg JoinerConfig) *Joiner {
	j := &Joiner{cfg: cfg}
	j.timer = cfg.Clock.NewTimer(j.timeout)
	cfg.TMF.Handle(tmf.JoinerEntrust, j.entrusted)
	return j
}

// State is the present state.
func (j *Joiner) State() JoinerState { return j.state }

// ID is the joiner ID, made from the EUI-64 or the discerner.
func (j *Joiner) ID() ieee802154.ExtAddr {
	if j.discerner != nil {
		return j.random
	}
	return meshcop.JoinerID(j.cfg.EUI64())
}

// Discerner is the one set; false if the device joins by its EUI-64.
func (j *Joiner) Discerner() (meshcop.Discerner, bool) {
	if j.discerner == nil {
		return meshcop.Discerner{}, false
	}
	return *j.discerner, true
}

// SetDiscerner makes the device join by a discerner instead of its EUI-64.
func (j *Joiner) SetDiscerner(d meshcop.Discerner) error {
	if !d.Valid() {
		return ErrInvalidArgs
	}
	if j.state != JoinerIdle {
		return ErrInvalidState
	}
	id, err := d.JoinerID(j.cfg.Entropy)
	if err != nil {
		return err
	}
	j.discerner, j.random = &d, id
	return nil
}

// ClearDiscerner makes the device join by its EUI-64 again.
func (j *Joiner) ClearDiscerner() error {
	if j.state != JoinerIdle {
		return ErrInvalidState
	}
	j.discerner = nil
	return nil
}

// Start looks for a network that lets this device in, and joins it. done is
// called once, with nil or what wraps an Error, unless Stop is called before:
// ErrNotFound if there is no such network, ErrSecurity if the PSKd is another
// one, ErrResponseTimeout if JOIN_FIN or JOIN_ENT was in vain, ErrRejected if
// the commissioner refused.
func (j *Joiner) Start(pskd PSKd, provisioningURL string, v Vendor, done func(error)) error {
	m := meshcop.JoinerFinalize{
		State: meshcop.StateAccept, VendorName: v.Name, VendorModel: v.Model, VendorSWVersion: v.SWVersion,
		StackVersion: j.cfg.StackVersion, VendorData: v.Data, ProvisioningURL: provisioningURL,
	}
	hello := m.Append(nil)
	if _, err := meshcop.DecodeJoinerFinalize(hello); err != nil {
		return ErrInvalidArgs.because("%w", err)
	}
	switch {
	case pskd == PSKd{}:
		return ErrInvalidArgs.because("no PSKd")
	case j.state != JoinerIdle:
		return ErrBusy
	case !j.cfg.Ready():
		return ErrInvalidState
	}
	address, err := j.randomAddress()
	if err != nil {
		return err
	}
	j.attempt++
	attempt := j.attempt
	j.candidates, j.tried, j.err, j.refused = nil, 0, nil, false
	j.pskd, j.hello, j.done = pskd, hello, done
	j.cfg.Device.SetExtAddress(address, false)
	j.setState(JoinerDiscover)
	current := func() bool { return j.attempt == attempt && j.state == JoinerDiscover }
	if !j.cfg.Discoverer.Discover(true, 0,
		func(f Found) {
			if current() {
				j.found(f)
			}
		},
		func() {
			if current() {
				j.cfg.Device.SetExtAddress(j.ID(), false)
				j.connectNext()
			}
		}) {
		j.done = nil
		j.finish(ErrBusy)
		return ErrBusy.because("a discovery is under way")
	}
	return nil
}

// Stop gives up; done is not called.
func (j *Joiner) Stop() {
	j.done = nil
	j.finish(ErrAbort)
}

// randomAddress is an extended address that says nothing about the device.
func (j *Joiner) randomAddress() (e ieee802154.ExtAddr, err error) {
	if _, err := io.ReadFull(j.cfg.Entropy, e[:]); err != nil {
		return e, ErrAbort.because("drawing an address: %w", err)
	}
	e[0] = e[0]&^1 | 2 // locally administered, of one device
	return e, nil
}

func (j *Joiner) setState(s JoinerState) {
	if j.state == s {
		return
	}
	j.state = s
	if j.cfg.StateChanged != nil {
		j.cfg.StateChanged(s)
	}
}

// found notes a joiner router that lets this device in, if it is one of the
// best: those that mean this device before those that take all, then by RSSI.
func (j *Joiner) found(f Found) {
	if f.JoinerPort == 0 || !j.meant(f.SteeringData) ||
		slices.ContainsFunc(j.candidates, func(c Found) bool { return c.Ext == f.Ext }) {
		return
	}
	better := func(c Found) bool {
		if a, b := f.SteeringData.AllowsAny(), c.SteeringData.AllowsAny(); a != b {
			return b
		}
		return f.RSSI > c.RSSI
	}
	i := slices.IndexFunc(j.candidates, better)
	if i < 0 {
		i = len(j.candidates)
	}
	j.candidates = slices.Insert(j.candidates, i, f)
	j.candidates = j.candidates[:min(len(j.candidates), maxCandidates)]
}

func (j *Joiner) meant(s meshcop.SteeringData) bool {
	if j.discerner != nil {
		return s.ContainsDiscerner(*j.discerner)
	}
	return s.Contains(j.ID())
}

// connectNext begins a DTLS session by the best joiner router that was not
// tried yet.
func (j *Joiner) connectNext() {
	for j.tried < len(j.candidates) {
		j.router = j.candidates[j.tried]
		j.tried++
		j.setState(JoinerConnecting)
		err := j.connect()
		if err == nil {
			return
		}
		j.note(err)
	}
	if j.err == nil {
		j.err = ErrNotFound.because("no network here lets this device join")
	}
	j.finish(j.err)
}

// note remembers the first error.
func (j *Joiner) note(err error) {
	if j.err == nil {
		j.err = err
	}
}

func (j *Joiner) connect() error {
	j.cfg.Device.SetPANID(j.router.PANID)
	j.cfg.Device.SetChannel(j.router.Channel)
	j.openPort()
	s := newSecured(j.cfg.Clock, coap.Config[other]{Rand: j.cfg.Rand},
		func(c *dtls.Conn, b []byte) { _ = c.Write(b) })
	s.established = func() { j.connected(s) }
	s.closed = func(err error) { j.disconnected(s, err) }
	j.session = s
	err := s.open(dtls.Client, dtls.Config{
		Secret: []byte(j.pskd.Reveal()), Rand: j.cfg.Entropy, Send: j.send,
	})
	if err != nil {
		j.session = nil
		return ErrSecurity.because("%w", err)
	}
	return nil
}

// address is the joiner router's.
func (j *Joiner) address() netip.AddrPort {
	return netip.AddrPortFrom(linkLocal(j.router.Ext.IID()), j.router.JoinerPort)
}

func (j *Joiner) send(datagram []byte) {
	_ = j.cfg.IP.SendUDP(ip.Datagram{
		Src: netip.AddrPortFrom(netip.Addr{}, meshcop.DefaultJoinerPort), Dst: j.address(), Payload: datagram,
	}, link.Options{Security: link.Unsecured, Priority: link.Net})
}

func (j *Joiner) received(d *ip.Datagram) {
	if j.session == nil || j.session.conn == nil || d.Info.FromHost || d.Src != j.address() {
		return
	}
	j.session.handle(d.Payload)
}

func (j *Joiner) openPort() {
	if !j.open {
		j.open = true
		j.cfg.IP.HandleUDP(meshcop.DefaultJoinerPort, j.received)
		j.cfg.IP.AllowUnsecure(meshcop.DefaultJoinerPort)
	}
}

func (j *Joiner) closePort() {
	if j.open {
		j.open = false
		j.cfg.IP.HandleUDP(meshcop.DefaultJoinerPort, nil)
		j.cfg.IP.DenyUnsecure(meshcop.DefaultJoinerPort)
	}
}

// connected introduces the device (JOIN_FIN.req).
func (j *Joiner) connected(s *secured) {
	if j.session != s || j.state != JoinerConnecting {
		return
	}
	j.setState(JoinerConnected)
	j.timer.Start(finalizeTimeout)
	m := coap.Message{Type: coap.Confirmable, Code: coap.POST, Payload: j.hello}
	m.SetPath(tmf.JoinerFinalize)
	err := s.request(m, func(r coap.Response[other], err error) {
		if j.session == s && j.state == JoinerConnected {
			j.finalized(r, err)
		}
	})
	if err != nil {
		j.finish(ErrAbort.because("JOIN_FIN: %w", err))
	}
}

// finalized takes JOIN_FIN.rsp. A commissioner that refuses should not have the
// device entrusted, but some do: the device waits all the same.
func (j *Joiner) finalized(r coap.Response[other], err error) {
	if err != nil {
		j.finish(ErrResponseTimeout.because("JOIN_FIN: %w", err))
		return
	}
	answer, err := meshcop.DecodeState(r.Payload)
	if r.Code != coap.Changed || err != nil {
		j.finish(ErrRejected.because("JOIN_FIN answered with %v", r.Code))
		return
	}
	j.refused = answer == meshcop.StateReject
	j.cfg.Keys.SetKEK(j.session.conn.KEK())
	j.kek = true
	j.setState(JoinerEntrust)
	j.timer.Start(entrustTimeout)
	j.session.close()
	j.closePort()
}

// disconnected is the end of a DTLS session. Where it was not of our making it
// is the end of this try, and before JOIN_FIN the next joiner router's turn.
func (j *Joiner) disconnected(s *secured, err error) {
	if j.session != s {
		return
	}
	j.session = nil
	var why error = ErrSecurity.because("%w", err)
	if errors.Is(err, dtls.ErrTimeout) {
		why = ErrSecurity.because("the commissioner did not answer: %w", err)
	}
	switch j.state {
	case JoinerConnecting:
		j.note(why)
		j.connectNext()
	case JoinerConnected:
		j.finish(why)
	}
}

// entrusted takes the network's credentials (JOIN_ENT.ntf), which count only
// under the KEK of our session.
func (j *Joiner) entrusted(r *tmf.Request) {
	if j.state != JoinerEntrust || r.Type != coap.Confirmable || r.From.Security != link.JoinerKEK ||
		r.From.Remote.Addr() != j.address().Addr() {
		r.NoResponse()
		return
	}
	m, err := meshcop.DecodeJoinerEntrust(r.Payload)
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	r.Respond(coap.Changed, nil)
	j.setState(JoinerJoined)
	j.timer.Start(readdressDelay)
	j.cfg.Joined(j.credentials(&m))
}

func (j *Joiner) credentials(m *meshcop.JoinerEntrust) Credentials {
	pan := j.router.PANID
	c := Credentials{Dataset: meshcop.Dataset{
		NetworkKey: m.NetworkKey, MeshLocalPrefix: m.MeshLocalPrefix, ExtPANID: m.ExtPANID,
		NetworkName: m.NetworkName, ChannelMask: m.ChannelMask, PSKc: m.PSKc, SecurityPolicy: m.SecurityPolicy,
		Channel: &meshcop.Channel{Number: uint16(j.router.Channel)}, PANID: &pan,
	}}
	if m.KeySequence != nil {
		c.KeySequence = *m.KeySequence
	}
	return c
}

// timeout is the end of a wait.
func (j *Joiner) timeout() {
	switch j.state {
	case JoinerConnected:
		j.finish(ErrResponseTimeout.because("no answer to JOIN_FIN"))
	case JoinerEntrust:
		if j.refused {
			j.finish(ErrRejected.because("the commissioner does not accept this device"))
			return
		}
		j.finish(ErrResponseTimeout.because("the joiner router did not hand over the network key"))
	case JoinerJoined:
		e, err := j.randomAddress()
		if err == nil {
			j.cfg.Device.SetExtAddress(e, true)
		}
		j.finish(err)
	}
}

// finish ends the attempt, whatever its state, and tells who started it.
func (j *Joiner) finish(err error) {
	if j.state == JoinerIdle {
		return
	}
	j.timer.Stop()
	s, done := j.session, j.done
	j.session, j.done, j.candidates, j.hello, j.pskd = nil, nil, nil, nil, PSKd{}
	if s != nil && s.conn != nil {
		s.close()
	}
	j.closePort()
	if j.kek {
		j.kek = false
		j.cfg.Keys.ClearKEK()
	}
	j.setState(JoinerIdle)
	if done != nil {
		done(err)
	}
}
