package pana

import (
	"cmp"
	"slices"
)

// A codec turns messages to bytes and back the way one machine does.
type codec struct {
	profile Profile
	arrange func(AVPs) // puts AVPs in the order in which they are sent
}

// byCode sorts AVPs by their codes, those of vendors last.
func byCode(as AVPs) {
	slices.SortStableFunc(as, func(a, b AVP) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Code, b.Code))
	})
}

// encode makes the bytes of m, which it may change, and protects them if there
// are keys.
func (c *codec) encode(m *Message, sa *SA) []byte {
	c.arrange(m.AVPs)
	c.profile.Translate(m.AVPs)
	b := m.Append(make([]byte, 0, HeaderLen+m.AVPs.len()+avpHeaderLen+20))
	if sa != nil {
		b = sa.Seal(b)
	}
	return b
}

// decode reads and checks a message. The codes of its AVPs are RFC 6786's.
func (c *codec) decode(b []byte) (*Message, error) {
	m, err := Decode(b)
	if err != nil {
		return nil, err
	}
	c.profile.Translate(m.AVPs)
	return m, m.Check()
}

func (as AVPs) len() (n int) {
	for i := range as {
		n += as[i].Len()
	}
	return n
}
