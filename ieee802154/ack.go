package ieee802154

// AppendImmAck appends an immediate acknowledgment of the frame with sequence
// number seq (IEEE 802.15.4-2015 Section 7.3.3). pending tells a device that
// polls that data follows.
func AppendImmAck(b []byte, seq uint8, pending bool) []byte {
	return append(b, byte(FrameAck)|byte(bit(pending, fcfPending)), 0, seq)
}

// EnhAck returns the enhanced acknowledgment of rx, a frame of version 2015
// that asked for one: back to its source, without a source of its own, and
// secured in the same way if rx was. The caller sets Security.Counter and, if
// there are any, HeaderIEs, before it is sealed.
func EnhAck(rx *Frame, pending bool) Frame {
	ack := Frame{
		Type:          FrameAck,
		Version:       Version2015,
		Pending:       pending,
		SeqSuppressed: rx.SeqSuppressed,
		Seq:           rx.Seq,
		DstPAN:        rx.SrcPAN,
		Dst:           rx.Src,
		Secured:       rx.Secured,
		Security:      rx.Security,
	}
	dstPAN, srcPAN := rx.PANsPresent()
	ack.PANCompressed = !dstPAN && !srcPAN
	ack.Security.Counter = 0
	return ack
}
