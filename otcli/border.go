package otcli

import (
	"fmt"
	"net/netip"
	"time"

	"gatewayd/border"
	"gatewayd/nat64"
	"gatewayd/ndp"
	"gatewayd/thread/netdata"
	"gatewayd/thread/registrar"
)

// BorderRouter is what a border router has beside its node.
type BorderRouter interface {
	// Manager decides about routing; nil: there is no infrastructure link yet.
	Manager() *border.Manager
	// InitRouting gives it its link, by number, that is up or not.
	InitRouting(link uint32, up bool) error
	SetRouting(on bool) error
	SetDelegation(on bool) error
	// DelegationEnabled reports whether prefixes are asked for.
	DelegationEnabled() bool
	// Registrar is the SRP server; nil: there is none. With AutoRegistrar it is
	// enabled while the mesh is routed.
	Registrar() *registrar.Registrar
	AutoRegistrar() bool
	SetAutoRegistrar(on bool)
	SetNAT64(on bool) error
	// Translator translates; nil: not now. Pool is where its IPv4 addresses are
	// from; not valid: there is no translator here.
	Translator() *nat64.Translator
	Pool() netip.Prefix
}

func borderCommands() []command {
	return []command{
		{"counters", func(c *CLI, args []string) error {
			if len(args) > 0 {
				return InvalidArgs
			}
			c.borderCounters()
			return nil
		}},
		{"disable", func(c *CLI, args []string) error { return c.setRouting(args, false) }},
		{"enable", func(c *CLI, args []string) error { return c.setRouting(args, true) }},
		{"init", borderInit},
		{"nat64prefix", borderPrefixes(func(s *border.Status) (a, b prefixPreference) {
			return prefixPreference{s.NAT64.Local, "", true}, prefixPreference{s.NAT64.Favored, s.NAT64.FavoredPreference.String(), false}
		})},
		{"omrprefix", borderPrefixes(func(s *border.Status) (a, b prefixPreference) {
			return prefixPreference{s.OMR.Local, "", true}, prefixPreference{s.OMR.Favored, s.OMR.FavoredPreference.String(), false}
		})},
		{"onlinkprefix", borderPrefixes(func(s *border.Status) (a, b prefixPreference) {
			if len(s.Links) == 0 {
				return a, b
			}
			return prefixPreference{s.Links[0].OnLink.Local, "", true}, prefixPreference{s.Links[0].OnLink.Favored, "", true}
		})},
		{"pd", borderDelegation},
		{"peers", borderPeers},
		{"prefixtable", borderPrefixTable},
		{"raoptions", borderOptions},
		{"rioprf", func(c *CLI, args []string) error {
			return c.preference(args, func(s *border.Status) string { return ndpWords[s.RIOPreference] },
				func(m *border.Manager, p netdata.Preference, auto bool) { m.SetRIOPreference(ndpPreferences[p], auto) })
		}},
		{"routeprf", func(c *CLI, args []string) error {
			return c.preference(args, func(s *border.Status) string { return s.RoutePreference.String() },
				func(m *border.Manager, p netdata.Preference, auto bool) { m.SetRoutePreference(p, auto) })
		}},
		{"routers", borderRouters},
		{"state", borderState},
	}
}

// The preferences of advertisements, by those of the network data and by
// OpenThread's words.
var (
	ndpPreferences = map[netdata.Preference]ndp.Preference{netdata.Low: ndp.Low, netdata.Medium: ndp.Medium, netdata.High: ndp.High}
	ndpWords       = map[ndp.Preference]string{ndp.Low: "low", ndp.Medium: "med", ndp.High: "high"}
)

// router is what the node has of a border router.
func (c *CLI) router() (BorderRouter, error) {
	if c.cfg.Border == nil {
		return nil, NotCapable
	}
	return c.cfg.Border, nil
}

// manager is that of a border router with a link.
func (c *CLI) manager() (*border.Manager, error) {
	r, err := c.router()
	if err != nil {
		return nil, err
	}
	m := r.Manager()
	if m == nil {
		return nil, InvalidState
	}
	return m, nil
}

func borderState(c *CLI, args []string) error {
	r, err := c.router()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	if m := r.Manager(); m == nil {
		c.line("uninitialized")
	} else {
		c.line("%s", m.Status().State)
	}
	return nil
}

// borderInit is
//
//	br init link is-running
func borderInit(c *CLI, args []string) error {
	r, err := c.router()
	if err != nil {
		return err
	}
	if len(args) != 2 {
		return InvalidArgs
	}
	link, err := parseUint(args[0], 32)
	if err != nil {
		return err
	}
	up, err := parseUint(args[1], 8)
	if err != nil {
		return err
	}
	return r.InitRouting(uint32(link), up != 0)
}

func (c *CLI) setRouting(args []string, on bool) error {
	if _, err := c.manager(); err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	return c.cfg.Border.SetRouting(on)
}

type prefixPreference struct {
	prefix     netip.Prefix
	preference string
	bare       bool // without a preference
}

func (c *CLI) prefixPreference(title string, p prefixPreference) {
	s := "(none)"
	if p.prefix.IsValid() {
		s = prefix(p.prefix)
	}
	if !p.bare {
		s += " prf:" + p.preference
	}
	c.line("%s%s", title, s)
}

