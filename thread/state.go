package thread

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"gatewayd/ieee802154"
	"gatewayd/thread/dataset"
	"gatewayd/thread/keys"
	"gatewayd/thread/mle"
)

// ErrDown is returned when something needs the interface up.
var ErrDown = errors.New("thread: the interface is down")

// Names of what is stored.
const (
	storeIdentity = "identity"
	storeDatasets = "datasets"
	storeKeys     = "keys"
	storeNetwork  = "network"
	storeServices = "services"
	storeDUA      = "dua"
)

// load decodes a stored value into v; false if there is none, or none that can
// be read, which is logged.
func (n *Node) load(name string, v any) bool {
	_, ok := n.loadOlder(name, v)
	return ok
}

// loadOlder is load for a value of which it matters how old it may be: lost
// newer ones could not be read.
func (n *Node) loadOlder(name string, v any) (lost int, ok bool) {
	b, lost, ok := n.cfg.Store.Load(name)
	if !ok {
		return 0, false
	}
	if err := json.Unmarshal(b, v); err != nil {
		n.log(Event{ID: "STORE-READ", Text: "stored value cannot be read, starting without it", Err: fmt.Errorf("%s: %w", name, err)})
		return 0, false
	}
	return lost, true
}

func (n *Node) save(name string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = n.cfg.Store.Save(name, b)
	}
	if err != nil {
		n.log(Event{ID: "STORE-WRITE", Text: "state could not be stored", Err: fmt.Errorf("%s: %w", name, err)})
	}
	return err
}

// identity is what a node is in any network: its addresses' random parts.
type identity struct {
	EUI64  ieee802154.ExtAddr
	Ext    ieee802154.ExtAddr
	MLIID  [8]byte
	Secret [32]byte // of stable addresses

	n *Node
}

func (i *identity) load(n *Node) {
	i.n = n
	if n.load(storeIdentity, i) {
		return
	}
	i.random()
	_ = n.save(storeIdentity, i)
}

func (i *identity) random() {
	for _, b := range [][]byte{i.Ext[:], i.MLIID[:], i.Secret[:]} {
		if _, err := io.ReadFull(i.n.cfg.Rand, b); err != nil {
			panic("thread: no random bytes: " + err.Error())
		}
	}
	i.Ext = localExt(i.Ext)
}

// localExt makes an extended address a locally administered, individual one.
func localExt(e ieee802154.ExtAddr) ieee802154.ExtAddr {
	e[0] = e[0]&^1 | 2
	return e
}

// SetExtAddress changes the extended address, for good if keep is set.
func (n *Node) SetExtAddress(e ieee802154.ExtAddr, keep bool) {
	n.mac.SetExt(e)
	n.mle.ExtAddressChanged()
	if keep {
		n.identity.Ext = e
		_ = n.save(storeIdentity, &n.identity)
	}
}

// RandomExtAddress takes a new random extended address, for good if keep is set.
func (n *Node) RandomExtAddress(keep bool) {
	var e ieee802154.ExtAddr
	if _, err := io.ReadFull(n.cfg.Rand, e[:]); err != nil {
		panic("thread: no random bytes: " + err.Error())
	}
	n.SetExtAddress(localExt(e), keep)
}

func (i *identity) radioUp(eui64 ieee802154.ExtAddr) {
	if i.EUI64 != eui64 {
		i.EUI64 = eui64
		_ = i.n.save(storeIdentity, i)
	}
}

func (n *Node) saveKeys(s keys.State) error { return n.save(storeKeys, s) }

// mleStore keeps what MLE wants to know after a restart, as one value.
type mleStore struct{ n *Node }

// Load implements mle.Store.
func (s mleStore) Load() mle.Saved { return s.get() }

func (s mleStore) get() (v mle.Saved) {
	s.n.load(storeNetwork, &v)
	return v
}

func (s mleStore) update(change func(*mle.Saved)) {
	v := s.get()
	change(&v)
	_ = s.n.save(storeNetwork, v)
}

// SaveNetwork implements mle.Store.
func (s mleStore) SaveNetwork(i mle.NetworkInfo) { s.update(func(v *mle.Saved) { v.Network = i }) }

// SaveParent implements mle.Store.
func (s mleStore) SaveParent(p mle.ParentInfo) { s.update(func(v *mle.Saved) { v.Parent = &p }) }

// SaveChild implements mle.Store.
func (s mleStore) SaveChild(c mle.ChildInfo) {
	s.update(func(v *mle.Saved) {
		for i := range v.Children {
			if v.Children[i].RLOC16 == c.RLOC16 {
				v.Children[i] = c
				return
			}
		}
		v.Children = append(v.Children, c)
	})
}

// DeleteChild implements mle.Store.
func (s mleStore) DeleteChild(rloc16 uint16) {
	s.update(func(v *mle.Saved) {
		for i := range v.Children {
			if v.Children[i].RLOC16 == rloc16 {
				v.Children = append(v.Children[:i], v.Children[i+1:]...)
				return
			}
		}
	})
}

// restore continues from what is stored.
func (n *Node) restore() {
	n.mac.SetExt(n.identity.Ext)
	var k keys.State
	lost, haveKeys := n.loadOlder(storeKeys, &k)
	if haveKeys {
		n.keys.Restore(k.Skip(lost))
	}
	var d dataset.State
	if n.load(storeDatasets, &d) {
		if err := n.datasets.Restore(d); err != nil {
			n.log(Event{ID: "STORE-READ", Text: "stored dataset cannot be used", Err: err})
		}
	}
	if a := n.datasets.Active(); a != nil && a.NetworkKey != nil {
		n.keys.SetNetworkKey(a.NetworkKey.Reveal(), !haveKeys)
		if !haveKeys {
			// Which counters were used with this key is not known any more.
			// They are bound to the extended address, so take another one.
			n.log(Event{ID: "KEYS-LOST", Text: "frame counters were lost: continuing under a new extended address"})
			n.RandomExtAddress(true)
		}
	}
	n.mle.DatasetChanged()
}

// FactoryReset forgets everything that is stored and starts anew, with the
// interface down and another identity.
func (n *Node) FactoryReset() {
	n.InterfaceDown()
	for _, name := range []string{storeIdentity, storeDatasets, storeKeys, storeNetwork, storeServices, storeDUA} {
		if err := n.cfg.Store.Delete(name); err != nil {
			n.log(Event{ID: "STORE-WRITE", Text: "state could not be deleted", Err: fmt.Errorf("%s: %w", name, err)})
		}
	}
}
