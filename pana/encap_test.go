package pana

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"
	"time"
)

var netKey = NetworkKey{Key: [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Index: 1}

// Keys reach the client with its authorization, when it asks, and when the
// agent has new ones; nobody else reads them.
func TestNetworkKey(t *testing.T) {
	for _, profile := range []Profile{Standard, ZigBeeIP} {
		t.Run(profile.String(), func(t *testing.T) {
			l := newLab(t, 1)
			key := netKey
			p := l.serve(func(c *PAAConfig) {
				c.Profile = profile
				c.Deliver = func(i Info) []AVP {
					if i.Identity != "bob" {
						t.Errorf("asked for the keys of %+v", i)
					}
					return []AVP{key.AVP()}
				}
			})
			var got []NetworkKey
			d := l.join(pacAddr, func(c *PaCConfig) {
				c.Profile = profile
				c.Delivered = func(as []AVP) {
					ks, err := AVPs(as).NetworkKeys()
					if err != nil {
						t.Error(err)
					}
					got = append(got, ks...)
				}
			})
			ps := l.capture()
			d.Start(paaAddr)
			l.run(time.Second)
			want(t, "with the authorization", got, []NetworkKey{netKey})
			want(t, "suite", d.Info().Suite, Suite{PRFHMACSHA256, HMACSHA256128, AES128CTR})
			encap, choice := CodeEncryptionEncap, CodeEncryptionAlgorithm
			if profile == ZigBeeIP {
				encap, choice = choice, encap
				want(t, "lifetime", d.Info().Lifetime, Forever)
			}
			first, err := Decode(find(t, *ps, Auth, FlagStart))
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := first.AVPs.Find(choice); !ok || !bytes.Equal(v, []byte{0, 0, 0, 1}) {
				t.Errorf("AVP %d of the client's choice is %x", choice, v)
			}
			last, err := Decode(find(t, *ps, Auth, FlagRequest|FlagComplete))
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := last.AVPs.Find(encap); len(v) != 32 { // 12 of header, 18 of key, 2 of padding
				t.Errorf("AVP %d has %d octets", encap, len(v))
			}

			key.Index, key.AuthCounter = 2, 1
			if err := d.Ask(KeyRequest{Index: 1}.AVP()); err != nil {
				t.Fatal(err)
			}
			l.run(time.Second)
			want(t, "asked for", got, []NetworkKey{netKey, key})

			pushed := NetworkKey{Key: [16]byte{0xbb}, Index: 3}
			want(t, "sessions pushed to", p.PushAll([]AVP{pushed.AVP()}), 1)
			l.run(time.Second)
			want(t, "pushed", got, []NetworkKey{netKey, key, pushed})
			want(t, "agent", story(l.events), "opened, authorized, pushed")

			_ = d.Reauthenticate()
			l.run(time.Second)
			want(t, "with re-authentication", got, []NetworkKey{netKey, key, pushed, key})

			for _, k := range *ps {
				for _, secret := range []NetworkKey{netKey, pushed} {
					if bytes.Contains(k.b, secret.Key[:]) {
						t.Errorf("a key in clear in %x", k.b)
					}
				}
			}
			want(t, "discarded", append(l.drops, d.drops...), []error{})
		})
	}
}

// Without encryption on either side no key is given away.
func TestNoEncryption(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(func(c *PAAConfig) {
		c.Deliver = func(Info) []AVP { t.Error("asked for keys"); return []AVP{netKey.AVP()} }
	})
	d := l.join(pacAddr, nil)
	d.Start(paaAddr)
	l.run(time.Second)
	want(t, "client is", d.State(), Open)
	if err := p.Push(d.Info().ID, []AVP{netKey.AVP()}); !errors.Is(err, ErrState) {
		t.Errorf("pushed in clear: %v", err)
	}
	if err := d.Ask(KeyRequest{}.AVP()); !errors.Is(err, ErrState) {
		t.Errorf("asked for keys that cannot be encrypted: %v", err)
	}
}

// A push to many goes out at the pace that is set, and what one of them is
// busy with comes first.
func TestPushPace(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(func(c *PAAConfig) {
		c.Encrypt = true
		c.Limits.Pace = 10
		c.Limits.ClientRate = 1000
	})
	got := 0
	for i := range 30 {
		addr := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(i + 10)}), 716)
		d := l.join(addr, func(c *PaCConfig) { c.Delivered = func([]AVP) { got++ } })
		d.Start(paaAddr)
	}
	l.run(time.Second)
	want(t, "sessions pushed to", p.PushAll([]AVP{netKey.AVP()}), 30)
	l.run(990 * time.Millisecond)
	want(t, "within a second", got, 10)
	_ = p.Reauthenticate(p.Sessions()[29].ID)
	l.run(3 * time.Second)
	want(t, "in the end", got, 30)
	want(t, "re-authentications", p.Counters.Reauths, 1)
}

