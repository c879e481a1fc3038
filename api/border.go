package api

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatewayd/border"
	"gatewayd/dhcp6"
	"gatewayd/dnssd/srp"
	"gatewayd/gateway"
	"gatewayd/thread"
)

// Border is GET /border.
type Border struct {
	State          string       `json:"state"`
	OMR            string       `json:"omr,omitempty"`       // prefix of the devices' addresses
	Delegated      string       `json:"delegated,omitempty"` // prefix
	Delegation     string       `json:"delegation,omitempty"`
	Route          string       `json:"route,omitempty"` // published in the mesh
	NAT64          string       `json:"nat64,omitempty"` // prefix
	Translates     bool         `json:"translates"`      // this gateway does
	Peers          []string     `json:"peers"`           // other border routers, RLOC16
	PeersElsewhere bool         `json:"peers_on_other_links,omitempty"`
	Links          []BorderLink `json:"links"`
	Filter         *Filter      `json:"filter,omitempty"` // absent without an interface on the host
}

// Filter is the packet filter between the mesh and elsewhere.
type Filter struct {
	InForce bool            `json:"in_force"`
	Problem string          `json:"problem,omitempty"` // why it is not
	Closed  bool            `json:"closed,omitempty"`  // nothing passes for that reason
	Inbound string          `json:"inbound"`
	Egress  string          `json:"egress"`
	Devices []FilterDevice  `json:"devices,omitempty"` // that rules name by EUI-64
	Dropped *FilterCounters `json:"dropped,omitempty"` // packets
}

// FilterDevice is a device with the addresses that it is known to have.
type FilterDevice struct {
	EUI64     string   `json:"eui64"`
	Addresses []string `json:"addresses"`
}

// FilterCounters are packets by why they were dropped.
type FilterCounters struct {
	Spoofed uint64 `json:"spoofed"`
	Inbound uint64 `json:"inbound"`
	Egress  uint64 `json:"egress"`
	Other   uint64 `json:"other"`
}

// BorderLink is an infrastructure link.
type BorderLink struct {
	Name        string         `json:"name"`
	Up          bool           `json:"up"`
	OnLink      string         `json:"on_link,omitempty"`       // prefix that hosts use
	OnLinkState string         `json:"on_link_state,omitempty"` // what becomes of our own
	SameAs      string         `json:"same_as,omitempty"`
	Routers     []BorderRouter `json:"routers"`
}

// BorderRouter is a router on a link.
type BorderRouter struct {
	Address   string  `json:"address"`
	Reachable bool    `json:"reachable"`
	Peer      bool    `json:"peer"` // a border router of this mesh
	Age       float64 `json:"age"`
}

// RegisteredHost is a line of GET /services.
type RegisteredHost struct {
	Name      string              `json:"name"`
	Addresses []string            `json:"addresses"`
	Services  []RegisteredService `json:"services"`
	Left      float64             `json:"left"` // seconds; 0: only the name is kept
}

// RegisteredService is a service of a host.
type RegisteredService struct {
	Instance string   `json:"instance"`
	Type     string   `json:"type"`
	Subtypes []string `json:"subtypes,omitempty"`
	Port     uint16   `json:"port"`
}

// Mapping is a line of GET /nat64.
type Mapping struct {
	Protocol string   `json:"protocol"`
	Inside   string   `json:"inside"`
	Outside  string   `json:"outside"`
	Remotes  []string `json:"remotes"`
}

// errNoInfra is the answer while there is no way to the infrastructure.
func errNoInfra() *Error {
	return conflict("this gateway has no infrastructure links", "set infra in the configuration")
}

func (s *Server) border(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := Border{Peers: []string{}, Links: []BorderLink{}}
	present := false
	look := func(now time.Time) (border.Status, bool) {
		var st border.Status
		if st, _, present = s.gw.Border(); present {
			borderOf(&out, &st, now)
			if _, state, asked := s.gw.Delegation(); asked {
				out.Delegation = state.String()
			}
			if f, ok := s.gw.Filter(); ok {
				cfg := s.gw.Config()
				out.Filter = filterOf(&f, cfg.Egress)
			}
		}
		return st, present
	}
	err := s.gw.Do(r.Context(), func(n *thread.Node) { look(n.Clock().Now()) })
	if errors.Is(err, gateway.ErrMode) {
		err = s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
			if st, ok := look(l.Node.Clock().Now()); ok {
				s.plainBorder(&out, &st)
			}
		})
	}
	if err == nil && !present {
		err = errNoInfra()
	}
	return out, err
}

