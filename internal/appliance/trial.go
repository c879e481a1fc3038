package appliance

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// healthInterval is between two looks.
const healthInterval = 2 * time.Second

// A Trial is what a system does about the slot that it was started from: keep
// it if it was to be tried and is well, and else say what became of the last
// attempt.
type Trial struct {
	Slot     int // partition that the system was started from
	Version  string
	Autoboot Autoboot
	Attempt  string // file

	Health     func(context.Context) Health
	HealthyFor time.Duration // without a break, before it is kept
	Limit      time.Duration // of its uptime, after which the other slot comes back
	Uptime     func() time.Duration

	Keep    func() error // has the slots change places
	Restart func() error
	Notice  func(string) // for the page
}

// Run returns when everything is decided.
func (t *Trial) Run(ctx context.Context) error {
	a, err := LoadAttempt(t.Attempt)
	if err != nil {
		// What is known of it is lost; which slot to keep is not.
		t.Notice(sentenceOf(err))
	}
	switch t.Slot {
	case t.Autoboot.Boot:
		return t.settle(a)
	case t.Autoboot.Try:
		if a == nil || a.Slot != t.Slot {
			a = &Attempt{From: "the version before", To: t.Version, Slot: t.Slot}
		}
		return t.try(ctx, a)
	}
	return fmt.Errorf("appliance: started from partition %d, and autoboot.txt names %d and %d", t.Slot, t.Autoboot.Boot, t.Autoboot.Try)
}

// sentenceOf says that notes about attempts cannot be kept.
func sentenceOf(err error) string {
	return "What becomes of updates cannot be noted down: " + bare(err) + "."
}

// bare is an error for people, who know no packages.
func bare(err error) string { return strings.TrimPrefix(err.Error(), "appliance: ") }

// settle is for a slot that is started in any case.
func (t *Trial) settle(a *Attempt) error {
	if a == nil {
		return nil
	}
	if was := a.Outcome; was == Waiting || was == OnTrial {
		switch {
		case a.Slot == t.Slot: // the power went between keeping it and saying so
			a.Outcome = Kept
		default:
			a.Outcome = Failed
			if a.Why == "" && was == Waiting {
				a.Why = "it did not start"
			} else if a.Why == "" {
				a.Why = "it was started anew before it was well"
			}
		}
		if err := a.Save(t.Attempt); err != nil {
			t.Notice(sentenceOf(err))
		}
	}
	if a.Outcome == Failed {
		t.Notice(a.String())
	}
	return nil
}

// try decides within the limit.
func (t *Trial) try(ctx context.Context, a *Attempt) error {
	a.Outcome, a.Why = OnTrial, ""
	if err := a.Save(t.Attempt); err != nil {
		t.Notice(sentenceOf(err))
	}
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	var since time.Time // it is well
	why := ""
	for {
		if lacks := t.Health(ctx).Lacks(a.Before); lacks != "" {
			since, why = time.Time{}, lacks
		} else if since.IsZero() {
			since = time.Now()
		}
		if !since.IsZero() && time.Since(since) >= t.HealthyFor {
			return t.keep(a)
		}
		if t.Uptime() >= t.Limit {
			return t.giveUp(a, why)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (t *Trial) keep(a *Attempt) error {
	if err := t.Keep(); err != nil {
		return t.giveUp(a, "it could not be kept: "+bare(err))
	}
	a.Outcome = Kept
	if err := a.Save(t.Attempt); err != nil {
		t.Notice(sentenceOf(err))
	}
	return nil
}

// giveUp has the other slot come back, which says why.
func (t *Trial) giveUp(a *Attempt, why string) error {
	a.Why = why
	if why == "" {
		a.Why = fmt.Sprintf("it was not well for %v on end", t.HealthyFor)
	}
	if err := a.Save(t.Attempt); err != nil {
		t.Notice(sentenceOf(err))
	}
	return t.Restart()
}

// Abandon is for a system that cannot tell which slot it was started from. If
// that is one that was to be tried, the other one comes back; it is noted down
// first, so that this happens once.
func Abandon(file string, why error, restart func() error) error {
	a, err := LoadAttempt(file)
	if err != nil || a == nil || a.Outcome != Waiting && a.Outcome != OnTrial {
		return err
	}
	a.Outcome, a.Why = Failed, bare(why)
	if err := a.Save(file); err != nil {
		return err
	}
	return restart()
}
