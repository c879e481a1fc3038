package spinel

import "fmt"

// State is where a Link is.
type State uint8

// The states of a Link:
//
//	          Opened             reset seen          settings hold
//	Absent ------------> Resetting -----------> Syncing -----------> Ready
//	  ^                    ^   |                  |  |  reset itself   |
//	  | Closed             |   | no answer        |  +<----------------+
//	  | (from anywhere)    |   v                  v                    |
//	  +                    +- Suspect <-----------+--------------------+
//	                          waits, longer     no answer, nonsense
//	                          each time
//
// Unusable is for good answers from something that is no use as a radio.
const (
	Absent    State = iota // no connection
	Resetting              // the RCP was told to reset
	Syncing                // learning what it is, telling it what to be
	Ready                  // usable
	Suspect                // it failed; waiting before resetting it
	Unusable               // what answers is not an RCP we can use
)

var stateNames = [...]string{"absent", "resetting", "syncing", "ready", "suspect", "unusable"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// EventKind says what an Event is about.
type EventKind uint8

// The kinds of events.
const (
	EventState     EventKind = iota // From, To, Text why
	EventReset                      // the RCP reset by itself: Status
	EventRefused                    // it would not take a setting: Prop, Status
	EventTimeout                    // it did not answer: Prop; asked once more
	EventMalformed                  // it sent nonsense: Prop, Err; once a property
	EventLog                        // it logged a line: Text, Level
	EventWarning                    // something a person should know: Text
	EventReopen                     // resets do not help: open the device anew
)

var eventNames = [...]string{"state", "reset", "refused", "timeout", "malformed", "log", "warning", "reopen"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that the Link's owner may want to log or act on.
type Event struct {
	Kind     EventKind
	From, To State
	Prop     Prop
	Status   Status
	Level    uint8 // of an RCP's log line, as in syslog; 7 is debug
	Text     string
	Err      error
}

func (e Event) String() string {
	switch e.Kind {
	case EventState:
		return fmt.Sprintf("%v -> %v: %s", e.From, e.To, e.Text)
	case EventReset:
		return fmt.Sprintf("radio reset by itself: %v", e.Status)
	case EventRefused:
		return fmt.Sprintf("radio refused %v: %v", e.Prop, e.Status)
	case EventTimeout:
		return fmt.Sprintf("radio did not answer %v", e.Prop)
	case EventMalformed:
		return fmt.Sprintf("radio sent a malformed %v: %v", e.Prop, e.Err)
	default:
		return fmt.Sprintf("%v: %s", e.Kind, e.Text)
	}
}

// Stats counts what a Link saw since it was made. Frames that were lost on the
// line are in Link.LineStats.
type Stats struct {
	FramesIn, FramesOut uint64
	Received            uint64 // 802.15.4 frames
	Transmitted         uint64 // that were answered, with whatever result
	Ignored             uint64 // unknown commands and properties, other interfaces
	Malformed           uint64
	Unmatched           uint64 // answers to nothing that was asked
	Dropped             uint64 // 802.15.4 frames the RCP received with errors
	Timeouts            uint64
	Resets              uint64 // that we asked for
	SelfResets          uint64 // that we did not
	Recoveries          uint64 // times it went from ready to suspect
}
