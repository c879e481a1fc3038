package sim

import "maps"

// Store is a node's durable state, in memory. It survives the node.
type Store struct {
	values map[string][]byte
	// Saves counts writes: flash wears out.
	Saves int
	// Fail, if not nil, is what Save returns, storing nothing.
	Fail error
}

// Load implements thread.Store.
func (s *Store) Load(name string) (value []byte, lost int, ok bool) {
	v, ok := s.values[name]
	return v, 0, ok
}

// Save implements thread.Store.
func (s *Store) Save(name string, value []byte) error {
	if s.Fail != nil {
		return s.Fail
	}
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	s.Saves++
	s.values[name] = append([]byte(nil), value...)
	return nil
}

// Delete implements thread.Store.
func (s *Store) Delete(name string) error {
	if s.Fail != nil {
		return s.Fail
	}
	delete(s.values, name)
	return nil
}

// Clone copies what is stored.
func (s *Store) Clone() *Store { return &Store{values: maps.Clone(s.values)} }
