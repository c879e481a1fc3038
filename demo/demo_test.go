package demo

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"gatewayd/gateway"
)

func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) != "" && len(os.Args) > 1 && os.Args[1] == "demo" {
		if err := Run(context.Background(), Config{Out: os.Stdout}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// told checks that the story has everything in it.
func told(t *testing.T, story string) {
	t.Helper()
	for _, want := range []string{
		"radio is up", "network formed", "may join", "commissioner is active",
		"lamp     was entrusted", "switch   was entrusted", "sensor   was entrusted",
		"lamp     attached as", "pings sensor: 16 bytes", "All 3 devices joined",
	} {
		if !strings.Contains(story, want) {
			t.Errorf("the story does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(story)
	}
}

func TestInProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s of real time")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err := Run(ctx, Config{Out: &out, InProcess: true}); err != nil {
		t.Errorf("%v", err)
	}
	told(t, out.String())
}

func TestInNamespace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s of real time")
	}
	was := self
	self = func() []string { return []string{os.Args[0], "demo"} }
	defer func() { self = was }()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err := Run(ctx, Config{Out: &out}); err != nil {
		t.Errorf("%v", err)
	}
	told(t, out.String())
	if strings.Contains(out.String(), "no network namespace") {
		t.Log("in-process: ", out.String())
	}
}

// The plain 6LoWPAN network: who authenticates is in, also behind a relay.
func TestLowpan(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 s of real time")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err := Run(ctx, Config{Out: &out, InProcess: true, Mode: gateway.ModeLowpan}); err != nil {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"valve    authenticated by EAP-PSK", "meter    authenticated by EAP-TLS",
		"has authenticated probe through the relay", "pings probe: 16 bytes", "All 3 devices authenticated"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q:\n%s", want, &out)
		}
	}
}

// Interrupted, it ends soon and cleans up.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	began := time.Now()
	var out bytes.Buffer
	if err := Run(ctx, Config{Out: &out, InProcess: true}); err == nil {
		t.Error("nothing wrong")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if !strings.Contains(out.String(), "interrupted") {
		t.Error(out.String())
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	newStory(&out, false).table("All:", [][]string{{"device", "joined"}, {"lamp", "5.1 s"}})
	const want = "\nAll:\n\n  device  joined\n  lamp    5.1 s\n\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
