package radius

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unhex reads hexadecimal octets; what follows a # on a line is a comment.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var clean strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		clean.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(clean.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacket(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want Packet
		err  error // with off, when decoding must fail
		off  int
	}{{
		name: "telnet, RFC 2865 Section 7.1",
		wire: `01 00 0038                              # Access-Request
		       0f403f9473978057bd83d5cb98f4227a        # Request Authenticator
		       01 06 6e656d6f                          # User-Name "nemo"
		       02 12 0dbe708d93d413ce3196e43f782a0aee  # User-Password
		       04 06 c0a80110                          # NAS-IP-Address
		       05 06 00000003                          # NAS-Port`,
		want: Packet{
			Code:          AccessRequest,
			Authenticator: [16]byte{0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a},
			Attributes: Attributes{
				{UserName, []byte("nemo")},
				{2, []byte{0x0d, 0xbe, 0x70, 0x8d, 0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee}},
				{NASIPAddress, []byte{192, 168, 1, 16}},
				{NASPort, []byte{0, 0, 0, 3}},
			},
		},
	}, {
		name: "no attributes",
		wire: `05 07 0014 00000000000000000000000000000000`,
		want: Packet{Code: AccountingResponse, ID: 7},
	}, {
		name: "empty value",
		wire: `01 01 0016 00000000000000000000000000000000  4f 02`,
		want: Packet{Code: AccessRequest, ID: 1, Attributes: Attributes{{EAPMessage, []byte{}}}},
	}, {
		name: "vendor's and unknown attributes stay",
		wire: `02 01 0022 00000000000000000000000000000000
		       1a 0b 00000137 1a 05 010203   # vendor 311, type 26
		       f1 03 ff`,
		want: Packet{Code: AccessAccept, ID: 1, Attributes: Attributes{
			{VendorSpecific, []byte{0, 0, 1, 0x37, 0x1a, 5, 1, 2, 3}}, {241, []byte{0xff}},
		}},
	},
		{name: "empty", wire: ``, err: ErrShort, off: 0},
		{name: "half a header", wire: `01 01 0014 0000`, err: ErrShort, off: 6},
		{name: "length below the header's", wire: `01 01 0013 00000000000000000000000000000000`, err: ErrLength, off: 2},
		{name: "length above the largest", wire: `01 01 1001 00000000000000000000000000000000`, err: ErrLength, off: 2},
		{name: "cut", wire: `01 01 0016 00000000000000000000000000000000`, err: ErrShort, off: 20},
		{name: "attribute of one octet", wire: `01 01 0015 00000000000000000000000000000000 01`, err: ErrShort, off: 20},
		{name: "attribute length 0", wire: `01 01 0016 00000000000000000000000000000000 01 00`, err: ErrLength, off: 21},
		{name: "attribute length 1", wire: `01 01 0016 00000000000000000000000000000000 01 01`, err: ErrLength, off: 21},
		{name: "attribute beyond the end", wire: `01 01 0016 00000000000000000000000000000000 01 03`, err: ErrShort, off: 22},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(wire)
			if tt.err != nil {
				var de *DecodeError
				if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
					t.Fatalf("error %v, want %v at byte %d", err, tt.err, tt.off)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("decoded (-want +got):\n%s", d)
			}
			if b := got.Append(nil); !bytes.Equal(b, wire) || got.Len() != len(wire) {
				t.Errorf("encoded %x of length %d, want %x", b, got.Len(), wire)
			}
			// Padding behind the packet is not looked at.
			padded, err := Decode(append(wire, 1, 2, 3))
			if err != nil || !cmp.Equal(padded, got) {
				t.Errorf("padded: %+v, %v", padded, err)
			}
		})
	}
}

// What RFCs print, to the octet. Their secret is "xyzzy5461".
func TestAuthenticators(t *testing.T) {
	secret := Secret("xyzzy5461")

	// RFC 5997 Section 6.1.
	status := unhex(t, `0c da 0026 8a54f4686fb394c52866e302185d0623
		50 12 5a665e2e1e8411f3e243822097c84fa3`)
	p := Packet{Code: StatusServer, ID: 0xda, Authenticator: [16]byte(status[4:])}
	if got := p.AppendRequest(nil, secret); !bytes.Equal(got, status) {
		t.Errorf("Status-Server %x, want %x", got, status)
	}
	if err := VerifyRequest(status, secret); err != nil {
		t.Error(err)
	}
	up := unhex(t, `02 da 0014 ef0d552a4bf2d693ec2b6fe8b5411d66`)
	if err := verifyMD5(up, secret, p.Authenticator); err != nil {
		t.Error(err)
	}
	if err := VerifyResponse(up, secret, p.Authenticator); err != ErrNoMessageAuthenticator {
		t.Errorf("its answer without Message-Authenticator: %v", err)
	}

	// RFC 2865 Section 7.1.
	accept := unhex(t, `02 00 0026 86fe220e7624ba2a1005f6bf9b55e0b2
		06 06 00000001   # Service-Type
		0f 06 00000000   # Login-Service
		0e 06 c0a80103   # Login-IP-Host`)
	auth := [16]byte(unhex(t, `0f403f9473978057bd83d5cb98f4227a`))
	if err := verifyMD5(accept, secret, auth); err != nil {
		t.Error(err)
	}
	if err := VerifyResponse(accept, secret, [16]byte{}); err != ErrAuthenticator {
		t.Errorf("answer to another request: %v", err)
	}
}

