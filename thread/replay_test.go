package thread_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/coap"
	"gatewayd/ieee802154"
	"gatewayd/internal/capture"
	"gatewayd/otcli"
	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/tmf"
)

// recordedDataset is what all recordings began with, as the command line of one
// of their nodes showed it.
const recordedDataset = "4a0300001735060004001fffe00c0402a0f7f8051000112233445566778899aabbccddeeff0102face000300000f02080001020304050607" +
	"0708fd000db8000a000b030c54657374204e6574776f726b0410c3f59368445a1b6106be420a706d4cc90e080000000000010000"

// A replay is a node of ours in the place of one in a recording: under its
// addresses, given its commands, hearing what it heard. What the recording waits
// for from it is waited for; what follows is told with the challenges and tokens
// of our node in place of the recorded ones.
type replay struct {
	t       *testing.T
	c       *capture.Capture
	who     capture.Node
	w       *sim.World
	n       *sim.Node
	cli     *otcli.CLI
	others  map[netip.Addr]bool       // addresses of others
	mouths  map[uint8]*medium.Station // of everybody else, by channel
	lag     time.Duration             // of our node behind the recorded one
	channel uint8
	wakeup  []byte              // value of the dataset's first TLV, the only random one
	holding bool                // a frame until our node asks
	mine6   map[netip.Addr]bool // addresses that the recorded node told it has

	recorded, own *reader
	own16         map[uint16]bool             // short addresses the recorded node had
	ownExt        map[ieee802154.ExtAddr]bool // extended ones
	situation
	said        []*message      // by our node
	heard, sent map[string]bool // frames of the recording, and of our node

	raw, adapted int // messages told as they were, and changed
	pairs        []pair
}

// A pair is a recorded message and what our node said in its place; nil if it
// said nothing.
type pair struct{ recorded, ours *message }

func newReplay(t *testing.T, c *capture.Capture, who capture.Node) *replay {
	p := &replay{t: t, c: c, who: who, w: sim.New(seeded(t, uint64(who.ID)), sim.Options{Ideal: true}),
		recorded: newReader(c), own: newReader(c),
		mouths: map[uint8]*medium.Station{}, own16: map[uint16]bool{}, ownExt: map[ieee802154.ExtAddr]bool{who.Ext: true}, others: map[netip.Addr]bool{},
		situation: situation{sessions: map[string]string{}, challenges: map[string]string{}, requests: map[string]coap.Message{}, wishes: map[string]uint16{}},
		mine6:     map[netip.Addr]bool{}, heard: map[string]bool{}, sent: map[string]bool{}}
	for _, n := range c.Nodes {
		for _, a := range n.Addresses {
			if n.ID != who.ID {
				p.others[a] = true
			}
		}
	}
	kind := sim.FTD
	if who.Kind == "mtd" {
		kind = sim.MTD
	}
	p.own.paths = p.recorded.paths
	p.n = p.w.Add(sim.Config{Name: who.Name, Kind: kind, EUI64: who.EUI64})
	p.identify()
	p.n.Restart()
	p.cli = otcli.New(p.n.Node, otcli.Config{Out: func(string) {}, Rand: p.n.Random()})
	for channel := medium.FirstChannel; channel <= medium.LastChannel; channel++ {
		s := p.w.Air().Add()
		p.w.Air().Link(s, p.n.Station(), -20, 0)
		s.Attach(p)
		s.Tune(p.w.Now(), channel)
		p.mouths[channel] = s
	}
	p.w.Tap(p.tap)
	p.survey()
	return p
}

// identify stores the identity of the recorded node as ours.
func (p *replay) identify() {
	var id map[string]any
	b, _, ok := p.n.Store.Load("identity")
	if !ok {
		p.t.Fatal("no identity")
	}
	if err := json.Unmarshal(b, &id); err != nil {
		p.t.Fatal(err)
	}
	id["EUI64"], id["Ext"] = p.who.EUI64, p.who.Ext
	for _, a := range p.who.Addresses {
		b := a.As16()
		if b[0] == 0xfd && b[1] == 0 && !locator(a) {
			id["MLIID"] = [8]byte(b[8:])
		}
	}
	b, err := json.Marshal(id)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.n.Store.Save("identity", b); err != nil {
		p.t.Fatal(err)
	}
}

