package otcli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
)

// coapPort is CoAP's own UDP port.
const coapPort = 5683

// Longest URI and content, as OpenThread limits them.
const (
	maxURI     = 32
	maxContent = 32
)

// coapService is the command line's CoAP endpoint: a client, and a server of
// one resource.
type coapService struct {
	node    *CLI
	end     *coap.Endpoint[netip.AddrPort]
	timer   *alarm.Timer
	started bool

	path      string // of the resource, "" if there is none
	content   string
	watchers  *coap.Observers[netip.AddrPort]
	watcher   netip.Addr
	observing *coap.Observation[netip.AddrPort]

	// responses are of no effect: all are in acknowledgements.
	requests, responses txParameters
}

// txParameters are transmission parameters (RFC 7252 Section 4.8); the zero
// value is the default.
type txParameters struct {
	ackTimeout             uint64 // ms
	numerator, denominator uint64
	maxRetransmit          uint64
}

func (p txParameters) String() string {
	if p == (txParameters{}) {
		return "default"
	}
	return fmt.Sprintf("ACK_TIMEOUT=%d ms, ACK_RANDOM_FACTOR=%d/%d, MAX_RETRANSMIT=%d", p.ackTimeout, p.numerator, p.denominator, p.maxRetransmit)
}

func (p txParameters) options() coap.RequestOptions {
	if p == (txParameters{}) {
		return coap.RequestOptions{}
	}
	o := coap.RequestOptions{AckTimeout: duration(p.ackTimeout, time.Millisecond),
		AckRandomFactor: float64(p.numerator) / float64(p.denominator), MaxRetransmit: int(p.maxRetransmit)}
	if o.MaxRetransmit == 0 {
		o.MaxRetransmit = -1
	}
	return o
}

func coapCommands() []command {
	request := func(code coap.Code) func(*CLI, []string) error {
		return func(c *CLI, args []string) error { return c.coap.request(code, args) }
	}
	return []command{
		{"cancel", func(c *CLI, _ []string) error { return c.coap.cancel() }},
		{"delete", request(coap.DELETE)},
		{"get", request(coap.GET)},
		{"observe", func(c *CLI, args []string) error { return c.coap.observe(args) }},
		{"parameters", coapParameters},
		{"post", request(coap.POST)},
		{"put", request(coap.PUT)},
		{"resource", setting(func(c *CLI) string { return c.coap.path }, func(c *CLI, path string) error { return c.coap.serve(path) })},
		{"set", setting(func(c *CLI) string { return c.coap.content }, func(c *CLI, v string) error { return c.coap.set(v) })},
		{"start", func(c *CLI, _ []string) error { return c.coap.start() }},
		{"stop", func(c *CLI, _ []string) error { return c.coap.stop() }},
	}
}

// newCoAP returns an endpoint that is not started.
func newCoAP(c *CLI) *coapService {
	s := &coapService{node: c, content: "0"}
	s.end = coap.New(coap.Config[netip.AddrPort]{Rand: c.node.Rand(), Send: s.send, SamePeer: func(sent, got netip.AddrPort) bool {
		return sent == got || sent.Addr().IsMulticast() && sent.Port() == got.Port()
	}})
	s.watchers = coap.NewObservers(s.end, 1)
	s.timer = c.node.Clock().NewTimer(s.advance)
	return s
}

func (s *coapService) advance() {
	s.end.Advance(s.node.now())
	s.arm()
}

func (s *coapService) arm() {
	if at := s.end.Deadline(); at.IsZero() {
		s.timer.Stop()
	} else {
		s.timer.StartAt(at)
	}
}

func (s *coapService) send(to netip.AddrPort, datagram []byte) {
	// What cannot be sent is as if it were lost.
	_ = s.node.node.IP().SendUDP(ip.Datagram{Src: netip.AddrPortFrom(netip.Addr{}, coapPort), Dst: to, Payload: datagram},
		link.Options{Priority: link.Normal})
}

