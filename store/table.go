package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A Table keeps many small records that change one by one, in a database file
// of the data directory. Its methods may be called concurrently.
type Table struct{ db *bolt.DB }

// tableSuffix ends the name of a table's file.
const tableSuffix = ".db"

var tableBucket = []byte("records")

// openTimeout is how long Table waits for somebody else's lock on the file.
const openTimeout = time.Second

// Table opens the table of a name, making it if need be. The Store must stay
// open as long as the Table.
func (s *Store) Table(name string) (*Table, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, name+tableSuffix)
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: openTimeout})
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		return nil, fmt.Errorf("store: table %s is damaged: restore it from a copy, or remove it to begin anew: %w", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("store: opening table %s: %w", file, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(tableBucket)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("store: opening table %s: %w", file, err)
	}
	return &Table{db}, nil
}

// Close closes the file.
func (t *Table) Close() error { return t.db.Close() }

// Put makes value that of key. When it returns nil, the value is on the disk.
func (t *Table) Put(key, value []byte) error {
	return t.update("writing", func(b *bolt.Bucket) error { return b.Put(key, value) })
}

// Delete forgets a key. It is no error if there is none.
func (t *Table) Delete(key []byte) error {
	return t.update("deleting", func(b *bolt.Bucket) error { return b.Delete(key) })
}

func (t *Table) update(doing string, f func(*bolt.Bucket) error) error {
	if err := t.db.Update(func(tx *bolt.Tx) error { return f(tx.Bucket(tableBucket)) }); err != nil {
		return fmt.Errorf("store: %s in table %s: %w", doing, t.db.Path(), err)
	}
	return nil
}

// Each calls f with every key and value, in the order of keys, until f returns
// an error, which it returns. The slices are f's only until it returns.
func (t *Table) Each(f func(key, value []byte) error) error {
	return t.db.View(func(tx *bolt.Tx) error { return tx.Bucket(tableBucket).ForEach(f) })
}
