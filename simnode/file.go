package simnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// file keeps a node's state as one JSON object. It implements thread.Store.
// What it writes survives the end of the process, not that of the machine: it
// is a simulation's.
type file struct {
	path   string
	values map[string][]byte
}

// openFile reads a file; if there is none it starts empty.
func openFile(path string) (*file, error) {
	f := &file{path: path, values: map[string][]byte{}}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("simnode: state: %w", err)
	}
	if err := json.Unmarshal(b, &f.values); err != nil {
		return nil, fmt.Errorf("simnode: state in %s: %w", path, err)
	}
	return f, nil
}

// Load implements thread.Store.
func (f *file) Load(name string) (value []byte, lost int, ok bool) {
	value, ok = f.values[name]
	return value, 0, ok
}

// Save implements thread.Store.
func (f *file) Save(name string, value []byte) error {
	f.values[name] = append([]byte(nil), value...)
	return f.write()
}

// Delete implements thread.Store.
func (f *file) Delete(name string) error {
	if _, ok := f.values[name]; !ok {
		return nil
	}
	delete(f.values, name)
	return f.write()
}

// wipe forgets everything.
func (f *file) wipe() error {
	clear(f.values)
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("simnode: state: %w", err)
	}
	return nil
}

// write replaces the file as a whole.
func (f *file) write() error {
	b, err := json.Marshal(f.values)
	if err != nil {
		return fmt.Errorf("simnode: state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return fmt.Errorf("simnode: state: %w", err)
	}
	next := f.path + ".swap"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("simnode: state: %w", err)
	}
	if err := os.Rename(next, f.path); err != nil {
		return fmt.Errorf("simnode: state: %w", err)
	}
	return nil
}
