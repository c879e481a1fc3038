package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"
	"unicode"

	"gatewayd/gateway"
	"gatewayd/radio"
	"gatewayd/radio/spinel"
	"gatewayd/thread"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

func (s *Server) status(_ http.ResponseWriter, r *http.Request) (any, error) {
	st := Status{Version: s.cfg.Version, Uptime: seconds(time.Since(s.gw.Started())), Interface: s.gw.Config().TUN}
	health, err := s.gw.Health(r.Context())
	if err != nil {
		return nil, err
	}
	st.Findings = health.Findings
	err = s.gw.Do(r.Context(), func(n *thread.Node) {
		rs := s.gw.Radio()
		st.Radio = radioOf(rs)
		node(&st, n)
		mesh(&st, n)
		st.Reach = s.reach()
		st.Commissioner = commissionerOf(n)
		st.Counters = counters(n, rs)
	})
	if errors.Is(err, gateway.ErrMode) {
		err = s.lowpanStatus(&st, r)
	}
	if err != nil {
		return nil, err
	}
	return &st, nil
}

// reach asks border routing; nil if there is none. Only a function that has the
// stack may call it.
func (s *Server) reach() *Reach {
	st, _, ok := s.gw.Border()
	if !ok {
		return nil
	}
	r := &Reach{Ready: st.Ready}
	if p := st.OMR.Favored; p.IsValid() {
		r.Prefix = p.String()
	}
	return r
}

// node fills in what the node itself is.
func node(st *Status, n *thread.Node) {
	m := n.MLE()
	st.Role = m.Role().String()
	st.RoleSeconds = age(m.RoleSince(), n.Clock().Now())
	st.ExtAddress = n.MAC().Ext().String()
	st.Addresses, st.MulticastGroups = []string{}, []string{}
	for _, a := range n.IP().Addresses() {
		st.Addresses = append(st.Addresses, a.Addr.String())
	}
	for _, g := range n.IP().Groups() {
		st.MulticastGroups = append(st.MulticastGroups, g.String())
	}
	if d := n.Datasets().Active(); d != nil {
		st.Network = new(networkOf(d))
	}
}

// mesh fills in what is around the node.
func mesh(st *Status, n *thread.Node) {
	st.Children, st.Routers, st.Neighbors = []Child{}, []Router{}, []Neighbor{}
	m, now := n.MLE(), n.Clock().Now()
	if m.Role() < mle.Child {
		return
	}
	st.RLOC16, st.LeaderRLOC16 = rloc16(m.RLOC16()), rloc16(m.LeaderRLOC16())
	st.Mode = m.Mode().String()
	st.PartitionID = new(m.Partition())
	for _, p := range m.NetData().Prefixes {
		if n.OnMesh(p.Prefix) {
			st.OnMeshPrefixes = append(st.OnMeshPrefixes, p.Prefix.String())
		}
	}
	t := n.Table()
	if m.Role() == mle.Child {
		st.Parent = new(neighborOf("parent", &t.Parent.Neighbor, now))
		st.Neighbors = append(st.Neighbors, *st.Parent)
	}
	for _, c := range t.Children {
		child := childOf(c, now)
		st.Children = append(st.Children, child)
		if c.State == neighbor.Valid {
			st.Neighbors = append(st.Neighbors, child.Neighbor)
		}
	}
	for _, r := range t.Routers {
		if r == nil {
			continue
		}
		st.Routers = append(st.Routers, routerOf(r, m, now))
		if r.State == neighbor.Valid {
			st.Neighbors = append(st.Neighbors, neighborOf("router", &r.Neighbor, now))
		}
	}
}

func neighborOf(kind string, n *neighbor.Neighbor, now time.Time) Neighbor {
	return Neighbor{Kind: kind, RLOC16: rloc16(n.RLOC16), ExtAddress: n.Ext.String(), Mode: n.Mode.String(), Version: n.Version,
		Age: age(n.LastHeard, now), RSSI: n.Quality.Average(), LastRSSI: n.Quality.Last(), QualityIn: n.Quality.In()}
}

func childOf(c *neighbor.Child, now time.Time) Child {
	out := Child{Neighbor: neighborOf("child", &c.Neighbor, now), State: c.State.String(),
		Timeout: seconds(c.Timeout), Queued: c.Indirect.Queued, Addresses: []string{}}
	for _, a := range c.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out
}