// locator reports whether a is a routing or anycast locator.
func locator(a netip.Addr) bool {
	b := a.As16()
	return b[0] == 0xfd && bytes.Equal(b[8:14], []byte{0, 0, 0, 0xff, 0xfe, 0})
}

// survey looks ahead: which addresses the recorded node had, which partition it
// led, and which router ids it gave.
func (p *replay) survey() {
	r := newReader(p.c)
	tuning := &p.n.MLE().Tuning
	for i := range p.c.Packets {
		f, _, ok := p.open(i)
		if !ok {
			continue
		}
		id, _ := p.c.Sender(i)
		if id != p.who.ID {
			continue
		}
		switch src := f.frame.Src; src.Mode {
		case ieee802154.AddrShort:
			p.own16[src.Short] = true
		case ieee802154.AddrExtended:
			p.ownExt[src.Ext] = true
		}
		if f.frame.Type != ieee802154.FrameData {
			continue
		}
		m, _, _ := r.read(p.c.Packets[i].Time, f)
		if m == nil {
			continue
		}
		if v, ok := m.mle.TLVs.Find(mle.TypeActiveDataset); ok && p.wakeup == nil {
			p.wakeup, _ = meshcop.TLVs(v).Find(meshcop.TypeWakeupChannel)
		}
		if v, ok := m.mle.TLVs.Find(mle.TypeLeaderData); ok && m.kind == mle.Advertisement.String() {
			d, err := mle.DecodeLeaderData(v)
			source, _ := m.mle.TLVs.Find(mle.TypeSource)
			if err == nil && len(source) == 2 && source[0] == d.LeaderID<<2 {
				tuning.PreferredPartition, tuning.PreferredRouterID, tuning.LeaderWeight = d.Partition, d.LeaderID, d.Weight
			}
		}
		if a, err := tmf.TLVs(m.coap.Payload).Addr(tmf.Target); err == nil && m.kind == tmf.AddressNotify && !p.others[m.src] && !meshcop.TLVs(m.coap.Payload).Has(meshcop.Type(tmf.LastTransaction)) {
			p.mine6[a] = true
		}
		if rloc16, err := tmf.TLVs(m.coap.Payload).Uint16(tmf.RLOC16); err == nil && m.coap.Code.IsResponse() && !p.others[m.src] {
			p.wishes[m.dst.String()+string(m.coap.Token)] = rloc16
		}
	}
}

// open opens packet i; not ok for acknowledgements and what no key opens.
func (p *replay) open(i int) (frame, int, bool) {
	f, key, _, err := p.c.Open(i)
	id, ext := p.c.Sender(i)
	return frame{frame: f, psdu: p.c.Packets[i].PSDU, key: key, ext: ext}, id, err == nil && f.Type != ieee802154.FrameAck
}

// Heard acknowledges what our node sends to anybody: who has the address is of
// the recording.
func (p *replay) Heard(now time.Time, h medium.Frame) {
	f, err := ieee802154.Decode(h.PSDU[:len(h.PSDU)-ieee802154.FCSLen])
	if err != nil || !f.AckRequest {
		return
	}
	ack := ieee802154.Frame{Type: ieee802154.FrameAck, Seq: f.Seq}
	if f.Type == ieee802154.FrameCommand && p.holding {
		ack.Pending, p.holding = true, false
	}
	p.w.Clock().NewTimer(func() { p.transmit(h.Channel, ack.Append(nil)) }).Start(192 * time.Microsecond)
}

func (p *replay) transmit(channel uint8, psdu []byte) {
	fcs := ieee802154.FCS(psdu)
	p.mouths[channel].Transmit(p.w.Now(), channel, 0, append(bytes.Clone(psdu), byte(fcs), byte(fcs>>8)))
}

