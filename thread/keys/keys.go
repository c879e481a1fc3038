// Package keys derives and rotates the keys of a Thread network and counts
// the frames that are sent with them.
//
//   - derivation: HMAC-SHA256 of the network key over sequence and "Thread";
//     HKDF (RFC 5869) for frames over TREL
//   - rotation and the guard against forced rotation (Thread 1.4 Section 7)
//   - frame counters, reserved ahead in durable storage: a counter is used only
//     below a limit that was stored before, so that none is ever used twice
package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// Specification constants.
const (
	defaultRotation = 672 * time.Hour
	minRotation     = 2 * time.Hour
	guardPercent    = 93
)

// Reserve is how many counters beyond the present one are reserved at a time.
const Reserve = 1000

// State is what must survive a restart.
type State struct {
	Sequence   uint32
	MACCounter uint32 // the first one not reserved
	MLECounter uint32
	// Floor is above every counter that was ever reserved with any key: where
	// counting starts with a network key that may have been used before.
	Floor uint32
}

// Skip is the state to continue from when so many later ones may have been
// stored and lost: each had reserved counters beyond the one before.
func (s State) Skip(lost int) State {
	for range lost {
		s.MACCounter, s.MLECounter = ahead(s.MACCounter), ahead(s.MLECounter)
	}
	s.Floor = max(s.Floor, s.MACCounter, s.MLECounter)
	return s
}

// Config is what a Manager needs.
type Config struct {
	Clock *alarm.Clock
	// Save stores State durably before it returns. The counters it is given
	// are limits; what is used afterwards stays below them. After an error the
	// limits are those of before, and at them sending stops.
	Save func(State) error
	// Changed is called when the MAC keys are others than before.
	Changed func()
}

// Manager keeps the keys of one node.
type Manager struct {
	cfg      Config
	network  [16]byte
	sequence uint32
	rotation time.Duration
	guard    time.Duration // of the time a sequence must last before a peer may move us on
	guarded  time.Time     // no peer's sequence is followed before
	hours    *alarm.Timer  // until the key has lived its time
	counting bool
	began    time.Time // the life of the present key

	macCounter, macLimit uint32
	mleCounter, mleLimit uint32
	trelCounter          uint32 // below macLimit as well
	floorMAC             uint32 // that the radio does not know of by itself
	floor                uint32

	mle    ring[*ieee802154.CCM]
	mac    ring[*ieee802154.CCM]
	trel   ring[*ieee802154.CCM]
	kek    *ieee802154.CCM
	kekSet bool
	kekCtr uint32
	wellCt uint32
}

// ring keeps what was derived for the last few sequences.
type ring[T any] struct {
	seq [4]uint32
	val [4]T
	ok  [4]bool
}

func (r *ring[T]) get(seq uint32, make func() T) T {
	i := seq % 4
	if !r.ok[i] || r.seq[i] != seq {
		r.seq[i], r.val[i], r.ok[i] = seq, make(), true
	}
	return r.val[i]
}

// New returns a Manager with no network key.
func New(cfg Config) *Manager {
	m := &Manager{cfg: cfg, rotation: defaultRotation}
	m.guard = guardOf(m.rotation)
	m.hours = cfg.Clock.NewTimer(m.rotate)
	return m
}

// Restore continues from stored state: the stored limits are the first
// counters that may be used.
func (m *Manager) Restore(s State) {
	m.sequence = s.Sequence
	m.macCounter, m.macLimit, m.trelCounter = s.MACCounter, s.MACCounter, s.MACCounter
	m.mleCounter, m.mleLimit = s.MLECounter, s.MLECounter
	m.floor = max(s.Floor, s.MACCounter, s.MLECounter)
	m.forget()
}

// Reset forgets everything: key, sequence and counters.
func (m *Manager) Reset() {
	cfg := m.cfg
	m.hours.Stop()
	*m = *New(cfg)
}

func (m *Manager) forget() {
	m.mle, m.mac, m.trel = ring[*ieee802154.CCM]{}, ring[*ieee802154.CCM]{}, ring[*ieee802154.CCM]{}
}

// Derive returns the MLE and the MAC key of a network key and sequence.
func Derive(network [16]byte, sequence uint32) (mle, mac [16]byte) {
	h := hmac.New(sha256.New, network[:])
	h.Write(append(binary.BigEndian.AppendUint32(nil, sequence), "Thread"...))
	sum := h.Sum(nil)
	return [16]byte(sum[:16]), [16]byte(sum[16:])
}

// Index is the key index of a sequence, 1 to 128.
func Index(sequence uint32) uint8 { return uint8(sequence&0x7f) + 1 }

// SetNetworkKey takes a network key. One that differs from the present starts
// again at sequence 0; with reset false the sequence is kept, as after a
// restart.
func (m *Manager) SetNetworkKey(key [16]byte, reset bool) {
	if m.network == key {
		return
	}
	m.network = key
	m.forget()
	if reset {
		m.setSequence(0, m.floor)
		return
	}
	m.cfg.Changed()
}

// NetworkKey is the present network key.
func (m *Manager) NetworkKey() [16]byte { return m.network }

// Sequence is the present key sequence.
func (m *Manager) Sequence() uint32 { return m.sequence }

// Start begins counting rotation time. The first switch after a start is never
// blocked by the guard.
func (m *Manager) Start() {
	m.guarded = time.Time{}
	m.count()
}

