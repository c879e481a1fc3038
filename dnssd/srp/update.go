package srp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/dnssd"
)

// Why an update is not one that RFC 9665 Section 3.3.2 allows.
var (
	ErrZone         = errors.New("srp: not a zone of this server")
	ErrOutside      = errors.New("srp: a name outside the zone")
	ErrPrerequisite = errors.New("srp: an update with prerequisites")
	ErrAdditional   = errors.New("srp: an update has an OPT and, at its end, a SIG record")
	ErrInstruction  = errors.New("srp: a record that is no part of a registration")
	ErrTTL          = errors.New("srp: records of one set with different times to live")
	ErrHost         = errors.New("srp: not exactly one host")
	ErrHostKey      = errors.New("srp: not exactly one key")
	ErrNoAddress    = errors.New("srp: no address that others can use")
	ErrService      = errors.New("srp: the records of a service do not fit together")
	ErrTarget       = errors.New("srp: a service on another host")
)

// update is what an SRP update asks for.
type update struct {
	id       uint16
	host     string
	addrs    []netip.Addr
	ttl      uint32 // of addresses, seconds
	key      key
	services []*serviceUpdate
	asked    lease
	sig      signature
}

// serviceUpdate is the Service Description Instruction of one instance with
// the Service Discovery Instructions that point to it.
type serviceUpdate struct {
	instance, typ  string
	subtypes       []string
	pointed        bool // by an instruction of the base type
	added, removed bool // what the pointers do
	cleared        bool // all records deleted
	srv, txt       bool
	target         string // the host
	ttl            uint32
	priority       uint16
	weight         uint16
	port           uint16
	data           []byte // of TXT, aliases the message
}

// parser collects the instructions of an update.
type parser struct {
	reader
	zone     []string
	u        *update
	services map[string]*serviceUpdate // by instanceKey
	ttls     map[string]uint32         // of sets with several records
	hosts    int                       // cleared
	keys     int
}

// decodeUpdate reads an update whose header is h. zoneOK says which zones are
// the server's. Which code an error is answered with, codeOf knows.
func decodeUpdate(b []byte, h header, zoneOK func(zone []string) bool) (*update, error) {
	p := &parser{
		reader:   reader{b, headerLen},
		u:        &update{id: h.id},
		services: map[string]*serviceUpdate{},
		ttls:     map[string]uint32{},
	}
	if h.zones != 1 {
		return nil, &DecodeError{"zone section", headerLen, fmt.Errorf("%d zones", h.zones)}
	}
	zone, typ, class, err := p.question()
	switch {
	case err != nil:
		return nil, err
	case typ != typeSOA:
		return nil, &DecodeError{"zone section", headerLen, fmt.Errorf("type %d", typ)}
	case class != classIN || !zoneOK(zone):
		return nil, ErrZone
	case h.prerequisites != 0:
		return nil, ErrPrerequisite
	}
	p.zone = zone
	for range h.updates {
		rec, err := p.record()
		if err != nil {
			return nil, err
		}
		if err := p.instruction(rec); err != nil {
			return nil, err
		}
	}
	if err := p.trailer(h.additional); err != nil {
		return nil, err
	}
	return p.u, p.complete()
}

// trailer reads the lease and the signature.
func (p *parser) trailer(n uint16) error {
	if n != 2 {
		return ErrAdditional
	}
	opt, err := p.record()
	if err != nil {
		return err
	}
	sig, err := p.record()
	if err != nil {
		return err
	}
	if opt.typ != typeOPT || len(opt.name) != 0 || sig.typ != typeSIG {
		return ErrAdditional
	}
	if p.off != len(p.msg) {
		return p.fail("message", ErrSurplus)
	}
	if p.u.asked, err = decodeLease(opt); err != nil {
		return err
	}
	p.u.sig, err = decodeSignature(&p.reader, sig)
	return err
}

// relative is a name without the zone that it is in.
func (p *parser) relative(name []string) ([]string, bool) {
	n := len(name) - len(p.zone)
	if n < 1 || !sameName(name[n:], p.zone) {
		return nil, false
	}
	return name[:n], true
}

func sameName(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if dnssd.Fold(a[i]) != dnssd.Fold(b[i]) {
			return false
		}
	}
	return true
}

