package rcpd

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/spinel"
)

// offset keeps tests that run at the same time apart.
var offset = 100 + os.Getpid()%500

// host is the other end of a co-processor that is being served.
type host struct {
	t      *testing.T
	conn   net.Conn
	frames chan spinel.Frame
	done   chan error
	cancel context.CancelFunc
}

func serve(t *testing.T, node int) *host {
	t.Helper()
	m, err := udp.Open(udp.Config{Node: node, PortOffset: offset})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{t: t, conn: ours, frames: make(chan spinel.Frame, 100), done: make(chan error, 1), cancel: cancel}
	go func() {
		h.done <- Serve(ctx, theirs, Config{Medium: m})
		m.Close()
	}()
	go func() {
		var dec hdlc.Decoder
		b := make([]byte, 4096)
		for {
			n, err := ours.Read(b)
			if err != nil {
				close(h.frames)
				return
			}
			for p := range dec.Frames(b[:n]) {
				if f, err := spinel.DecodeFrame(append([]byte(nil), p...)); err == nil {
					h.frames <- f
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		ours.Close()
	})
	return h
}

func (h *host) next() spinel.Frame {
	h.t.Helper()
	select {
	case f, ok := <-h.frames:
		if !ok {
			h.t.Fatal("the stream ended")
		}
		return f
	case <-time.After(5 * time.Second):
		h.t.Fatal("nothing came")
	}
	return spinel.Frame{}
}

func (h *host) send(f spinel.Frame) {
	h.t.Helper()
	if _, err := h.conn.Write(hdlc.AppendFrame(nil, f.Append(nil))); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) set(p spinel.Prop, value ...byte) {
	h.t.Helper()
	h.send(spinel.Frame{TID: 1, Cmd: spinel.CmdSet, Prop: p, Value: value})
	if f := h.next(); f.Prop != p {
		h.t.Fatalf("%v: %v", p, f)
	}
}

func (h *host) up(short byte) {
	h.t.Helper()
	h.send(spinel.Frame{Cmd: spinel.CmdReset, Value: []byte{byte(spinel.ResetStack)}})
	if f := h.next(); f.Prop != spinel.PropLastStatus || !spinel.Status(f.Value[0]).IsReset() {
		h.t.Fatalf("reset: %v", f)
	}
	h.set(spinel.PropPhyEnabled, 1)
	h.set(spinel.PropMACPANID, 0xce, 0xfa)
	h.set(spinel.PropMACShortAddr, short, 0)
	h.set(spinel.PropPhyChan, 20)
	h.set(spinel.PropMACRawStreamEnabled, 1)
}

// Two co-processors on one air: what one host sends, the other receives, and
// the acknowledgment comes back in time.
func TestServe(t *testing.T) {
	a, b := serve(t, 1), serve(t, 2)
	a.up(1)
	b.up(2)
	a.send(spinel.Frame{TID: 1, Cmd: spinel.CmdGet, Prop: spinel.PropHWAddr})
	if f := a.next(); len(f.Value) != 8 || f.Value[7] != 1 {
		t.Errorf("EUI-64: %v", f)
	}
	frame := ieee802154.Frame{
		Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, Seq: 9,
		DstPAN: 0xface, SrcPAN: 0xface, Dst: ieee802154.ShortAddr(2), Src: ieee802154.ShortAddr(1), Payload: []byte("payload"),
	}
	for range 20 {
		q := spinel.TxRequest{
			PSDU: append(frame.Append(nil), 0, 0), Channel: 20, MaxCSMABackoffs: 4, MaxFrameRetries: 0, CSMA: true,
			RxChannel: 20, Power: spinel.PowerDefault,
		}
		a.send(spinel.Frame{TID: 2, Cmd: spinel.CmdSet, Prop: spinel.PropStreamRaw, Value: q.Append(nil)})
		rx, err := spinel.DecodeRxFrame(b.next().Value)
		if err != nil || string(rx.PSDU[9:16]) != "payload" {
			t.Fatalf("%+v, %v", rx, err)
		}
		if d, err := spinel.DecodeTxDone(a.next().Value, true); err != nil || d.Status != spinel.StatusOK || len(d.Ack.PSDU) != 5 {
			t.Fatalf("%+v, %v", d, err)
		}
	}
}

func TestServeEnds(t *testing.T) {
	a := serve(t, 3)
	a.up(1)
	a.conn.Close()
	if err := <-a.done; err != nil {
		t.Errorf("when the host goes: %v", err)
	}
	b := serve(t, 4)
	b.cancel()
	if err := <-b.done; !errors.Is(err, context.Canceled) {
		t.Errorf("when it is cancelled: %v", err)
	}
	if _, err := b.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the stream is still open: %v", err)
	}
}
