package coap

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Unix(1000, 0)

const latency = 10 * time.Millisecond

// network connects endpoints on virtual time. Its peers are names; a name with
// a star, like "*all", is a group of every other node, and datagrams to it
// arrive from "*" and the sender's name.
type network struct {
	t     *testing.T
	now   time.Time
	nodes map[string]*Endpoint[string]
	queue []delivery // in order of time
	log   []string   // "a>b CON 0.02 x", without ids
	fate  func(n int, from, to string, m Message) (copies int)
	sent  int
}

type delivery struct {
	at       time.Time
	from, to string
	datagram []byte
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, now: epoch, nodes: make(map[string]*Endpoint[string])}
}

// node adds an endpoint; cfg may have any field but Rand and Send set.
func (n *network) node(name string, cfg Config[string]) *Endpoint[string] {
	cfg.Rand = rand.New(rand.NewPCG(uint64(len(n.nodes)+1), 2))
	cfg.Send = func(to string, datagram []byte) { n.send(name, to, datagram) }
	cfg.Multicast = func(p string) bool { return strings.HasPrefix(p, "*") }
	e := New(cfg)
	n.nodes[name] = e
	return e
}

func (n *network) send(from, to string, datagram []byte) {
	to = strings.TrimPrefix(to, "*")
	m, err := Decode(datagram)
	if err != nil {
		n.t.Errorf("%s sent %x: %v", from, datagram, err)
	}
	copies := 1
	if n.fate != nil {
		copies = n.fate(n.sent, from, to, m)
	}
	n.sent++
	line := fmt.Sprintf("%s>%s %v %v", from, to, m.Type, m.Code)
	if p := m.Path(); p != "" {
		line += " " + p
	}
	if len(m.Payload) > 0 && len(m.Payload) < 10 {
		line += " " + string(m.Payload)
	}
	if copies != 1 {
		line += fmt.Sprintf(" x%d", copies)
	}
	n.log = append(n.log, line)
	for range copies {
		if to == "all" {
			for name := range n.nodes {
				if name != from {
					n.queue = append(n.queue, delivery{n.now.Add(latency), "*" + from, name, datagram})
				}
			}
			slices.SortStableFunc(n.queue, func(a, b delivery) int {
				return a.at.Compare(b.at)*2 + strings.Compare(a.to, b.to)
			})
			continue
		}
		n.queue = append(n.queue, delivery{n.now.Add(latency), from, to, datagram})
	}
}

// run lets d pass.
func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for {
		next := end
		if len(n.queue) > 0 && n.queue[0].at.Before(next) {
			next = n.queue[0].at
		}
		var due *Endpoint[string]
		for _, name := range sorted(n.nodes) {
			if at := n.nodes[name].Deadline(); !at.IsZero() && at.Before(next) {
				next, due = at, n.nodes[name]
			}
		}
		n.now = next
		switch {
		case due != nil:
			due.Advance(n.now)
		case len(n.queue) > 0 && !n.queue[0].at.After(n.now) && n.now.Before(end):
			d := n.queue[0]
			n.queue = n.queue[1:]
			if e := n.nodes[d.to]; e != nil {
				e.Receive(n.now, d.from, d.datagram)
			}
		default:
			return
		}
	}
}

func sorted(m map[string]*Endpoint[string]) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// expect compares what was sent since the last call.
func (n *network) expect(want ...string) {
	n.t.Helper()
	if !slices.Equal(n.log, want) {
		n.t.Errorf("sent\n\t%s\nwant\n\t%s", strings.Join(n.log, "\n\t"), strings.Join(want, "\n\t"))
	}
	n.log = nil
}

// outcomes records the calls of a done function: "2.04 payload" or the error.
type outcomes []string

func (o *outcomes) done(r Response[string], err error) {
	if err != nil {
		*o = append(*o, err.Error())
		return
	}
	s := r.Code.String()
	if len(r.Payload) > 0 {
		s += " " + string(r.Payload)
	}
	*o = append(*o, s)
}

func (o *outcomes) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*o, want) {
		t.Errorf("outcomes %q, want %q", *o, want)
	}
	*o = nil
}

// post makes a request.
func post(t Type, p, payload string) Message {
	return Message{Type: t, Code: POST, Options: path(p), Payload: []byte(payload)}
}

// lose drops the messages with the given numbers.
func lose(numbers ...int) func(int, string, string, Message) int {
	return func(n int, _, _ string, _ Message) int {
		if slices.Contains(numbers, n) {
			return 0
		}
		return 1
	}
}