// instruction takes one record of the update section. What it belongs to shows
// in the shape of its name: a host is one label; below _tcp and _udp there are
// types, instances of them, and subtypes.
func (p *parser) instruction(rec record) error {
	name, ok := p.relative(rec.name)
	if !ok {
		return ErrOutside
	}
	switch {
	case len(name) == 1:
		return p.hostRecord(name[0], rec)
	case len(name) == 2 && isType(name):
		return p.pointer(name, "", rec)
	case len(name) == 4 && isType(name[2:]) && dnssd.Fold(name[1]) == "_sub":
		return p.pointer(name[2:], name[0], rec)
	case len(name) == 3 && isType(name[1:]):
		return p.serviceRecord(name, rec)
	}
	return ErrInstruction
}

// isType reports whether two labels are a type of service (RFC 6763 Section
// 7). Of what RFC 6335 Section 5.1 asks of the name, only its letters matter
// here: without dots the two make one string.
func isType(l []string) bool {
	proto := dnssd.Fold(l[1])
	if len(l[0]) < 2 || l[0][0] != '_' || dnssd.Fold(l[0]) == "_sub" || proto != "_udp" && proto != "_tcp" {
		return false
	}
	for i := 1; i < len(l[0]); i++ {
		c := l[0][i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func typeName(l []string) string { return l[0] + "." + l[1] }

// isClear reports a "Delete All RRsets From A Name" (RFC 2136 Section 2.5.3).
func isClear(rec record) bool {
	return rec.class == classANY && rec.typ == typeANY && rec.ttl == 0 && len(rec.data) == 0
}

// service returns the instructions of an instance, new ones if need be.
func (p *parser) service(instance, typ string) *serviceUpdate {
	k := instanceKey(instance, typ)
	s := p.services[k]
	if s == nil {
		s = &serviceUpdate{instance: instance, typ: typ}
		p.services[k] = s
		p.u.services = append(p.u.services, s)
	}
	return s
}

// sameTTL checks that a set's records agree (RFC 9665 Section 4).
func (p *parser) sameTTL(set string, ttl uint32) error {
	if have, ok := p.ttls[set]; ok && have != ttl {
		return ErrTTL
	}
	p.ttls[set] = ttl
	return nil
}

// pointer takes a Service Discovery Instruction (RFC 9665 Section 3.3.1.1).
func (p *parser) pointer(typ []string, subtype string, rec record) error {
	if rec.typ != typePTR || rec.class != classIN && rec.class != classNONE {
		return ErrInstruction
	}
	target, n, err := p.nameIn(rec, 0)
	if err != nil {
		return err
	}
	if n != len(rec.data) {
		return &DecodeError{"PTR record", rec.dataStart, ErrRData}
	}
	name, ok := p.relative(target)
	if !ok {
		return ErrOutside
	}
	if len(name) != 3 || !sameName(name[1:], typ) {
		return ErrService
	}
	s := p.service(name[0], typeName(typ))
	if rec.class == classNONE {
		// A subtype is never removed by itself (RFC 9665 Section 3.3.4).
		s.removed = true
		s.pointed = s.pointed || subtype == ""
		return nil
	}
	s.added = true
	set := "P" + dnssd.Fold(typeName(typ)) + "\x00" + dnssd.Fold(subtype)
	if err := p.sameTTL(set, rec.ttl); err != nil {
		return err
	}
	if subtype == "" {
		s.typ, s.pointed = typeName(typ), true
		return nil
	}
	for _, have := range s.subtypes {
		if dnssd.Fold(have) == dnssd.Fold(subtype) {
			return ErrService
		}
	}
	s.subtypes = append(s.subtypes, strings.Clone(subtype))
	return nil
}

// serviceRecord takes a part of a Service Description Instruction (RFC 9665
// Section 3.3.1.2).
func (p *parser) serviceRecord(name []string, rec record) error {
	s := p.service(name[0], typeName(name[1:]))
	if isClear(rec) {
		if s.cleared || s.srv || s.txt {
			return ErrService
		}
		s.cleared = true
		return nil
	}
	if rec.class != classIN {
		return ErrInstruction
	}
	if !s.cleared {
		return ErrService // it would have no effect
	}
	switch rec.typ {
	case typeKEY:
		return p.keyRecord(rec)
	case typeTXT:
		if s.txt {
			return ErrService
		}
		if err := checkTXT(rec); err != nil {
			return err
		}
		s.txt, s.data = true, rec.data
		return nil
	case typeSRV:
		return p.srv(s, rec)
	}
	return ErrInstruction
}

const srvFixed = 6 // RDATA of SRV before the target (RFC 2782)

func (p *parser) srv(s *serviceUpdate, rec record) error {
	if s.srv {
		return ErrService
	}
	target, n, err := p.nameIn(rec, srvFixed)
	if err != nil {
		return err
	}
	if n != len(rec.data) {
		return &DecodeError{"SRV record", rec.dataStart, ErrRData}
	}
	host, ok := p.relative(target)
	if !ok || len(host) != 1 {
		return ErrTarget
	}
	s.srv, s.target, s.ttl = true, host[0], rec.ttl
	s.priority = uint16(rec.data[0])<<8 | uint16(rec.data[1])
	s.weight = uint16(rec.data[2])<<8 | uint16(rec.data[3])
	s.port = uint16(rec.data[4])<<8 | uint16(rec.data[5])
	return nil
}

// checkTXT checks that a TXT record consists of whole strings (RFC 1035
// Section 3.3.14).
func checkTXT(rec record) error {
	b := rec.data
	for len(b) > 0 && len(b) > int(b[0]) {
		b = b[1+int(b[0]):]
	}
	if len(rec.data) == 0 || len(b) != 0 {
		return &DecodeError{"TXT record", rec.dataStart, ErrRData}
	}
	return nil
}

// hostRecord takes a part of the Host Description Instruction (RFC 9665 Section
// 3.3.1.3).
func (p *parser) hostRecord(name string, rec record) error {
	if p.u.host != "" && dnssd.Fold(p.u.host) != dnssd.Fold(name) {
		return ErrHost
	}
	p.u.host = name
	if isClear(rec) {
		if p.hosts++; p.hosts > 1 || p.keys > 0 {
			return ErrHost
		}
		return nil
	}
	if rec.class != classIN {
		return ErrInstruction
	}
	switch rec.typ {
	case typeKEY:
		p.keys++
		return p.keyRecord(rec)
	case typeA, typeAAAA:
		set := "A"
		if rec.typ == typeAAAA {
			set = "AAAA"
		}
		if err := p.sameTTL(set, rec.ttl); err != nil {
			return err
		}
		a, ok := netip.AddrFromSlice(rec.data)
		if !ok || a.Is4() != (rec.typ == typeA) {
			return &DecodeError{"address record", rec.dataStart, ErrRData}
		}
		if p.hosts == 0 {
			return ErrHost // it would have no effect
		}
		p.u.ttl = rec.ttl
		p.address(a)
		return nil
	}
	return ErrInstruction
}

// address notes an address if it is of use beyond the link (RFC 9665 Section
// 3.3.1.3).
func (p *parser) address(a netip.Addr) {
	if !a.IsGlobalUnicast() || a.Is4In6() {
		return
	}
	for _, have := range p.u.addrs {
		if have == a {
			return
		}
	}
	p.u.addrs = append(p.u.addrs, a)
}

// keyRecord takes a KEY, the same one on all names.
func (p *parser) keyRecord(rec record) error {
	k, err := decodeKey(rec.data)
	if err != nil {
		return err
	}
	if p.u.key != (key{}) && p.u.key != k {
		return ErrHostKey
	}
	p.u.key = k
	return nil
}

// complete checks what only shows when all records are there.
func (p *parser) complete() error {
	u := p.u
	switch {
	case p.hosts != 1:
		return ErrHost
	case p.keys != 1:
		return ErrHostKey
	case len(u.addrs) == 0 && u.asked.lease != 0:
		return ErrNoAddress
	}
	if signer, ok := p.relative(u.sig.signer); !ok || len(signer) != 1 || dnssd.Fold(signer[0]) != dnssd.Fold(u.host) {
		return ErrSigner
	}
	for _, s := range u.services {
		switch {
		case !s.cleared, s.srv != s.txt, s.added && s.removed:
			return ErrService
		case s.srv && dnssd.Fold(s.target) != dnssd.Fold(u.host):
			return ErrTarget
		case s.srv && !(s.added && s.pointed), !s.srv && s.added:
			return ErrService
		}
	}
	return nil
}
