package transport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// Implementation constants of Probe.
const (
	probeResponse = 400 * time.Millisecond // for an answer from a working RCP
	probeReset    = 1500 * time.Millisecond
	probePoke     = 300 * time.Millisecond // for something else to answer a poke
	probeStart    = 2 * time.Second        // for what tells of its start to be done with it
	probeKept     = 1024                   // bytes looked at
)

// probeBauds are the rates that RCP firmwares come with, most frequent first.
var probeBauds = []uint32{460800, 115200, 1000000, 230400, 921600, 2000000}

// pokes are what other firmwares answer to, and RCPs ignore as noise: the
// reset frame of EZSP's ASH, a ping for TI's ZNP, requests for the version of
// deCONZ and ZiGate, and an empty line for bootloaders and shells.
var pokes = []byte("\x1a\xc0\x38\xbc\x7e" + "\xfe\x00\x21\x01\x20" +
	"\xc0\x0d\x01\x00\x09\x00\x00\x00\x00\x00\xe9\xff\xc0" + "\x01\x02\x10\x10\x02\x10\x02\x10\x10\x03" + "\r\n")

// Attempt is one way of talking to a device that Probe tried.
type Attempt struct {
	Baud        uint32 // 0 if there is no such thing
	FlowControl bool
	Reset       bool // it was reset first
	Guess       spinel.Guess
}

// Report is what Probe found.
type Report struct {
	// URL is how to reach it, with the baud rate and flow control that worked.
	URL radio.URL
	// Guess says what it is. Only for spinel.KindRCP and KindNCP is Identity
	// filled in.
	Guess    spinel.Guess
	Identity spinel.Identity
	// Problem is why an RCP is of no use to us, or "".
	Problem  string
	Attempts []Attempt
	Took     time.Duration
}

// Usable reports whether the device can be the gateway's radio as it is.
func (r Report) Usable() bool { return r.Guess.Kind == spinel.KindRCP && r.Problem == "" }

// Probe finds out what u leads to. On a serial line it tries the rate given,
// then the usual ones, each without and with flow control, and resets the
// device only if nothing answers. What sends text is asked once more, for that
// may have been of its start. The device must not be in use; its radio is
// off afterwards. An error means that it could not be opened, or ctx ended.
func Probe(ctx context.Context, u radio.URL) (Report, error) { return probe(ctx, u, Dial) }

type dialFunc func(context.Context, radio.URL) (Conn, error)

func probe(ctx context.Context, u radio.URL, dial dialFunc) (Report, error) {
	start := time.Now()
	report := Report{URL: u}
	tries, waited := candidates(u), false
	for _, reset := range []bool{false, true} {
		for i := 0; i < len(tries); i++ {
			try := tries[i]
			a := Attempt{Baud: try.Baud, FlowControl: try.FlowControl, Reset: reset}
			p, err := talk(ctx, try, reset, dial)
			if ctx.Err() != nil {
				return report, context.Cause(ctx)
			}
			if err != nil {
				if len(report.Attempts) > 0 && u.Bus == radio.BusUART {
					continue // a rate that the port does not do
				}
				return report, err
			}
			a.Guess = p.guess
			report.Attempts = append(report.Attempts, a)
			report.Took = time.Since(start)
			if better(p.guess.Kind, report.Guess.Kind) || len(report.Attempts) == 1 {
				report.URL, report.Guess, report.Identity, report.Problem = try, p.guess, p.id, p.problem
			}
			switch {
			case p.guess.Kind == spinel.KindText && !waited:
				// It has been plugged in just now, and is what it says later.
				waited = true
				select {
				case <-ctx.Done():
					return report, context.Cause(ctx)
				case <-time.After(probeStart):
				}
				i--
			case certain(p.guess.Kind):
				return report, nil
			}
		}
		tries = []radio.URL{report.URL} // the most promising
	}
	return report, nil
}

// candidates are the ways to try, u's own first.
func candidates(u radio.URL) []radio.URL {
	if u.Bus != radio.BusUART {
		return []radio.URL{u}
	}
	bauds := slices.Clone(probeBauds)
	if u.Baud != 0 {
		bauds = slices.Insert(slices.DeleteFunc(bauds, func(b uint32) bool { return b == u.Baud }), 0, u.Baud)
	}
	var list []radio.URL
	for _, flow := range []bool{u.FlowControl, !u.FlowControl} {
		for _, b := range bauds {
			u.Baud, u.FlowControl = b, flow
			list = append(list, u)
		}
	}
	return list
}

// certain reports whether there is no need to try anything else.
func certain(k spinel.Kind) bool { return rank(k) >= 3 }

// better reports whether a says more than b.
func better(a, b spinel.Kind) bool { return rank(a) > rank(b) }

