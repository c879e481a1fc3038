package gateway

import (
	"errors"
	"io/fs"

	"gatewayd/store"
)

// nodeStore is where the node keeps its state.
type nodeStore struct{ g *Gateway }

// Load implements thread.Store.
func (s nodeStore) Load(name string) (value []byte, lost int, ok bool) {
	b, err := s.g.store.Load(name)
	switch {
	case err == nil:
		return b, s.g.store.Lost(name), true
	case errors.Is(err, store.ErrDamaged):
		s.g.log.Error("stored state is damaged in every generation", "id", "STORE-DAMAGED", "name", name)
	case !errors.Is(err, fs.ErrNotExist):
		s.g.log.Error("stored state cannot be read", "id", "STORE-READ", "name", name, "err", err)
	}
	return nil, 0, false
}

// Save implements thread.Store.
func (s nodeStore) Save(name string, value []byte) error { return s.g.store.Save(name, value) }

// Delete implements thread.Store.
func (s nodeStore) Delete(name string) error { return s.g.store.Delete(name) }