func (s *coapService) start() error {
	if s.started {
		return nil
	}
	if s.node.node.IP().UDPInUse(coapPort) {
		return Failed
	}
	s.started = true
	s.node.node.IP().HandleUDP(coapPort, func(d *ip.Datagram) {
		s.end.Receive(s.node.now(), d.Src, d.Payload)
		s.arm()
	})
	return nil
}

// stop ends what is going on. The resource is no longer served.
func (s *coapService) stop() error {
	if !s.started {
		return nil
	}
	s.started = false
	s.end.CancelAll()
	s.arm()
	s.node.node.IP().HandleUDP(coapPort, nil)
	s.end.Handle(s.path, nil)
	return nil
}

// serve makes a path that of the resource.
func (s *coapService) serve(path string) error {
	if len(path) >= maxURI {
		return InvalidArgs
	}
	s.end.Handle(s.path, nil)
	s.path = path
	s.end.Handle(path, coap.Blockwise(coap.BlockConfig{}, s.requested))
	return nil
}

// set changes the content, and tells who observes it.
func (s *coapService) set(content string) error {
	if len(content) >= maxContent {
		return InvalidArgs
	}
	s.content = content
	if s.watchers.Len() > 0 {
		s.node.tell("sending coap notification to %s", address(s.watcher))
		s.watchers.Notify(s.node.now(), coap.Content, []byte(content))
		s.arm()
	}
	return nil
}

// requested is a request for the resource.
func (s *coapService) requested(r *coap.Request[netip.AddrPort]) {
	method, ok := map[coap.Code]string{coap.GET: "GET", coap.POST: "POST", coap.PUT: "PUT", coap.DELETE: "DELETE"}[r.Code]
	if !ok {
		r.Respond(coap.MethodNotAllowed, nil)
		return
	}
	observe, observed := r.Observe()
	if observed && r.Code == coap.GET {
		method += fmt.Sprintf(" OBS=%d", observe)
	}
	s.node.tell("coap request from %s %s%s", address(r.From.Addr()), method, payload(r.Payload))
	switch {
	case r.Code == coap.GET:
		had := s.watchers.Len()
		if observed && observe == 0 && had > 0 && r.From.Addr() != s.watcher {
			r.Respond(coap.ServiceUnavailable, nil)
			break
		}
		s.watchers.Respond(r, coap.Content, []byte(s.content))
		if s.watchers.Len() > had {
			s.watcher = r.From.Addr()
			s.node.tell("Subscribing client")
		}
	case r.Type == coap.Confirmable:
		r.Respond(coap.Changed, nil)
	default:
		r.NoResponse()
		return
	}
	s.node.tell("coap response sent")
}

// payload is what there is of a payload, for the end of a line.
func payload(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return " with payload: " + hex.EncodeToString(b)
}

// request sends `address uri [con|non-con|block-N] [payload]`. With blocks, a
// payload that is sent is the number of blocks, of random bytes.
func (s *coapService) request(code coap.Code, args []string) error {
	to, m, err := s.message(code, args)
	if err != nil {
		return err
	}
	block, err := blockSize(word(args, 2))
	if err != nil {
		return err
	}
	body := word(args, 3)
	done := s.responded
	if m.Type == coap.NonConfirmable && code != coap.GET {
		done = nil // nobody answers
	}
	opts := s.requests.options()
	now := s.node.now()
	if block == 0 {
		m.Payload = []byte(body)
		if len(body) == 0 {
			m.Payload = nil
		}
		_, err = s.end.Request(now, to, m, opts, done)
	} else {
		if body != "" && code != coap.GET {
			n, err := parseUint(body, 32)
			if err != nil || n*uint64(block) > 1<<16 {
				return InvalidArgs
			}
			m.Payload = make([]byte, int(n)*block)
			for i := range m.Payload {
				m.Payload[i] = byte(s.node.node.Rand().Uint32())
			}
		}
		_, err = s.end.Transfer(now, to, m, coap.TransferOptions{RequestOptions: opts, BlockSize: block}, done)
	}
	s.arm()
	if err != nil {
		return NoBufs
	}
	return nil
}