func rank(k spinel.Kind) int {
	switch k {
	case spinel.KindSilent:
		return 0
	case spinel.KindNoise:
		return 1
	case spinel.KindSpinel:
		return 2 // but did not say what it is
	case spinel.KindText:
		return 3 // and may have been starting
	}
	return 4
}

// talker runs a Link until it knows what there is. It is the Link's handler.
type talker struct {
	link    *spinel.Link
	clock   alarm.Clock
	first   []byte
	done    bool
	usable  bool
	guess   spinel.Guess
	id      spinel.Identity
	problem string
}

func (t *talker) RadioUp(time.Time, radio.Info)         { t.done, t.usable = true, true }
func (t *talker) RadioDown(time.Time)                   {}
func (t *talker) Received(time.Time, radio.RxFrame)     {}
func (t *talker) Transmitted(time.Time, radio.TxResult) {}
func (t *talker) EnergyScanned(time.Time, uint8, int8)  {}
func (t *talker) event(e spinel.Event) {
	if e.Kind != spinel.EventState {
		return
	}
	switch e.To {
	case spinel.Unusable, spinel.Suspect:
		t.done, t.problem = true, e.Text
	}
}

// talk opens u and lets a Link come up over it; if nothing speaks Spinel, it
// sees whether something else answers.
func talk(ctx context.Context, u radio.URL, reset bool, dial dialFunc) (*talker, error) {
	conn, err := dial(ctx, u)
	if err != nil {
		return nil, err
	}
	chunks := make(chan []byte)
	var ended error // set when chunks is closed
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, readSize)
			n, err := conn.Read(b)
			if n > 0 {
				chunks <- b[:n]
			}
			if err != nil {
				ended = err
				return
			}
		}
	}()
	defer func() {
		conn.Close()
		for range chunks {
		}
	}()
	send := func(b []byte) {
		// A line held off by flow control must not hold us. What cannot be
		// written is not answered, which is what is being looked for.
		_ = conn.SetWriteDeadline(time.Now().Add(probeResponse))
		_, _ = conn.Write(b)
	}

	t := &talker{}
	ask := func(b []byte) {
		if !t.done { // else the Link begins to recover, with a reset
			send(b)
		}
	}
	t.link = spinel.NewLink(spinel.LinkConfig{
		Clock: &t.clock, Handler: t, Send: ask, Notify: t.event,
		IID: u.IID, SkipVersionCheck: u.SkipVersionCheck,
		NoReset: !reset, ResponseTimeout: probeResponse, ResetTimeout: probeReset,
	})
	t.link.Opened(time.Now())
	open := t.run(ctx, chunks)
	if open && !t.usable && t.link.Identity().Major == 0 {
		send(pokes)
		open = t.listen(ctx, chunks, probePoke)
	}
	if !open && len(t.first) == 0 {
		return nil, ended
	}
	t.judge()
	return t, nil
}

// run feeds the Link until it has come to a conclusion; false if the
// connection ended.
func (t *talker) run(ctx context.Context, chunks <-chan []byte) bool {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !t.done {
		timer.Reset(max(time.Until(t.clock.Deadline()), 0))
		select {
		case <-ctx.Done():
			return true
		case b, ok := <-chunks:
			if !ok {
				return false
			}
			t.keep(b)
			t.link.Receive(time.Now(), b)
		case <-timer.C:
			t.clock.Advance(time.Now())
		}
	}
	return true
}

// listen keeps what arrives for a while; false if the connection ended.
func (t *talker) listen(ctx context.Context, chunks <-chan []byte, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case b, ok := <-chunks:
			if !ok {
				return false
			}
			t.keep(b)
		case <-timer.C:
			return true
		}
	}
}

func (t *talker) keep(b []byte) {
	t.first = append(t.first, b[:min(len(b), probeKept-len(t.first))]...)
}

// judge makes up the mind from what the Link learned.
func (t *talker) judge() {
	t.id = t.link.Identity()
	switch {
	case len(t.id.Caps) > 0:
		t.guess = spinel.RecogniseCaps(t.id.Caps)
		if t.usable || t.guess.Kind != spinel.KindRCP {
			t.problem = ""
		}
	default:
		t.guess = spinel.Recognise(t.first)
	}
}

func (r Report) String() string {
	s := fmt.Sprintf("%v: %v", r.URL, r.Guess)
	if r.Guess.Kind == spinel.KindRCP {
		s += fmt.Sprintf(", %s, EUI-64 %v, RCP API %d", r.Identity.Version, r.Identity.EUI64, r.Identity.API)
	}
	if r.Problem != "" {
		s += "; " + r.Problem
	}
	return s
}
