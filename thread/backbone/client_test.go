package backbone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
)

// listened are the groups that a Router has, in order.
func listened(n *node) (all []string) {
	for _, l := range n.Listeners() {
		all = append(all, l.Group.String())
	}
	slices.Sort(all)
	return all
}

// primary is a network with a Backbone Router, and a client.
func primary(t *testing.T, seed uint64) (n, c *node) {
	b := newBench(t, seed)
	n, c = b.add(0x0400), b.add(0x0800)
	n.SetEnabled(true)
	b.run(time.Second)
	return n, c
}

// Groups are registered as they come: those of the node at once, those of
// children together, and the narrow ones never.
func TestRegisters(t *testing.T) {
	n, c := primary(t, 1)
	c.groups = addrs("ff02::1", "ff03::1", "ff04::1", "ff04::1")
	c.client.GroupsChanged()
	n.run(time.Second)
	if got := listened(n); !slices.Equal(got, []string{"ff04::1"}) {
		t.Errorf("a group of its own: %v", got)
	}
	c.groups = append(c.groups, addrs("ff04::2")...)
	c.client.ChildChanged()
	n.run(900 * time.Millisecond)
	if got := listened(n); len(got) != 1 {
		t.Errorf("a child's is not waited for: %v", got)
	}
	n.run(5 * time.Second)
	if got := listened(n); len(got) != 2 {
		t.Errorf("a child's: %v", got)
	}
	// More than one message has room for.
	for i := range 40 {
		c.groups = append(c.groups, netip.MustParseAddr(fmt.Sprintf("ff05::%x", i+1)))
	}
	c.client.GroupsChanged()
	n.run(2 * time.Second)
	if got := listened(n); len(got) != 42 || len(c.client.Registered()) != 42 {
		t.Errorf("%d of 42, it believes %d", len(got), len(c.client.Registered()))
	}
	c.groups = c.groups[:3]
	c.client.GroupsChanged()
	if got := c.client.Registered(); len(got) != 1 {
		t.Errorf("still: %v", got)
	}
}

// A registration is renewed before it ends, and lost when nobody wants it.
func TestRenewal(t *testing.T) {
	n, c := primary(t, 2)
	if err := n.SetSettings(Settings{1, 5 * time.Second, 300 * time.Second}); err != nil {
		t.Fatal(err)
	}
	n.run(10 * time.Second)
	c.groups = addrs("ff04::1", "ff04::2")
	c.client.GroupsChanged()
	for range 30 {
		n.run(100 * time.Second)
		if got := listened(n); len(got) != 2 {
			t.Fatalf("%v", got)
		}
	}
	for _, l := range n.heard {
		if l[0] == '-' {
			t.Errorf("told %q", n.heard)
		}
	}
	c.groups = c.groups[:1]
	n.run(310 * time.Second)
	if got := listened(n); !slices.Equal(got, []string{"ff04::1"}) {
		t.Errorf("%v", got)
	}
}

// With another primary, or another sequence, all is registered again.
func TestAnotherPrimary(t *testing.T) {
	n, c := primary(t, 3)
	c.groups = addrs("ff04::1")
	c.client.GroupsChanged()
	n.run(time.Second)
	n.clear()
	s := n.Settings()
	s.Sequence++
	if err := n.SetSettings(s); err != nil {
		t.Fatal(err)
	}
	n.run(8 * time.Second)
	if got := listened(n); len(got) != 1 {
		t.Errorf("another sequence: %v", got)
	}
	other := n.bench.add(0x0c00)
	n.SetEnabled(false)
	other.SetEnabled(true)
	n.run(time.Second)
	if other.State() == Disabled {
		t.Fatal(other.State())
	}
	n.run(20 * time.Second)
	if got := listened(other); other.State() != Primary || len(got) != 1 {
		t.Errorf("%v has %v", other.State(), got)
	}
	other.SetEnabled(false)
	n.run(time.Second)
	if len(c.client.Registered()) != 0 {
		t.Errorf("with nobody: %v", c.client.Registered())
	}
}

// What fails is tried again; of what fails in part the rest counts.
func TestFailure(t *testing.T) {
	n, c := primary(t, 4)
	for i := range MaxListeners - 1 {
		n.Router.add(netip.MustParseAddr(fmt.Sprintf("ff05::%x", i+1)), time.Hour)
	}
	c.groups = addrs("ff04::1", "ff04::2")
	c.client.GroupsChanged()
	n.run(2 * time.Second)
	if got := c.client.Registered(); !slices.Equal(got, addrs("ff04::1")) {
		t.Errorf("of a full table: %v", got)
	}
	n.remove(netip.MustParseAddr("ff05::1"))
	n.run(10 * time.Second)
	if got := c.client.Registered(); len(got) != 2 {
		t.Errorf("with room: %v", got)
	}
	n.deaf = true
	c.groups = append(c.groups, addrs("ff04::3")...)
	c.client.GroupsChanged()
	n.run(3 * time.Minute)
	n.remove(netip.MustParseAddr("ff05::2"))
	n.deaf = false
	n.run(time.Minute + 40*time.Second)
	if got := c.client.Registered(); len(got) != 3 {
		t.Errorf("after silence: %v", got)
	}
}

// A device whose parent registers for it does not.
func TestMinimal(t *testing.T) {
	n, c := primary(t, 5)
	c.minimal, c.groups = true, addrs("ff04::1")
	c.client.GroupsChanged()
	n.run(time.Minute)
	if got := listened(n); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// Registrations by hand.
func TestRegister(t *testing.T) {
	b := newBench(t, 6)
	n, c := b.add(0x0400), b.add(0x0800)
	fails := func(Answer, error) { t.Error("called") }
	if err := c.client.Register(addrs("ff04::1"), nil, fails); !errors.Is(err, ErrNoPrimary) {
		t.Errorf("without a primary: %v", err)
	}
	n.SetEnabled(true)
	b.run(time.Second)
	for _, count := range []int{0, MaxGroups + 1} {
		if err := c.client.Register(make([]netip.Addr, count), nil, fails); !errors.Is(err, ErrNoGroups) {
			t.Errorf("%d groups: %v", count, err)
		}
	}
	var got []error
	if err := c.client.Register(addrs("ff04::1"), nil, func(a Answer, err error) { got = append(got, err) }); err != nil {
		t.Fatal(err)
	}
	if err := c.client.Register(addrs("ff04::2"), nil, fails); !errors.Is(err, ErrBusy) {
		t.Errorf("another one: %v", err)
	}
	b.run(time.Second)
	if len(got) != 1 || got[0] != nil || len(listened(n)) != 1 {
		t.Errorf("%v, %v", got, listened(n))
	}
	n.deaf = true
	if err := c.client.Register(addrs("ff04::2"), nil, func(a Answer, err error) { got = append(got, err) }); err != nil {
		t.Fatal(err)
	}
	b.run(3 * time.Minute)
	if len(got) != 2 || !errors.Is(got[1], coap.ErrTimeout) {
		t.Errorf("of silence: %v", got)
	}
	// A node that answers, but is none.
	n.deaf = false
	c.client.primary.RLOC16 = c.rloc16
	if err := c.client.Register(addrs("ff04::2"), nil, func(a Answer, err error) { got = append(got, err) }); err != nil {
		t.Fatal(err)
	}
	b.run(time.Second)
	if len(got) != 3 || got[2] == nil {
		t.Errorf("of a node that is no Backbone Router: %v", got)
	}
}
