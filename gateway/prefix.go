package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"gatewayd/thread/netdata"
)

const storePrefix = "on-mesh-prefix"

// publishPrefix serves the gateway's own on-mesh prefix to the mesh, from which
// devices give themselves addresses. It is made once and kept.
//
// A gateway with infrastructure links publishes what package border decides.
func (g *Gateway) publishPrefix() error {
	if g.infra != nil {
		return nil
	}
	p, err := g.onMeshPrefix()
	if err != nil {
		return err
	}
	flags := netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagOnMesh | netdata.FlagDefault
	return g.node.ServePrefix(p, flags, true)
}

func (g *Gateway) onMeshPrefix() (netip.Prefix, error) {
	b, err := g.store.Load(storePrefix)
	if err == nil {
		if p, err := netip.ParsePrefix(string(b)); err == nil && p.Bits() == 64 && p.Addr().Is6() {
			return p, nil
		}
		g.log.Warn("stored on-mesh prefix makes no sense, making a new one", "id", "GW-PREFIX")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, err
	}
	var a [16]byte
	a[0] = 0xfd // a unique local /48 (RFC 4193 Section 3.2.2), subnet 1
	if _, err := rand.Read(a[1:6]); err != nil {
		return netip.Prefix{}, fmt.Errorf("gateway: on-mesh prefix: %w", err)
	}
	a[7] = 1
	p := netip.PrefixFrom(netip.AddrFrom16(a), 64)
	return p, g.store.Save(storePrefix, []byte(p.String()))
}
