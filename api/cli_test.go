package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// say executes a command and returns what it said, a line each.
func (s *served) say(t *testing.T, line string) string {
	t.Helper()
	var out strings.Builder
	done := 0
	if err := s.CLI(t.Context(), line, func(l CLILine) error {
		fmt.Fprintln(&out, l.Line)
		if l.Done {
			done++
		}
		if (l.Error != 0) != strings.HasPrefix(l.Line, "Error ") {
			t.Errorf("%s: %+v", line, l)
		}
		return nil
	}); err != nil || done != 1 {
		t.Errorf("%s: ended %d times, %v\n%s", line, done, err, &out)
	}
	return out.String()
}

func TestCLI(t *testing.T) {
	t.Parallel()
	s, ctx := serve(t), t.Context()
	tests := []struct{ line, want string }{
		{"state", "disabled\nDone\n"},
		{"frobnicate", "Error 35: InvalidCommand\n"},
		{"channel 99", "Error 7: InvalidArgs\n"},
		{"reset", "the gateway is not restarted from here: restart its service\nError 27: NotCapable\n"},
		{"factoryreset", "the gateway keeps what it has: `gatewayd dataset new --force` makes another network of its own\nError 27: NotCapable\n"},
		{"exit", "Done\n"},
		{"platform", "POSIX\nDone\n"},
		// What one command edits, the next commits.
		{"dataset init new", "Done\n"},
		{"dataset networkkey 00112233445566778899aabbccddeeff", "Done\n"},
		{"dataset channel 15", "Done\n"},
		{"dataset commit active", "Done\n"},
		{"networkkey", "00112233445566778899aabbccddeeff\nDone\n"},
		{"thread start", "Done\n"},
	}
	for _, tt := range tests {
		if got := s.say(t, tt.line); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
	s.wait(t, "a leader that serves its prefix", func(st *Status) bool {
		return st.Role == "leader" && len(st.OnMeshPrefixes) == 1 && len(st.Addresses) >= 4
	})
	if got := s.say(t, "state"); got != "leader\nDone\n" {
		t.Errorf("state: %q", got)
	}
	tlvs, err := s.ExportDataset(ctx, "active")
	if got := s.say(t, "dataset active -x"); err != nil || got != tlvs.TLVs+"\nDone\n" {
		t.Errorf("dataset active -x: %q, want %q, %v", got, tlvs.TLVs, err)
	}
	addrs := s.say(t, "ipaddr")
	if n := strings.Count(addrs, ":"); n < 16 || !strings.HasSuffix(addrs, "\nDone\n") {
		t.Errorf("ipaddr: %q", addrs)
	}
	own, _, _ := strings.Cut(addrs, "\n")
	got := s.say(t, "ping "+own+" 56 2 0.02")
	want := `^(64 bytes from [0-9a-f:]+: icmp_seq=\d+ hlim=64 time=\d+ms\n){2}` +
		`2 packets transmitted, 2 packets received. Packet loss = 0.0%. Round-trip .* ms.\nDone\n$`
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("ping: %q", got)
	}
	if got := s.say(t, "scan 15"); !strings.HasPrefix(got, "| PAN ") || !strings.HasSuffix(got, "Done\n") {
		t.Errorf("scan: %q", got)
	}
	if err := s.CLI(ctx, " \t", nil); code(err) != http.StatusBadRequest {
		t.Errorf("a blank line: %v", err)
	}
}

// A ping that has no end yet ends with its client; so does its session.
func TestCLIDisconnect(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if _, err := s.NewDataset(t.Context(), NewDataset{Channel: 15}); err != nil {
		t.Fatal(err)
	}
	st := s.wait(t, "a leader with addresses", func(st *Status) bool { return st.Role == "leader" && len(st.Addresses) >= 4 })
	stop := errors.New("enough")
	for range 2 * maxCLISessions { // which is as many as there are pings at a time
		n := 0
		err := s.CLI(t.Context(), "ping "+st.Addresses[0]+" 8 60000 0.01", func(CLILine) error {
			if n++; n == 3 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
}

// A session tells what happens by itself, and what its other commands find.
func TestCLISession(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if _, err := s.NewDataset(t.Context(), NewDataset{Channel: 15}); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "a leader", func(st *Status) bool { return st.Role == "leader" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	typed, w := io.Pipe()
	said, ended := make(chan string, 64), make(chan error, 1)
	go func() {
		ended <- s.CLISession(ctx, typed, func(l CLILine) error { said <- l.Line; return nil })
	}()
	until := func(want string) {
		t.Helper()
		for {
			select {
			case l := <-said:
				if l == want {
					return
				}
			case <-ctx.Done():
				t.Fatalf("nobody said %q", want)
			}
		}
	}
	fmt.Fprintln(w, "\nstate")
	until("leader")
	until("Done")
	fmt.Fprintln(w, "commissioner start")
	until("Commissioner: active")
	// Another client hears of it, too.
	if _, err := s.AddJoiner(ctx, NewJoiner{EUI64: "*", PSKd: "J01NME"}); err != nil {
		t.Error(err)
	}
	if err := s.RemoveJoiner(ctx, "*"); err != nil {
		t.Error(err)
	}
	until("Commissioner: Joiner remove ")
	fmt.Fprintln(w, "exit")
	until("Done")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