// count begins the life of a key.
func (m *Manager) count() {
	m.counting, m.began = true, m.cfg.Clock.Now()
	m.hours.Start(m.rotation)
}

// guardOf is the guard time that follows from a rotation time, in whole hours.
func guardOf(rotation time.Duration) time.Duration {
	return (rotation / time.Hour * guardPercent / 100) * time.Hour
}

// Stop stops counting rotation time.
func (m *Manager) Stop() {
	m.counting = false
	m.hours.Stop()
}

// SetRotation takes the security policy's rotation time. The present key has
// lived for as long as it has: it may be due at once.
func (m *Manager) SetRotation(d time.Duration) {
	d = max(d, minRotation)
	if d == m.rotation {
		return
	}
	m.rotation = d
	m.guard = guardOf(d)
	if m.counting {
		m.hours.StartAt(m.began.Add(d))
	}
}

// SetGuard replaces the guard time that follows from the rotation time.
func (m *Manager) SetGuard(d time.Duration) {
	m.guard = d
	if at := m.cfg.Clock.Now().Add(d); m.guarded.After(at) {
		m.guarded = at
	}
}

// Guard is the guard time.
func (m *Manager) Guard() time.Duration { return m.guard }

// rotate is due whatever the guard says, and arms it anew.
func (m *Manager) rotate() { m.SetSequence(m.sequence + 1) }

// SetSequence moves to a sequence by command or by an authoritative message:
// the guard does not apply, and is armed anew by a step of one.
func (m *Manager) SetSequence(seq uint32) {
	if seq == m.sequence {
		return
	}
	step := seq - m.sequence
	first := uint32(0)
	if int32(step) < 0 {
		first = m.floor // back to a key that was used before
	}
	m.setSequence(seq, first)
	if step == 1 {
		m.guarded = m.cfg.Clock.Now().Add(m.guard)
	}
}

// Heard takes the higher sequence of a valid neighbour's frame, which counts
// only when it is the next one and the guard has run down. It reports whether
// the sequence was adopted.
func (m *Manager) Heard(seq uint32) bool {
	if seq != m.sequence+1 || m.cfg.Clock.Now().Before(m.guarded) {
		return false
	}
	m.SetSequence(seq)
	return true
}

// setSequence begins a key, counting from first.
func (m *Manager) setSequence(seq, first uint32) {
	m.sequence = seq
	m.macCounter, m.mleCounter, m.trelCounter = first, first, first
	m.floorMAC = 0
	m.macLimit, m.mleLimit = first, first
	m.reserve(ahead(first), ahead(first))
	if m.counting {
		m.count()
	}
	m.cfg.Changed()
}

// reserve stores new limits and, once they are stored, allows what is below.
func (m *Manager) reserve(mac, mle uint32) bool {
	floor := max(m.floor, mac, mle)
	if m.cfg.Save(State{Sequence: m.sequence, MACCounter: mac, MLECounter: mle, Floor: floor}) != nil {
		return false
	}
	m.floor = floor
	m.macLimit, m.mleLimit = mac, mle
	return true
}

// State is what must be stored now.
func (m *Manager) State() State {
	return State{Sequence: m.sequence, MACCounter: m.macLimit, MLECounter: m.mleLimit, Floor: m.floor}
}

// MLE is the cipher of the MLE key of a sequence.
func (m *Manager) MLE(seq uint32) *ieee802154.CCM {
	return m.mle.get(seq, func() *ieee802154.CCM {
		k, _ := Derive(m.network, seq)
		return ieee802154.NewCCM(k)
	})
}

// MAC is the cipher of the MAC key of a sequence.
func (m *Manager) MAC(seq uint32) *ieee802154.CCM {
	return m.mac.get(seq, func() *ieee802154.CCM {
		_, k := Derive(m.network, seq)
		return ieee802154.NewCCM(k)
	})
}

// DeriveTREL returns the key of a network key and sequence for frames over
// TREL.
func DeriveTREL(network [16]byte, sequence uint32) [16]byte {
	salt := append(binary.BigEndian.AppendUint32(nil, sequence), "ThreadSequenceMasterKey"...)
	k, err := hkdf.Key(sha256.New, network[:], salt, "ThreadOverInfraKey", 16)
	if err != nil {
		panic("keys: " + err.Error()) // only for keys longer than HKDF has
	}
	return [16]byte(k)
}

// TREL is the cipher of the key of a sequence for frames over TREL.
func (m *Manager) TREL(seq uint32) *ieee802154.CCM {
	return m.trel.get(seq, func() *ieee802154.CCM { return ieee802154.NewCCM(DeriveTREL(m.network, seq)) })
}

// SequenceOf finds the sequence that a MAC key index means: the present one,
// the one before or the one after.
func (m *Manager) SequenceOf(index uint8) (uint32, bool) {
	for _, s := range [...]uint32{m.sequence, m.sequence - 1, m.sequence + 1} {
		if Index(s) == index {
			return s, true
		}
	}
	return 0, false
}

// RadioKeys are the MAC keys as a radio wants them.
func (m *Manager) RadioKeys() radio.Keys {
	k := radio.Keys{Index: Index(m.sequence)}
	_, k.Previous = Derive(m.network, m.sequence-1)
	_, k.Current = Derive(m.network, m.sequence)
	_, k.Next = Derive(m.network, m.sequence+1)
	return k
}
