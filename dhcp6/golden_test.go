package dhcp6

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// unhex reads hexadecimal digits with spaces and comments.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Recorded questions of ISC's dhclient 4.4.3 and of dhcpcd 9.4.1, and the bytes
// of the answers.
var goldens = []struct{ name, ask, answer string }{{
	name: "dhclient solicits",
	ask: `01 d35a81                                # Solicit
	      0001 000e 000100013297290ea26941074818   # client
	      0006 0006 0017 0018 0017                 # wants DNS, search list, DNS
	      0008 0002 0000
	      0003 000c 41074818 00000e10 00001518     # IA_NA`,
	answer: `02 d35a81                             # Advertise
	      0001 000e 000100013297290ea26941074818
	      0002 000c 0003001b0200000000000001
	      0003 0028 41074818 00000708 00000b40     # T1 30 min, T2 48 min
	        0005 0018 20010db8000100020000000012345678 00000e10 00001c20
	      0017 0010 20010db8000000000000000000000053`,
}, {
	name: "dhclient requests",
	ask: `03 541bb5
	      0001 000e 000100013297290ea26941074818
	      0002 000c 0003001b0200000000000001
	      0006 0006 0017 0018 0017
	      0008 0002 0000
	      0003 0028 41074818 00000e10 00001518
	        0005 0018 20010db8000100020000000012345678 00001c20 00001d4c`,
	answer: `07 541bb5
	      0001 000e 000100013297290ea26941074818
	      0002 000c 0003001b0200000000000001
	      0003 0028 41074818 00000708 00000b40
	        0005 0018 20010db8000100020000000012345678 00000e10 00001c20
	      0017 0010 20010db8000000000000000000000053`,
}, {
	name: "dhclient releases",
	ask: `08 3dbbbf
	      0001 000e 000100013297290ea26941074818
	      0002 000c 0003001b0200000000000001
	      0006 0006 0017 0018 0017
	      0008 0002 0000
	      0003 0028 41074818 00000000 00000000
	        0005 0018 20010db8000100020000000012345678 00000000 00000000`,
	answer: `07 3dbbbf
	      0001 000e 000100013297290ea26941074818
	      0002 000c 0003001b0200000000000001
	      000d 0006 0000 646f6e65                  # success`,
}, {
	name: "dhcpcd solicits, rapid commit allowed",
	ask: `01 083074
	      0001 000a 00030001ee3d70f10671
	      0003 000c 00000001 00000000 00000000
	      0006 0004 0052 0053                      # SOL_MAX_RT, INF_MAX_RT
	      0008 0002 0000
	      000e 0000                                # rapid commit
	      0010 003c 00009f08 00366468637063642d392e342e313a4c696e75782d362e31382e34342d66632d763636393a7838365f36343a47656e75696e65496e74656c`,
	answer: `07 083074
	      0001 000a 00030001ee3d70f10671
	      0002 000c 0003001b0200000000000001
	      000e 0000
	      0003 0028 00000001 00000708 00000b40
	        0005 0018 20010db8000100020000000012345678 00000e10 00001c20`,
}}

func TestGolden(t *testing.T) {
	from := netip.MustParseAddrPort("[fe80::1234:5678]:546")
	w := newWorld(t, func(c *Config) {
		c.Pools[0].EUI64 = true
		c.DNS = []netip.Addr{netip.MustParseAddr("2001:db8::53")}
	})
	for _, tt := range goldens {
		got, to := w.server.Receive(from, unhex(t, tt.ask), false)
		if want := unhex(t, tt.answer); !bytes.Equal(got, want) || to != from {
			t.Errorf("%s: answer to %v\n%x, want\n%x", tt.name, to, got, want)
		}
	}
}
