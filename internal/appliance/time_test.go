package appliance

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/sntp"
)

// timeServer answers with what reply makes of a request.
func timeServer(t *testing.T, reply func(sntp.Packet) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return // the test is over
			}
			if p, err := sntp.Decode(b[:n]); err == nil {
				_, _ = conn.WriteTo(reply(p), from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// The first server that has a time sets the clock, which is saved; answers to
// what was not asked are passed over.
func TestTimeOnce(t *testing.T) {
	refuses := timeServer(t, func(p sntp.Packet) []byte {
		return sntp.Packet{Version: 4, Mode: sntp.ModeServer, RefID: [4]byte{'D', 'E', 'N', 'Y'}, Originate: p.Transmit}.Append(nil)
	})
	tomorrow := func(p sntp.Packet) []byte {
		now := sntp.TimestampOf(time.Now().Add(24 * time.Hour))
		return sntp.Packet{Version: 4, Mode: sntp.ModeServer, Stratum: 1, Originate: p.Transmit, Receive: now, Transmit: now}.Append(nil)
	}
	good := timeServer(t, tomorrow)
	blind := timeServer(t, func(p sntp.Packet) []byte { // who does not see the request can only guess
		p.Transmit++
		return tomorrow(p)
	})

	var offset time.Duration
	o := Time{Save: filepath.Join(t.TempDir(), "clock"), Log: slog.New(slog.DiscardHandler),
		set: func(d, _ time.Duration) error { offset = d; return nil }}
	o.Servers = func() []string { return []string{"127.0.0.1:1", refuses, good} }
	if err := o.once(t.Context()); err != nil || (offset-24*time.Hour).Abs() > time.Second {
		t.Errorf("off by %v, %v, want a day", offset, err)
	}
	b, err := os.ReadFile(o.Save)
	if s, perr := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err != nil || perr != nil || time.Since(time.Unix(s, 0)).Abs() > time.Minute {
		t.Errorf("saved %q, %v", b, err)
	}
	o.Servers = func() []string { return []string{refuses, blind} }
	if err := o.once(t.Context()); err == nil || !strings.Contains(err.Error(), "refuses: DENY") || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("with a server that refuses and one that guesses: %v", err)
	}
}
