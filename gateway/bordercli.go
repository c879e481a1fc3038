package gateway

import (
	"fmt"
	"net/netip"

	"gatewayd/border"
	"gatewayd/nat64"
	"gatewayd/otcli"
	"gatewayd/thread/registrar"
)

// borderCommands is a gateway's border routing to OpenThread's command line. What
// that changes holds until the gateway is restarted.
type borderCommands struct{ g *Gateway }

// errNoLink is the error of what takes an infrastructure link.
var errNoLink = fmt.Errorf("gateway: there is no infrastructure link: set infra in the configuration: %w", otcli.NotCapable)

// Manager implements otcli.BorderRouter.
func (b borderCommands) Manager() *border.Manager {
	if b.g.infra == nil {
		return nil
	}
	return b.g.infra.manager
}

// InitRouting implements otcli.BorderRouter. Which links there are is in the
// configuration.
func (b borderCommands) InitRouting(uint32, bool) error {
	if b.g.infra == nil {
		return errNoLink
	}
	return otcli.InvalidState
}

// SetRouting implements otcli.BorderRouter.
func (b borderCommands) SetRouting(on bool) error {
	b.g.infra.off = !on
	b.g.infra.enable()
	return nil
}

// SetDelegation implements otcli.BorderRouter.
func (b borderCommands) SetDelegation(on bool) error {
	if b.g.delegation == nil {
		return fmt.Errorf("gateway: pd is off in the configuration: %w", otcli.NotCapable)
	}
	b.g.delegation.setEnabled(on)
	return nil
}

// DelegationEnabled implements otcli.BorderRouter.
func (b borderCommands) DelegationEnabled() bool { return b.g.delegation != nil && !b.g.delegation.off }

// Registrar implements otcli.BorderRouter.
func (b borderCommands) Registrar() *registrar.Registrar {
	if b.g.services == nil {
		return nil
	}
	return b.g.services.registrar
}

// AutoRegistrar implements otcli.BorderRouter.
func (b borderCommands) AutoRegistrar() bool { return b.g.services != nil && b.g.services.auto }

// SetAutoRegistrar implements otcli.BorderRouter.
func (b borderCommands) SetAutoRegistrar(on bool) {
	b.g.services.auto = on
	b.g.dirty = true
}

// SetNAT64 implements otcli.BorderRouter.
func (b borderCommands) SetNAT64(on bool) error {
	if b.g.nat64 == nil {
		return fmt.Errorf("gateway: nat64 is off in the configuration, or there is no infrastructure link: %w", otcli.NotCapable)
	}
	b.g.nat64.off = !on
	b.g.infra.tellNAT64()
	return nil
}

// Translator implements otcli.BorderRouter.
func (b borderCommands) Translator() *nat64.Translator { return b.g.NAT64() }

// Pool implements otcli.BorderRouter.
func (b borderCommands) Pool() netip.Prefix {
	if b.g.nat64 == nil {
		return netip.Prefix{}
	}
	return nat64Pool
}
