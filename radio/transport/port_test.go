package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errNoDevice = errors.New("no such device")

// piped gives a Port pipes to open; the far ends arrive on far.
type piped struct {
	far chan net.Conn

	mu   sync.Mutex
	fail error
	at   []time.Time // of the attempts
}

func (p *piped) setFail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *piped) attempts() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at)
}

func (p *piped) dial(context.Context) (Conn, error) {
	p.mu.Lock()
	p.at = append(p.at, time.Now())
	err := p.fail
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	p.far <- far
	return &conn{Conn: near, name: "pipe"}, nil
}

func next(t *testing.T, p *Port, want PortEventKind) PortEvent {
	t.Helper()
	e := <-p.Events()
	if e.Kind != want {
		t.Fatalf("%v (%v), want %v", e.Kind, e.Err, want)
	}
	return e
}

func start(t *testing.T, p *Port) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}
}

func TestPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &piped{far: make(chan net.Conn, 1)}
		p := NewPort(PortConfig{Dial: d.dial})
		stop := start(t, p)
		defer stop()

		e := next(t, p, PortOpened)
		far := <-d.far
		if e.Gen != 1 || !p.Write(1, []byte("ask")) || p.Write(2, []byte("no")) {
			t.Errorf("generation %d", e.Gen)
		}
		b := make([]byte, 10)
		if n, _ := far.Read(b); string(b[:n]) != "ask" {
			t.Errorf("wrote %q", b[:n])
		}
		// Chunks stay as they are until the next one is taken.
		go func() {
			for i := range 10 {
				fmt.Fprintf(far, "answer %d", i)
			}
			far.Close()
		}()
		for i := range 10 {
			e := next(t, p, PortReceived)
			want := fmt.Sprintf("answer %d", i)
			synctest.Wait() // the reader has read on
			if !bytes.Equal(e.Data, []byte(want)) || e.Gen != 1 || e.At.IsZero() {
				t.Errorf("%q, want %q", e.Data, want)
			}
		}
		e = next(t, p, PortClosed)
		if !errors.Is(e.Err, ErrHungUp) || p.Write(1, []byte("late")) {
			t.Errorf("%v", e.Err)
		}
		if e := next(t, p, PortOpened); e.Gen != 2 {
			t.Errorf("generation %d", e.Gen)
		}
		<-d.far
		p.Reopen(1) // the wrong one
		p.Reopen(2)
		next(t, p, PortClosed)
		next(t, p, PortOpened)
		<-d.far
	})
}

// Attempts come further and further apart while the device is away, or is there
// and says nothing, and at once when it was well.
func TestPortBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &piped{far: make(chan net.Conn, 1), fail: errNoDevice}
		p := NewPort(PortConfig{Dial: d.dial})
		stop := start(t, p)
		defer stop()
		for range 10 {
			if e := next(t, p, PortFailed); e.Err != errNoDevice {
				t.Error(e.Err)
			}
		}
		var waits []time.Duration
		at := d.attempts()
		for i := range at[1:] {
			waits = append(waits, at[i+1].Sub(at[i]))
		}
		want := "[100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s 5s]"
		if got := fmt.Sprint(waits); got != want {
			t.Errorf("waits %s, want %s", got, want)
		}
		d.setFail(nil)
		next(t, p, PortOpened)
		far := <-d.far
		hungUp := time.Now()
		far.Close()
		next(t, p, PortClosed)
		next(t, p, PortOpened)
		if got := time.Since(hungUp); got != 5*time.Second {
			t.Errorf("reopened after %v of silence", got)
		}
		far = <-d.far
		go far.Write([]byte{0x7e})
		next(t, p, PortReceived)
		hungUp = time.Now()
		far.Close()
		next(t, p, PortClosed)
		next(t, p, PortOpened)
		if got := time.Since(hungUp); got != 100*time.Millisecond {
			t.Errorf("reopened after %v", got)
		}
		<-d.far
	})
}

// A device that takes nothing does not block its owner; what does not fit is
// refused and counted.
func TestPortBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &piped{far: make(chan net.Conn, 1)}
		p := NewPort(PortConfig{Dial: d.dial, Queue: 100})
		stop := start(t, p)
		defer stop()
		next(t, p, PortOpened)
		far := <-d.far
		ok := 0
		for range 50 {
			if p.Write(1, make([]byte, 10)) {
				ok++
			}
			synctest.Wait()
		}
		// One write is with the device, the queue holds ten.
		if ok != 11 || p.Dropped() != 39 {
			t.Errorf("%d taken, %d dropped", ok, p.Dropped())
		}
		total := 0
		b := make([]byte, 1000)
		for total < 110 {
			n, err := far.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
		synctest.Wait()
		if !p.Write(1, b[:100]) {
			t.Error("the queue is still full")
		}
	})
}

// Run ends with everything it started, whatever it is doing.
func TestPortStops(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *Port, *piped){
		"while opening again":          func(t *testing.T, p *Port, d *piped) { next(t, p, PortFailed) },
		"while nobody takes the event": func(t *testing.T, p *Port, d *piped) { <-d.far; synctest.Wait() },
		"while reading":                func(t *testing.T, p *Port, d *piped) { <-d.far; next(t, p, PortOpened); synctest.Wait() },
		"while writing": func(t *testing.T, p *Port, d *piped) {
			<-d.far
			next(t, p, PortOpened)
			p.Write(1, []byte("stuck"))
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &piped{far: make(chan net.Conn, 1)}
				p := NewPort(PortConfig{Dial: d.dial})
				if name == "while opening again" {
					d.setFail(errNoDevice)
				}
				stop := start(t, p)
				prepare(t, p, d)
				stop()
			})
		})
	}
}