// The key stream is that of AES-128-CTR with the counter block of RFC 6786
// Section 6, here as OpenSSL makes it from key 00..0f and block
// 02112233445566778899aabbcc000001; the client's key is another one.
func TestCounterBlock(t *testing.T) {
	sa := &SA{KeyID: 0x11223344, Suite: Suite{PRFHMACSHA256, HMACSHA256128, AES128CTR}}
	for i := range sa.paaEncr {
		sa.paaEncr[i] = byte(i)
	}
	b := make([]byte, 34)
	sa.crypt(b, PAASide, 0x55667788, 0x99aabbcc)
	want(t, "key stream", hex.EncodeToString(b), "4a11c3d53a5864cd7f6ca9c7938e3940bd92573673ce253040067960c5eccc6e2f30")
	sa.crypt(b, PAASide, 0x55667788, 0x99aabbcc)
	want(t, "and back", b, make([]byte, 34))
	sa.crypt(b, PaCSide, 0x55667788, 0x99aabbcc)
	if hex.EncodeToString(b) == "4a11c3d53a5864cd7f6ca9c7938e3940bd92573673ce253040067960c5eccc6e2f30" {
		t.Error("both sides have the same key")
	}
}

// What must not be encrypted is refused, and so is what does not decode.
func TestDecrypt(t *testing.T) {
	sa := &SA{KeyID: 1, Suite: Suite{PRFHMACSHA256, HMACSHA256128, AES128CTR}}
	for _, tt := range []struct {
		name string
		as   AVPs
		ok   bool
	}{
		{"network key", AVPs{netKey.AVP()}, true},
		{"lifetime", AVPs{avpUint32(CodeSessionLifetime, 1)}, true},
		{"result", AVPs{avpUint32(CodeResultCode, 0)}, false},
		{"key identifier", AVPs{netKey.AVP(), avpUint32(CodeKeyID, 0)}, false},
		{"another encapsulation", AVPs{{Code: CodeEncryptionEncap, Value: []byte{1}}}, false},
	} {
		a := sa.Encrypt(tt.as, PAASide, 1, 2)
		as, err := sa.Decrypt(a.Value, PAASide, 1, 2)
		if (err == nil) != tt.ok || tt.ok && !bytes.Equal(as.Append(nil), tt.as.Append(nil)) || !tt.ok && !errors.Is(err, ErrDecrypt) {
			t.Errorf("%s: %v, %v", tt.name, as, err)
		}
		if _, err := sa.Decrypt(a.Value[:len(a.Value)-1], PAASide, 1, 2); !errors.Is(err, ErrDecrypt) {
			t.Errorf("%s, cut: %v", tt.name, err)
		}
	}
}

func TestZigBeeKeys(t *testing.T) {
	var k [16]byte
	for i := range k {
		k[i] = byte(i)
	}
	mle, mac := ZigBeeKeys(k)
	want(t, "keys", hex.EncodeToString(append(mle[:], mac[:]...)), "3ed20bd1b30c2a52f78e8e7d6937445a82eecaa02c8f3c6d2ca3deee259f50f8")
}