func routerOf(r *neighbor.Router, m *mle.MLE, now time.Time) Router {
	at := neighbor.RouterRLOC16(r.ID)
	out := Router{ID: r.ID, RLOC16: rloc16(at), Self: at == m.RLOC16(), Leader: at == m.LeaderRLOC16()}
	if out.Self {
		return out
	}
	if r.NextHop <= neighbor.MaxRouterID {
		out.NextHop = rloc16(neighbor.RouterRLOC16(r.NextHop))
	}
	if cost := int(m.PathCost(at)); cost < neighbor.InfiniteCost {
		out.PathCost = cost
	}
	if r.State == neighbor.Valid {
		out.QualityIn, out.QualityOut = r.Quality.In(), r.QualityOut
		out.ExtAddress, out.Age = r.Ext.String(), age(r.LastHeard, now)
	}
	return out
}

// radioCaps are names for radio.Caps, in the order of their bits.
var radioCaps = []string{"ack-timeout", "energy-scan", "transmit-retries", "csma-backoff", "sleep-to-tx",
	"transmit-security", "transmit-timing", "receive-timing", "rx-on-when-idle"}

func radioOf(r gateway.Radio) Radio {
	out := Radio{URL: r.URL.String(), State: r.State.String()}
	if r.State != spinel.Ready {
		out.Problem = r.Why
	}
	if r.Err != nil {
		out.Problem = r.Err.Error()
	}
	out.Looks, out.Hint = r.Guess.Looks, r.Guess.Advice
	out.identify(r.Identity)
	return out
}

// RadioOf is an identity in the form of a status.
func RadioOf(id spinel.Identity) Radio {
	var r Radio
	r.identify(id)
	return r
}

func (r *Radio) identify(id spinel.Identity) {
	if id.Major == 0 && id.Version == "" {
		return
	}
	r.Version, r.API = id.Version, id.API
	r.Spinel = fmt.Sprintf("%d.%d", id.Major, id.Minor)
	r.EUI64, r.Sensitivity = id.EUI64.String(), id.RxSensitivity
	for i, name := range radioCaps {
		if id.Info.Caps.Has(radio.Caps(1) << i) {
			r.Capabilities = append(r.Capabilities, name)
		}
	}
	r.Channels = channels(id.Channels)
}

// channels are the bits of a mask, channel n at 1<<n.
func channels(mask uint32) []int {
	var list []int
	for c := range 32 {
		if mask&(1<<c) != 0 {
			list = append(list, c)
		}
	}
	return list
}

func networkOf(d *meshcop.Dataset) Network {
	n := Network{Name: d.NetworkName}
	if d.Channel != nil {
		n.Channel = d.Channel.Number
	}
	if d.PANID != nil {
		n.PANID = rloc16(*d.PANID)
	}
	if d.ExtPANID != nil {
		n.ExtPANID = d.ExtPANID.String()
	}
	if d.MeshLocalPrefix != (netip.Prefix{}) {
		n.MeshLocalPrefix = d.MeshLocalPrefix.String()
	}
	return n
}

// counters collects every part's.
func counters(n *thread.Node, r gateway.Radio) map[string]map[string]uint64 {
	m := n.MLE().Counters()
	refused := map[string]uint64{}
	for i, count := range m.Refused {
		refused[strings.ReplaceAll(mle.Refusal(i).String(), " ", "_")] = uint64(count)
	}
	return map[string]map[string]uint64{
		"mac": counts(n.MAC().Counters), "ip": counts(n.IP().Counters), "mle": counts(m), "refused": refused,
		"radio": counts(r.Stats), "line": counts(r.Line),
	}
}

// counts are the unsigned fields of a struct, by their names in snake case.
func counts(v any) map[string]uint64 {
	rv := reflect.ValueOf(v)
	out := map[string]uint64{}
	for f := range rv.Type().Fields() {
		if f.IsExported() && rv.FieldByIndex(f.Index).CanUint() {
			out[snake(f.Name)] = rv.FieldByIndex(f.Index).Uint()
		}
	}
	return out
}

// snake turns TxErrCCA into tx_err_cca.
func snake(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func rloc16(v uint16) string { return fmt.Sprintf("0x%04x", v) }

// seconds are with three decimals, which is what there is to say.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

func age(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return seconds(now.Sub(t))
}
