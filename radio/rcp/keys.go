package rcp

import (
	"math"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// keyring holds the keys of key id mode 1 and how far each one's frame counter
// is. Counters stay with their keys: a key that becomes the current one goes
// on where it was as the next one.
type keyring struct {
	given radio.Keys
	slots [3]keySlot // previous, current, next
}

type keySlot struct {
	index   uint8 // 0: none
	ccm     *ieee802154.CCM
	counter uint32 // next one to use
}

const currentKey = 1

// set replaces the keys; counter is where the current one starts at least.
func (k *keyring) set(keys radio.Keys, counter uint32) {
	if keys != k.given {
		k.replace(keys)
	}
	cur := &k.slots[currentKey]
	cur.counter = max(cur.counter, counter)
}

func (k *keyring) replace(keys radio.Keys) {
	material := func(k radio.Keys) [3][16]byte { return [3][16]byte{k.Previous, k.Current, k.Next} }
	old, was := k.slots, material(k.given)
	index := [3]uint8{neighbourIndex(keys.Index, -1), keys.Index, neighbourIndex(keys.Index, 1)}
	for i, key := range material(keys) {
		slot := keySlot{index: index[i]}
		for j := range old {
			if old[j].ccm != nil && was[j] == key {
				slot.ccm, slot.counter = old[j].ccm, max(slot.counter, old[j].counter)
			}
		}
		if slot.ccm == nil {
			slot.ccm = ieee802154.NewCCM(key)
		}
		k.slots[i] = slot
	}
	k.given = keys
}

// neighbourIndex counts key indices from 1 to 128, round and round (Thread
// 1.4 Section 7.1.5).
func neighbourIndex(index uint8, by int) uint8 {
	return uint8((int(index)-1+by+128)%128) + 1
}

// find returns the key with an index, or nil.
func (k *keyring) find(index uint8) *keySlot {
	// The current one first: indices could repeat in keys given by mistake.
	for _, i := range [3]int{currentKey, 0, 2} {
		if s := &k.slots[i]; s.ccm != nil && s.index == index {
			return s
		}
	}
	return nil
}

// take uses up a counter; false when none is left.
func (s *keySlot) take() (uint32, bool) {
	if s.counter == math.MaxUint32 {
		return 0, false
	}
	s.counter++
	return s.counter - 1, true
}
