// Package radio says what an IEEE 802.15.4 radio is to the MAC above it.
//
// A radio is told once what it should be (Settings) and keeps itself so: the
// Spinel link to a co-processor compares Settings with what the co-processor
// has been told and sends the difference, which after a reset is everything.
// What a radio does beside that is to transmit one frame at a time and to scan.
//
// Two radios exist: spinel.Link drives a co-processor over bytes; rcp.Radio is
// one itself, over a simulated medium. The division of labour is OpenThread's
// (its otRadioCaps): retries, CSMA-CA, acknowledgements, frame counters and
// frame security can sit on either side.
package radio

import (
	"time"

	"gatewayd/ieee802154"
)

// Caps are the radio's capabilities, bits as in Spinel's RADIO_CAPS property
// and OpenThread's otRadioCaps.
type Caps uint16

// The capabilities.
const (
	CapAckTimeout       Caps = 1 << 0 // reports a missing acknowledgement by itself
	CapEnergyScan       Caps = 1 << 1
	CapTransmitRetries  Caps = 1 << 2
	CapCSMABackoff      Caps = 1 << 3
	CapSleepToTx        Caps = 1 << 4
	CapTransmitSecurity Caps = 1 << 5 // fills in counter and key index, encrypts
	CapTransmitTiming   Caps = 1 << 6
	CapReceiveTiming    Caps = 1 << 7
	CapRxOnWhenIdle     Caps = 1 << 8
	CapAltShort         Caps = 1 << 10 // listens to Settings.AltShort too
)

// Has reports whether all of want are there.
func (c Caps) Has(want Caps) bool { return c&want == want }

// Info is what a radio says of itself when it comes up.
type Info struct {
	EUI64         ieee802154.ExtAddr
	Caps          Caps
	Version       string // firmware, as the radio words it
	RxSensitivity int8   // dBm
	Channels      uint32 // bit n: channel n is supported
	CSLAccuracy   uint8  // ppm
	CSLUncertain  uint8  // 10 us
	CSLReceiver   bool   // Settings.CSL is heeded
	// BusTime is how long a frame takes to the radio, at most.
	BusTime time.Duration
}

// Settings is what the MAC wants its radio to be. The zero value is a radio
// that is off. Slices are not kept: Configure copies what it needs.
type Settings struct {
	Enabled   bool // the PHY is powered
	Receiving bool // the receiver is on, on Channel
	Channel   uint8
	PANID     uint16
	Short     uint16 // ieee802154.InvalidShort when there is none
	AltShort  uint16 // also ours for a while after a role change, or InvalidShort
	Ext       ieee802154.ExtAddr

	// Keys for key id mode 1; used with CapTransmitSecurity for what is sent
	// and for enhanced acknowledgements. Ignored while Keys.Index is 0.
	Keys Keys
	// FrameCounter is the next counter to use with Keys at the moment the
	// radio is given it: a radio never goes below it. Radios with
	// CapTransmitSecurity report in TxResult how far they are.
	FrameCounter uint32
	// CounterFloor is what the counter must not stay below although the keys
	// are the same: neighbours were told so. 0 leaves it alone.
	CounterFloor uint32

	// SourceMatch says whose data requests are acknowledged with the
	// frame-pending bit: everybody's when off, those listed when on.
	SourceMatch      bool
	SourceMatchShort []uint16
	SourceMatchExt   []ieee802154.ExtAddr

	// CSL makes a radio that is not Receiving listen now and then.
	CSL CSL
	// Probes are the neighbours that want to know how their frames arrive. The
	// list is not changed: a new one replaces it.
	Probes []Probe

	Promiscuous bool
}

// CSL is when a synchronized sleepy device listens (IEEE 802.15.4-2015 Section
// 6.12.2): for a few milliseconds in every period. The radio chooses the
// moments, and writes them into the CSL elements of the frames it is given and
// into its enhanced acknowledgements.
type CSL struct {
	Period  uint16 // in CSLUnit; 0: not at all
	Channel uint8  // 0 is Settings.Channel
	// How exact the clock of the parent is, who sends: the longer ago it was
	// told a moment, the longer the radio listens.
	ParentAccuracy  uint8 // ppm
	ParentUncertain uint8 // 10 us
}

const (
	// CSLUnit is the unit of CSL periods and phases: ten symbols.
	CSLUnit = 160 * time.Microsecond
	// SHR is the time from a frame's first bit to the end of its SFD.
	SHR = 160 * time.Microsecond
	// PHR is the time from there to the first symbol of the MAC header, which
	// is what CSL phases refer to (Thread 1.4 Section 3.2.6.3.4).
	PHR = 32 * time.Microsecond
)

