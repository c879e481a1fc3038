package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Options describe a file to whoever reads it. All may be left zero.
type Options struct {
	Hardware    string // "Nordic nRF52840 dongle"
	OS          string
	Application string // program and version
	Interface   string // "wpan0"
	Nanoseconds bool   // resolution of time stamps; default microseconds
}

// A Writer writes a pcapng file with one interface of link type TAP. Blocks go
// to the underlying writer whole, one Write each, so that a reader at the other
// end of a pipe sees packets as they come.
type Writer struct {
	w     io.Writer
	nanos bool
	buf   []byte
}

// NewWriter writes the section header and interface description to w.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	wr := &Writer{w: w, nanos: o.Nanoseconds}

	b := wr.begin(blockSection)
	b = binary.LittleEndian.AppendUint32(b, orderMagic)
	b = append(b, 1, 0, 0, 0)                                   // version 1.0
	b = binary.LittleEndian.AppendUint64(b, 0xffffffffffffffff) // section length not known
	b = appendText(b, optHardware, o.Hardware)
	b = appendText(b, optOS, o.OS)
	b = appendText(b, optApp, o.Application)
	if err := wr.end(b); err != nil {
		return nil, fmt.Errorf("pcap: write section header: %w", err)
	}

	b = wr.begin(blockInterface)
	b = binary.LittleEndian.AppendUint16(b, uint16(LinkTAP))
	b = append(b, 0, 0, 0, 0, 0, 0) // reserved, no snapshot length
	b = appendText(b, optName, o.Interface)
	res := byte(6)
	if o.Nanoseconds {
		res = 9
	}
	b = appendOption(b, optTimeRes, res)
	if err := wr.end(b); err != nil {
		return nil, fmt.Errorf("pcap: write interface description: %w", err)
	}
	return wr, nil
}

// Write appends a packet: its time, PSDU and what else of its first group of
// fields is known.
func (w *Writer) Write(p *Packet) error {
	ts := uint64(p.Time.UnixMicro())
	if w.nanos {
		ts = uint64(p.Time.UnixNano())
	}
	b := w.begin(blockEnhanced)
	b = append(b, 0, 0, 0, 0) // interface
	b = binary.LittleEndian.AppendUint32(b, uint32(ts>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(ts))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // lengths, below
	start := len(b)
	b = p.appendTAP(b)
	n := len(b) - start
	binary.LittleEndian.PutUint32(b[start-8:], uint32(n))
	binary.LittleEndian.PutUint32(b[start-4:], uint32(n))
	b = append(b, make([]byte, pad4(n))...)
	b = appendText(b, optComment, p.Comment)
	if p.Direction != DirectionUnknown {
		b = appendOption(b, optFlags, byte(p.Direction), 0, 0, 0)
	}
	if err := w.end(b); err != nil {
		return fmt.Errorf("pcap: write packet: %w", err)
	}
	return nil
}

// begin starts a block in the buffer that all blocks share.
func (w *Writer) begin(typ uint32) []byte {
	b := binary.LittleEndian.AppendUint32(w.buf[:0], typ)
	return append(b, 0, 0, 0, 0) // total length, set by end
}

// end closes the options, sets both lengths and writes the block.
func (w *Writer) end(b []byte) error {
	b = append(b, optEnd, 0, 0, 0)
	n := uint32(len(b) + 4)
	binary.LittleEndian.PutUint32(b[4:], n)
	w.buf = binary.LittleEndian.AppendUint32(b, n)
	_, err := w.w.Write(w.buf)
	return err
}

// maxText keeps an option within its 16-bit length.
const maxText = 1024

func appendText(b []byte, code uint16, s string) []byte {
	if s == "" {
		return b
	}
	return appendOption(b, code, []byte(s[:min(len(s), maxText)])...)
}

func appendOption(b []byte, code uint16, v ...byte) []byte {
	return appendTLV(b, code, v...) // same layout as a TAP TLV
}
