package simnode

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"gatewayd/internal/timerfd"
	"gatewayd/otcli"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/rcp"
	"gatewayd/thread"
	"gatewayd/thread/joining"
	"gatewayd/thread/netdata"
)

// runner is what outlives a restart of the node.
type runner struct {
	cfg     Config
	pace    pace
	air     *udp.Medium
	timer   *timerfd.Timer
	typed   <-chan []byte
	rest    []byte // typed, not yet executed
	state   *file
	log     *slog.Logger
	rand    *rand.Rand
	entropy io.Reader
	out     *bufio.Writer
	version string
}

// live runs one node until it is to restart or to end, which the error tells.
func (r *runner) live(ctx context.Context) error {
	var end error
	var cli *otcli.CLI
	stale := false // what the border router knows of the node
	node := thread.New(thread.Config{
		Rand: r.entropy, Store: r.state, StackVersion: r.version, Addresses: r.cfg.Profile.Addresses,
		Log: func(e thread.Event) {
			r.logEvent(e)
			if cli != nil && errors.Is(e.Err, netdata.ErrFull) {
				cli.NetDataFull()
			}
		},
		CommissionerChanged: func(s joining.CommissionerState, why error) { cli.CommissionerChanged(s, why) },
		JoinerChanged:       func(e joining.Entry) { cli.JoinerChanged(e) },
		Changed:             func() { stale = true },
	}, r.pace.now())
	r.cfg.Profile.tune(node)
	radio := rcp.New(rcp.Config{
		Clock: node.Clock(), Rand: r.rand, Port: r.air, EUI64: udp.EUI64(r.cfg.ID),
		Version: r.version, AckWait: r.pace.ackWait(),
	})
	node.SetRadio(radio)
	border, err := NewBorder(node, r.rand, r.state)
	if err != nil {
		return err
	}
	cli = otcli.New(node, otcli.Config{
		Out:   func(s string) { r.out.WriteString(s) },
		Reset: func() { end = errRestart },
		FactoryReset: func() {
			end = errRestart
			if err := r.state.wipe(); err != nil {
				end = err
			}
		},
		Exit:     func() { end = errExit },
		Rand:     r.entropy,
		Version:  r.version,
		Platform: "SIMULATION", NodeFilter: r.air, Border: border, Store: r.state,
	})
	radio.Start(r.pace.now(), node.Radio())
	cli.Start()
	console := &console{out: r.out, give: cli.Input}

	var set time.Time // what the timer is set to
	for {
		node.Advance(r.pace.now())
		for len(r.rest) > 0 && end == nil {
			r.rest = console.feed(r.rest)
		}
		if stale {
			stale = false
			border.Update()
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
		if end != nil {
			return end
		}
		if at := node.Deadline(); !at.IsZero() && !at.Equal(set) {
			set = at
			if err := r.timer.Start(r.pace.until(at)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r.rest = <-r.typed:
		case d := <-r.air.Frames():
			r.air.Deliver(d)
		case <-r.timer.C:
			set = time.Time{}
		}
	}
}

// logEvent writes what the node has to say.
func (r *runner) logEvent(e thread.Event) {
	attrs := []slog.Attr{slog.String("id", e.ID), slog.Time("at", r.pace.now())}
	if e.RLOC16 != 0 {
		attrs = append(attrs, slog.Int("rloc16", int(e.RLOC16)))
	}
	for _, a := range e.Attrs {
		attrs = append(attrs, slog.Any(a.Key, a.Value))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	r.log.LogAttrs(context.Background(), slog.LevelInfo, e.Text, attrs...)
}
