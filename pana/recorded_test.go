package pana

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A recording is a session between programs of others.
type recording struct {
	name    string
	vectors string // file with keys, if there is one
	psk     string
	agent   netip.AddrPort
	relay   bool
	// How each side writes what is free or what it gets wrong.
	pac, paa           func(AVPs)
	pacNonce, paaNonce int // octets

	packets []packet
}

type packet struct {
	from, to netip.AddrPort
	b        []byte
	hops     uint8
}

var recordings = []recording{{
	name: "openpana-psk", vectors: "openpana-psk", psk: "passwordpassword",
	agent: netip.MustParseAddrPort("127.0.0.1:5555"), pac: asOpenPANA, paa: byCode, pacNonce: 20, paaNonce: 20,
}, {
	name: "openpana-pre6", psk: "passwordpassword", relay: true,
	agent: netip.MustParseAddrPort("[::1]:5555"), pac: asOpenPANA, paa: byCode, pacNonce: 20, paaNonce: 20,
}, {
	name: "cross-openpac-cpaa", vectors: "cross-openpac-cpaa", psk: "passwordpassword",
	agent: netip.MustParseAddrPort("127.0.0.1:5555"), pac: byCode, paa: asCPANA, pacNonce: 20, paaNonce: 16,
}, {
	name: "cpana-fixed-ping-reauth-term", vectors: "cpana-fixed", psk: "passwordpassword",
	agent: netip.MustParseAddrPort("127.0.0.1:716"), pac: asCPANA, paa: asCPANA, pacNonce: 16, paaNonce: 16,
}}

// asOpenPANA sorts, and has an idea of its own of how to write the cause.
func asOpenPANA(as AVPs) {
	byCode(as)
	for i := range as {
		if as[i].Code == CodeTerminationCause {
			as[i].Value = []byte{0, 1, 0, 0}
		}
	}
}

// asCPANA has an order of its own, and sets a reserved flag in the last
// request of a handshake.
func asCPANA(as AVPs) {
	order := []Code{CodePRFAlgorithm, CodeIntegrityAlgorithm, CodeNonce, CodeResultCode, CodeEAPPayload, CodeKeyID, CodeSessionLifetime, CodeTerminationCause}
	slices.SortFunc(as, func(a, b AVP) int { return slices.Index(order, a.Code) - slices.Index(order, b.Code) })
	if _, last := as.Find(CodeResultCode); !last {
		return
	}
	for i := range as {
		if as[i].Code != CodeKeyID {
			as[i].Flags = 0x4000
		}
	}
}

// load reads the PANA messages of a recording.
func load(t testing.TB, r recording) recording {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", r.name+".pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pr, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := pr.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, pr.LinkType(), gopacket.Default)
		udp := p.TransportLayer().(*layers.UDP)
		if udp.SrcPort == 18120 || udp.DstPort == 18120 {
			continue // RADIUS
		}
		src, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
		dst, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Dst().Raw())
		hops := uint8(64)
		if ip, ok := p.NetworkLayer().(*layers.IPv6); ok {
			hops = ip.HopLimit
		}
		r.packets = append(r.packets, packet{netip.AddrPortFrom(src, uint16(udp.SrcPort)),
			netip.AddrPortFrom(dst, uint16(udp.DstPort)), udp.Payload, hops})
	}
}

// pskMSK is the master session key of EAP-PSK (RFC 4764 Section 3.2) by the
// pre-shared key and the peer's random number.
func pskMSK(psk string, randP []byte) []byte {
	enc := func(key, in []byte) []byte {
		c, err := aes.NewCipher(key)
		if err != nil {
			panic(err)
		}
		out := make([]byte, 16)
		c.Encrypt(out, in)
		return out
	}
	b := enc([]byte(psk), make([]byte, 16))
	b[15] ^= 2
	kdk := enc([]byte(psk), b)
	h := enc(kdk, randP)
	var msk []byte
	for i := byte(2); i <= 5; i++ {
		c := bytes.Clone(h)
		c[15] ^= i
		msk = append(msk, enc(kdk, c)...)
	}
	return msk
}

// talk is one handshake of a recording.
type talk struct {
	pacNonce, paaNonce []byte
	msk                []byte
	keyID              uint32
	lifetime           uint32
	sa                 *SA
	requests           [][]byte // EAP, in order, the last one the Success
	responses          [][]byte
}

// direct are the messages between client and agent, without the relay
// element's.
func (r *recording) direct(t testing.TB) (msgs []*Message, fromPAA []bool) {
	for i, p := range r.packets {
		m, err := Decode(p.b)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if err := m.Check(); err != nil {
			t.Errorf("packet %d: %v", i, err)
		}
		if b := m.Append(nil); !bytes.Equal(b, p.b) {
			t.Errorf("packet %d is encoded\n%x, was\n%x", i, b, p.b)
		}
		if r.relay {
			if m.Type == Relay {
				continue
			}
			fromPAA = append(fromPAA, p.from.Port() == 8888)
		} else {
			fromPAA = append(fromPAA, p.from == r.agent)
		}
		msgs = append(msgs, m)
	}
	return msgs, fromPAA
}

