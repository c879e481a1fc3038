package wpan

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatewayd/ipv6"
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

// MarshalText keeps JSON and logs from telling.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

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
	storeJoins   = "lowpan-joins"
)

// Store keeps what must survive a restart. Load's lost counts newer values that
// could not be read: with ok false, that there was something.
type Store interface {
	Load(name string) (value []byte, lost int, ok bool)
	Save(name string, value []byte) error
	Delete(name string) error
}

// storedNetwork is a Network on the disk, keys included.
type storedNetwork struct {
	Channel    uint8        `json:"channel"`
	PANID      uint16       `json:"pan_id"`
	ID         NetworkID    `json:"id"`
	Prefix     netip.Prefix `json:"prefix"`
	Open       bool         `json:"open,omitempty"`
	Key, Other storedKey
}

type storedKey struct {
	Index uint8    `json:"index"`
	Value [16]byte `json:"value"`
}

func (n *Node) saveNetwork() error {
	w := &n.network
	b, err := json.Marshal(storedNetwork{w.Channel, w.PANID, w.ID, w.Prefix, w.Open, storedKey(w.Key), storedKey(w.Other)})
	if err == nil {
		err = n.cfg.Store.Save(storeNetwork, b)
	}
	if err != nil {
		n.log(Event{ID: "LOWPAN-STORE", Text: "the network's state cannot be stored", Err: err})
	}
	return err
}

// loadNetwork reads what was stored; false if there is none.
func (n *Node) loadNetwork() (nw Network, ok bool) {
	b, _, ok := n.cfg.Store.Load(storeNetwork)
	if !ok {
		return nw, false
	}
	var w storedNetwork
	if err := json.Unmarshal(b, &w); err != nil {
		// What is wrong is not said: the error could quote a key.
		n.log(Event{ID: "LOWPAN-STORE", Text: "the stored network makes no sense", Err: errors.New("wpan: not readable")})
		return nw, false
	}
	return Network{w.Channel, w.PANID, w.ID, w.Prefix, w.Open, Key(w.Key), Key(w.Other)}, true
}

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

// learnKey takes a key that comes next; false if it is known, or older than the
// one in use. A device that missed so many changes that the circle of indexes
// misleads it has no session any more, and joins anew.
func (n *Node) learnKey(k Key) bool {
	if k.Index == 0 || k == n.network.Key || k == n.network.Other || !newer(k.Index, n.network.Key.Index) {
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

// adoptKey takes the key of the network that the device joins.
func (n *Node) adoptKey(k Key) {
	if k != n.network.Key {
		for _, old := range []Key{n.network.Key, n.network.Other} {
			n.mac.DropKey(old.Index)
		}
		n.network.Key, n.network.Other = k, Key{}
	}
	n.counter.Continue(n.limits.limit(k))
	n.saveNetwork()
	n.useKeys()
}

// switchKey puts the key that comes next into use. The present one is accepted
// for a while yet.
func (n *Node) switchKey() {
	if !n.hasNext() {
		return
	}
	n.network.Key, n.network.Other = n.network.Other, n.network.Key
	n.counter.Continue(n.limits.limit(n.network.Key))
	n.saveNetwork()
	n.useKeys()
	n.retire.Start(retireTime)
	n.heralds = 0
	n.herald()
	n.log(Event{ID: "LOWPAN-KEY", Text: "the network key was changed", Attrs: []Attr{{"index", n.network.Key.Index}}})
}

// hasNext reports a key that comes next.
func (n *Node) hasNext() bool {
	return n.network.Other.Index != 0 && newer(n.network.Other.Index, n.network.Key.Index)
}

// retireTime is how long frames under the key before are accepted: who has lost
// the right to be in the network has no key then that anybody believes. A device
// that missed the change notices by the frames it cannot read.
const retireTime = 2 * time.Minute

// retireKey forgets the key before.
func (n *Node) retireKey() {
	if n.network.Other.Index == 0 || n.hasNext() {
		return
	}
	n.mac.DropKey(n.network.Other.Index)
	n.network.Other = Key{}
	n.saveNetwork()
}

// heraldTimes lie between the frames that say, by the key that they are under,
// which one is used now. Without them a mesh in which nobody speaks would not
// notice before the key before is dropped.
var heraldTimes = [...]time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 45 * time.Second}

// herald sends such a frame now and then: a datagram to all neighbours that
// carries nothing (RFC 8200 Section 4.7).
func (n *Node) herald() {
	if n.cfg.Role == Host || !n.began {
		return
	}
	if n.heralds > 0 {
		h := ipv6.Header{NextHeader: ipv6.ProtoNoNext, HopLimit: 1, Src: n.addrs[0], Dst: allNodes}
		n.send(h.Append(nil), sending{urgent: true})
	}
	if n.heralds < len(heraldTimes) {
		n.proclaim.Start(time.Duration(n.rand.Int64N(int64(heraldTimes[n.heralds]))))
		n.heralds++
	}
}

// KeyHeard implements mac.Upper: who uses the newer key has been told to.
func (n *Node) KeyHeard(index uint8) {
	if index == n.network.Other.Index {
		n.switchKey()
	}
}

// newer reports whether key index a follows b, in a circle of 255.
func newer(a, b uint8) bool {
	d := (int(a) - int(b) + 255) % 255
	return d > 0 && d < 128
}
