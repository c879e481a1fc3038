// Package medium simulates what lies between IEEE 802.15.4 radios.
//
// Air is a shared medium in memory and on virtual time: the 2.4 GHz O-QPSK PHY
// of IEEE 802.15.4-2020 Section 12 at 250 kb/s, with air time, half duplex
// stations, path loss, noise and collisions. A thousand stations are cheap.
//
// Package medium/udp is the other medium: datagrams, as OpenThread's
// simulation exchanges them.
package medium

import "time"

// The 2.4 GHz band of channel page 0 (IEEE 802.15.4-2020 Section 10.1.3.3).
const (
	FirstChannel uint8 = 11
	LastChannel  uint8 = 26
)

// The O-QPSK PHY's numbers (IEEE 802.15.4-2020 Section 12 and Table 11-1).
const (
	Symbol   = 16 * time.Microsecond
	ByteTime = 2 * Symbol
	// SHR is the time from a frame's first bit to the end of its SFD.
	SHR = 5 * ByteTime
	// MaxPSDU is aMaxPhyPacketSize, FCS included.
	MaxPSDU = 127
	// headerLen is preamble, SFD and PHY header.
	headerLen = 6
)

// Airtime is how long a PSDU of n bytes, FCS included, is on air.
func Airtime(n int) time.Duration {
	return time.Duration(headerLen+n) * ByteTime
}

// Frame is one frame as it comes in.
type Frame struct {
	Channel uint8
	// PSDU ends with the FCS. Receivers share it: it must not be changed, and
	// not be kept after the call that hands it over.
	PSDU []byte
	RSSI int8      // dBm
	LQI  uint8     // 0 if the medium cannot tell
	SFD  time.Time // when the SFD ended
}

// Receiver is the radio on a Port.
type Receiver interface {
	// Heard is called at the end of each frame that came through. Whether its
	// FCS is right and whom it is for, the receiver finds out.
	Heard(now time.Time, f Frame)
}

// Port is one radio's place in a medium. Its methods must not be called while
// another one runs.
type Port interface {
	// Attach says who receives; until then nobody does.
	Attach(r Receiver)
	// Tune turns the receiver to a channel, or off if channel is 0. Only a
	// frame of which nothing was missed is received.
	Tune(now time.Time, channel uint8)
	// Transmit puts a PSDU, with FCS, on air. The receiver is deaf for Airtime
	// and then what Tune made it. The PSDU is copied.
	Transmit(now time.Time, channel uint8, power int8, psdu []byte)
	// Energy is what a receiver on channel would measure now, in dBm.
	Energy(now time.Time, channel uint8) int8
	// Airtime is how long a PSDU of n bytes, FCS included, is on air: 0 for a
	// medium in which frames take no time and cannot collide.
	Airtime(n int) time.Duration
}
