package diag

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/mac"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// Why a question is not asked, or comes to nothing.
var (
	ErrState      = errors.New("diag: this node is not part of a network")
	ErrBusy       = errors.New("diag: too many questions are under way")
	ErrNoRouter   = errors.New("diag: there is no such router")
	ErrNotCapable = errors.New("diag: this node does not know the routers of its network")
	ErrTimeout    = errors.New("diag: no answer, or not all of it")
	ErrRefused    = errors.New("diag: refused")
)

// Vendor is what a node tells of who made it. Of what is longer than the limits
// of Thread 1.4 Section 10.11.4 only the beginning is told.
type Vendor struct {
	Name, Model string // MaxVendorName and MaxVendorModel bytes of UTF-8
	Version     string // of the software, MaxVendorVersion
	AppURL      string // MaxAppURL
}

// The limits, in bytes.
const (
	MaxVendorName    = 32
	MaxVendorModel   = 32
	MaxVendorVersion = 16
	MaxStackVersion  = 64
	MaxAppURL        = 96
)

// Config is what an Agent needs.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	IP    *ip.Stack
	MAC   *mac.MAC
	MLE   *mle.MLE
	Table *neighbor.Table
	EUI64 func() ieee802154.ExtAddr
	// StackVersion names this implementation.
	StackVersion string
}

// Agent is a node's end of network diagnostics: it answers and asks.
type Agent struct {
	cfg Config

	// Vendor may be changed at any time.
	Vendor Vendor

	answering int // answers of several messages, or delayed, under way
	lastID    uint16
	queries   []*Query
	surveys   int
}

// New returns an Agent that answers.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg, lastID: uint16(cfg.Rand.Uint32())}
	cfg.TMF.Handle(tmf.DiagnosticGet, a.getReceived)
	cfg.TMF.Handle(tmf.DiagnosticGetQuery, a.queryReceived)
	cfg.TMF.Handle(tmf.DiagnosticGetAnswer, a.answerReceived)
	cfg.TMF.Handle(tmf.DiagnosticReset, a.resetReceived)
	return a
}

func (a *Agent) now() time.Time { return a.cfg.Clock.Now() }

// source is the address to speak from: on the link for those on the link, else
// the node's place in the mesh.
func (a *Agent) source(to netip.Addr) netip.Addr {
	if to.IsLinkLocalUnicast() || to.IsLinkLocalMulticast() {
		return a.cfg.MLE.LinkLocal()
	}
	return a.cfg.MLE.RLOC()
}
