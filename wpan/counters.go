package wpan

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"

	"gatewayd/wpan/mac"
)

// maxKeysKept is of how many keys the frame counters are kept. A key that was
// dropped may come back, when a device rejoins in the middle of a change.
const maxKeysKept = 8

// keyLimit says below which limit frame counters under a key may have been used.
type keyLimit struct {
	Key   string `json:"key"` // its fingerprint
	Limit uint32 `json:"limit"`
}

// keyLimits are those of the keys used last, newest first.
type keyLimits struct {
	kept []keyLimit
	// least is where a key begins that is not among them: records of it may
	// have been lost.
	least uint32
}

// fingerprint tells keys apart without telling them.
func (k Key) fingerprint() string {
	h := sha256.Sum256(append([]byte{k.Index}, k.Value[:]...))
	return string(hexDigits(h[:8]))
}

func hexDigits(b []byte) (out []byte) {
	const digits = "0123456789abcdef"
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return out
}

// loadLimits reads what was stored; false if there was something, but it cannot
// be read: then no key that was used before can be used again.
func (n *Node) loadLimits() bool {
	b, lost, ok := n.cfg.Store.Load(storeCounter)
	if !ok {
		return lost == 0
	}
	if json.Unmarshal(b, &n.limits.kept) != nil {
		n.limits.kept = nil
		return false
	}
	// Each record that was lost has reserved once.
	n.limits.least = skip(0, lost)
	for i := range n.limits.kept {
		n.limits.kept[i].Limit = skip(n.limits.kept[i].Limit, lost)
	}
	return true
}

func skip(limit uint32, lost int) uint32 {
	return uint32(min(uint64(limit)+uint64(lost)*mac.Reserve, 1<<32-1))
}

// limit is the lowest frame counter that is certainly unused under a key.
func (l *keyLimits) limit(k Key) uint32 {
	fp := k.fingerprint()
	for _, x := range l.kept {
		if x.Key == fp {
			return x.Limit
		}
	}
	return l.least
}

// set notes a limit, without storing it.
func (l *keyLimits) set(k Key, limit uint32) {
	fp := k.fingerprint()
	kept := slices.DeleteFunc(slices.Clone(l.kept), func(x keyLimit) bool { return x.Key == fp })
	kept = slices.Insert(kept, 0, keyLimit{fp, limit})
	l.kept = kept[:min(len(kept), maxKeysKept)]
}

var errNoCounters = errors.New("wpan: the stored frame counters cannot be read")

// reserveCounter is what the MAC's Counter reserves with.
func (n *Node) reserveCounter(limit uint32) error {
	was := n.limits.kept
	n.limits.set(n.network.Key, limit)
	err := n.saveLimits()
	if err != nil {
		n.limits.kept = was
	}
	if limit > rotateAt && n.cfg.Role == Coordinator {
		n.clock.After(0, func() { n.RotateKey() })
	}
	return err
}

// rotateAt is the frame counter at which a coordinator changes the key by
// itself, long before counters end.
const rotateAt = 3 << 30

func (n *Node) saveLimits() error {
	b, err := json.Marshal(n.limits.kept)
	if err == nil {
		err = n.cfg.Store.Save(storeCounter, b)
	}
	if err != nil {
		n.log(Event{ID: "LOWPAN-COUNTER", Text: "frame counters cannot be reserved, nothing is sent under the key", Err: err})
	}
	return err
}

// begins says from which frame counter on a key may be used: the agent counts
// how often this device authenticated, so that one that forgot what it had used
// begins beyond that.
func (n *Node) begins(k Key, authentications uint8) {
	if at := uint32(authentications) << 24; at > n.limits.limit(k) {
		n.limits.set(k, at)
	}
}
