package dnssd

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
)

// query is a client's message until it is answered.
type query struct {
	r      *Resolver
	key    clientKey
	stream bool
	limit  int // bytes of the answer
	reply  func([]byte)
	msg    dns.Msg // as it came

	name   string   // of all its questions, as it came
	labels []string // the same; of local names without the domain
	domain []string
	types  []uint16 // asked for
	opt    *dns.OPT // nil: none
	do, cd bool

	out   dns.Msg // what is known of the answer
	timer *alarm.Timer
	stops []func() // of what it started
	done  bool
}

// read finds what is asked and checks it. The result is a response code.
func (q *query) read() int {
	m := &q.msg
	if m.Truncated || len(m.Question) == 0 {
		return dns.RcodeFormatError
	}
	q.name = m.Question[0].Name
	q.labels = SplitName(q.name)
	for _, x := range m.Question {
		if x.Qclass != dns.ClassINET && x.Qclass != dns.ClassANY {
			return dns.RcodeRefused
		}
		// Several questions are one name's: clients of services ask for SRV and
		// TXT at once.
		if Fold(x.Name) != Fold(q.name) {
			return dns.RcodeFormatError
		}
		q.types = append(q.types, x.Qtype)
	}
	if len(q.types) > 2 || len(q.types) == 2 && !(q.wants(dns.TypeSRV) && q.wants(dns.TypeTXT)) {
		return dns.RcodeFormatError
	}
	q.cd = m.CheckingDisabled
	if q.opt = m.IsEdns0(); q.opt != nil {
		q.do = q.opt.Do()
		if !q.stream {
			q.limit = min(max(int(q.opt.UDPSize()), minUDP), maxUDP)
		}
		if q.opt.Version() != 0 {
			return dns.RcodeBadVers
		}
	}
	return dns.RcodeSuccess
}

// wants reports whether a type is asked for.
func (q *query) wants(typ uint16) bool {
	for _, t := range q.types {
		if t == typ || t == dns.TypeANY {
			return true
		}
	}
	return false
}

// hold makes the query one of those that wait, for at most d; expired is what
// happens then. It reports false, and has answered, if too many are waiting, of
// all clients or of this one.
func (q *query) hold(d time.Duration, expired func()) bool {
	r := q.r
	if !r.waiting[q] {
		same := 0
		for o := range r.waiting {
			if o.key.from.Addr() == q.key.from.Addr() {
				same++
			}
		}
		if len(r.waiting) >= r.cfg.MaxPending || same >= max(r.cfg.MaxPending/clientShare, 1) {
			r.count.Overload++
			q.fail(dns.RcodeServerFailure)
			return false
		}
		r.waiting[q] = true
		if !q.stream {
			r.pending[q.key] = q
		}
	}
	q.after(d, expired)
	return true
}

// after has f called in d, in the place of what was to be called.
func (q *query) after(d time.Duration, f func()) {
	if q.timer != nil {
		q.timer.Stop()
	}
	q.timer = q.r.cfg.Clock.After(d, f)
}

// start notes how to stop what the query began; that is stopped at once if the
// query has been answered meanwhile.
func (q *query) start(stop func()) {
	if q.done {
		stop()
		return
	}
	q.stops = append(q.stops, stop)
}

// quiet stops all that the query began.
func (q *query) quiet() {
	for _, stop := range q.stops {
		stop()
	}
	q.stops = nil
}

// fail answers with nothing but a code.
func (q *query) fail(code int) {
	if code == dns.RcodeRefused {
		q.r.count.Refused++
	}
	q.out = dns.Msg{}
	q.out.Rcode = code
	q.finish()
}

// finish answers with out, once.
func (q *query) finish() {
	if q.done {
		return
	}
	q.done = true
	q.quiet()
	if q.timer != nil {
		q.timer.Stop()
	}
	delete(q.r.waiting, q)
	if q.r.pending[q.key] == q {
		delete(q.r.pending, q.key)
	}
	m := &q.out
	m.Id = q.msg.Id
	m.Response = true
	m.Opcode = q.msg.Opcode
	m.RecursionDesired = q.msg.RecursionDesired
	m.RecursionAvailable = q.r.cfg.Forward != nil
	m.CheckingDisabled = q.msg.CheckingDisabled
	m.Question = q.msg.Question
	m.Extra = withoutOPT(m.Extra)
	b := q.pack()
	if b == nil { // what came from elsewhere cannot be said again
		q.out = dns.Msg{MsgHdr: m.MsgHdr, Question: m.Question}
		q.out.Rcode = dns.RcodeServerFailure
		b = q.pack()
	}
	if b != nil {
		q.reply(b)
	}
}

func withoutOPT(rrs []dns.RR) []dns.RR {
	var kept []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			kept = append(kept, rr)
		}
	}
	return kept
}

// pack makes bytes of out that fit the limit. First additional records go,
// which nobody misses (RFC 2181 Section 9); then those of the others that there
// is no room for, and the answer says so.
func (q *query) pack() []byte {
	m := &q.out
	m.Compress = true
	extra := m.Extra
	try := func() []byte {
		m.Extra = extra
		if q.opt != nil {
			o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
			o.SetUDPSize(maxUDP)
			if q.do {
				o.SetDo()
			}
			m.Extra = append(extra[:len(extra):len(extra)], o)
		}
		b, err := m.Pack()
		if err != nil || len(b) > q.limit {
			return nil
		}
		return b
	}
	for {
		if b := try(); b != nil {
			return b
		}
		if len(extra) == 0 {
			break
		}
		extra = extra[:len(extra)-1]
	}
	q.r.count.Truncated++
	m.Truncated = true
	m.Ns = nil
	// As many as fit: more than low are known not to.
	answers := m.Answer
	low, high := 0, len(answers)
	for low < high {
		n := (low + high + 1) / 2
		if m.Answer = answers[:n]; try() != nil {
			low = n
		} else {
			high = n - 1
		}
	}
	m.Answer = answers[:low]
	return try()
}

// usable reports whether an address of another link is of use in the mesh.
func usable(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.Is4In6() }
