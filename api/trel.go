package api

import (
	"context"
	"encoding/hex"
	"net/http"

	"gatewayd/ieee802154"
	"gatewayd/thread"
	"gatewayd/thread/link"
)

// TREL is GET /trel.
type TREL struct {
	Enabled bool       `json:"enabled"`
	Up      bool       `json:"up"` // there is an interface for it
	Port    uint16     `json:"port"`
	Peers   []TRELPeer `json:"peers"`

	Received      uint64 `json:"received"` // packets
	ReceivedBytes uint64 `json:"received_bytes"`
	Sent          uint64 `json:"sent"`
	SentBytes     uint64 `json:"sent_bytes"`
	Unsent        uint64 `json:"unsent"` // the host could not
	Acked         uint64 `json:"acked"`  // frames to a neighbour
	Lost          uint64 `json:"lost"`   // not acknowledged in time
	Retries       uint64 `json:"retries"`
	Refused       uint64 `json:"refused"` // malformed, or not for this node
}

// TRELPeer is a node that can be reached over the infrastructure.
type TRELPeer struct {
	ExtAddress string   `json:"ext_address"`
	ExtPANID   string   `json:"ext_pan_id"`
	Address    string   `json:"address"`
	Announced  bool     `json:"announced"` // by multicast DNS
	Heard      *float64 `json:"heard"`     // seconds ago; null: never
	// What is known of the links with it, if it is a neighbour: 0 to 255, null
	// for a link that it was not reached by.
	Air   *uint8 `json:"preference_air"`
	Infra *uint8 `json:"preference_trel"`
}

func (s *Server) trel(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := TREL{Peers: []TRELPeer{}}
	present := false
	err := s.gw.Do(r.Context(), func(n *thread.Node) {
		l := s.gw.TREL()
		if present = l != nil; !present {
			return
		}
		out.Enabled, out.Up, out.Port = l.Enabled(), l.Up(), l.Port
		c := l.Counters
		out.Received, out.ReceivedBytes, out.Sent, out.SentBytes, out.Unsent = c.RxPackets, c.RxBytes, c.TxPackets, c.TxBytes, c.TxFailed
		out.Acked, out.Lost, out.Retries, out.Refused = c.Acked, c.Lost, c.Retries, c.Malformed+c.Foreign+c.StrayAcks
		for _, p := range l.Peers() {
			x := TRELPeer{ExtAddress: p.Ext.String(), ExtPANID: hex.EncodeToString(p.ExtPANID[:]), Address: p.Addr.String(), Announced: p.Announced}
			if !p.Heard.IsZero() {
				x.Heard = new(age(p.Heard, n.Clock().Now()))
			}
			if nb := n.Table().Find(ieee802154.ExtendedAddr(p.Ext)); nb != nil {
				x.Air, x.Infra = preference(nb.Links.Known(), link.Air, nb.Links.Preference), preference(nb.Links.Known(), link.TREL, nb.Links.Preference)
			}
			out.Peers = append(out.Peers, x)
		}
	})
	if err == nil && !present {
		err = conflict("this gateway has no TREL", "it needs infra in the configuration, and trel must not be off")
	}
	return out, err
}

// preference is that of a link, nil if it is not known.
func preference(known link.Radios, r link.Radio, of func(link.Radio) uint8) *uint8 {
	if !known.Has(r) {
		return nil
	}
	return new(of(r))
}

// TREL asks for the link over the infrastructure and its peers.
func (c *Client) TREL(ctx context.Context) (out TREL, err error) {
	err = c.call(ctx, http.MethodGet, "/trel", nil, &out)
	return out, err
}