// plainBorder leaves out what a plain network is not told, and says whether its
// prefix is a delegated one.
func (s *Server) plainBorder(out *Border, st *border.Status) {
	out.Route, out.NAT64, out.Delegated = "", "", ""
	d, _, _ := s.gw.Delegation()
	if slices.ContainsFunc(d.Prefixes, func(p dhcp6.Delegated) bool { return p.Prefix.Contains(st.OMR.Favored.Addr()) }) {
		out.Delegated = out.OMR
	}
}

func filterOf(f *gateway.Filter, egress string) *Filter {
	out := &Filter{InForce: f.InForce, Closed: f.Closed, Inbound: f.Policy.Inbound.String(), Egress: egress}
	if f.Why != nil {
		out.Problem = f.Why.Error()
	}
	for id, addrs := range f.Policy.Addresses {
		d := FilterDevice{EUI64: hex.EncodeToString(id[:]), Addresses: []string{}}
		for _, a := range addrs {
			d.Addresses = append(d.Addresses, a.String())
		}
		out.Devices = append(out.Devices, d)
	}
	slices.SortFunc(out.Devices, func(a, b FilterDevice) int { return strings.Compare(a.EUI64, b.EUI64) })
	if c := f.Dropped; c != nil {
		out.Dropped = &FilterCounters{Spoofed: c.Spoofed, Inbound: c.Inbound, Egress: c.Egress, Other: c.Other}
	}
	return out
}

func borderOf(out *Border, st *border.Status, now time.Time) {
	out.State = st.State.String()
	if st.OMR.Favored.IsValid() {
		out.OMR = st.OMR.Favored.String()
	}
	if st.Delegated.Prefix.IsValid() {
		out.Delegated = st.Delegated.Prefix.String()
	}
	if st.Published.Route.Prefix.IsValid() {
		out.Route = st.Published.Route.Prefix.String()
	}
	if st.NAT64.Favored.IsValid() {
		out.NAT64 = st.NAT64.Favored.String()
	}
	out.Translates = st.Published.Translate.IsValid()
	for _, p := range st.Peers {
		out.Peers = append(out.Peers, rloc16(p.RLOC16))
	}
	out.PeersElsewhere = st.PeersOnOtherLinks
	for _, l := range st.Links {
		x := BorderLink{Name: l.Name, Up: l.Up, SameAs: l.SameAs, OnLinkState: l.OnLink.State.String(), Routers: []BorderRouter{}}
		if l.OnLink.Favored.IsValid() {
			x.OnLink = l.OnLink.Favored.String()
		}
		for _, r := range l.Routers {
			x.Routers = append(x.Routers, BorderRouter{Address: r.Addr.String(), Reachable: r.Reachable, Peer: r.Peer, Age: age(r.Heard, now)})
		}
		out.Links = append(out.Links, x)
	}
}

func (s *Server) services(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []RegisteredHost{}
	present := false
	err := s.gw.Do(r.Context(), func(n *thread.Node) {
		_, _, present = s.gw.Border()
		for _, h := range s.gw.Registered() {
			out = append(out, registered(&h, n.Clock().Now()))
		}
	})
	if err == nil && !present {
		err = errNoInfra()
	}
	return out, err
}

func registered(r *srp.Registration, now time.Time) RegisteredHost {
	h := RegisteredHost{Name: r.Host.Name, Addresses: []string{}, Services: []RegisteredService{}}
	if r.Live {
		h.Left = seconds(max(0, r.Expires.Sub(now)))
	}
	for _, a := range r.Host.Addrs {
		h.Addresses = append(h.Addresses, a.String())
	}
	for _, x := range r.Host.Services {
		h.Services = append(h.Services, RegisteredService{Instance: x.Instance, Type: x.Type, Subtypes: slices.Clone(x.Subtypes), Port: x.Port})
	}
	return h
}

func (s *Server) nat64(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Mapping{}
	translates := false
	err := s.gw.Do(r.Context(), func(*thread.Node) {
		t := s.gw.NAT64()
		if translates = t != nil; !translates {
			return
		}
		for _, m := range t.Mappings() {
			x := Mapping{Protocol: m.Proto.String(), Inside: m.Inside.String(), Outside: m.Outside.String(), Remotes: []string{}}
			for _, y := range m.Sessions {
				x.Remotes = append(x.Remotes, fmt.Sprint(y.Remote))
			}
			out = append(out, x)
		}
	})
	if err == nil && !translates {
		err = conflict("this gateway does not translate", "it has no infrastructure links, nat64 is off, or another border router does: see `gatewayd border`")
	}
	return out, err
}
