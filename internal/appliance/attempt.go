package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"gatewayd/internal/durable"
)

// AttemptFile is on the data partition: it tells one slot what became of the
// other.
const AttemptFile = "/data/update.json"

// NoticesFile has what people should know about this box, a line each.
const NoticesFile = "/run/gatewayd/notices"

// An Outcome is what became of an attempt.
type Outcome string

// Outcomes.
const (
	Waiting Outcome = "waiting" // for the other slot to start
	OnTrial Outcome = "trial"
	Kept    Outcome = "kept"
	Failed  Outcome = "failed"
)

// An Attempt is the last time that another version was to be started.
type Attempt struct {
	From    string    `json:"from"` // versions
	To      string    `json:"to"`
	Slot    int       `json:"slot"` // partition with the other version
	Began   time.Time `json:"began"`
	Before  Health    `json:"before"` // what the other version has to be
	Outcome Outcome   `json:"outcome"`
	Why     string    `json:"why,omitempty"` // it failed
}

// LoadAttempt reads the last attempt, nil if there was none.
func LoadAttempt(file string) (*Attempt, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("appliance: %w", err)
	}
	a := &Attempt{}
	if err := json.Unmarshal(b, a); err != nil {
		return nil, fmt.Errorf("appliance: %s: %w", file, err)
	}
	return a, nil
}

// Save writes it durably.
func (a *Attempt) Save(file string) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	if err := durable.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	return nil
}

// String says it in a sentence.
func (a *Attempt) String() string {
	switch a.Outcome {
	case Waiting:
		return fmt.Sprintf("Version %s is to be started.", a.To)
	case OnTrial:
		return fmt.Sprintf("Version %s is on trial; %s comes back if it does not become healthy.", a.To, a.From)
	case Kept:
		return fmt.Sprintf("Version %s has followed %s.", a.To, a.From)
	}
	return fmt.Sprintf("Version %s did not become healthy: %s. The gateway is back on %s.", a.To, a.Why, a.From)
}

// Health is what is well.
type Health struct {
	Gateway bool `json:"gateway"` // answers
	Page    bool `json:"page"`    // likewise
	Dongle  bool `json:"dongle"`  // works
	Network bool `json:"network"` // is on the air
	Uplink  bool `json:"uplink"`  // has an address
}

// Lacks says what is not well that has to be: what is the program's own, and
// what was well before. It is empty if nothing is.
func (h Health) Lacks(before Health) string {
	switch {
	case !h.Gateway:
		return "the gateway did not answer"
	case !h.Page:
		return "the page did not answer"
	case before.Dongle && !h.Dongle:
		return "the dongle, which worked before, did not work"
	case before.Network && !h.Network:
		return "the network of the devices, which was on the air before, was not"
	case before.Uplink && !h.Uplink:
		return "the wired network, which was connected before, was not"
	}
	return ""
}
