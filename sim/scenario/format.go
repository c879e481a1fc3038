package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatewayd/sim"
)

// A Scenario is a file's contents.
type Scenario struct {
	Title    string    `toml:"title"`
	Seed     uint64    `toml:"seed"`
	Duration Duration  `toml:"duration"`
	Capture  string    `toml:"capture"` // packet file; empty for none
	Air      Air       `toml:"air"`
	Nodes    []Group   `toml:"nodes"`
	Links    []Link    `toml:"links"`
	Events   []Event   `toml:"events"`
	Traffic  []Traffic `toml:"traffic"`
	Expect   Expect    `toml:"expect"`
}

// Air is what the medium is like: see medium.Config.
type Air struct {
	Ideal     bool    `toml:"ideal"`
	Noise     float64 `toml:"noise"`     // dBm
	Exponent  float64 `toml:"exponent"`  // of the path loss
	Shadowing float64 `toml:"shadowing"` // dB
}

// Group is some nodes of a kind. Several have names that end in a number,
// from 1.
type Group struct {
	Name      string       `toml:"name"`
	Kind      Kind         `toml:"kind"`
	Count     int          `toml:"count"`
	Placement Placement    `toml:"placement"`
	Origin    [2]float64   `toml:"origin"`  // metres, of a line, a grid or an area
	Origins   [][2]float64 `toml:"origins"` // several: there are Count nodes at each
	Spacing   float64      `toml:"spacing"` // metres, in a line or a grid
	Columns   int          `toml:"columns"` // of a grid; 0: about square
	Area      [2]float64   `toml:"area"`    // metres, width and height
	At        [][2]float64 `toml:"at"`      // metres

	Start   Duration `toml:"start"`   // of the first
	Stagger Duration `toml:"stagger"` // between one and the next
	Power   int8     `toml:"power"`   // dBm
	Spinel  bool     `toml:"spinel"`
	Poll    Duration `toml:"poll"`  // of sleepy ones
	CSL     Duration `toml:"csl"`   // between the windows of those that listen in some
	Drift   float64  `toml:"drift"` // ppm, up to which clocks are too fast or too slow

	MaxChildren      int      `toml:"max-children"`
	UpgradeThreshold int      `toml:"router-upgrade-threshold"`
	DowngradeAbove   int      `toml:"router-downgrade-threshold"`
	SelectionJitter  Duration `toml:"router-selection-jitter"`

	many bool // whether their names have numbers
}

// Link is what two sets of nodes hear of each other.
type Link struct {
	From   Names    `toml:"from"`
	To     Names    `toml:"to"`
	RSSI   *float64 `toml:"rssi"` // dBm; nil: as it was, or -60
	Loss   float64  `toml:"loss"` // 0..1
	OneWay bool     `toml:"one-way"`
}

// Event is something that befalls nodes.
type Event struct {
	At    Duration `toml:"at"`
	Do    Action   `toml:"do"`
	Nodes Names    `toml:"nodes"`
	From  Names    `toml:"from"` // of cut and mend: the other end
}

func (e *Event) String() string {
	s := fmt.Sprintf("%s %s", e.Do, strings.Join(e.Nodes, " "))
	if len(e.From) > 0 {
		s += " from " + strings.Join(e.From, " ")
	}
	return s
}

// Traffic is a stream of echo requests.
type Traffic struct {
	Pairs   Pairs    `toml:"pairs"`
	From    Names    `toml:"from"`
	To      Names    `toml:"to"`
	Start   Duration `toml:"start"`
	Stop    Duration `toml:"stop"`  // of random pairs; 0: the end, less the timeout
	Every   Duration `toml:"every"` // between one request and the next
	Size    int      `toml:"size"`  // of the echo data, bytes
	Timeout Duration `toml:"timeout"`
	Tries   int      `toml:"tries"` // until one is answered; 0 is 1
	RLOC    bool     `toml:"rloc"`  // to routing locators, which need no address query
	Local   bool     `toml:"local"` // random pairs in one partition only
}

// Expect is what must be so for a run to pass. What is nil is not looked at.
type Expect struct {
	Converge   *Duration `toml:"converge-within"` // after the start and after each event
	Partitions *int      `toml:"partitions"`      // at the end
	Routers    *int      `toml:"routers"`         // at the end, with the leader
	Delivery   *float64  `toml:"delivery"`        // 0..1, at least
	LatencyP95 *Duration `toml:"latency-p95"`     // at most
	Overhead   *float64  `toml:"overhead"`        // 0..1, at most
}

// Duration is a time.Duration as Go writes it.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration: write it as 90s, 5m or 250ms", b)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Names are names of nodes, or patterns as of path.Match.
type Names []string

// Kind is a sim.Kind by name.
type Kind sim.Kind

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(b []byte) error {
	i, err := oneOf(b, "router", "mtd", "sed")
	*k = Kind([]sim.Kind{sim.FTD, sim.MTD, sim.SED}[i])
	return err
}

// Placement is how a group is put in place.
type Placement uint8

// The placements.
const (
	Nowhere Placement = iota // heard only over links
	InLine
	InGrid
	AtRandom
	Explicit
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Placement) UnmarshalText(b []byte) error {
	i, err := oneOf(b, "none", "line", "grid", "random", "at")
	*p = Placement(i)
	return err
}

// Action is what an event does.
type Action uint8

// The actions.
const (
	noAction Action = iota
	Kill
	Revive
	Cut
	Mend
	Partition
	Heal
	Join
)

var actions = []string{"", "kill", "revive", "cut", "mend", "partition", "heal", "join"}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(b []byte) error {
	i, err := oneOf(b, actions[1:]...)
	*a = Action(i + 1)
	return err
}

func (a Action) String() string { return actions[a] }

// Pairs is who pings whom.
type Pairs uint8

// The pairs.
const (
	Random Pairs = iota // a random one each time
	All                 // each once
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pairs) UnmarshalText(b []byte) error {
	i, err := oneOf(b, "random", "all")
	*p = Pairs(i)
	return err
}

func oneOf(b []byte, names ...string) (int, error) {
	if i := slices.Index(names, string(b)); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%q is none of %s", b, strings.Join(names, ", "))
}
