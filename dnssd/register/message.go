package register

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"time"

	"github.com/miekg/dns"

	"gatewayd/dnssd"
)

// Numbers of RFC 2535, RFC 6605 and RFC 9664.
const (
	algorithmP256 = 13
	keyFlags      = 0x0201
	keyProtocol   = 3
	optionLease   = 2
	typeSIG       = 24
	classANY      = 255
	scalarLen     = 32
	headerLen     = 12
	additional    = 11 // low octet of ARCOUNT
)

// an update is what one message asks for.
type update struct {
	id         uint16
	host       Host
	services   []Service // of the host, as they shall be
	removed    []Service
	lease, key time.Duration
	ttl        time.Duration
}

func header(name string, typ, class uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: class, Ttl: uint32(ttl / time.Second)}
}

// all is the instruction to delete what a name has (RFC 9665 Section 3.3.1).
func all(name string) dns.RR { return &dns.ANY{Hdr: header(name, dns.TypeANY, dns.ClassANY, 0)} }

// fullName is a name in the domain.
func fullName(labels ...string) string { return dnssd.JoinName(labels...) + dnssd.DefaultDomain }

// append appends the signed message. A host without lease is removed, with its
// services; without key lease its name is given up, too.
func (u *update) append(key *ecdsa.PrivateKey, random io.Reader) ([]byte, error) {
	in := func(name string, typ uint16) dns.RR_Header { return header(name, typ, dns.ClassINET, u.ttl) }
	host := fullName(u.host.Name)
	m := &dns.Msg{}
	m.SetUpdate(dnssd.DefaultDomain)
	m.Id, m.Compress = u.id, true
	for _, s := range u.services {
		typ := dnssd.SplitName(s.Type)
		instance := fullName(append([]string{s.Instance}, typ...)...)
		m.Ns = append(m.Ns, &dns.PTR{Hdr: in(fullName(typ...), dns.TypePTR), Ptr: instance})
		for _, sub := range s.Subtypes {
			m.Ns = append(m.Ns, &dns.PTR{Hdr: in(fullName(append([]string{sub, "_sub"}, typ...)...), dns.TypePTR), Ptr: instance})
		}
		m.Ns = append(m.Ns, all(instance),
			&dns.SRV{Hdr: in(instance, dns.TypeSRV), Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: host},
			&dns.RFC3597{Hdr: in(instance, dns.TypeTXT), Rdata: hexOf(s.TXT)})
	}
	for _, s := range u.removed {
		typ := dnssd.SplitName(s.Type)
		instance := fullName(append([]string{s.Instance}, typ...)...)
		m.Ns = append(m.Ns, &dns.PTR{Hdr: header(fullName(typ...), dns.TypePTR, dns.ClassNONE, 0), Ptr: instance}, all(instance))
	}
	m.Ns = append(m.Ns, all(host))
	if u.lease > 0 {
		for _, a := range u.host.Addrs {
			m.Ns = append(m.Ns, &dns.AAAA{Hdr: in(host, dns.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	k := &dns.KEY{}
	k.Hdr = in(host, dns.TypeKEY)
	k.Flags, k.Protocol, k.Algorithm = keyFlags, keyProtocol, algorithmP256
	k.PublicKey = base64.StdEncoding.EncodeToString(point[1:]) // without the mark of an uncompressed point
	m.Ns = append(m.Ns, k)
	lease := binary.BigEndian.AppendUint32(nil, uint32(u.lease/time.Second))
	lease = binary.BigEndian.AppendUint32(lease, uint32(u.key/time.Second))
	m.Extra = []dns.RR{&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT},
		Option: []dns.EDNS0{&dns.EDNS0_LOCAL{Code: optionLease, Data: lease}}}}
	b, err := m.Pack()
	if err != nil {
		return nil, err
	}
	return sign(b, host, key, random)
}

// sign adds SIG(0), without times: a device may have no clock (RFC 2931 Section
// 3, RFC 9665 Section 3.2.5.4).
func sign(b []byte, signer string, key *ecdsa.PrivateKey, random io.Reader) ([]byte, error) {
	data := []byte{0, 0, algorithmP256, 0, 0, 0, 0, 0}
	data = append(data, make([]byte, 10)...) // expiration, inception, key tag
	for _, l := range dnssd.SplitName(signer) {
		data = append(append(data, byte(len(l))), l...)
	}
	data = append(data, 0)
	h := sha256.New()
	h.Write(data)
	h.Write(b)
	r, s, err := ecdsa.Sign(random, key, h.Sum(nil))
	if err != nil {
		return nil, err
	}
	data = append(data, make([]byte, 2*scalarLen)...)
	r.FillBytes(data[len(data)-2*scalarLen : len(data)-scalarLen])
	s.FillBytes(data[len(data)-scalarLen:])
	b[additional]++
	b = append(b, 0, 0, typeSIG, 0, classANY, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...), nil
}

const digits = "0123456789abcdef"

// hexOf is the data of a record in digits, as RFC3597 wants it. A service
// without attributes has one empty string (RFC 6763 Section 6.1).
func hexOf(b []byte) string {
	if len(b) == 0 {
		b = []byte{0}
	}
	var s []byte
	for _, x := range b {
		s = append(s, digits[x>>4], digits[x&0xf])
	}
	return string(s)
}

// reply takes an answer apart: its code, and what was granted if it says so.
func reply(b []byte) (id uint16, code int, lease time.Duration, ok bool) {
	var m dns.Msg
	if len(b) < headerLen || m.Unpack(b) != nil || !m.Response || m.Opcode != dns.OpcodeUpdate {
		return 0, 0, 0, false
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if l, is := o.(*dns.EDNS0_UL); is {
				lease = time.Duration(l.Lease) * time.Second
			}
		}
	}
	return m.Id, m.Rcode & 0xf, lease, true
}
