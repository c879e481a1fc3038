package alarm

import (
	"fmt"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTimersFireInOrder(t *testing.T) {
	var c Clock
	c.Set(start)
	var got []string
	say := func(s string) func() {
		return func() { got = append(got, fmt.Sprintf("%s@%v", s, c.Now().Sub(start))) }
	}
	b := c.NewTimer(say("b"))
	b.Start(2 * time.Second)
	c.After(time.Second, say("a"))
	c.After(2*time.Second, say("c")) // same time as b, started later
	d := c.After(3*time.Second, say("d"))
	c.After(time.Second, func() { c.After(0, say("nested")) })
	d.Stop()
	d.Stop()

	if want := start.Add(time.Second); !c.Deadline().Equal(want) {
		t.Fatalf("deadline %v, want %v", c.Deadline(), want)
	}
	c.Advance(start.Add(time.Second))
	c.Advance(start.Add(5 * time.Second))
	want := "[a@1s nested@1s b@5s c@5s]"
	if fmt.Sprint(got) != want {
		t.Fatalf("fired %v, want %v", got, want)
	}
	if !c.Deadline().IsZero() {
		t.Fatalf("deadline %v with no timer running", c.Deadline())
	}
}

func TestStartMovesARunningTimer(t *testing.T) {
	var c Clock
	c.Set(start)
	n := 0
	x := c.After(time.Second, func() { n++ })
	x.Start(10 * time.Second)
	c.Advance(start.Add(5 * time.Second))
	if n != 0 || !x.Running() {
		t.Fatalf("fired %d times, running %v; want 0, true", n, x.Running())
	}
	x.StartEarlier(time.Hour) // later: no effect
	x.StartEarlier(time.Second)
	c.Advance(start.Add(6 * time.Second))
	if n != 1 || x.Running() {
		t.Fatalf("fired %d times, running %v; want 1, false", n, x.Running())
	}
}

func TestTimeNeverMovesBack(t *testing.T) {
	var c Clock
	c.Set(start)
	c.Advance(start.Add(-time.Hour))
	if !c.Now().Equal(start) {
		t.Fatalf("now %v, want %v", c.Now(), start)
	}
}

func TestARestartingTimerDoesNotHangAdvance(t *testing.T) {
	var c Clock
	c.Set(start)
	n := 0
	var x *Timer
	x = c.NewTimer(func() { n++; x.Start(0) })
	x.Start(0)
	c.Advance(start)
	if n == 0 || n > 2*maxRefires {
		t.Fatalf("fired %d times", n)
	}
}
