package mle

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

const (
	discoveryDwell = 300 * time.Millisecond // on each channel
	// A request is answered within discoveryDelay, or sooner where few routers
	// may answer: the asker does not listen for much longer than that.
	discoveryDelay = 250 * time.Millisecond
	discoverySlot  = 40 * time.Millisecond // for each router that may answer
	// Anybody can ask, so only so many wait for an answer at a time.
	maxDiscoveryAnswers = 8
)

// DiscoverOptions say what to look for.
type DiscoverOptions struct {
	Channels uint32 // bit n: channel n; 0 are all
	PANID    uint16 // 0 or BroadcastPAN are all
	Joiner   bool   // only networks that let somebody join
	// Filter, when set, says whether steering data are meant for this device;
	// without them a network is not reported.
	Filter        func(meshcop.SteeringData) bool
	Advertisement *meshcop.JoinerAdvertisement
	Exclude       *meshcop.ExtPANID
}

// DiscoverResult is a network's answer.
type DiscoverResult struct {
	Ext              ieee802154.ExtAddr
	PANID            uint16
	Channel          uint8
	RSSI             int8 // dBm
	LQI              uint8
	Version          uint8 // protocol version
	Native, CCM      bool  // native, commercial commissioning
	ExtPANID         meshcop.ExtPANID
	NetworkName      string
	DomainName       string
	SteeringData     meshcop.SteeringData
	JoinerPort       uint16 // 0 if not told
	CommissionerPort uint16 // of a border agent; 0 if it is none
}

// discovery is one under way.
type discovery struct {
	timer    *alarm.Timer
	active   bool
	what     DiscoverOptions
	channels uint32 // left
	channel  uint8
	tempPAN  bool // ours is a random one for as long as it lasts
	tempOn   bool
	found    func(DiscoverResult)
	done     func()
}

// Discovering reports whether a discovery is under way.
func (m *MLE) Discovering() bool { return m.discovery.active }

// Discover looks for networks on every channel in turn. found is called for
// each answer, done at the end. The radio must be on; a network that the
// device is part of has to wait meanwhile.
func (m *MLE) Discover(what DiscoverOptions, found func(DiscoverResult), done func()) error {
	d := &m.discovery
	if d.active {
		return ErrBusy
	}
	if !m.cfg.MAC.Enabled() {
		return ErrState
	}
	channels := meshcop.AllChannels().Bits()
	if c := m.cfg.MAC.Info().Channels; c != 0 {
		channels &= c
	}
	if what.Channels != 0 {
		channels &= what.Channels
	}
	if what.PANID == 0 {
		what.PANID = ieee802154.BroadcastPAN
	}
	d.active, d.what, d.channels, d.found, d.done = true, what, channels, found, done
	if m.cfg.MAC.PANID() == ieee802154.BroadcastPAN {
		// The request names us by a PAN id that is nobody's.
		d.tempPAN = true
		m.cfg.MAC.SetPANID(uint16(m.cfg.Rand.IntN(0xfffe)))
	}
	if !m.cfg.MAC.RxOnWhenIdle() {
		d.tempOn = true
		m.cfg.MAC.SetRxOnWhenIdle(true)
	}
	// The link-local address is what answers are sent to.
	if m.role == Disabled {
		m.setLinkLocal()
	}
	d.timer.Start(0)
	return nil
}

// discoverNext goes on to the next channel, or ends the discovery.
func (m *MLE) discoverNext() {
	d := &m.discovery
	for d.channel = 0; d.channel < 32 && d.channels>>d.channel&1 == 0; d.channel++ {
	}
	if d.channel == 32 {
		m.endDiscovery()
		return
	}
	d.channels &^= 1 << d.channel
	m.cfg.MAC.ListenOn(d.channel, false)
	q := meshcop.DiscoveryRequest{Version: meshcop.DiscoveryVersion, Joiner: d.what.Joiner,
		Advertisement: d.what.Advertisement, ExtPANID: d.what.Exclude}
	msg := Message{Command: DiscoveryRequest, TLVs: TLVs(nil).Append(TypeDiscovery, q.Append(nil)...)}
	channel := d.channel
	m.sendUDP(msg.AppendUnsecured(nil), allRouters, link.Options{
		Security: link.Unsecured, OverridePAN: true, PANID: d.what.PANID, Channel: d.channel,
		Done: func(bool) {
			if d.active && d.channel == channel {
				d.timer.Start(discoveryDwell)
			}
		},
	})
	d.timer.StartEarlier(2 * discoveryDwell) // should the request never leave
}

