package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gatewayd/internal/durable"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// ErrDamaged is what Load's error wraps, beside fs.ErrNotExist, when a value
// was saved once but no generation of it can be read any more.
var ErrDamaged = errors.New("every generation is damaged")

// A Store is an open data directory. Its methods may be called concurrently.
type Store struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	lock *os.File       // nil once closed
	lost map[string]int // by name: newer generations the last Load had to skip
}

// Open takes the data directory for this process, making it if need be, and
// finishes what an earlier process was interrupted in. A directory that is
// taken already gives an *InUseError. A nil log discards.
func Open(dir string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, log: log, lock: l, lost: map[string]int{}}
	if err := s.tidy(); err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}

func makeDir(dir string) error {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: making data directory: %w", err)
	}
	if err := durable.SyncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return fmt.Errorf("store: making data directory: %w", err)
	}
	return nil
}

// tidy removes what interrupted Saves left and finishes an interrupted Wipe.
func (s *Store) tidy() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("store: reading data directory: %w", err)
	}
	for _, e := range entries {
		switch {
		case isTemporary(e.Name()):
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("store: removing an unfinished file: %w", err)
			}
		case e.Name() == wipeName:
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "finishing a factory reset",
				slog.String("id", "STORE-0003"), slog.String("dir", s.dir))
			if err := s.wipe(); err != nil {
				return err
			}
		}
	}
	if fi, err := os.Stat(s.dir); err == nil && fi.Mode().Perm()&0o077 != 0 {
		// Not tightened: it may be a directory others use as well.
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "data directory is open to other users",
			slog.String("id", "STORE-0002"), slog.String("dir", s.dir), slog.String("mode", fi.Mode().Perm().String()))
	}
	return nil
}

// Close gives the directory back.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	l := s.lock
	s.lock = nil
	l.Truncate(0) // best effort: the next holder overwrites it
	return l.Close()
}

// enter locks the store for a call about name and lists the value's files.
func (s *Store) enter(op, name string) (files, error) {
	if err := checkName(name); err != nil {
		return files{}, err
	}
	if s.lock == nil {
		return files{}, fmt.Errorf("store: %s %s: %w", op, name, fs.ErrClosed)
	}
	all, err := scan(s.dir)
	if err != nil {
		return files{}, fmt.Errorf("store: %s %s: %w", op, name, err)
	}
	return all[name], nil
}

// Load returns the newest readable generation of a value. Damaged ones it
// meets are set aside, and Lost tells how many. The error is fs.ErrNotExist
// if there is no generation to return, and ErrDamaged too if there was.
func (s *Store) Load(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.enter("loading", name)
	if err != nil {
		return nil, err
	}

	var data []byte
	var gen uint64 // of data; 0 if there is none
	for _, g := range slices.Backward(f.gens) {
		data, err = s.read(name, g)
		if err == nil {
			gen = g
			break
		}
		if !errors.Is(err, errRecord) {
			return nil, fmt.Errorf("store: loading %s: %w", name, err)
		}
		f.aside = append(f.aside, aside{g, s.setAside(fileName(name, g), err)})
	}
	s.pruneAside(f)

	newer := map[uint64]bool{}
	for _, a := range f.aside {
		if a.gen > gen {
			newer[a.gen] = true
		}
	}
	s.lost[name] = len(newer)
	switch {
	case gen != 0:
		return data, nil
	case len(newer) > 0:
		return nil, fmt.Errorf("store: loading %s: %w (%w)", name, fs.ErrNotExist, ErrDamaged)
	default:
		return nil, fmt.Errorf("store: loading %s: %w", name, fs.ErrNotExist)
	}
}

// Lost returns how many generations, newer than the one the last Load of name
// returned, were damaged: how far behind that value may be. It is 0 again
// after a Save. Whoever reserves counters must skip as many reservations.
func (s *Store) Lost(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[name]
}

// read returns one generation of a value; the error is errRecord if its file
// is damaged.
func (s *Store) read(name string, gen uint64) ([]byte, error) {
	f, err := os.Open(filepath.Join(s.dir, fileName(name, gen)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+maxHeaderLen+1))
	switch {
	case errors.Is(err, unix.EIO): // the sector itself is gone
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	case err != nil:
		return nil, err
	case len(b) > MaxSize+maxHeaderLen:
		return nil, fmt.Errorf("%w: larger than any value", errRecord)
	}
	return decode(name, gen, b)
}

