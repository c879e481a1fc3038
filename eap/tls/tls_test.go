package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"testing"

	"gatewayd/eap"
)

var versions = []struct {
	name string
	id   uint16
}{{"1.2", stdtls.VersionTLS12}, {"1.3", stdtls.VersionTLS13}}

// agree checks that both sides succeeded with the same keys.
func agree(tb testing.TB, c talk) {
	tb.Helper()
	if c.server.Outcome != eap.Success || c.peer.Outcome != eap.Success {
		tb.Fatalf("server: %v, %v; peer: %v, %v", c.server.Outcome, c.server.Reason, c.peer.Outcome, c.peer.Reason)
	}
	if len(c.server.MSK) != 64 || len(c.server.EMSK) != 64 || bytes.Equal(c.server.MSK, make([]byte, 64)) ||
		!bytes.Equal(c.server.MSK, c.peer.MSK) || !bytes.Equal(c.server.EMSK, c.peer.EMSK) ||
		bytes.Equal(c.server.MSK, c.server.EMSK) {
		tb.Errorf("keys differ or are not keys:\n%x %x\n%x %x", c.server.MSK, c.server.EMSK, c.peer.MSK, c.peer.EMSK)
	}
	if len(c.server.SessionID) != 65 || c.server.SessionID[0] != 13 || !bytes.Equal(c.server.SessionID, c.peer.SessionID) {
		tb.Errorf("Session-Ids %x and %x", c.server.SessionID, c.peer.SessionID)
	}
	if c.server.Identity != "sensor-7" || c.peer.Identity != "gateway" {
		tb.Errorf("identities %q and %q", c.server.Identity, c.peer.Identity)
	}
}

func TestAuthenticate(t *testing.T) {
	for _, v := range versions {
		for _, mtu := range []int{0, 150, 300, 1020, 1400, 5000} {
			t.Run(v.name, func(t *testing.T) {
				server, peer := newSetup(t, v.id).sides(t)
				c := run(t, server, peer, mtu)
				t.Logf("MTU %d: %d packets", mtu, len(c.packets))
				agree(t, c)
			})
		}
	}
}
