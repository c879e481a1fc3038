// Package sysctl changes kernel settings below /proc/sys/net and puts them
// back. What a setting was before is on the disk before it is changed, so that
// after a kill or a crash the next process restores it. A setting that
// somebody else has changed meanwhile is left alone.
package sysctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatewayd/internal/durable"

	"golang.org/x/sys/unix"
)

const (
	root = "/proc/sys"
	// journalFile is the file's name in the data directory.
	journalFile = "sysctl-before.json"
)

// ErrMissing means that this kernel does not have the setting.
var ErrMissing = errors.New("this kernel does not have it")

// ErrReadOnly means that the setting cannot be written here, as in a container
// whose /proc/sys is read-only.
var ErrReadOnly = errors.New("it cannot be written here, give it to the container or run with more rights")

// A Keeper changes settings and remembers what they were. Its methods may be
// called concurrently.
type Keeper struct {
	mu      sync.Mutex
	file    string // journal; empty: none
	world   string // boot and network namespace that the journal is about
	saved   map[string]change
	claimed map[string]bool // of saved, what this process wants too
}

// A change is one setting, by its path below /proc/sys.
type change struct {
	Was string `json:"was"`
	Set string `json:"set"`
}

type journal struct {
	World string            `json:"world"`
	Saved map[string]change `json:"saved"`
}

// Open returns a Keeper that keeps its journal in a data directory, or with ""
// none at all. What a predecessor changed and did not restore is taken over:
// Prune or Close restores it. A journal that cannot be read is an error: what
// it says is needed.
func Open(dir string) (*Keeper, error) {
	k := &Keeper{world: world(), saved: map[string]change{}, claimed: map[string]bool{}}
	if dir == "" {
		return k, nil
	}
	k.file = filepath.Join(dir, journalFile)
	b, err := os.ReadFile(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sysctl: reading what settings were before: %w", err)
	}
	var j journal
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("sysctl: %s is damaged, remove it and set the host's settings right by hand: %w", k.file, err)
	}
	if j.World == k.world && j.Saved != nil {
		k.saved = j.Saved // of another boot it says nothing about this one
	}
	return k, nil
}

// world names this boot and this network namespace.
func world() string {
	boot, _ := os.ReadFile(root + "/kernel/random/boot_id")
	var ns unix.Stat_t
	_ = unix.Stat("/proc/thread-self/ns/net", &ns)
	return fmt.Sprintf("%s %d:%d", strings.TrimSpace(string(boot)), ns.Dev, ns.Ino)
}

// Get reads a setting, as "net/ipv6/conf/all/forwarding".
func Get(key string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("sysctl: %s: %w", dotted(key), ErrMissing)
	case err != nil:
		return "", fmt.Errorf("sysctl: %s: %w", dotted(key), err)
	}
	return strings.TrimSpace(string(b)), nil
}

func put(key, value string) error {
	err := os.WriteFile(filepath.Join(root, key), []byte(value), 0)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("sysctl: %s=%s: %w: %w", dotted(key), value, ErrReadOnly, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sysctl: %s: %w", dotted(key), ErrMissing)
	}
	return fmt.Errorf("sysctl: %s=%s: %w", dotted(key), value, err)
}

// dotted is how users write a key. An interface's name may have dots of its
// own, which sysctl(8) wants as slashes.
func dotted(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, key)
}

// Set gives a setting a value until Close, if it does not have it already.
func (k *Keeper) Set(key, value string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set(key, value)
}

func (k *Keeper) set(key, value string) error {
	now, err := Get(key)
	if err != nil {
		return err
	}
	c, known := k.saved[key]
	if known {
		k.claimed[key] = true
	}
	if now == value {
		return nil
	}
	if !known {
		c.Was = now
	}
	c.Set = value
	was := maps.Clone(k.saved)
	k.saved[key], k.claimed[key] = c, true
	if err := k.write(); err != nil {
		k.saved = was
		return err
	}
	if err := put(key, value); err != nil {
		k.saved = was
		return errors.Join(err, k.write())
	}
	return nil
}

// Changed reports whether a setting has a value of ours.
func (k *Keeper) Changed(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.saved[key]
	return ok
}

// Forget drops what is known of an interface that no longer exists: another
// one of its name begins anew.
func (k *Keeper) Forget(iface string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.saved)
	maps.DeleteFunc(k.saved, func(key string, _ change) bool { return ofInterface(key, iface) != "" })
	if n == len(k.saved) {
		return nil
	}
	return k.write()
}

// Rename tells that an interface has a new name: its settings went along.
func (k *Keeper) Rename(from, to string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	moved := false
	for _, key := range slices.Collect(maps.Keys(k.saved)) {
		if moving := ofInterface(key, from); moving != "" {
			k.saved[moving+to+strings.TrimPrefix(key, moving+from)] = k.saved[key]
			delete(k.saved, key)
			moved = true
		}
	}
	if !moved {
		return nil
	}
	return k.write()
}

// ofInterface returns what is before the interface's name in a key, or "".
func ofInterface(key, iface string) string {
	for _, head := range []string{"net/ipv6/conf/", "net/ipv4/conf/", "net/ipv6/neigh/", "net/ipv4/neigh/"} {
		if rest, ok := strings.CutPrefix(key, head); ok && strings.HasPrefix(rest, iface+"/") {
			return head
		}
	}
	return ""
}

// Release restores the settings of one interface.
func (k *Keeper) Release(iface string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.restore(func(key string) bool { return ofInterface(key, iface) != "" })
}

// Prune restores what a predecessor changed and this process has not set since
// Open.
func (k *Keeper) Prune() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.restore(func(key string) bool { return !k.claimed[key] })
}

// Close restores everything.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.restore(func(string) bool { return true })
}

// restore puts back what is picked.
func (k *Keeper) restore(pick func(key string) bool) error {
	var errs []error
	// Single interfaces first: the setting for all of them changes each.
	keys := slices.SortedFunc(maps.Keys(k.saved), func(a, b string) int {
		if a == forwardAll || b == forwardAll {
			return map[bool]int{true: 1, false: -1}[a == forwardAll]
		}
		return strings.Compare(a, b)
	})
	changed := false
	for _, key := range keys {
		if !pick(key) {
			continue
		}
		c := k.saved[key]
		now, err := Get(key)
		switch {
		case errors.Is(err, ErrMissing): // with its interface
		case err != nil:
			errs = append(errs, err)
			continue
		case now != c.Set || now == c.Was:
		case key == forwardAll:
			err = k.forwardAll(c.Was)
		default:
			err = put(key, c.Was)
		}
		if err != nil && !errors.Is(err, ErrMissing) {
			errs = append(errs, err)
			continue
		}
		delete(k.saved, key)
		delete(k.claimed, key)
		changed = true
	}
	if changed {
		errs = append(errs, k.write())
	}
	return errors.Join(errs...)
}

// write makes the journal durable.
func (k *Keeper) write() error {
	if k.file == "" {
		return nil
	}
	if len(k.saved) == 0 {
		if err := os.Remove(k.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sysctl: removing the journal: %w", err)
		}
		return nil
	}
	b, err := json.MarshalIndent(journal{World: k.world, Saved: k.saved}, "", "\t")
	if err == nil {
		err = durable.WriteFile(k.file, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("sysctl: remembering what settings were before: %w", err)
	}
	return nil
}