func (m *MLE) endDiscovery() {
	d := &m.discovery
	m.cfg.MAC.ListenOn(0, false)
	if d.tempPAN {
		m.cfg.MAC.SetPANID(ieee802154.BroadcastPAN)
		if p := m.active().PANID; p != nil {
			m.cfg.MAC.SetPANID(*p)
		}
	}
	if d.tempOn && m.poll.on {
		m.cfg.MAC.SetRxOnWhenIdle(false)
	}
	done := d.done
	m.discovery = discovery{timer: d.timer}
	if done != nil {
		done()
	}
}

// discoveryAnswered reports a network to whoever discovers.
func (m *MLE) discoveryAnswered(x *rx) {
	d := &m.discovery
	if !d.active || d.channel != x.info.Channel {
		m.refuse(x, RefusedState, "")
		return
	}
	r, err := meshcop.DecodeDiscoveryResponse(x.must(TypeDiscovery, 0))
	if x.err == nil && err != nil {
		x.fail(TypeDiscovery, err)
	}
	if m.malformed(x) {
		return
	}
	if f := d.what.Filter; f != nil && (len(r.SteeringData) == 0 || !f(r.SteeringData)) {
		return
	}
	if d.found != nil {
		res := DiscoverResult{Ext: x.ext, PANID: x.info.SrcPAN, Channel: x.info.Channel, RSSI: x.info.RSSI, LQI: x.info.LQI,
			Version: r.Version, Native: r.Native, CCM: r.CCM, NetworkName: r.NetworkName, DomainName: r.DomainName,
			SteeringData: slices.Clone(r.SteeringData)}
		if r.ExtPANID != nil {
			res.ExtPANID = *r.ExtPANID
		}
		if r.JoinerUDPPort != nil {
			res.JoinerPort = *r.JoinerUDPPort
		}
		if r.CommissionerUDPPort != nil {
			res.CommissionerPort = *r.CommissionerUDPPort
		}
		d.found(res)
	}
}

// discoveryRequested answers a Discovery Request of whoever looks for networks.
func (m *MLE) discoveryRequested(x *rx) {
	if !m.Attached() || !m.RouterEligible() {
		return
	}
	q, err := meshcop.DecodeDiscoveryRequest(x.must(TypeDiscovery, 0))
	if x.err == nil && err != nil {
		x.fail(TypeDiscovery, err)
	}
	if m.malformed(x) {
		return
	}
	d := m.active()
	if q.ExtPANID != nil && d.ExtPANID != nil && *q.ExtPANID == *d.ExtPANID {
		return
	}
	if q.Joiner && (m.cfg.Joining == nil || m.cfg.Joining.SteeringData().IsEmpty()) {
		m.refuse(x, RefusedState, "nobody may join")
		return
	}
	if m.cfg.Events.Discovered != nil {
		m.cfg.Events.Discovered(x.ext, q)
	}
	k := delayKey{DiscoveryResponse, x.ext}
	if !m.waits(k) && m.waiting(DiscoveryResponse) >= maxDiscoveryAnswers {
		m.refuse(x, RefusedFull, "")
		return
	}
	pan, by := x.info.SrcPAN, x.info.Radio
	m.later(k, m.jitter(m.discoverySpread()), func() { m.sendDiscoveryResponse(x.from, pan, by) })
}

// discoverySpread is the time over which the routers around the asker, as many
// as we hear and ourselves, spread their answers.
func (m *MLE) discoverySpread() time.Duration {
	n := 1
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.State == neighbor.Valid {
			n++
		}
	}
	return min(time.Duration(n)*discoverySlot, discoveryDelay)
}

func (m *MLE) sendDiscoveryResponse(to netip.Addr, pan uint16, by link.Radio) {
	d := m.active()
	if !m.Attached() || d.ExtPANID == nil {
		return
	}
	r := meshcop.DiscoveryResponse{
		Version: meshcop.DiscoveryVersion, CCM: m.policy.CommercialCommission,
		ExtPANID: d.ExtPANID, NetworkName: d.NetworkName,
	}
	if j := m.cfg.Joining; j != nil {
		if port, ok := j.CommissionerPort(); ok && m.policy.NativeCommissioning {
			r.CommissionerUDPPort, r.Native = &port, true
		}
		r.SteeringData = j.SteeringData()
		port := j.JoinerPort()
		r.JoinerUDPPort = &port
	}
	msg := Message{Command: DiscoveryResponse, TLVs: TLVs(nil).Append(TypeDiscovery, r.Append(nil)...)}
	m.sendUDP(msg.AppendUnsecured(nil), to, link.Options{Security: link.Unsecured, OverridePAN: true, PANID: pan, Direct: true, Radios: link.Only(by)})
}
