package joining

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// ask sends a request to the leader and returns what it answered, "none" if
// nothing within a second.
func (w *world) ask(from *node, src netip.Addr, path string, body []byte) (code string, payload []byte) {
	code = "none"
	x := from.tmf.Send(path, address(0xfc00), body, tmf.Options{Source: src}, func(r tmf.Response, err error) {
		if err == nil {
			code, payload = r.Code.String(), r.Payload
		}
	})
	w.run(time.Second)
	x.Cancel()
	return code, payload
}

// The leader's rules, as a script over one session: who may be commissioner,
// what it may say, and what is in the network data after each step.
func TestPetitions(t *testing.T) {
	w := newWorld(t)
	l, c, other := w.add("leader", 0x8400), w.add("commissioner", 0x5400), w.add("other", 0x7c00)
	l.petition.session = 0xc809
	w.lead(l)
	eid := netip.MustParseAddr("fd00:db8:a:b:1:2:3:4")
	c.ip.Add(ipAddress(eid))
	rloc := func(n *node) netip.Addr { return address(n.rloc16) }
	for i, s := range []struct {
		what string
		from *node
		src  netip.Addr
		path string
		body string
		code string
		want string // answer
		data string // commissioning data then
		wait time.Duration
	}{
		{"get while there was none", other, rloc(other), "c/cg", "", "2.04", "0b02c80a", "0b02c80a", 0},
		{"petition from an address that is no locator", c, eid, "c/lp", "0a0141", "2.04", "1001ff", "0b02c80a", 0},
		{"petition without an id", c, rloc(c), "c/lp", "", "2.04", "1001ff", "0b02c80a", 0},
		{"petition", c, rloc(c), "c/lp", "0a0141", "2.04", "100101 0a0141 0b02c80b", "09025400 0b02c80b 080100", 0},
		{"petition of another", other, rloc(other), "c/lp", "0a0142", "2.04", "1001ff 0a0141", "09025400 0b02c80b 080100", 0},
		{"set", c, rloc(c), "c/cs", "0b02c80b 0801ff", "2.04", "100101", "0b02c80b 0801ff 09025400", 0},
		{"set with a locator", c, rloc(c), "c/cs", "09025400 0b02c80b 080100", "2.04", "1001ff", "0b02c80b 0801ff 09025400", 0},
		{"set without a session", c, rloc(c), "c/cs", "080100", "2.04", "1001ff", "0b02c80b 0801ff 09025400", 0},
		{"set in another session", c, rloc(c), "c/cs", "0b02c80a 080100", "2.04", "1001ff", "0b02c80b 0801ff 09025400", 0},
		{"set cut short", c, rloc(c), "c/cs", "0b02c8", "2.04", "1001ff", "0b02c80b 0801ff 09025400", 0},
		{"set of a joiner port and the unknown", c, rloc(c), "c/cs", "0b02c80b 1202 03e9 3d02 0102", "2.04", "100101", "0b02c80b 120203e9 3d020102 09025400", 0},
		{"get all", other, rloc(other), "c/cg", "", "2.04", "0b02c80b 120203e9 3d020102 09025400", "0b02c80b 120203e9 3d020102 09025400", 0},
		{"get some", other, rloc(other), "c/cg", "0d06 090b083d3d00", "2.04", "09025400 0b02c80b 3d020102", "0b02c80b 120203e9 3d020102 09025400", 0},
		{"get cut short", other, rloc(other), "c/cg", "0d06", "4.00", "", "0b02c80b 120203e9 3d020102 09025400", 0},
		{"keep-alive", c, rloc(c), "c/la", "100101 0b02c80b", "2.04", "100101", "0b02c80b 120203e9 3d020102 09025400", 40 * time.Second},
		{"keep-alive from elsewhere moves it", other, rloc(other), "c/la", "100101 0b02c80b", "2.04", "100101", "09027c00 0b02c80b 120203e9 3d020102", 40 * time.Second},
		{"keep-alive of another session", c, rloc(c), "c/la", "100101 0b02c80c", "2.04", "1001ff", "09027c00 0b02c80b 120203e9 3d020102", 0},
		{"keep-alive without a state", c, rloc(c), "c/la", "0b02c80b", "4.00", "", "09027c00 0b02c80b 120203e9 3d020102", 0},
		{"petition again", c, rloc(c), "c/lp", "0a0141", "2.04", "100101 0a0141 0b02c80d", "09025400 0b02c80d 080100", 0},
		{"resign", c, rloc(c), "c/la", "1001ff 0b02c80d", "2.04", "1001ff", "0b02c80e", 0},
		{"keep-alive after that", c, rloc(c), "c/la", "100101 0b02c80e", "2.04", "1001ff", "0b02c80e", 0},
		{"petition of the other", other, rloc(other), "c/lp", "0a0142", "2.04", "100101 0a0142 0b02c80f", "09027c00 0b02c80f 080100", 51 * time.Second},
		{"get after silence", other, rloc(other), "c/cg", "", "2.04", "0b02c810", "0b02c810", 0},
	} {
		code, got := w.ask(s.from, s.src, s.path, unhex(t, s.body))
		if code != s.code || !slices.Equal(got, unhex(t, s.want)) {
			t.Errorf("%d, %s: answered %s %x, want %s %s", i, s.what, code, got, s.code, s.want)
		}
		var data []byte
		if x := w.leader.Data().Commissioning; x != nil {
			data = x.TLVs
		}
		if !slices.Equal(data, unhex(t, s.data)) {
			t.Errorf("%d, %s: commissioning data %x, want %s", i, s.what, data, s.data)
		}
		w.run(s.wait)
	}
}

