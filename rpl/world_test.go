package rpl

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a mesh of machines on virtual time. Links lose frames; a unicast
// frame is tried four times, as the MAC does.
type world struct {
	t        testing.TB
	now      time.Time
	rand     *rand.Rand
	stations []*station // the root first
	loss     map[[2]int]float64
	queue    events
	seq      int
	capture  func(packet []byte) // of every frame sent, if set
	frames   int
	errors   int            // ICMPv6 errors sent
	visits   map[uint32]int // how often a ping was handed on, by its number
	arrived  map[uint32]int // where a ping came to
	drops    map[string]int // datagrams dropped, by reason
	exits    []exit
}

const macTries = 4

// exit is a datagram that left the DODAG at a station.
type exit struct {
	at     int
	packet []byte
}

// station is one node's radio and IPv6 stack around its machine.
type station struct {
	w      *world
	i      int
	clock  *alarm.Clock
	root   *Root
	node   *Node
	dead   bool
	config RootConfig
}

func link(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: 2, 14: byte(i >> 8), 15: byte(i)})
}
func global(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 8: 2, 14: byte(i >> 8), 15: byte(i)})
}
func indexOf(a netip.Addr) int { b := a.As16(); return int(b[14])<<8 | int(b[15]) }

func newWorld(t testing.TB, seed uint64) *world {
	return &world{
		t: t, now: epoch, rand: rand.New(rand.NewPCG(seed, 1)), loss: make(map[[2]int]float64),
		visits: make(map[uint32]int), arrived: make(map[uint32]int), drops: make(map[string]int),
	}
}

func (w *world) station() *station {
	s := &station{w: w, i: len(w.stations) + 1, clock: new(alarm.Clock)}
	s.clock.Set(w.now)
	w.stations = append(w.stations, s)
	return s
}

func (w *world) addRoot(cfg RootConfig) *station {
	s := w.station()
	s.config = cfg
	s.makeRoot()
	return s
}

func (s *station) makeRoot() {
	cfg := s.config
	cfg.Clock, cfg.Rand, cfg.Send, cfg.NextHop = s.clock, s.rng(), s.send, s.nextHop
	cfg.LinkLocal, cfg.Address = link(s.i), global(s.i)
	cfg.Prefixes = []PrefixInformation{{
		Bits: 64, Autonomous: true, Valid: Infinite, Preferred: Infinite, Prefix: addr("fd00::"),
	}}
	r, err := NewRoot(cfg)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.root = r
	r.Start()
}

func (w *world) addNode(cfg NodeConfig) *station {
	s := w.station()
	s.makeNode(cfg)
	return s
}

func (s *station) makeNode(cfg NodeConfig) {
	cfg.Clock, cfg.Rand, cfg.Send, cfg.NextHop = s.clock, s.rng(), s.send, s.nextHop
	cfg.LinkLocal = link(s.i)
	n, err := NewNode(cfg)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.node = n
	n.SetAddresses(global(s.i))
	n.Start()
}

func (s *station) rng() *rand.Rand { return rand.New(rand.NewPCG(s.w.rand.Uint64(), uint64(s.i))) }

// restart makes a new machine that remembers nothing.
func (s *station) restart() {
	s.clock = new(alarm.Clock)
	s.clock.Set(s.w.now)
	s.dead = false
	if s.root != nil {
		s.makeRoot()
		return
	}
	s.makeNode(s.node.cfg)
}

// join links two stations, by number from one.
func (w *world) join(a, b int, loss float64) { w.loss[[2]int{min(a, b), max(a, b)}] = loss }

func (w *world) linked(a, b int) (float64, bool) {
	l, ok := w.loss[[2]int{min(a, b), max(a, b)}]
	return l, ok
}

// nextHop is neighbour discovery: it knows who is on the link, not who lives.
func (s *station) nextHop(a netip.Addr) (netip.Addr, bool) {
	i := indexOf(a)
	_, ok := s.w.linked(s.i, i)
	return link(i), ok
}

