package wpan

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"gatewayd/pana"
)

// A Key is a network key with its index, from 1 to 255. It shows itself to
// nobody.
type Key struct {
	Index uint8
	Value [16]byte
}

func (k Key) String() string { return fmt.Sprintf("network key %d", k.Index) }

// GoString keeps %#v from telling.
func (k Key) GoString() string { return k.String() }

// mac is the key of the MAC layer, as ZigBee IP derives it (ZigBee IP
// Specification Section 5.3.3).
func (k Key) mac() [16]byte {
	_, mac := pana.ZigBeeKeys(k.Value)
	return mac
}

// next is the index that follows.
func (k Key) next() uint8 {
	if k.Index == 255 {
		return 1
	}
	return k.Index + 1
}

// Network is what the nodes of one network have in common.
type Network struct {
	Channel uint8
	PANID   uint16
	ID      NetworkID
	// Prefix is the /64 of the nodes' addresses.
	Prefix netip.Prefix
	// Open is a network without link security.
	Open bool
	// Key is the key in use. Other is a key that is accepted beside: the one
	// before, or the one that comes next; its index is 0 if there is none.
	Key, Other Key
}

// Names of what is stored.
const (
	storeNetwork = "lowpan-network"
	storeCounter = "lowpan-counter"
	storeND      = "lowpan-registrations"
	storeRouting = "lowpan-routing"
)

// Store keeps what must survive a restart. Load's lost counts newer values that
// could not be read.
type Store interface {
	Load(name string) (value []byte, lost int, ok bool)
	Save(name string, value []byte) error
	Delete(name string) error
}

func (n *Node) saveNetwork() {
	b, err := json.Marshal(n.network)
	if err == nil {
		err = n.cfg.Store.Save(storeNetwork, b)
	}
	if err != nil {
		n.log(Event{ID: "LOWPAN-STORE", Text: "the network's state cannot be stored", Err: err})
	}
}

// loadNetwork reads what was stored; false if there is none.
func (n *Node) loadNetwork() (nw Network, ok bool) {
	b, _, ok := n.cfg.Store.Load(storeNetwork)
	if !ok {
		return nw, false
	}
	if err := json.Unmarshal(b, &nw); err != nil {
		n.log(Event{ID: "LOWPAN-STORE", Text: "the stored network makes no sense", Err: errors.New("wpan: not readable")})
		return Network{}, false
	}
	return nw, true
}

// counterRecord says up to where the frame counters under a key are used.
type counterRecord struct {
	Index uint8  `json:"index"`
	Limit uint32 `json:"limit"`
}

// reserveCounter is what the MAC's Counter reserves with.
func (n *Node) reserveCounter(limit uint32) error {
	b, err := json.Marshal(counterRecord{n.network.Key.Index, limit})
	if err == nil {
		err = n.cfg.Store.Save(storeCounter, b)
	}
	if err != nil {
		n.log(Event{ID: "LOWPAN-COUNTER", Text: "frame counters cannot be reserved, nothing is sent under the key", Err: err})
	}
	return err
}

// firstCounter is the lowest frame counter that is certainly unused under the
// present key. A record that is lost costs a reservation for each generation.
func (n *Node) firstCounter() uint32 {
	b, lost, ok := n.cfg.Store.Load(storeCounter)
	if !ok {
		return 0
	}
	var r counterRecord
	if json.Unmarshal(b, &r) != nil || r.Index != n.network.Key.Index {
		return 0
	}
	skip := uint64(r.Limit) + uint64(lost)*counterReserve
	return uint32(min(skip, 1<<32-1))
}

// counterReserve is at least what the MAC reserves at a time.
const counterReserve = 4096

// useKeys gives the MAC the network's keys.
func (n *Node) useKeys() {
	if n.network.Open {
		return
	}
	for _, k := range []Key{n.network.Key, n.network.Other} {
		if k.Index != 0 {
			n.mac.SetKey(k.Index, k.mac())
		}
	}
	n.mac.UseKey(n.network.Key.Index)
}

// learnKey takes a key that comes next; false if it is known.
func (n *Node) learnKey(k Key) bool {
	if k.Index == 0 || k == n.network.Key || k == n.network.Other {
		return false
	}
	if n.network.Other.Index != 0 {
		n.mac.DropKey(n.network.Other.Index)
	}
	n.network.Other = k
	n.saveNetwork()
	n.useKeys()
	n.log(Event{ID: "LOWPAN-KEY", Text: "a network key was learnt", Attrs: []Attr{{"index", k.Index}}})
	return true
}

// adoptKey takes the key of the network that the device joins. Counters under the
// key it had before go on if it is the same.
func (n *Node) adoptKey(k Key) {
	if k != n.network.Key {
		for _, old := range []Key{n.network.Key, n.network.Other} {
			n.mac.DropKey(old.Index)
		}
		n.network.Key, n.network.Other = k, Key{}
		n.counter.Reset()
	}
	n.saveNetwork()
	n.useKeys()
}

// switchKey puts the other key into use and keeps the present one beside it.
func (n *Node) switchKey() {
	if n.network.Other.Index == 0 {
		return
	}
	n.network.Key, n.network.Other = n.network.Other, n.network.Key
	n.counter.Reset()
	n.saveNetwork()
	n.useKeys()
	n.log(Event{ID: "LOWPAN-KEY", Text: "the network key was changed", Attrs: []Attr{{"index", n.network.Key.Index}}})
}

// KeyHeard implements mac.Upper: who uses the newer key has been told to.
func (n *Node) KeyHeard(index uint8) {
	if index == n.network.Other.Index && newer(index, n.network.Key.Index) {
		n.switchKey()
	}
}

// newer reports whether key index a follows b, in a circle of 255.
func newer(a, b uint8) bool {
	d := (int(a) - int(b) + 255) % 255
	return d > 0 && d < 128
}