// A leader that takes over counts sessions on, and has no commissioner.
func TestNewLeader(t *testing.T) {
	w, l, c, r := commissioning(t, 0x8400, 0x5400, 0x7c00)
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	session := c.comm.SessionID()
	if id, s, ok := l.petition.Active(); !ok || id != DefaultID || s != session {
		t.Errorf("active %q %d %v", id, s, ok)
	}
	next := w.add("next", 0x3000)
	l.ip.Remove(address(0xfc00))
	w.lead(next)
	if d := (Info{w.leader.Data}).Commissioning(); d.BorderAgentLocator != nil || *d.SessionID != session+1 || r.router.Port() != 0 {
		t.Errorf("data %+v, port %d", d, r.router.Port())
	}
	// The commissioner learns by its next keep-alive.
	w.run(30 * time.Second)
	if c.comm.State() != Disabled || !errors.Is(c.why, ErrRejected) {
		t.Fatalf("%v %v", c.comm.State(), c.why)
	}
	// The list is still there, and counts again.
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if r.router.Port() != 1000 || len(c.comm.List()) != 1 || c.comm.SessionID() != session+2 {
		t.Errorf("port %d, list %v, session %d", r.router.Port(), c.comm.List(), c.comm.SessionID())
	}
}

func TestDatasetChangedReachesTheCommissioner(t *testing.T) {
	w, l, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
	told := 0
	c.comm.cfg.DatasetChanged = func() { told++ }
	l.petition.DatasetChanged()
	w.run(time.Minute)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestCommissionerKeepsAlive(t *testing.T) {
	w, _, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
	w.run(10 * time.Minute)
	if c.comm.State() != Active {
		t.Fatalf("%v: %v", c.comm.State(), c.why)
	}
	// It got another locator: the leader hears of it at once.
	c.ip.Remove(address(0x5400))
	c.rloc16 = 0x5800
	c.ip.Add(locatorAddress(0x5800))
	c.comm.Update()
	w.run(time.Second)
	if at, _, ok := (Info{w.leader.Data}).Commissioner(); !ok || at != 0x5800 {
		t.Errorf("commissioner at %04x", at)
	}
	if !c.ip.Has(address(CommissionerALOC16(c.comm.SessionID()))) {
		t.Error("no anycast locator")
	}
	if err := c.comm.Stop(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if c.ip.Has(address(CommissionerALOC16(c.comm.SessionID()))) {
		t.Error("the anycast locator stayed")
	}
	if err := c.comm.Stop(); !errors.Is(err, ErrAlready) {
		t.Errorf("stopped twice: %v", err)
	}
}

// Two tries, a second apart, then it gives up.
func TestPetitionInVain(t *testing.T) {
	w := newWorld(t)
	c := w.add("commissioner", 0x5400)
	tries := 0
	w.nodes[0].tmf.Handle("c/lp", nil)
	c.ip.Add(locatorAddress(0xfc00)) // somebody who leads but does not know how
	c.tmf.Handle("c/lp", func(r *tmf.Request) { tries++; r.Respond(coap.NotFound, nil) })
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.comm.Start(); !errors.Is(err, ErrAlready) {
		t.Errorf("started twice: %v", err)
	}
	w.run(10 * time.Second)
	if tries != 2 || c.comm.State() != Disabled || !errors.Is(c.why, ErrResponseTimeout) {
		t.Errorf("%d tries, %v, %v", tries, c.comm.State(), c.why)
	}
}

// A commissioner that was stopped while it petitioned does not stay active.
func TestStoppedWhilePetitioning(t *testing.T) {
	w := newWorld(t)
	l, c := w.add("leader", 0x8400), w.add("commissioner", 0x5400)
	w.lead(l)
	if err := c.comm.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.comm.Stop(); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if _, _, ok := l.petition.Active(); ok || c.comm.State() != Disabled {
		t.Errorf("leader has a commissioner, which is %v", c.comm.State())
	}
}

func TestInfo(t *testing.T) {
	var d *netdata.Data
	i := Info{func() *netdata.Data { return d }}
	if i.JoiningAllowed() || i.SteeringData() != nil || i.JoinerPort() != 1000 {
		t.Error("without network data somebody may join")
	}
	for _, tt := range []struct {
		data    string
		allowed bool
		port    uint16
		session uint16
		rloc16  uint16
	}{
		{"0b02c80b", false, 1000, 0, 0},
		{"0b02c80b 0801ff", false, 1000, 0, 0}, // nobody is there
		{"0b02c80b 09025400 080100", false, 1000, 0xc80b, 0x5400},
		{"0b02c80b 09025400 0801ff", true, 1000, 0xc80b, 0x5400},
		{"0b02c80b 09025400 0801ff 120203e9", true, 1001, 0xc80b, 0x5400},
		{"0b02c80b 09025400 0801ff 1202", false, 1000, 0, 0}, // cut short
	} {
		d = &netdata.Data{Commissioning: &netdata.Commissioning{TLVs: unhex(t, tt.data)}}
		rloc16, session, ok := i.Commissioner()
		if i.JoiningAllowed() != tt.allowed || i.JoinerPort() != tt.port || rloc16 != tt.rloc16 || session != tt.session ||
			ok != (tt.rloc16 != 0) || tt.allowed && !i.SteeringData().AllowsAny() {
			t.Errorf("%s: allowed %v, port %d, commissioner %04x session %04x %v", tt.data, i.JoiningAllowed(), i.JoinerPort(), rloc16, session, ok)
		}
	}
	if a := CommissionerALOC16(0xc80b); a != 0xfc33 {
		t.Errorf("ALOC16 %04x", a)
	}
}

// Steering data are those of the recordings: an exact one, and anybody.
func TestSteeringData(t *testing.T) {
	_, _, c, _ := commissioning(t, 0x8400, 0x5400, 0x7c00)
	if s := c.comm.SteeringData(); !s.IsEmpty() {
		t.Errorf("nobody: %v", s)
	}
	// joiner-2hop: EUI-64 18b4300000000003.
	if err := c.comm.Add(EUI64([8]byte{0x18, 0xb4, 0x30, 0, 0, 0, 0, 3}), secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	if s := c.comm.SteeringData(); !slices.Equal(s, unhex(t, "00000000000008002000000000000000")) {
		t.Errorf("one: %v", s)
	}
	if err := c.comm.Add(Who{}, secret(t, pskd), time.Hour); err != nil {
		t.Fatal(err)
	}
	if s := c.comm.SteeringData(); !slices.Equal(s, meshcop.AllowAny()) {
		t.Errorf("anybody: %v", s)
	}
}
