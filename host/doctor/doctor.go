// Package doctor finds what on a Linux host keeps a border router from
// working: settings, other programs, firewalls, interfaces, kernels and
// containers. Each finding has a code that stays, a plain sentence and the
// command that mends it. Checks look and change nothing, but for those that
// Options.Probe allows.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatewayd/host/firewall"
	"gatewayd/host/infra"
)

// A Level says how bad a finding is.
type Level string

const (
	Problem Level = "problem" // something does not work
	Warning Level = "warning" // it may work, for some or for now
)

// A Finding is one thing that is wrong.
type Finding struct {
	Code    string `json:"code"`              // stable, as "HOST-FWD6"
	Level   Level  `json:"level"`             //
	Subject string `json:"subject,omitempty"` // interface, prefix, program or file
	Text    string `json:"text"`              // one sentence
	Fix     string `json:"fix,omitempty"`     // command, or where to turn
}

// Options says what to examine. Every field may be left zero.
type Options struct {
	Mesh  string   // the mesh's interface; default wpan0
	Infra []string // infrastructure interfaces; none: the default route's
	// Alone: a gateway that is at work is no border router, and needs nothing
	// of the infrastructure.
	Alone bool

	Prefixes []netip.Prefix // of the mesh; none: those of the gateway's routes
	DataDir  string         // the gateway's; empty: not examined
	Radio    string         // URL of the radio; empty: not examined
	NAT64    string         // name of the translator's interface; empty: there is none
	PD       bool           // the gateway asks for a delegated prefix by DHCPv6
	Table    string         // of the firewall; default firewall.DefaultTable
	Firewall bool           // the gateway has its firewall in force
	// Unfiltered is why the gateway has no firewall; nil: it has, or it is not
	// known. Closed: nothing passes then.
	Unfiltered error
	Closed     bool

	// Unseen are the interfaces on which the gateway does not see what it
	// publishes by mDNS.
	Unseen []Unseen

	// Advertised is when the gateway last sent a router advertisement, by the
	// interfaces on which it has something to advertise; zero: never.
	Advertised map[string]time.Time

	// Probe allows what can be noticed: a router solicitation on each
	// infrastructure link, and a packet to the mesh from a neighbor in a
	// network namespace that is made for it. It takes Wait at most.
	Probe bool
	Wait  time.Duration // default 3 s

	sys *system // of tests
}

// Unseen is an interface by which the gateway's own mDNS does not come back to
// it.
type Unseen struct {
	Link string
	// Name is what is published there; empty: nothing, and a question did not
	// come back.
	Name string
	// Family is "IPv4", "IPv6" or both.
	Family string
}

// An exam is one run over a host.
type exam struct {
	context.Context
	Options
	sys      *system
	links    []infra.Link // to examine
	names    []string     // theirs, of those that exist
	mesh     int          // index of its interface; 0: there is none
	programs []process    // that run; nil: not looked at yet
	adverts  []advert     // that a probe has made arrive
	code     string       // of the check that runs
	findings []Finding
}

// A Check is one thing that is looked at.
type Check struct {
	Code  string
	About string
	run   func(*exam)
}

// checks in the order of findings: what explains others comes first.
var checks = slices.Concat(kernelChecks, linkChecks, settingChecks, routeChecks, firewallChecks, neighborChecks, stateChecks, probeChecks)

// Checks lists what Run looks at.
func Checks() []Check { return slices.Clone(checks) }

// OtherNetwork is the code of what the gateway itself finds: that it belongs to
// another network than its configuration names.
const OtherNetwork = "GW-NETWORK"

// Inside reports whether only the gateway that runs can find what has this
// code: of what it has sent, seen and been told.
func Inside(code string) bool {
	return code == "HOST-RASEND" || code == "HOST-MDNSOUT" || code == OtherNetwork
}

// Run examines the host and returns what is wrong, causes before effects.
// Nothing is nothing.
func Run(ctx context.Context, o Options) []Finding {
	o.Mesh = cmp.Or(o.Mesh, "wpan0")
	o.Table = cmp.Or(o.Table, firewall.DefaultTable)
	o.Wait = cmp.Or(o.Wait, 3*time.Second)
	e := &exam{Context: ctx, Options: o, sys: o.sys}
	if e.sys == nil {
		e.sys = realSystem()
	}
	e.mesh = e.sys.index(o.Mesh)
	if !o.Alone || e.mesh == 0 {
		e.links, _ = infra.Read(infra.Options{Names: o.Infra, Avoid: []string{o.Mesh, o.NAT64}})
	}
	for _, l := range e.links {
		if l.Index != 0 {
			e.names = append(e.names, l.Name)
		}
	}
	for _, c := range checks {
		if ctx.Err() != nil {
			break
		}
		e.code = c.Code
		c.run(e)
	}
	return e.findings
}

// active reports whether a gateway is at work.
func (e *exam) active() bool { return e.mesh != 0 }

// routes reports whether a border router is at work: then its settings are to
// be there.
func (e *exam) routes() bool { return e.active() && !e.Alone }

func (e *exam) found(level Level, subject, fix, format string, args ...any) {
	e.findings = append(e.findings, Finding{Code: e.code, Level: level, Subject: subject, Text: fmt.Sprintf(format, args...), Fix: fix})
}

func (e *exam) problem(subject, fix, format string, args ...any) {
	e.found(Problem, subject, fix, format, args...)
}

func (e *exam) warn(subject, fix, format string, args ...any) {
	e.found(Warning, subject, fix, format, args...)
}

// had reports whether a check before has found something.
func (e *exam) had(codes ...string) bool {
	return slices.ContainsFunc(e.findings, func(f Finding) bool { return slices.Contains(codes, f.Code) })
}