// setAside renames a damaged file and returns its name then. Where that is
// impossible it stays, to be skipped again next time.
func (s *Store) setAside(file string, cause error) string {
	attrs := []slog.Attr{slog.String("id", "STORE-0001"),
		slog.String("file", filepath.Join(s.dir, file)), slog.Any("error", cause)}
	to := file
	for n := 1; n <= maxAside; n++ {
		to = fmt.Sprintf("%s%s%d", file, asideMark, n)
		if _, err := os.Lstat(filepath.Join(s.dir, to)); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	err := os.Rename(filepath.Join(s.dir, file), filepath.Join(s.dir, to))
	if err == nil {
		err = durable.SyncDir(s.dir)
	}
	if err != nil {
		attrs = append(attrs, slog.String("not set aside", err.Error()))
		to = file
	} else {
		attrs = append(attrs, slog.String("set aside as", to))
	}
	s.log.LogAttrs(context.Background(), slog.LevelError, "damaged file, using the one before it", attrs...)
	return to
}

// pruneAside removes the oldest evidence of damage, so that failing flash
// does not fill itself.
func (s *Store) pruneAside(f files) {
	list := slices.Clone(f.aside)
	slices.SortFunc(list, func(a, b aside) int { return cmp.Compare(a.gen, b.gen) })
	for len(list) > maxAside {
		// A failure leaves a file for the next time.
		os.Remove(filepath.Join(s.dir, list[0].file))
		list = list[1:]
	}
}

// Save makes data the newest generation of a value. When it returns nil, the
// value is on the disk; when it returns an error, Load still finds the value
// before it.
func (s *Store) Save(name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.enter("saving", name)
	if err != nil {
		return err
	}
	if len(data) > MaxSize {
		return fmt.Errorf("store: saving %s: %d bytes, at most %d are kept", name, len(data), MaxSize)
	}
	gen := f.next()
	if err := s.write(fileName(name, gen), encode(name, gen, data)); err != nil {
		return fmt.Errorf("store: saving %s, the value before it is kept: %w", name, err)
	}
	delete(s.lost, name)
	for len(f.gens) >= generations {
		if err := os.Remove(filepath.Join(s.dir, fileName(name, f.gens[0]))); err != nil {
			// The value is safe; one file too many is not worth failing for.
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "old generation not removed",
				slog.String("id", "STORE-0004"), slog.Any("error", err))
		}
		f.gens = f.gens[1:]
	}
	return nil
}

// write puts a whole file on the disk, or nothing.
func (s *Store) write(file string, b []byte) error {
	p, err := renameio.NewPendingFile(filepath.Join(s.dir, file),
		renameio.WithTempDir(s.dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer p.Cleanup()
	if _, err := p.Write(b); err != nil {
		return err
	}
	if err := p.CloseAtomicallyReplace(); err != nil {
		return err
	}
	if err := durable.SyncDir(s.dir); err != nil {
		os.Remove(filepath.Join(s.dir, file)) // it may or may not be there after a power cut
		return err
	}
	return nil
}

// Delete forgets a value, all generations and what was set aside of it. It is
// no error if there is none.
func (s *Store) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.enter("deleting", name)
	if err == nil {
		err = s.remove(name, f)
	}
	return err
}

// remove deletes a value's files, the newest last: an interruption must not
// bring an older generation back.
func (s *Store) remove(name string, f files) error {
	delete(s.lost, name)
	var list []string
	for _, a := range f.aside {
		list = append(list, a.file)
	}
	for _, g := range f.gens {
		list = append(list, fileName(name, g))
	}
	for _, file := range list {
		if err := os.Remove(filepath.Join(s.dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: deleting %s: %w", name, err)
		}
	}
	if err := durable.SyncDir(s.dir); err != nil {
		return fmt.Errorf("store: deleting %s: %w", name, err)
	}
	return nil
}

// Names returns the names of all values, sorted.
func (s *Store) Names() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil, fmt.Errorf("store: listing values: %w", fs.ErrClosed)
	}
	all, err := scan(s.dir)
	if err != nil {
		return nil, fmt.Errorf("store: listing values: %w", err)
	}
	maps.DeleteFunc(all, func(_ string, f files) bool { return len(f.gens) == 0 })
	return slices.Sorted(maps.Keys(all)), nil
}

// Wipe forgets every value, for a factory reset. Once begun it is not undone
// by an interruption: the next Open finishes it.
func (s *Store) Wipe() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return fmt.Errorf("store: wiping: %w", fs.ErrClosed)
	}
	// On a full disk the mark is gone without: removing is what helps there.
	if err := s.write(wipeName, nil); err != nil && !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("store: wiping, nothing is lost yet: %w", err)
	}
	return s.wipe()
}

func (s *Store) wipe() error {
	all, err := scan(s.dir)
	if err != nil {
		return fmt.Errorf("store: wiping: %w", err)
	}
	for name, f := range all {
		if err := s.remove(name, f); err != nil {
			return err
		}
	}
	tables, err := filepath.Glob(filepath.Join(s.dir, "*"+tableSuffix))
	if err != nil {
		return fmt.Errorf("store: wiping: %w", err)
	}
	for _, file := range tables {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: wiping: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(s.dir, wipeName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: wiping: %w", err)
	}
	return durable.SyncDir(s.dir)
}
