package joining

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ipv6"
	"gatewayd/thread/link"
	"gatewayd/thread/tmf"
)

// JOIN_ENT.ntf as OpenThread's joiner routers sent it under the KEK is answered
// as its joiners answered it, to the byte.
func TestRecordedEntrust(t *testing.T) {
	// network key, mesh-local prefix, extended PAN ID, name, active timestamp,
	// channel mask, PSKc, security policy, key sequence
	const credentials = `05 10 00112233445566778899aabbccddeeff
		07 08 fd000db8000a000b  02 08 0001020304050607
		03 0c 54657374204e6574776f726b
		0e 08 0000000000010000  35 06 0004001fffe0
		04 10 c3f59368445a1b6106be420a706d4cc9  0c 04 02a0f7f8  06 04 00000000`
	for _, x := range []struct{ name, router, joiner, header, answer string }{
		{"commissioner-remote.pcap, frames 172 and 174", "fe80::e847:134c:d8bd:ca82", "fe80::9033:5c4b:3208:30fb",
			"42 02 828e 18ff b163 026a65 ff", "62 44 828e 18ff"},
		{"joiner-1hop.pcap, frames 84 and 86", "fe80::c855:7d19:a987:78d9", "fe80::d45e:64fa:83f8:1cf7",
			"42 02 265a e19a b163 026a65 ff", "62 44 265a e19a"},
		{"joiner-2hop.pcap, frames 164 and 166", "fe80::1c51:fb0c:87f6:88df", "fe80::9033:5c4b:3208:30fb",
			"42 02 db3a 709c b163 026a65 ff", "62 44 db3a 709c"},
	} {
		w := newWorld(t)
		j := w.add("joiner", 0xfffe)
		router, own := netip.MustParseAddr(x.router), netip.MustParseAddr(x.joiner)
		j.SetExtAddress(joinerID(iidOf(own)), false)
		j.joiner.router = Found{Ext: joinerID(iidOf(router)), Channel: 15, PANID: 0xface}
		j.joiner.setState(JoinerEntrust)
		j.SetKEK([16]byte{1})
		var answers [][]byte
		w.trace = func(_ *node, h ipv6.Header, u ipv6.UDP, payload []byte, o link.Options) {
			if o.Security != link.JoinerKEK || h.Dst != router || u.DstPort != tmf.Port {
				t.Errorf("%s: answered to %v port %d, %v", x.name, h.Dst, u.DstPort, o.Security)
			}
			answers = append(answers, bytes.Clone(payload))
		}
		request := unhex(t, x.header+credentials)
		deliver := func(i link.Info) {
			j.ip.Receive(ipv6.AppendUDPPacket(nil, ipv6.Header{Src: router, Dst: own, HopLimit: 64}, tmf.Port, tmf.Port, request), i)
			w.run(time.Millisecond)
		}
		for _, wrong := range []link.Info{{Secured: true, KeyIDMode: 1}, {}} {
			if deliver(wrong); len(answers) > 0 || len(j.credentials) > 0 {
				t.Errorf("%s: taken with %+v", x.name, wrong)
			}
		}
		deliver(link.Info{Secured: true, KeyIDMode: 0})
		if len(answers) != 1 || !bytes.Equal(answers[0], unhex(t, x.answer)) {
			t.Errorf("%s: answered %x", x.name, answers)
		}
		if len(j.credentials) != 1 || j.credentials[0].Dataset.NetworkName != "Test Network" {
			t.Errorf("%s: %+v", x.name, j.credentials)
		}
	}
}
