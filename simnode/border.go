package simnode

import (
	"math/rand/v2"
	"net/netip"

	"gatewayd/border"
	"gatewayd/dnssd/srp"
	"gatewayd/nat64"
	"gatewayd/ndp"
	"gatewayd/otcli"
	"gatewayd/thread"
	"gatewayd/thread/registrar"
)

// Border is what a simulated node has of a border router: the decisions, on an
// infrastructure link that nobody else is on, and an SRP server. It forwards
// nothing.
type Border struct {
	node      *thread.Node
	rand      *rand.Rand
	store     border.Store
	manager   *border.Manager
	published border.Publication
	registrar *registrar.Registrar
	auto      bool
}

// NewBorder returns a node's, without a link.
func NewBorder(node *thread.Node, random *rand.Rand, store border.Store) (*Border, error) {
	server, err := srp.New(srp.Config{Clock: node.Clock()})
	if err != nil {
		return nil, err
	}
	return &Border{node: node, rand: random, store: store, registrar: registrar.New(registrar.Config{Server: server, IP: node.IP(),
		Publisher: node.Publisher(), Addresses: node.Addr(), Attached: node.MLE().Attached, Port: srp.FirstPort})}, nil
}

// Update is to be called when the node's role, addresses or network data are
// others.
func (b *Border) Update() {
	if b.manager != nil {
		b.manager.SetMesh(border.OfThread(b.node))
		if b.auto {
			b.registrar.SetEnabled(b.manager.Status().Ready)
		}
	}
	b.registrar.Update()
}

// Manager implements otcli.BorderRouter.
func (b *Border) Manager() *border.Manager { return b.manager }

// InitRouting implements otcli.BorderRouter.
func (b *Border) InitRouting(_ uint32, up bool) error {
	if b.manager == nil {
		b.manager = border.New(border.Config{
			Clock: b.node.Clock(), Rand: b.rand, Store: b.store,
			Send:    func(string, ndp.Out) error { return nil }, // nobody is there to hear it
			Publish: b.publish,
		})
		b.manager.SetMesh(border.OfThread(b.node))
	}
	ext := b.node.EUI64()
	return b.manager.SetLink(simulatedLink, border.LinkState{Up: up, LinkLocal: ndp.EUI64(ext).LinkLocal()})
}

const simulatedLink = "infra"

func (b *Border) publish(p border.Publication) {
	_ = p.Publish(b.node, b.published) // the command line tells of network data that is full
	b.published = p
}

// SetRouting implements otcli.BorderRouter.
func (b *Border) SetRouting(on bool) error {
	b.manager.SetEnabled(on)
	return nil
}

// SetDelegation implements otcli.BorderRouter: there is nobody to ask.
func (b *Border) SetDelegation(bool) error { return otcli.NotCapable }

// DelegationEnabled implements otcli.BorderRouter.
func (b *Border) DelegationEnabled() bool { return false }

// Registrar implements otcli.BorderRouter.
func (b *Border) Registrar() *registrar.Registrar { return b.registrar }

// AutoRegistrar implements otcli.BorderRouter.
func (b *Border) AutoRegistrar() bool { return b.auto }

// SetAutoRegistrar implements otcli.BorderRouter.
func (b *Border) SetAutoRegistrar(on bool) {
	b.auto = on
	b.Update()
}

// SetNAT64 implements otcli.BorderRouter: there is no IPv4 here.
func (b *Border) SetNAT64(bool) error { return otcli.NotCapable }

// Translator implements otcli.BorderRouter.
func (b *Border) Translator() *nat64.Translator { return nil }

// Pool implements otcli.BorderRouter.
func (b *Border) Pool() netip.Prefix { return netip.Prefix{} }