// send is the machine's output.
func (s *station) send(m Send) {
	p := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: m.Src, Dst: m.Dst, HopLimit: m.HopLimit}, m.Type, m.Code, m.Body)
	s.w.at(0, func() {
		if !s.dead {
			s.do(s.originate(p))
		}
	})
}

func (s *station) originate(p []byte) Verdict {
	if s.root != nil {
		return s.root.Originate(p)
	}
	return s.node.Originate(p)
}

// do carries a verdict out.
func (s *station) do(v Verdict) {
	switch v.Action {
	case Forward:
		s.transmit(v.Next, v.Packet)
	case Deliver:
		s.deliver(v.Packet)
	case Exit:
		s.w.exits = append(s.w.exits, exit{s.i, v.Packet})
	case Drop:
		s.w.drops[v.Reason]++
		self := global(s.i)
		if e := v.AppendError(nil, self); e != nil {
			s.w.errors++
			s.do(s.originate(e))
		}
	}
}

func (s *station) transmit(to netip.Addr, p []byte) {
	w := s.w
	w.frames++
	if w.capture != nil {
		w.capture(p)
	}
	if id, ok := pingID(p); ok {
		w.visits[id]++
	}
	if to.IsMulticast() {
		for _, o := range w.stations {
			if l, ok := w.linked(s.i, o.i); ok && w.rand.Float64() >= l {
				w.receive(s, o, p)
			}
		}
		return
	}
	o := w.stations[indexOf(to)-1]
	l, ok := w.linked(s.i, o.i)
	sent := macTries
	if !ok || o.dead {
		ok = false
	} else {
		ok = false
		for i := range macTries {
			if w.rand.Float64() >= l {
				sent, ok = i+1, true
				break
			}
		}
	}
	if ok {
		w.receive(s, o, p)
	}
	w.at(10*time.Millisecond, func() {
		if s.node == nil || s.dead {
			return
		}
		s.node.LinkSent(to, ok, sent)
		if at, _ := findSRH(p); !ok && at != 0 {
			s.do(Undelivered(p))
		}
	})
}

func (w *world) receive(from, to *station, p []byte) {
	p = append([]byte(nil), p...)
	w.at(time.Millisecond+time.Duration(w.rand.Int64N(int64(4*time.Millisecond))), func() {
		if to.dead {
			return
		}
		if to.root != nil {
			to.do(to.root.Forward(p, link(from.i)))
		} else {
			to.do(to.node.Forward(p, link(from.i)))
		}
	})
}

// deliver is the stack above: RPL, echo, errors.
func (s *station) deliver(p []byte) {
	h, _, err := ipv6.DecodeHeader(p)
	if err != nil {
		s.w.t.Errorf("delivered %x: %v", p, err)
		return
	}
	proto, off, err := ipv6.Transport(p)
	if err != nil || proto != ipv6.ProtoICMPv6 {
		s.w.t.Errorf("delivered protocol %d, %v", proto, err)
		return
	}
	if !ipv6.VerifyChecksum(h.Src, h.Dst, proto, p[off:]) {
		s.w.t.Errorf("checksum of %x is wrong", p)
	}
	m, err := ipv6.DecodeICMP(p[off:])
	if err != nil {
		s.w.t.Error(err)
		return
	}
	switch {
	case m.Type == ICMPType && s.root != nil:
		err = s.root.Receive(h.Src, h.Dst, m.Code, m.Body)
	case m.Type == ICMPType:
		err = s.node.Receive(h.Src, h.Dst, m.Code, m.Body)
	case m.Type == ipv6.ICMPEchoRequest:
		reply := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: h.Dst, Dst: h.Src, HopLimit: 64}, ipv6.ICMPEchoReply, 0, m.Body)
		s.do(s.originate(reply))
	case m.Type == ipv6.ICMPEchoReply:
		s.w.arrived[binary.BigEndian.Uint32(m.Body)] = s.i
	case m.Type == ipv6.ICMPDstUnreachable && m.Code == UnreachSourceRoute && s.root != nil:
		e, _ := ipv6.DecodeErrorBody(m.Body)
		s.root.SourceRouteError(h.Src, e)
	}
	if err != nil {
		s.w.t.Errorf("node %d: %v", s.i, err)
	}
}