// tap takes note of what our node says.
func (p *replay) tap(s medium.Sighting) {
	if s.From != p.n.ID() {
		return
	}
	psdu := bytes.Clone(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
	f, err := ieee802154.Decode(psdu)
	if err != nil || f.Type != ieee802154.FrameData || p.sent[string(psdu)] {
		return
	}
	p.sent[string(psdu)] = true
	ext := p.n.MAC().Ext()
	var key *ieee802154.CCM
	if f.Secured {
		err = errNoKey
		candidates, _ := p.c.Keys(0, &f)
		for _, k := range candidates {
			key = ieee802154.NewCCM(k)
			if err = f.Open(psdu, key, ext); err == nil {
				break
			}
		}
		if err != nil {
			return
		}
	}
	m, _, _ := p.own.read(s.At, frame{frame: f, psdu: psdu, key: key, ext: ext})
	if m != nil && p.mine(m.src) && m.kind != "empty" {
		m.at = s.At
		p.said = append(p.said, m)
	}
}

func (p *replay) runTo(at time.Duration) {
	p.w.RunTo(sim.Began.Add(at + p.lag))
}

// mine reports whether a message from an address is the node's own, not one that
// it passes on.
func (p *replay) mine(src netip.Addr) bool {
	b := src.As16()
	if locator(src) {
		rloc16 := uint16(b[14])<<8 | uint16(b[15])
		return p.own16[rloc16] || rloc16 >= 0xfc00
	}
	return !p.others[src]
}

// run goes through the recording.
func (p *replay) run() {
	events := p.c.Events
	for i, packet := range p.c.Packets {
		at := packet.Time.Sub(p.c.Began)
		for len(events) > 0 && events[0].At <= at {
			p.command(events[0])
			events = events[1:]
		}
		f, id, ok := p.open(i)
		if !ok || p.heard[string(f.psdu)] {
			continue
		}
		p.heard[string(f.psdu)] = true
		p.channel = packet.Channel
		if id == p.who.ID {
			if f.frame.Type != ieee802154.FrameData {
				continue
			}
			m, _, _ := p.recorded.read(packet.Time, f)
			if m != nil && p.mine(m.src) && m.kind != "empty" {
				p.runTo(at)
				p.await(m)
			}
			continue
		}
		p.told(at, f, id)
	}
}

// told lets our node hear a frame that was for the recorded one.
func (p *replay) told(at time.Duration, f frame, id int) {
	if p.c.Links != nil && !slices.Contains(p.c.Links, [2]int{p.who.ID, id}) && !slices.Contains(p.c.Links, [2]int{id, p.who.ID}) {
		return
	}
	switch dst := f.frame.Dst; {
	case dst.Mode == ieee802154.AddrShort && dst.Short != ieee802154.BroadcastShort && !p.own16[dst.Short],
		dst.Mode == ieee802154.AddrExtended && !p.ownExt[dst.Ext]:
		return
	}
	frames := [][]byte{f.psdu}
	var m *message
	if f.frame.Type == ieee802154.FrameData && len(f.frame.Payload) > 0 {
		var parts []frame
		var more bool
		m, parts, more = p.recorded.read(p.w.Now(), f)
		if more {
			return
		}
		frames = nil
		for _, x := range parts {
			frames = append(frames, x.psdu)
		}
		if m != nil {
			if p.adapt(m) {
				frames = m.seal(p.c.Contexts)
				p.adapted++
			} else {
				p.raw++
			}
		}
	}
	p.runTo(at)
	if m != nil && m.kind == tmf.AddressQuery {
		p.own6(m)
	}
	for _, psdu := range frames {
		if !p.n.MLE().Mode().RxOnWhenIdle() && (p.n.MLE().Attached() || m != nil && m.kind == mle.ChildIDResponse.String()) {
			began := p.w.Now()
			p.holding = true
			p.w.RunUntil(5*time.Second, func() bool { return !p.holding })
			p.holding = false
			p.lag += p.w.Now().Sub(began)
			p.w.Run(time.Millisecond)
		}
		p.transmit(p.channel, psdu)
		p.w.Run(4 * time.Millisecond)
	}
}

// own6 gives our node the address that is asked for if the recorded node had
// it: addresses made of a prefix come of a secret.
func (p *replay) own6(m *message) {
	a, err := tmf.TLVs(m.coap.Payload).Addr(tmf.Target)
	if err != nil || !p.mine6[a] {
		return
	}
	for _, has := range p.n.IP().Addresses() {
		if has.Addr == a {
			return
		}
	}
	p.n.Do(func() { p.cli.Input("ipaddr add " + a.String()) })
}

// command gives our node a command that the recorded one was given. What takes
// a joiner to a network is not told again: its keys are new each time.
func (p *replay) command(e capture.Event) {
	p.runTo(e.At)
	word, _, _ := strings.Cut(e.Command, " ")
	switch {
	case e.Node != p.who.Name, strings.HasPrefix(e.Command, "joiner"):
		return
	case e.Command == "dataset commit active", e.Command == "thread start" && p.n.Datasets().Active() == nil:
		b, err := hex.DecodeString(recordedDataset)
		if err != nil {
			p.t.Fatal(err)
		}
		if p.wakeup != nil {
			copy(b[2:], p.wakeup)
		}
		d, err := meshcop.DecodeDataset(b)
		if err != nil {
			p.t.Fatal(err)
		}
		if word == "thread" {
			d.ActiveTimestamp = nil // which a joiner is not told
		}
		p.n.Do(func() { p.n.SetActiveDataset(&d) })
		if word == "dataset" {
			return
		}
	}
	p.n.Do(func() { p.cli.Input(e.Command) })
}

// takes is how long to wait for what the recorded node said: what nobody waits
// for may come as late as it likes.
func takes(m *message) time.Duration {
	switch {
	case m.kind == mle.Advertisement.String():
		return 0
	case m.kind == tmf.AddressSolicit:
		return 2 * time.Minute // the jitter of who becomes a router
	case m.dst.IsMulticast():
		return 2 * time.Second
	}
	return 4 * time.Second
}

// fresh is how long ago our node may have asked for parents when the recorded
// node did: what it hears then is an answer to that.
const fresh = 100 * time.Millisecond

// await waits for our node to say what the recorded one said.
func (p *replay) await(m *message) {
	asks := m.kind == mle.ParentRequest.String() && p.n.MLE().Role() == mle.Detached
	limit := takes(m)
	if asks {
		limit = 10 * time.Second // only the last of several is still to be answered
	}
	response := m.response()
	if _, ours := p.challenges[response]; ours {
		response = ""
	}
	find := func() *message {
		for _, x := range p.said {
			if asks && x.at.Before(p.w.Now().Add(-fresh)) {
				continue
			}
			if !x.taken && x.kind == m.kind && (response == "" || response == x.response()) && (x.dst == m.dst || x.dst.IsMulticast() && m.dst.IsMulticast() || locator(x.dst) && locator(m.dst)) {
				return x
			}
		}
		return nil
	}
	began := p.w.Now()
	var ours *message
	p.w.RunUntil(limit, func() bool { ours = find(); return ours != nil })
	p.lag += p.w.Now().Sub(began)
	if ours != nil {
		ours.taken = true
		p.learn(m, ours)
	}
	p.pairs = append(p.pairs, pair{m, ours})
}

// learn takes note of what our node has instead of what was recorded.
func (p *replay) learn(m, ours *message) {
	if !m.isMLE {
		if m.coap.Code.IsRequest() {
			p.requests[string(m.coap.Token)] = ours.coap
		} else if was, ok := meshcop.TLVs(m.coap.Payload).Find(meshcop.TypeCommissionerSessionID); ok {
			if is, ok := meshcop.TLVs(ours.coap.Payload).Find(meshcop.TypeCommissionerSessionID); ok {
				p.sessions[string(was)] = string(is)
			}
		}
		return
	}
	was, ok := m.mle.TLVs.Find(mle.TypeChallenge)
	is, ok2 := ours.mle.TLVs.Find(mle.TypeChallenge)
	if ok && ok2 {
		p.challenges[string(was)] = string(is)
	}
}

var errNoKey = errors.New("no key opens it")