// What each kind of packet must carry, and where it goes wrong.
func TestVerify(t *testing.T) {
	secret := Secret("s")
	as := Attributes{{UserName, []byte("u")}}
	request := [16]byte{1, 2, 3}
	for _, code := range []Code{AccessRequest, StatusServer, AccountingRequest, DisconnectRequest, CoARequest} {
		b := Packet{Code: code, ID: 1, Authenticator: request, Attributes: as}.AppendRequest(nil, secret)
		verifyEveryByte(t, code, b, func(b []byte) error { return VerifyRequest(b, secret) })
	}
	for _, code := range []Code{AccessAccept, AccessReject, AccessChallenge, AccountingResponse, DisconnectACK, CoANAK} {
		b := Packet{Code: code, ID: 1, Attributes: as}.AppendResponse(nil, secret, request)
		verifyEveryByte(t, code, b, func(b []byte) error { return VerifyResponse(b, secret, request) })
	}

	ma := Attribute{MessageAuthenticator, make([]byte, 16)}
	tests := []struct {
		name string
		as   Attributes
		want error
	}{
		{"none", as, ErrNoMessageAuthenticator},
		{"two", Attributes{ma, ma}, ErrTwoMessageAuthenticators},
		{"short", Attributes{{MessageAuthenticator, make([]byte, 15)}}, ErrLength},
		{"zeros", Attributes{ma}, ErrMessageAuthenticator},
	}
	for _, tt := range tests {
		b := Packet{Code: AccessRequest, Attributes: tt.as}.Append(nil)
		if err := VerifyRequest(b, secret); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// verifyEveryByte checks that a packet verifies, and none that differs in one
// octet does.
func verifyEveryByte(t *testing.T, code Code, b []byte, verify func([]byte) error) {
	t.Helper()
	if err := verify(b); err != nil {
		t.Errorf("%v: %v", code, err)
	}
	if code != AccountingRequest && Type(b[headerLen]) != MessageAuthenticator {
		t.Errorf("%v: Message-Authenticator is not first", code)
	}
	for i := range b {
		b[i] ^= 0x10
		if verify(b) == nil && i != 0 { // another code may make it a packet of another kind
			t.Errorf("%v: verifies with octet %d changed", code, i)
		}
		b[i] ^= 0x10
	}
}

func TestEAPMessage(t *testing.T) {
	for _, n := range []int{1, 252, 253, 254, 506, 507, 1500} {
		packet := bytes.Repeat([]byte{0xa5}, n)
		var as Attributes
		as.AddEAP(packet)
		if want := (n + 252) / 253; len(as) != want {
			t.Errorf("%d octets: %d attributes, want %d", n, len(as), want)
		}
		if got, ok := as.EAP(); !ok || !bytes.Equal(got, packet) {
			t.Errorf("%d octets: joined %d, %v", n, len(got), ok)
		}
	}
	var start Attributes
	start.AddEAP(nil)
	if got, ok := start.EAP(); !ok || len(got) != 0 || len(start) != 1 {
		t.Errorf("EAP-Start: %x, %v in %v", got, ok, start)
	}
	if _, ok := (Attributes{{UserName, nil}}).EAP(); ok {
		t.Error("found an EAP packet where none is")
	}
}

func TestMSK(t *testing.T) {
	msk := make([]byte, 64)
	for i := range msk {
		msk[i] = byte(i)
	}
	auth := [16]byte{9, 9}
	var as Attributes
	as.AddMSK(msk, Secret("s3cret"), auth, [2][2]byte{{0, 1}, {0, 2}})
	got, ok, err := as.MSK(Secret("s3cret"), auth)
	if err != nil || !ok || !bytes.Equal(got, msk) {
		t.Errorf("%x, %v, %v", got, ok, err)
	}
	if bytes.Contains(Packet{Attributes: as}.Append(nil), msk[:4]) {
		t.Error("the key is readable")
	}
	if _, _, err := as.MSK(Secret("other"), auth); err != ErrKey {
		t.Errorf("other secret: %v", err)
	}
	if _, ok, err := as[:1].MSK(Secret("s3cret"), auth); ok || err != nil {
		t.Errorf("one half: %v, %v", ok, err)
	}
	for _, n := range []int{0, 1, 2, 17, 33} {
		var as Attributes
		as.AddVendor(VendorMicrosoft, msMPPERecvKey, make([]byte, n))
		as.AddVendor(VendorMicrosoft, msMPPESendKey, make([]byte, n))
		if _, _, err := as.MSK(Secret("s"), auth); err != ErrKey {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

func TestVendorSubAttributes(t *testing.T) {
	as := Attributes{
		{VendorSpecific, []byte{0, 0}},                                // too short
		{VendorSpecific, []byte{0, 0, 1, 0x37, 17, 200, 1}},           // longer than it is
		{VendorSpecific, []byte{0, 0, 0, 9, 17, 3, 1}},                // another vendor
		{VendorSpecific, []byte{0, 0, 1, 0x37, 1, 3, 2, 17, 4, 3, 4}}, // two in one
	}
	if v, ok := as.Vendor(VendorMicrosoft, 17); !ok || !bytes.Equal(v, []byte{3, 4}) {
		t.Errorf("%x, %v", v, ok)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := Secret("testing123")
	text, _ := s.MarshalText()
	for _, got := range []string{fmt.Sprint(s), fmt.Sprintf("%x %s %q %d %+v %#v", s, s, s, s, s, s), string(text), s.String(),
		fmt.Sprintf("%+v", Upstream{Secret: s}), fmt.Sprintf("%#v", Authorized{Secret: s})} {
		if strings.Contains(got, "testing") || strings.Contains(got, "74657374") || strings.Contains(got, "116") || !strings.Contains(got, redacted) {
			t.Errorf("shows as %q", got)
		}
	}
}

func md5sum(b []byte) [16]byte { return md5.Sum(b) }

func hmacMD5(b []byte, secret Secret) []byte {
	h := hmac.New(md5.New, secret)
	h.Write(b)
	return h.Sum(nil)
}