// message makes a request of the first words of a command.
func (s *coapService) message(code coap.Code, args []string) (to netip.AddrPort, m coap.Message, err error) {
	a, err := parseAddr(word(args, 0))
	if err != nil {
		return to, m, err
	}
	uri := word(args, 1)
	if uri == "" || len(uri) >= maxURI {
		return to, m, InvalidArgs
	}
	if _, ok := s.node.node.IP().SourceFor(a); !s.started && !ok {
		return to, m, InvalidState
	}
	if err := s.start(); err != nil {
		return to, m, err
	}
	m = coap.Message{Type: coap.NonConfirmable, Code: code}
	if kind := word(args, 2); kind == "con" || strings.HasPrefix(kind, "block-") {
		m.Type = coap.Confirmable
	}
	path, query, _ := strings.Cut(uri, "?")
	m.SetPath(path)
	for q := range strings.SplitSeq(query, "&") {
		if q != "" {
			m.AddOption(coap.StringOption(coap.OptionURIQuery, q))
		}
	}
	return netip.AddrPortFrom(a, coapPort), m, nil
}

// blockSize reads block-16 to block-1024; 0 for what is no such word.
func blockSize(s string) (int, error) {
	t, ok := strings.CutPrefix(s, "block-")
	if !ok {
		return 0, nil
	}
	n, err := parseUint(t, 16)
	if err != nil || n < 16 || n > 1024 || n&(n-1) != 0 {
		return 0, InvalidArgs
	}
	return int(n), nil
}

func (s *coapService) responded(r coap.Response[netip.AddrPort], err error) {
	if err != nil {
		e := coapError(err)
		s.node.tell("coap receive response error %d: %s", uint8(e), e.Word())
		return
	}
	observe := ""
	if v, ok := r.Observe(); ok {
		observe = fmt.Sprintf(" OBS=%d", v)
	}
	s.node.tell("coap response from %s%s%s", address(r.From.Addr()), observe, payload(r.Payload))
}

// coapError is how OpenThread calls the end of an exchange without an answer.
func coapError(err error) Error {
	switch {
	case errors.Is(err, coap.ErrTimeout):
		return ResponseTimeout
	case errors.Is(err, coap.ErrReset), errors.Is(err, coap.ErrCancelled):
		return Abort
	}
	return Parse
}

func (s *coapService) observe(args []string) error {
	to, m, err := s.message(coap.GET, args)
	if err != nil {
		return err
	}
	_ = s.cancel() // there may be none
	s.observing, err = s.end.Observe(s.node.now(), to, m, coap.TransferOptions{RequestOptions: s.requests.options()},
		func(r coap.Response[netip.AddrPort], err error) {
			if err != nil {
				s.observing = nil
			}
			if !errors.Is(err, coap.ErrNotObserved) { // its reason was the response before
				s.responded(r, err)
			}
		})
	s.arm()
	if err != nil {
		return NoBufs
	}
	return nil
}

// cancel ends the observation.
func (s *coapService) cancel() error {
	if s.observing == nil {
		return InvalidState
	}
	s.observing.Cancel(s.node.now())
	s.observing = nil
	s.arm()
	return nil
}

// coapParameters is `request|response [default | timeout numerator denominator
// retransmissions]`.
func coapParameters(c *CLI, args []string) error {
	var p *txParameters
	switch word(args, 0) {
	case "request":
		p = &c.coap.requests
	case "response":
		p = &c.coap.responses
	default:
		return InvalidArgs
	}
	switch word(args, 1) {
	case "":
	case "default":
		*p = txParameters{}
	default:
		var q txParameters
		for i, x := range []struct {
			to   *uint64
			bits int
		}{{&q.ackTimeout, 32}, {&q.numerator, 8}, {&q.denominator, 8}, {&q.maxRetransmit, 8}} {
			v, err := parseUint(word(args, 1+i), x.bits)
			if err != nil {
				return err
			}
			*x.to = v
		}
		if q.ackTimeout == 0 || q.denominator == 0 || q.numerator <= q.denominator {
			return InvalidArgs
		}
		*p = q
	}
	c.line("Transmission parameters for %s:", args[0])
	c.line("%s", p)
	return nil
}