// talks finds out, from what a recording shows and the pre-shared key, every
// key there was.
func (r *recording) talks(t testing.TB) (ts []*talk, ipar, ipan []byte, sas []*SA) {
	msgs, fromPAA := r.direct(t)
	var cur *talk
	var sa *SA
	for i, m := range msgs {
		if m.is(Auth, FlagRequest|FlagStart) {
			ipar = m.raw
		}
		if m.is(Auth, FlagStart) {
			ipan = m.raw
		}
		if nonce, ok := m.AVPs.Find(CodeNonce); ok {
			if fromPAA[i] {
				cur = &talk{paaNonce: nonce}
				ts = append(ts, cur)
			} else {
				cur.pacNonce = nonce
			}
		}
		if p, ok := m.AVPs.Find(CodeEAPPayload); ok {
			if fromPAA[i] {
				cur.requests = append(cur.requests, p)
			} else {
				cur.responses = append(cur.responses, p)
				if len(p) > 38 && p[4] == 47 && p[5] == 0x40 {
					cur.msk = pskMSK(r.psk, p[22:38])
				}
			}
		}
		if id, ok := m.AVPs.uint32(CodeKeyID); ok && fromPAA[i] {
			cur.keyID = id
			cur.lifetime, _ = m.AVPs.uint32(CodeSessionLifetime)
			var err error
			if sa, err = NewSA(cur.msk, Exchange{Suite: Suite{PRF: PRFHMACSHA1, Integrity: HMACSHA1160}, IPAR: ipar, IPAN: ipan,
				PaCNonce: cur.pacNonce, PAANonce: cur.paaNonce, KeyID: id}); err != nil {
				t.Fatal(err)
			}
			cur.sa = sa
		}
		sas = append(sas, sa)
	}
	return ts, ipar, ipan, sas
}

// Every message of the recordings decodes, obeys the rules of its type and is
// encoded again to the same octets; every AUTH and every key is right.
func TestRecordings(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			r := load(t, r)
			ts, ipar, ipan, sas := r.talks(t)
			msgs, _ := r.direct(t)
			n := 0
			for i, m := range msgs {
				if _, ok := m.AVPs.Find(CodeAuth); !ok {
					continue
				}
				if n++; !sas[i].Verify(m) {
					t.Errorf("message %d, %v: AUTH is wrong", i, m)
				}
				forged := bytes.Clone(m.raw)
				forged[len(forged)-1-i] ^= 1
				if f, err := Decode(forged); err == nil && sas[i].Verify(f) {
					t.Errorf("message %d, %v: AUTH is right after a change", i, m)
				}
			}
			if n < 6 {
				t.Errorf("only %d messages carry AUTH", n)
			}
			if r.vectors == "" {
				return
			}
			text, err := os.ReadFile(filepath.Join("testdata", r.vectors+".vectors.txt"))
			if err != nil {
				t.Fatal(err)
			}
			find := func(name string) (vs []string) {
				for _, m := range regexp.MustCompile(name+`=([0-9a-f]+)`).FindAllStringSubmatch(string(text), -1) {
					vs = append(vs, m[1])
				}
				return vs
			}
			last := ts[len(ts)-1]
			want(t, "MSK", find("MSK"), []string{hex.EncodeToString(last.msk)})
			want(t, "PaC_nonce", find("PaC_nonce"), []string{hex.EncodeToString(last.pacNonce)})
			want(t, "PAA_nonce", find("PAA_nonce"), []string{hex.EncodeToString(last.paaNonce)})
			want(t, "I_PAR", find("I_PAR"), []string{hex.EncodeToString(ipar)})
			want(t, "I_PAN", find("I_PAN"), []string{hex.EncodeToString(ipan)})
			var keys []string
			for _, tk := range ts {
				keys = append(keys, hex.EncodeToString(tk.sa.auth[:20]))
			}
			want(t, "PANA_AUTH_KEY", find("PANA_AUTH_KEY"), keys)
		})
	}
}

// randomOf is what a side must have drawn for a recording: its nonces, the
// identifiers of keys in the case of an agent, the first sequence number in
// that of a client.
func randomOf(ts []*talk, agent bool, isn uint32) io.Reader {
	var b bytes.Buffer
	for i, tk := range ts {
		switch {
		case agent:
			b.Write(tk.paaNonce)
			_ = binary.Write(&b, binary.BigEndian, tk.keyID)
		default:
			b.Write(tk.pacNonce)
			if i == 0 {
				_ = binary.Write(&b, binary.BigEndian, isn)
			}
		}
	}
	return &b
}
