package sim

import (
	"io"

	"gatewayd/ieee802154"
	"gatewayd/pcap"
	"gatewayd/radio/medium"
)

// Capture writes every frame from now on to a packet file. After an error of
// w nothing more is written; failed reports it.
func (w *World) Capture(to io.Writer) (failed func() error, err error) {
	pw, err := pcap.NewWriter(to, pcap.Options{Application: "gatewayd simulator", Interface: "air", Nanoseconds: true})
	if err != nil {
		return nil, err
	}
	var broken error
	w.Tap(func(s medium.Sighting) {
		n := len(s.PSDU) - ieee802154.FCSLen
		if broken != nil || n < 0 {
			return
		}
		p := pcap.Packet{Time: s.At, Channel: s.Channel, PSDU: s.PSDU[:n], HasFCS: true,
			FCS: uint16(s.PSDU[n]) | uint16(s.PSDU[n+1])<<8}
		if n := w.NodeAt(s.From); n != nil {
			p.Comment = n.Name
		}
		broken = pw.Write(&p)
	})
	return func() error { return broken }, nil
}
