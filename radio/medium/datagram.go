package medium

import "time"

// Datagram is one frame as a medium of datagrams got it, on its way from who
// reads them to who owns the radio. It must not be changed.
type Datagram struct {
	At      time.Time // when it came
	From    int       // the sender's number, where nodes have numbers
	Channel uint8
	PSDU    []byte // with FCS
	LQI     uint8  // 0 if the medium cannot tell
}

// Frame is what was on air: channel, PSDU with FCS, and when. It is for those
// who record; a radio gets it by its medium's Deliver.
func (d Datagram) Frame() (channel uint8, psdu []byte, at time.Time) { return d.Channel, d.PSDU, d.At }
