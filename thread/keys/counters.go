package keys

import (
	"math"

	"gatewayd/ieee802154"
)

// exhausted is the counter at which sending stops: it must not wrap.
const exhausted = math.MaxUint32

// NextMLECounter takes the next MLE frame counter; false when there is none
// left with this key.
func (m *Manager) NextMLECounter() (uint32, bool) {
	if m.mleCounter == exhausted {
		return 0, false
	}
	if m.mleCounter >= m.mleLimit && !m.reserve(m.macLimit, ahead(m.mleCounter)) {
		return 0, false
	}
	m.mleCounter++
	return m.mleCounter - 1, true
}

// MLECounter is the next MLE frame counter, without taking it.
func (m *Manager) MLECounter() uint32 { return m.mleCounter }

// NextMACCounter takes the next MAC frame counter for a radio that leaves
// security to us.
func (m *Manager) NextMACCounter() (uint32, bool) {
	if m.macCounter == exhausted {
		return 0, false
	}
	if !m.ReserveMAC() {
		return 0, false
	}
	m.macCounter++
	return m.macCounter - 1, true
}

// MACCounter is the next MAC frame counter, as far as is known: a radio that
// counts by itself may be ahead by what it has not reported yet.
func (m *Manager) MACCounter() uint32 { return m.macCounter }

// NextTRELCounter takes the next frame counter of frames over TREL; false when
// there is none left with this key. It counts apart from the MAC's, below the
// same stored limit.
func (m *Manager) NextTRELCounter() (uint32, bool) {
	if m.trelCounter == exhausted {
		return 0, false
	}
	if m.trelCounter >= m.macLimit && !m.reserve(ahead(m.trelCounter), m.mleLimit) {
		return 0, false
	}
	m.trelCounter++
	return m.trelCounter - 1, true
}

// LinkCounter is the frame counter that neighbours are told: the higher one of
// the MAC's and TREL's. Both continue from there, as what is told counts for
// all links.
func (m *Manager) LinkCounter() uint32 {
	c := max(m.macCounter, m.trelCounter)
	m.trelCounter = c
	if c > m.macCounter {
		m.macCounter, m.floorMAC = c, c
		m.ReserveMAC()
	}
	return c
}

// MACFloor is what the radio's frame counter must have reached, because it was
// told to neighbours; 0 if the radio counts on as it does.
func (m *Manager) MACFloor() uint32 { return m.floorMAC }

// UsedMACCounter takes a counter that the radio reports to have used with the
// present keys.
func (m *Manager) UsedMACCounter(keyIndex uint8, counter uint32) {
	if keyIndex != Index(m.sequence) || counter < m.macCounter {
		return
	}
	if counter < exhausted {
		m.macCounter = counter + 1
	}
	m.ReserveMAC()
}

// ReserveMAC makes sure that counters are reserved beyond the present one, and
// reports whether they are. A radio that counts by itself uses some before it
// reports, so the reservation is renewed when half of it is gone.
func (m *Manager) ReserveMAC() bool {
	if m.macCounter >= m.macLimit || m.macLimit-m.macCounter <= Reserve/2 {
		m.reserve(ahead(m.macCounter), m.mleLimit)
	}
	return m.macCounter < m.macLimit
}

// SkipMACReserve jumps over everything that a radio which went away may have
// used without reporting it: to the limit, and reserves anew.
func (m *Manager) SkipMACReserve() {
	m.macCounter = m.macLimit
	m.ReserveMAC()
}

func ahead(c uint32) uint32 {
	if c > exhausted-Reserve {
		return exhausted
	}
	return c + Reserve
}

// SetKEK sets the key of a joiner session for key id mode 0, its counter at 0.
func (m *Manager) SetKEK(key [16]byte) {
	m.kek, m.kekSet, m.kekCtr = ieee802154.NewCCM(key), true, 0
}

// ClearKEK forgets it.
func (m *Manager) ClearKEK() { m.kek, m.kekSet = nil, false }

// KEK is the cipher for key id mode 0; false when there is no joiner session.
func (m *Manager) KEK() (*ieee802154.CCM, bool) { return m.kek, m.kekSet }

// NextKEKCounter takes the next frame counter for the KEK.
func (m *Manager) NextKEKCounter() uint32 { m.kekCtr++; return m.kekCtr - 1 }

// WellKnown is the key that every Thread device has for key id mode 2, the
// extended address of its nonce, and its key source and index.
var (
	wellKnownKey = [16]byte{0x78, 0x58, 0x16, 0x86, 0xfd, 0xb4, 0x58, 0x0f, 0xb0, 0x92, 0x54, 0x6a, 0xec, 0xbd, 0x15, 0x66}
	WellKnownExt = ieee802154.ExtAddr{0x35, 0x06, 0xfe, 0xb8, 0x23, 0xd4, 0x87, 0x12}
)

// Source and index of key id mode 2.
const (
	WellKnownSource = 0xffffffff
	WellKnownIndex  = 0xff
)

// WellKnown is the cipher for key id mode 2.
func (m *Manager) WellKnown() *ieee802154.CCM { return ieee802154.NewCCM(wellKnownKey) }

// NextWellKnownCounter takes the next frame counter for key id mode 2: volatile,
// from 1.
func (m *Manager) NextWellKnownCounter() uint32 { m.wellCt++; return m.wellCt }
