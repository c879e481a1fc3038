package thread

import (
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/survey"
)

// surveying holds the machines of package survey.
type surveying struct {
	server    *survey.Server
	client    *survey.Client
	announcer *survey.Announcer
}

func (n *Node) buildSurvey() {
	s := &n.commissioning.survey
	s.server = survey.NewServer(survey.Config{Clock: &n.clock, TMF: n.tmf, Scanner: n.mac, RLOC: n.RLOC,
		Session: func() (uint16, bool) {
			_, session, ok := n.commissioning.info.Commissioner()
			return session, ok
		},
		Blind:    func() bool { return !n.mle.Router() && !n.mle.Mode().FullNetworkData() },
		Announce: n.mle.SendAnnounce})
	s.client = survey.NewClient(survey.Config{TMF: n.tmf, RLOC: n.RLOC,
		Session: func() (uint16, bool) {
			c := n.commissioning.commissioner
			return c.SessionID(), c.State() == joining.Active
		}})
	s.announcer = survey.NewAnnouncer(survey.AnnouncerConfig{Clock: &n.clock, Rand: n.rand,
		Announce: n.mle.SendAnnounce, Channels: n.announceChannels})
}

// announceChannels are those on which others of the network may be, and its
// present one.
func (n *Node) announceChannels() (all uint32, own uint8) {
	mask := meshcop.AllChannels().Bits()
	if d := n.datasets.Active(); d != nil && d.ChannelMask.Bits() != 0 {
		mask = d.ChannelMask.Bits()
	}
	if c := n.mac.Info().Channels; c != 0 {
		mask &= c
	}
	return mask, n.mac.Channel()
}

// roleChanged lets routers, and who may become one, announce the network.
func (s *surveying) roleChanged(n *Node) {
	s.announcer.Run(n.mle.Router() || n.mle.Role() == mle.Child && n.mle.RouterEligible() && n.mle.Mode().RxOnWhenIdle())
}

// Survey asks nodes about their surroundings, for the node's commissioner.
func (n *Node) Survey() *survey.Client { return n.commissioning.survey.client }
