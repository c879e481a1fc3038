package thread

import (
	"gatewayd/ieee802154"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
)

// commissioning holds the machines of package joining.
type commissioning struct {
	info         joining.Info
	petitions    *joining.Petitions
	commissioner *joining.Commissioner
	router       *joining.JoinerRouter
	joiner       *joining.Joiner
	survey       surveying
}

// StackVersion is what joiners tell of this stack: version 0.1, no OUI.
var stackVersion = meshcop.StackVersion{Minor: 1}

func (n *Node) buildCommissioning() {
	data := func() *netdata.Data { return n.mle.NetData() }
	c := &n.commissioning
	c.info = joining.Info{Data: data}
	c.petitions = joining.NewPetitions(joining.PetitionsConfig{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Leading: func() bool { return n.mle.Leader() != nil }, Data: data,
		SetCommissioning: func(t meshcop.TLVs) error {
			change, err := n.mle.Leader().SetCommissioning(t)
			n.mle.NetDataUpdated(change)
			return err
		},
		Locator: n.sourceRLOC16, Address: n.mle.Locator})
	c.commissioner = joining.NewCommissioner(joining.CommissionerConfig{Clock: &n.clock, Rand: n.rand,
		Entropy: n.cfg.Rand, TMF: n.tmf, IP: n.ip, Attached: n.mle.Attached, RLOC16: n.mle.RLOC16, Address: n.mle.Locator,
		StateChanged: func(s joining.CommissionerState, why error) {
			n.log(Event{ID: "COMM-STATE", Text: "commissioner", Attrs: []mle.Attr{{Key: "state", Value: s}}, Err: why})
			if n.cfg.CommissionerChanged != nil {
				n.cfg.CommissionerChanged(s, why)
			}
			n.changed()
		},
		JoinerChanged: func(e joining.Entry) {
			n.logJoiner(e)
			if n.cfg.JoinerChanged != nil {
				n.cfg.JoinerChanged(e)
			}
		},
		DatasetChanged: func() {}, Return: n.cfg.KeepCommissioner})
	c.router = joining.NewJoinerRouter(joining.RouterConfig{Clock: &n.clock, TMF: n.tmf, IP: n.ip, Keys: n.keys, Data: data,
		Serving: func() bool { return n.mle.Attached() && n.mle.Mode().FullThread() },
		RLOC16:  n.mle.RLOC16, Address: n.mle.Locator, Active: n.datasets.Active, KeySequence: n.keys.Sequence})
	c.joiner = joining.NewJoiner(joining.JoinerConfig{Clock: &n.clock, Rand: n.rand, Entropy: n.cfg.Rand, TMF: n.tmf,
		IP: n.ip, Keys: n.keys, Discoverer: discoverer{n}, Device: device{n}, EUI64: n.EUI64,
		Ready:        func() bool { return n.up && n.mle.Role() == mle.Disabled },
		StackVersion: &stackVersion,
		Joined:       func(c joining.Credentials) { n.SetActiveDataset(&c.Dataset) }})
	n.buildSurvey()
}

// Commissioner is the node's native commissioner.
func (n *Node) Commissioner() *joining.Commissioner { return n.commissioning.commissioner }

// Joiner is what joins a network by PSKd.
func (n *Node) Joiner() *joining.Joiner { return n.commissioning.joiner }

// JoinerRouter is what passes joiners on to the commissioner.
func (n *Node) JoinerRouter() *joining.JoinerRouter { return n.commissioning.router }

// Commissioning reads what the network says about joining.
func (n *Node) Commissioning() joining.Info { return n.commissioning.info }

// commissionerLocator is where the active commissioner is.
func (n *Node) commissionerLocator() (uint16, bool) {
	at, _, ok := n.commissioning.info.Commissioner()
	return at, ok
}

func (n *Node) logJoiner(e joining.Entry) {
	ev := Event{ID: "COMM-JOINER", Text: "joiner", Attrs: []mle.Attr{
		{Key: "who", Value: e.Who}, {Key: "progress", Value: e.Progress}}}
	if len(e.Attempts) > 0 {
		ev.Err = e.Attempts[len(e.Attempts)-1].Reason
	}
	n.log(ev)
}

// joiningInfo is what MLE tells joiners that look for a network.
type joiningInfo struct{ n *Node }

// SteeringData implements mle.Joining.
func (j joiningInfo) SteeringData() meshcop.SteeringData {
	return j.n.commissioning.info.SteeringData()
}

// JoinerPort implements mle.Joining.
func (j joiningInfo) JoinerPort() uint16 { return j.n.commissioning.router.JoinerPort() }

// CommissionerPort implements mle.Joining: there is no border agent.
func (j joiningInfo) CommissionerPort() (uint16, bool) { return 0, false }

// discoverer lets a joiner look for networks.
type discoverer struct{ n *Node }

// Discover implements joining.Discoverer.
func (d discoverer) Discover(joiner bool, channels uint32, found func(joining.Found), done func()) bool {
	return d.n.mle.Discover(mle.DiscoverOptions{Channels: channels, Joiner: joiner}, func(r mle.DiscoverResult) {
		found(joining.Found{Ext: r.Ext, ExtPANID: r.ExtPANID, NetworkName: r.NetworkName, PANID: r.PANID,
			Channel: r.Channel, RSSI: r.RSSI, SteeringData: r.SteeringData, JoinerPort: r.JoinerPort})
	}, done) == nil
}

// device is what a joiner changes of the node.
type device struct{ n *Node }

// SetExtAddress implements joining.Device.
func (d device) SetExtAddress(e ieee802154.ExtAddr, keep bool) { d.n.SetExtAddress(e, keep) }

// SetPANID implements joining.Device.
func (d device) SetPANID(pan uint16) { d.n.mac.SetPANID(pan) }

// SetChannel implements joining.Device.
func (d device) SetChannel(channel uint8) { d.n.mac.SetChannel(channel) }
