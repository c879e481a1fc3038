package pcap

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"time"
)

// maxRecord bounds the memory that a length in a file can claim: what libpcap
// allows for a packet, and room for the options of a block.
const maxRecord = 262144 + 4096

// pcap file format.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	fileLen    = 24
	recordLen  = 16
	linkMask   = 0xffff // the upper bits of the field tell the FCS length
)

// A Reader reads the packets of a pcap or pcapng file.
type Reader struct {
	r          io.Reader
	off        int64 // of the next byte
	order      binary.ByteOrder
	ng         bool
	interfaces []iface // of the pcapng section; of pcap, the only one
}

// An iface is what an interface description says of its packets.
type iface struct {
	link   LinkType
	snap   uint32
	perSec uint64 // units of time in a second
	offset int64  // seconds
}

// NewReader reads the file header from r. Errors are *DecodeError, or those of
// r.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: r}
	var b [fileLen]byte
	if err := rd.read(b[:4], "file header", true); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b[:]) == blockSection {
		rd.ng = true
		if err := rd.section(0); err != nil {
			return nil, err
		}
		return rd, nil
	}
	rd.order = binary.LittleEndian
	if m := binary.BigEndian.Uint32(b[:]); m == magicMicro || m == magicNano {
		rd.order = binary.BigEndian
	}
	i := iface{perSec: 1e6}
	switch rd.order.Uint32(b[:]) {
	case magicMicro:
	case magicNano:
		i.perSec = 1e9
	default:
		return nil, &DecodeError{What: "file header", Err: ErrFormat}
	}
	if err := rd.read(b[4:], "file header", true); err != nil {
		return nil, err
	}
	i.link = LinkType(rd.order.Uint32(b[20:]) & linkMask)
	rd.interfaces = []iface{i}
	return rd, nil
}

// Next returns the next packet, which the caller may keep, or io.EOF after the
// last one. Other errors are *DecodeError, or those of the underlying reader.
func (r *Reader) Next() (Packet, error) {
	if r.ng {
		return r.nextBlock()
	}
	start := r.off
	var h [recordLen]byte
	if err := r.read(h[:], "packet record", false); err != nil {
		return Packet{}, err
	}
	n, orig := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if n > maxRecord {
		return Packet{}, &DecodeError{What: "packet record", Offset: start + 8, Err: ErrLength}
	}
	data := make([]byte, n)
	if err := r.read(data, "packet data", true); err != nil {
		return Packet{}, err
	}
	i := &r.interfaces[0]
	sec, frac := uint64(r.order.Uint32(h[:])), uint64(r.order.Uint32(h[4:]))
	p := Packet{Time: i.time(sec*i.perSec + frac)}
	p.setData(i.link, data, n < orig)
	return p, nil
}

// read fills b. The end of the file is io.EOF when it comes between two
// elements, and an error inside of one.
func (r *Reader) read(b []byte, what string, inside bool) error {
	n, err := io.ReadFull(r.r, b)
	r.off += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF && inside {
		return &DecodeError{What: what, Offset: r.off, Err: ErrShort}
	}
	return err
}

// time converts a time stamp.
func (i *iface) time(ts uint64) time.Time {
	hi, lo := bits.Mul64(ts%i.perSec, 1e9)
	ns, _ := bits.Div64(hi, lo, i.perSec) // below 1e9, as the remainder is below perSec
	return time.Unix(int64(ts/i.perSec)+i.offset, int64(ns)).UTC()
}