// Metrics are what an enhanced acknowledgement can tell of the frame that it
// answers, bits as in Spinel's RCP_ENH_ACK_PROBING (Thread 1.4 Section 4.11.3).
type Metrics uint8

// The metrics.
const (
	MetricPDUs   Metrics = 1 << 0 // not in an acknowledgement
	MetricLQI    Metrics = 1 << 1
	MetricMargin Metrics = 1 << 2
	MetricRSSI   Metrics = 1 << 3
)

// Probe is a neighbour that is told Metrics in the acknowledgements to it.
type Probe struct {
	Short   uint16
	Ext     ieee802154.ExtAddr
	Metrics Metrics
}

// Keys are the MAC keys of three successive key sequences.
type Keys struct {
	Index                   uint8 // key index of Current, 1..128
	Previous, Current, Next [16]byte
}

// TxFrame is one frame to transmit.
type TxFrame struct {
	// PSDU is the frame without FCS. If Secured is false and its security bit
	// is set, payload is plain, room for the MIC is at the end, and key index
	// and frame counter are for the radio to fill in (CapTransmitSecurity).
	PSDU    []byte
	Channel uint8
	// RxChannel is where to listen afterwards; 0 is Channel.
	RxChannel   uint8
	CSMA        bool
	MaxBackoffs uint8 // CSMA-CA attempts (macMaxCsmaBackoffs)
	MaxRetries  uint8 // after a missing acknowledgement (macMaxFrameRetries)
	Secured     bool  // key index, counter, ciphertext and MIC are final
	HeaderSet   bool  // key index and counter are final, payload is still plain
	Retransmit  bool  // a repetition of an earlier TxFrame with the same sequence
	// At is when the first bit is to leave, for CSL; 0 is now. In microseconds
	// of the radio's clock, see RxFrame.Timestamp.
	At    uint64
	Power int8 // dBm; PowerDefault leaves it to the radio
}

// PowerDefault in TxFrame.Power leaves the transmit power to the radio.
const PowerDefault int8 = 127

// TxStatus is what became of a TxFrame.
type TxStatus uint8

// The outcomes.
const (
	TxOK          TxStatus = iota // sent; acknowledged if that was asked for
	TxNoAck                       // sent, all retries, no acknowledgement
	TxChannelBusy                 // CSMA-CA gave up
	TxAborted                     // the radio would not or could not (also: it went away)
)

func (s TxStatus) String() string {
	switch s {
	case TxOK:
		return "ok"
	case TxNoAck:
		return "no ack"
	case TxChannelBusy:
		return "channel busy"
	default:
		return "aborted"
	}
}

// TxResult answers a TxFrame.
type TxResult struct {
	Status TxStatus
	Ack    RxFrame // PSDU is nil when there was none
	// Set when the radio filled in the auxiliary security header.
	HeaderSet    bool
	KeyIndex     uint8
	FrameCounter uint32
}

// RxFrame is one received frame.
type RxFrame struct {
	PSDU      []byte // without FCS; the callee may keep it
	Channel   uint8
	RSSI      int8 // dBm
	LQI       uint8
	Timestamp uint64 // of the frame's SFD end, microseconds of the radio's clock

	AckedPending bool // we acknowledged it with the frame-pending bit set
	// A secured enhanced acknowledgement was sent, with this key and counter.
	AckedSecured bool
	AckKeyIndex  uint8
	AckCounter   uint32
}

// Radio is a radio as the MAC commands it. Calls return at once; their results
// reach the Handler, later or before the call returns. At most one Transmit
// or EnergyScan is under way at a time; the MAC keeps to that.
type Radio interface {
	Configure(now time.Time, s Settings)
	Transmit(now time.Time, f TxFrame)
	EnergyScan(now time.Time, channel uint8, d time.Duration)
	// Clock is the radio's clock at now in microseconds; false while it is
	// not known.
	Clock(now time.Time) (uint64, bool)
}

// Handler is what a radio reports to.
type Handler interface {
	// RadioUp is called when the radio has become usable, the first time or
	// again. The settings given before hold again; what was being transmitted
	// or scanned has been answered.
	RadioUp(now time.Time, i Info)
	// RadioDown is called when it has stopped being usable.
	RadioDown(now time.Time)
	Received(now time.Time, f RxFrame)
	Transmitted(now time.Time, r TxResult)
	EnergyScanned(now time.Time, channel uint8, maxRSSI int8)
}
