package mdns

import "encoding/binary"

// Sections of a message, in their order.
const (
	sectionQuestion = iota
	sectionAnswer
	sectionAuthority
	sectionAdditional
)

// writer fills packets up to a limit. Sections are written in their order.
type writer struct {
	buf   []byte
	limit int
	plain bool // no compression in data (RFC 6762 Section 18.14, for legacy queriers)
	names map[Name]int
	order []Name // as they came into names
}

// start begins a packet.
func (w *writer) start(id, flags uint16, limit int) {
	w.buf = binary.BigEndian.AppendUint16(w.buf[:0], id)
	w.buf = binary.BigEndian.AppendUint16(w.buf, flags)
	w.buf = append(w.buf, 0, 0, 0, 0, 0, 0, 0, 0)
	w.limit = limit
	w.plain = false
	if w.names == nil {
		w.names = map[Name]int{}
	}
	clear(w.names)
	w.order = w.order[:0]
}

func (w *writer) count(section int) int {
	return int(binary.BigEndian.Uint16(w.buf[4+2*section:]))
}

// empty reports whether nothing has been added.
func (w *writer) empty() bool { return len(w.buf) == headerLen }

func (w *writer) setFlag(flag uint16) {
	binary.BigEndian.PutUint16(w.buf[2:], binary.BigEndian.Uint16(w.buf[2:])|flag)
}

// close keeps what was written since mark if it fits.
func (w *writer) close(section, mark int) bool {
	n := w.count(section) + 1
	if len(w.buf) > w.limit || n > 0xffff {
		w.buf = w.buf[:mark]
		for i := len(w.order) - 1; i >= 0 && w.names[w.order[i]] >= mark; i-- {
			delete(w.names, w.order[i])
			w.order = w.order[:i]
		}
		return false
	}
	binary.BigEndian.PutUint16(w.buf[4+2*section:], uint16(n))
	return true
}

func (w *writer) question(q Question) bool {
	mark := len(w.buf)
	w.name(q.Name)
	class := q.Class
	if q.Unicast {
		class |= topBit
	}
	w.buf = binary.BigEndian.AppendUint16(w.buf, q.Type)
	w.buf = binary.BigEndian.AppendUint16(w.buf, class)
	return w.close(sectionQuestion, mark)
}

func (w *writer) record(section int, r Record) bool {
	mark := len(w.buf)
	w.name(r.Name)
	w.buf = appendFixed(w.buf, r)
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0)
	if l := layouts[r.Type]; compressed(r.Type) && !w.plain {
		target := Name(r.Data[l.before:])
		end := nameLen(target)
		w.buf = append(w.buf, r.Data[:l.before]...)
		w.name(target[:end])
		w.buf = append(w.buf, target[end:]...)
	} else {
		w.buf = append(w.buf, r.Data...)
	}
	binary.BigEndian.PutUint16(w.buf[at:], uint16(len(w.buf)-at-2))
	return w.close(section, mark)
}

// nameLen is the length of the name that n begins with.
func nameLen(n Name) int {
	i := 0
	for n[i] != 0 {
		i += 1 + int(n[i])
	}
	return i + 1
}

// name writes a name, the end of it by a pointer where it stands already.
func (w *writer) name(n Name) {
	for len(n) > 1 {
		if at, ok := w.names[n]; ok {
			w.buf = binary.BigEndian.AppendUint16(w.buf, 0xc000|uint16(at))
			return
		}
		if len(w.buf) < 0x4000 {
			w.names[n] = len(w.buf)
			w.order = append(w.order, n)
		}
		l := 1 + int(n[0])
		w.buf = append(w.buf, n[:l]...)
		n = n[l:]
	}
	w.buf = append(w.buf, 0)
}

// Append appends the message as a packet, whatever its size.
func (m Message) Append(b []byte) []byte {
	flags := uint16(m.Opcode&15)<<11 | uint16(m.Rcode&15)
	for bit, set := range map[uint16]bool{
		flagResponse: m.Response, flagAuthoritative: m.Authoritative, flagTruncated: m.Truncated,
	} {
		if set {
			flags |= bit
		}
	}
	var w writer
	w.start(m.ID, flags, 0xffff)
	for _, q := range m.Questions {
		w.question(q)
	}
	for i, rs := range [][]Record{m.Answers, m.Authorities, m.Additionals} {
		for _, r := range rs {
			w.record(sectionAnswer+i, r)
		}
	}
	return append(b, w.buf...)
}
