package simnode

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"gatewayd/internal/pump"
	"gatewayd/internal/timerfd"
	"gatewayd/radio/medium/udp"
)

// Config is a node's. ID, In and Out are required.
type Config struct {
	ID int // 1 to 33
	// TimeSpeed is how many times as fast time passes; 0 is 1.
	TimeSpeed  int
	PortOffset int    // tells airs on one host apart
	Interface  string // of the air; "" is 127.0.0.1
	// In and Out are the command line's. In is closed at the end if it can be.
	In  io.Reader
	Out io.Writer
	// LogFile takes what the node has to say; "" is nowhere.
	LogFile string
	// Profile is whose limits and delays the node has; the zero value is our own.
	Profile Profile
	// DataDir is where state is kept; "" is tmp in the working directory.
	DataDir string
}

// Why a node's life ends, besides the end of ctx.
var (
	errExit    = errors.New("simnode: exit")
	errRestart = errors.New("simnode: restart")
)

// Run runs a node until `exit`, the end of In, or the end of ctx, which is no
// error.
func Run(ctx context.Context, cfg Config) error {
	cfg.TimeSpeed = max(cfg.TimeSpeed, 1)
	if cfg.DataDir == "" {
		cfg.DataDir = "tmp"
	}
	log := slog.New(slog.DiscardHandler)
	if cfg.LogFile != "" {
		f, err := os.Create(cfg.LogFile)
		if err != nil {
			return fmt.Errorf("simnode: log: %w", err)
		}
		defer f.Close()
		log = slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	state, err := openFile(filepath.Join(cfg.DataDir, fmt.Sprintf("gatewayd_%d_%d.data", cfg.PortOffset, cfg.ID)))
	if err != nil {
		return err
	}
	p := pace{began: time.Now(), speed: cfg.TimeSpeed}
	air, err := udp.Open(udp.Config{Node: cfg.ID, PortOffset: cfg.PortOffset, Interface: cfg.Interface, Now: p.now})
	if err != nil {
		return err
	}
	defer air.Close()
	timer, err := timerfd.New()
	if err != nil {
		return err
	}

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer timer.Close()
	if c, ok := cfg.In.(io.Closer); ok {
		defer c.Close() // unblocks the reader
	}
	typed := make(chan []byte)
	wg.Go(timer.Run)
	wg.Go(func() { cancel(air.Run(ctx)) })
	reader := func() { cancel(fmt.Errorf("simnode: input: %w", pump.Read(ctx, cfg.In, 1024, typed))) }
	if cfg.In == io.Reader(os.Stdin) {
		go reader() // ends with the process: a Read of a terminal cannot be ended
	} else {
		wg.Go(reader)
	}

	r := &runner{cfg: cfg, pace: p, air: air, timer: timer, typed: typed, state: state, log: log,
		rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), entropy: crand.Reader,
		out: bufio.NewWriter(cfg.Out), version: version()}
	for err = errRestart; errors.Is(err, errRestart); {
		err = r.live(ctx)
	}
	switch {
	case errors.Is(err, errExit), errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// version is how the program calls itself to `version`.
func version() string {
	v := "devel"
	if i, ok := debug.ReadBuildInfo(); ok && i.Main.Version != "" && i.Main.Version != "(devel)" {
		v = i.Main.Version
	}
	return "GATEWAYD/" + v + "; SIMULATION"
}