// borderPrefixes shows prefixes:
//
//	br omrprefix [local|favored]
func borderPrefixes(get func(*border.Status) (local, favored prefixPreference)) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		m, err := c.manager()
		if err != nil {
			return err
		}
		if len(args) > 1 {
			return InvalidArgs
		}
		st := m.Status()
		local, favored := get(&st)
		switch word(args, 0) {
		case "":
			c.prefixPreference("Local: ", local)
			c.prefixPreference("Favored: ", favored)
		case "local":
			c.prefixPreference("", local)
		case "favored":
			c.prefixPreference("", favored)
		default:
			return InvalidArgs
		}
		return nil
	}
}

// preference is a command about a preference:
//
//	br routeprf [high|med|low|clear]
func (c *CLI) preference(args []string, get func(*border.Status) string, set func(*border.Manager, netdata.Preference, bool)) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	switch w := word(args, 0); w {
	case "":
		st := m.Status()
		c.line("%s", get(&st))
	case "clear":
		set(m, netdata.Medium, true)
	default:
		p, ok := map[string]netdata.Preference{"high": netdata.High, "med": netdata.Medium, "low": netdata.Low}[w]
		if !ok {
			return InvalidArgs
		}
		set(m, p, false)
	}
	return nil
}

// borderDelegation is
//
//	br pd enable|disable|state|omrprefix
func borderDelegation(c *CLI, args []string) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	st := m.Status()
	switch word(args, 0) {
	case "enable":
		return c.cfg.Border.SetDelegation(true)
	case "disable":
		return c.cfg.Border.SetDelegation(false)
	case "state":
		if !c.cfg.Border.DelegationEnabled() {
			c.line("disabled")
		} else {
			c.line("%s", st.Delegation)
		}
	case "omrprefix":
		if !st.Delegated.Prefix.IsValid() {
			return NotFound
		}
		left := func(t time.Time) uint64 {
			if t.IsZero() {
				return 1<<32 - 1 // for ever
			}
			return uint64(max(0, t.Sub(c.now())) / time.Second)
		}
		c.line("%s lifetime:%d preferred:%d", prefix(st.Delegated.Prefix), left(st.Delegated.Valid), left(st.Delegated.Preferred))
	default:
		return InvalidCommand
	}
	return nil
}

// borderPeers is
//
//	br peers [count]
func borderPeers(c *CLI, args []string) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	peers := m.Status().Peers
	switch word(args, 0) {
	case "":
		for _, p := range peers {
			c.line("rloc16:0x%04x age:%s", p.RLOC16, clockTime(c.now().Sub(p.Since)))
		}
	case "count":
		youngest := time.Duration(0)
		for i, p := range peers {
			if age := c.now().Sub(p.Since); i == 0 || age < youngest {
				youngest = age
			}
		}
		c.line("%d min-age:%s", len(peers), clockTime(youngest))
	default:
		return InvalidArgs
	}
	return nil
}

func borderPrefixTable(c *CLI, args []string) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	for _, l := range m.Status().Links {
		for _, p := range l.Prefixes {
			s := "route-prf:" + ndpWords[p.Preference]
			if p.OnLink {
				s = "preferred:" + seconds(p.Preferred)
			}
			c.line("prefix:%s, on-link:%s, ms-since-rx:%d, lifetime:%s, %s, router:%s", prefix(p.Prefix), yesNo(p.OnLink),
				c.now().Sub(p.Heard)/time.Millisecond, seconds(p.Valid), s, routerOf(&l, p.Router))
		}
	}
	return nil
}

// routerOf is a router's address and flags.
func routerOf(l *border.LinkStatus, a netip.Addr) string {
	for _, r := range l.Routers {
		if r.Addr == a {
			return routerFlags(&r)
		}
	}
	return address(a)
}

func borderRouters(c *CLI, args []string) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	for _, l := range m.Status().Links {
		for _, r := range l.Routers {
			who := ""
			if r.Local {
				who += " (this BR)"
			}
			if r.Peer {
				who += " (peer BR)"
			}
			c.line("%s ms-since-rx:%d reachable:%s age:%s%s", routerFlags(&r), c.now().Sub(r.Heard)/time.Millisecond,
				yesNo(r.Reachable), clockTime(c.now().Sub(r.Since)), who)
		}
	}
	return nil
}

// borderOptions is
//
//	br raoptions options|clear
func borderOptions(c *CLI, args []string) error {
	m, err := c.manager()
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return InvalidArgs
	}
	if args[0] == "clear" {
		m.SetExtraOptions(nil)
		return nil
	}
	b, err := parseHex(args[0], maxExtraOptions)
	if err != nil {
		return err
	}
	opts, err := ndp.DecodeOptions(b, 0)
	if err != nil {
		return InvalidArgs
	}
	m.SetExtraOptions(opts)
	return nil
}

// maxExtraOptions is how many bytes of options there may be, as in OpenThread.
const maxExtraOptions = 800

func routerFlags(r *border.RouterStatus) string {
	return fmt.Sprintf("%s (M:%d O:%d S:%d)", address(r.Addr), bit(r.Managed), bit(r.Other), bit(r.SNAC))
}

// seconds is a lifetime; what has no end is the largest number.
func seconds(d time.Duration) string {
	return fmt.Sprint(min(uint64(max(0, d)/time.Second), 1<<32-1))
}
