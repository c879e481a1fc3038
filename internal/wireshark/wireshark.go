// Package wireshark has tests ask Wireshark's dissectors, by tshark, what they
// make of our packets. Where there is no tshark, the tests skip.
package wireshark

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Program is tshark.
func Program(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("SKIPPED: no tshark")
	}
	return program
}

// A Packet is a whole IPv4 or IPv6 packet.
type Packet struct {
	At    time.Time
	Bytes []byte
}

// File writes packets where tshark can read them, until the test ends.
func File(t *testing.T, packets []Packet) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packets.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: p.At, CaptureLength: len(p.Bytes), Length: len(p.Bytes)}, p.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// Read has tshark read a file, with more options, and returns a line for each
// packet: its fields, separated by bars.
func Read(t *testing.T, file string, fields []string, options ...string) []string {
	t.Helper()
	cmd := exec.Command(Program(t), "-r", file, "-T", "fields", "-E", "separator=|")
	for _, f := range fields {
		cmd.Args = append(cmd.Args, "-e", f)
	}
	cmd.Args = append(cmd.Args, options...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &complaint)
	}
	if len(out) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// Fields is Read of a File of packets.
func Fields(t *testing.T, packets []Packet, fields []string, options ...string) []string {
	t.Helper()
	Program(t) // or skip, before any work
	return Read(t, File(t, packets), fields, options...)
}
