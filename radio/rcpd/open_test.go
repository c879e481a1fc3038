package rcpd

import (
	"net"
	"strings"
	"testing"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
)

// dialled is the host's end of a co-processor that Dial made.
func dialled(t *testing.T, url string) *host {
	t.Helper()
	u, err := radio.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(u)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, conn: conn, frames: make(chan spinel.Frame, 100)}
	go func() {
		var dec hdlc.Decoder
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			for p := range dec.Frames(b[:n]) {
				if f, err := spinel.DecodeFrame(append([]byte(nil), p...)); err == nil {
					h.frames <- f
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close() })
	return h
}

// A co-processor on ZEP is one like any other.
func TestDialZEP(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := dialled(t, "zep://"+c.LocalAddr().String()+"?eui64=02000000000000fe")
	h.up(1)
	h.send(spinel.Frame{TID: 1, Cmd: spinel.CmdGet, Prop: spinel.PropHWAddr})
	if f := h.next(); len(f.Value) != 8 || f.Value[0] != 2 || f.Value[7] != 0xfe {
		t.Errorf("EUI-64: %v", f)
	}
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || n != 40 || string(b[:2]) != "EX" || b[39] != 0xfe {
		t.Errorf("it says %x, %v", b[:n], err)
	}
}

func TestOpenErrors(t *testing.T) {
	for url, want := range map[string]string{
		"sim:x":                                "rcpd: radio sim:x: want sim: and the number of a simulated node",
		"sim:34":                               "udp medium: node 34 is not between 1 and 33",
		"/dev/ttyACM0":                         "rcpd: radio spinel+hdlc+uart:///dev/ttyACM0 is not on a medium of datagrams",
		"zep://127.0.0.1?local=192.0.2.1:5000": "zep: dial udp",
	} {
		u, err := radio.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Dial(u); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, %v", url, c, err)
		}
	}
}
