package wpan

import (
	"encoding/json"
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/pana"
)

// joins counts how often devices authenticated, for a coordinator. The count
// goes to the device with the key (ZigBee IP's authentication counter) and is
// the highest octet of the frame counter that it begins with: a device that has
// forgotten which counters it used neither uses one twice nor is taken for a
// replay. What survives a restart is the highest count of all, beyond which
// counting goes on.
type joins struct {
	keys []*joinCount // the keys of the network, at most two
}

type joinCount struct {
	key  Key
	base uint8 // the first one's
	high int   // the highest that was given out; -1: none
	last map[ieee802154.ExtAddr]joinedAs
}

type joinedAs struct {
	session uint32
	count   uint8
}

// Implementation constants.
const (
	maxJoined = 1 << 16 // devices whose count is known
	maxCount  = 200     // from here on, it is time for another key
)

// storedJoins is a joinCount on the disk.
type storedJoins struct {
	Key  string `json:"key"` // its fingerprint
	High int    `json:"high"`
}

// of is the count for a key of the network's. Those of all its keys are read
// before any is stored again, and those of former keys forgotten.
func (j *joins) of(n *Node, k Key) *joinCount {
	var keys []*joinCount
	for _, key := range []Key{n.network.Key, n.network.Other} {
		if key.Index == 0 {
			continue
		}
		i := slices.IndexFunc(j.keys, func(c *joinCount) bool { return c.key == key })
		if i >= 0 {
			keys = append(keys, j.keys[i])
		} else {
			keys = append(keys, n.loadJoins(key))
		}
	}
	j.keys = keys
	return j.keys[slices.IndexFunc(j.keys, func(c *joinCount) bool { return c.key == k })]
}

// loadJoins reads the count for a key.
func (n *Node) loadJoins(k Key) *joinCount {
	c := &joinCount{key: k, high: -1, last: map[ieee802154.ExtAddr]joinedAs{}}
	b, lost, ok := n.cfg.Store.Load(storeJoins)
	var all []storedJoins
	switch {
	case !ok && lost == 0:
		return c
	case !ok || json.Unmarshal(b, &all) != nil:
		// Beyond all that can have been given out; another key follows soon.
		c.high, c.base = maxCount, maxCount+1
		return c
	}
	for _, x := range all {
		if x.Key == k.fingerprint() {
			c.high = x.High + lost
			c.base = uint8(min(c.high+1, 255))
		}
	}
	return c
}

// count is the count of a session's device under a key; false if it cannot be
// stored.
func (j *joins) count(n *Node, s pana.Info, k Key) (uint8, bool) {
	c := j.of(n, k)
	ext := linkAddress(s.PaC.Addr()).Ext
	was, known := c.last[ext]
	if known && was.session == s.ID {
		return was.count, true
	}
	count := c.base
	if known {
		count = uint8(min(int(was.count)+1, 255))
	} else if len(c.last) >= maxJoined {
		clear(c.last)
		c.base = uint8(min(c.high+1, 255))
		count = c.base
	}
	if high := c.high; int(count) > high {
		c.high = int(count)
		if err := j.save(n); err != nil {
			c.high = high
			n.log(Event{ID: "LOWPAN-STORE", Text: "the count of authentications cannot be stored, no key is given out", Err: err})
			return 0, false
		}
	}
	c.last[ext] = joinedAs{s.ID, count}
	return count, true
}

func (j *joins) save(n *Node) error {
	var all []storedJoins
	for _, c := range j.keys {
		all = append(all, storedJoins{c.key.fingerprint(), c.high})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return n.cfg.Store.Save(storeJoins, b)
}

// worn reports that counts under the key in use come to their end.
func (j *joins) worn(k Key) bool {
	for _, c := range j.keys {
		if c.key == k {
			return c.high >= maxCount
		}
	}
	return false
}
