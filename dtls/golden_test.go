package dtls

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// hashReader is the randomness of the recorded handshakes: SHA-256 over the
// seed and a counter, again and again.
type hashReader struct {
	seed    string
	counter uint64
	left    []byte
}

func (r *hashReader) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if len(r.left) == 0 {
			h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(r.seed), r.counter))
			r.left = h[:]
			r.counter++
		}
		m := copy(b[n:], r.left)
		r.left = r.left[m:]
		n += m
	}
	return len(b), nil
}

// A recording is a session of one of our ends with mbedTLS: what came in, what
// was written, and every datagram that went out.
type recording struct {
	Role, Secret, Seed, CookieKey, Peer string
	Events                              []struct{ Dir, Hex string }
	KEK                                 string
	App                                 []string
}

func readRecording(tb testing.TB, name string) recording {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(b, &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// unhex decodes hexadecimal digits.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// start makes the end that was recorded.
func (r recording) start(tb testing.TB, now time.Time, cfg Config) *Conn {
	tb.Helper()
	cfg.Secret, cfg.Rand = []byte(r.Secret), &hashReader{seed: r.Seed}
	start := Client
	if r.Role == "server" {
		cfg.CookieKey = []byte(r.CookieKey)
		start = Server
	}
	c, err := start(cfg, now)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Sessions recorded against mbedTLS come out again byte for byte: hello
// messages, proofs, retransmission, record protection, close_notify; with the
// extended master secret and without.
func TestGolden(t *testing.T) {
	for _, name := range []string{
		"ecjpake-client-vs-mbedtls.json", "ecjpake-server-vs-mbedtls.json",
		"no-ems-client-vs-mbedtls.json", "no-ems-server-vs-mbedtls.json",
	} {
		t.Run(name, func(t *testing.T) {
			rec := readRecording(t, name)
			t0 := time.Unix(0, 0)
			now := t0
			var out [][]byte
			var app []string
			var kek [16]byte
			var c *Conn
			c = rec.start(t, now, Config{
				Send:        func(b []byte) { out = append(out, b) },
				Receive:     func(b []byte) { app = append(app, string(b)) },
				Established: func() { kek = c.KEK() },
			})
			for i, ev := range rec.Events {
				if ev.Dir == "tick-ms" {
					ms, err := strconv.Atoi(ev.Hex)
					if err != nil {
						t.Fatal(err)
					}
					now = t0.Add(time.Duration(ms) * time.Millisecond)
					c.Tick(now)
					continue
				}
				b := unhex(t, ev.Hex)
				switch ev.Dir {
				case "in":
					c.Handle(now, b)
				case "write":
					if err := c.Write(b); err != nil {
						t.Fatalf("event %d: %v", i, err)
					}
				case "out":
					if len(out) == 0 {
						t.Fatalf("event %d: nothing sent, want\n%x (%v)", i, b, c.Err())
					}
					if !bytes.Equal(out[0], b) {
						t.Fatalf("event %d: sent\n%x, want\n%x", i, out[0], b)
					}
					out = out[1:]
				default:
					t.Fatalf("event %d: %q", i, ev.Dir)
				}
			}
			if len(out) != 0 {
				t.Errorf("%d datagrams more than recorded, first %x", len(out), out[0])
			}
			if !bytes.Equal(kek[:], unhex(t, rec.KEK)) {
				t.Errorf("KEK %x, want %s", kek, rec.KEK)
			}
			if len(app) != len(rec.App) || app[0] != rec.App[0] {
				t.Errorf("received %q, want %q", app, rec.App)
			}
			if c.Err() != ErrPeerClosed {
				t.Errorf("ended with %v, want %v", c.Err(), ErrPeerClosed)
			}
		})
	}
}