// pingID is the number of the echo in a datagram, in tunnels too.
func pingID(p []byte) (uint32, bool) {
	for {
		inner, ok := Decapsulate(p)
		if !ok {
			break
		}
		p = inner
	}
	proto, off, err := ipv6.Transport(p)
	if err != nil || proto != ipv6.ProtoICMPv6 || p[off] < 128 || p[off] > 129 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p[off+4:]), true
}

var pings uint32

// ping sends an echo from one station to another's global address.
func (w *world) ping(from, to int) (id uint32) {
	pings++
	body := binary.BigEndian.AppendUint32(nil, pings)
	p := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: global(from), Dst: global(to), HopLimit: 64},
		ipv6.ICMPEchoRequest, 0, body)
	s := w.stations[from-1]
	s.do(s.originate(p))
	return pings
}

// pings pings each pair until it answers, at most tries times, and returns who
// did not.
func (w *world) pingAll(pairs [][2]int, tries int) (failed [][2]int) {
	for _, p := range pairs {
		ok := false
		for range tries {
			id := w.ping(p[0], p[1])
			w.run(400 * time.Millisecond)
			if w.visits[id] > 2*MaxHops {
				w.t.Errorf("ping %v was handed on %d times", p, w.visits[id])
			}
			if _, ok = w.arrived[id]; ok {
				break
			}
		}
		if !ok {
			failed = append(failed, p)
		}
	}
	return failed
}

// event is something at a time.
type event struct {
	at  time.Time
	seq int
	do  func()
}
type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	o := *q
	e := o[len(o)-1]
	*q = o[:len(o)-1]
	return e
}

func (w *world) at(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now.Add(d), w.seq, do})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := end
		var who *station
		for _, s := range w.stations {
			if t := s.clock.Deadline(); !s.dead && !t.IsZero() && t.Before(next) {
				next, who = t, s
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			e := heap.Pop(&w.queue).(event)
			w.now = e.at
			for _, s := range w.stations {
				s.clock.Set(w.now)
			}
			e.do()
			continue
		}
		w.now = next
		if who == nil {
			for _, s := range w.stations {
				s.clock.Set(w.now)
			}
			return
		}
		who.clock.Advance(next)
	}
}

// reachable are the live stations that links connect with the root.
func (w *world) reachable() (out []int) {
	seen := map[int]bool{1: true}
	for queue := []int{1}; len(queue) > 0; queue = queue[1:] {
		for _, s := range w.stations {
			if _, ok := w.linked(queue[0], s.i); ok && !seen[s.i] && !s.dead {
				seen[s.i] = true
				queue = append(queue, s.i)
				out = append(out, s.i)
			}
		}
	}
	return out
}

// checkUp fails when somebody who could have one has no way to the root by
// preferred parents, or it goes in a circle.
func (w *world) checkUp() error {
	for _, i := range w.reachable() {
		at, path := i, []int{i}
		for at != 1 {
			p, ok := w.stations[at-1].node.Parent()
			if !ok {
				return fmt.Errorf("node %d has no parent on the way %v: %v", at, path, w.stations[at-1].node.State())
			}
			at = indexOf(p)
			if w.stations[at-1].dead {
				return fmt.Errorf("parent %d on the way %v is dead", at, path)
			}
			if path = append(path, at); len(path) > len(w.stations) {
				return fmt.Errorf("parents go in a circle: %v", path)
			}
		}
	}
	return nil
}

// until runs until the condition holds, and fails after a limit.
func (w *world) until(what string, limit time.Duration, ok func() error) time.Duration {
	w.t.Helper()
	start := w.now
	for {
		err := ok()
		if err == nil {
			return w.now.Sub(start)
		}
		if w.now.Sub(start) >= limit {
			w.t.Fatalf("%s: not within %v: %v; dropped so far: %v", what, limit, err, w.drops)
		}
		w.run(time.Second)
	}
}
