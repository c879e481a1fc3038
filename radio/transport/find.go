package transport

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// An UnfitError says that the ports that were looked at have something else
// than a co-processor the gateway can use.
type UnfitError struct {
	Port    SerialPort // that tells most
	Guess   spinel.Guess
	Problem string // of one that is a co-processor all the same
}

func (e *UnfitError) Error() string {
	if e.Problem != "" {
		return fmt.Sprintf("transport: %s, %v: %s", e.Port.Path, e.Port, e.Problem)
	}
	return fmt.Sprintf("transport: %s, %v: %v", e.Port.Path, e.Port, e.Guess)
}

// A finder looks for a co-processor on the USB serial ports.
type finder struct {
	sys    string // "/sys", but in tests
	dev    string // "/dev", likewise
	dial   dialFunc
	looked map[string]looked // by path
}

// looked is a port that was of no use. It is left alone until something else is
// plugged in there: what else it is may not like to be asked.
type looked struct {
	node  unix.Stat_t // identity of the device node
	unfit *UnfitError
}

func sameNode(a, b *unix.Stat_t) bool {
	return a.Ino == b.Ino && a.Rdev == b.Rdev && a.Ctim == b.Ctim
}

// find returns the first co-processor that the gateway can use.
func (f *finder) find(ctx context.Context) (radio.URL, error) {
	var ports []string
	for _, pattern := range []string{"ttyACM*", "ttyUSB*"} {
		found, _ := filepath.Glob(filepath.Join(f.dev, pattern)) // the patterns are good
		ports = append(ports, found...)
	}
	seen := map[string]looked{}
	var busy []error
	var worst *UnfitError
	for _, port := range ports {
		var node unix.Stat_t
		if err := unix.Stat(port, &node); err != nil {
			continue // gone
		}
		l, ok := f.looked[port]
		if !ok || !sameNode(&l.node, &node) {
			r, err := probe(ctx, radio.URL{Path: port, StopBits: 1}, f.dial)
			switch {
			case ctx.Err() != nil:
				return radio.URL{}, context.Cause(ctx)
			case err != nil:
				busy = append(busy, err)
				continue
			case r.Usable():
				return r.URL, nil
			}
			at := serialPort(f.sys, port)
			l = looked{node, &UnfitError{Port: at, Guess: at.Advise(r.Guess)}}
			if r.Guess.Kind == spinel.KindRCP {
				l.unfit.Problem = r.Problem
			}
		}
		seen[port] = l
		if worst == nil || better(l.unfit.Guess.Kind, worst.Guess.Kind) {
			worst = l.unfit
		}
	}
	f.looked = seen
	switch {
	case worst != nil:
		return radio.URL{}, worst
	case busy != nil:
		return radio.URL{}, errors.Join(busy...)
	}
	return radio.URL{}, errors.New("transport: there is no USB serial port: is the dongle plugged in?")
}
