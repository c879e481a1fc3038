package update

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// A Device is the partition of a slot. Offsets and lengths are multiples of
// HeaderLen, and what is read is what the medium holds.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // returns when everything written before is durable
}

// A Slot is a partition with a payload at its begin and the header of the
// bundle it came from in its last HeaderLen bytes.
type Slot struct {
	dev  Device
	size int64
	buf  []byte // of ChunkLen, as the device wants it
}

// NewSlot uses a device of so many bytes. buf has ChunkLen bytes, at an address
// that the device can read to and write from.
func NewSlot(dev Device, size int64, buf []byte) *Slot {
	return &Slot{dev: dev, size: size &^ (HeaderLen - 1), buf: buf[:ChunkLen]}
}

func (s *Slot) room() int64 { return (s.size - HeaderLen) &^ (ChunkLen - 1) }

func (s *Slot) header() ([]byte, error) {
	b := s.buf[:HeaderLen]
	if _, err := s.dev.ReadAt(b, s.size-HeaderLen); err != nil {
		return nil, err
	}
	return b, nil
}

// Installed is what the slot says it holds. It was complete when that was
// written; Verify tells whether it still is.
func (s *Slot) Installed(keys []Key) (*Manifest, Key, error) {
	b, err := s.header()
	if err != nil {
		return nil, Key{}, fmt.Errorf("update: reading the slot: %w", err)
	}
	m, k, err := Open(b, keys)
	if errors.Is(err, ErrNoBundle) {
		err = errors.New("update: the slot holds nothing complete")
	}
	return m, k, err
}

// has reads chunk i into buf and tells whether it is the manifest's.
func (s *Slot) has(m *Manifest, i int) (bool, error) {
	if _, err := s.dev.ReadAt(s.buf, int64(i)*ChunkLen); err != nil {
		return false, fmt.Errorf("update: reading the slot at byte %d: %w", int64(i)*ChunkLen, err)
	}
	return sha256.Sum256(s.buf) == m.Chunks[i], nil
}

// Verify reads all of the payload back.
func (s *Slot) Verify(ctx context.Context, m *Manifest) error {
	if m.Size() > s.room() {
		return fmt.Errorf("update: %d bytes do not fit the slot's %d", m.Size(), s.room())
	}
	return s.verify(ctx, m, 0)
}

func (s *Slot) verify(ctx context.Context, m *Manifest, from int) error {
	for i := from; i < len(m.Chunks); i++ {
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
		switch ok, err := s.has(m, i); {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("update: what the slot holds at byte %d is not what was written: the card is failing", int64(i)*ChunkLen)
		}
	}
	return nil
}

// missing tells for each chunk whether the slot lacks it.
func (s *Slot) missing(ctx context.Context, m *Manifest) (list []bool, n int, err error) {
	for i := range m.Chunks {
		if err := ctx.Err(); err != nil {
			return nil, 0, wrap(err)
		}
		ok, err := s.has(m, i)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, !ok)
		if !ok {
			n++
		}
	}
	return list, n, nil
}

// Write makes the slot hold what an opened header says, out of the bundle. What
// it holds of that already, be it from another version or from a writing that
// was cut off, is neither fetched nor written again. progress is told how many
// of the payload's bytes are there.
func (s *Slot) Write(ctx context.Context, header []byte, m *Manifest, b *Bundled, progress func(int64)) error {
	if m.Size() > s.room() {
		return fmt.Errorf("update: %d bytes do not fit the slot's %d", m.Size(), s.room())
	}
	missing, n, err := s.missing(ctx, m)
	if err != nil {
		return err
	}
	if has, err := s.header(); err != nil {
		return wrap(err)
	} else if n == 0 && bytes.Equal(has, header) {
		return nil
	}
	if err := s.invalidate(); err != nil {
		return err
	}
	if !missing[0] {
		missing[0], n = true, n+1
	}
	done := int64(len(missing)-n) * ChunkLen
	progress(done)
	var first []byte // chunk
	for i, lacks := range missing {
		if !lacks {
			continue
		}
		if err := b.chunk(ctx, m, i, s.buf); err != nil {
			return err
		}
		if i == 0 {
			first = bytes.Clone(s.buf)
			continue
		}
		if err := s.put(s.buf, int64(i)*ChunkLen); err != nil {
			return err
		}
		done += ChunkLen
		progress(done)
	}
	if err := s.finish(ctx, header, m, first); err != nil {
		return err
	}
	progress(m.Size())
	return nil
}

// put writes at an offset.
func (s *Slot) put(b []byte, off int64) error {
	if _, err := s.dev.WriteAt(b, off); err != nil {
		return fmt.Errorf("update: writing the slot at byte %d: %w", off, err)
	}
	return nil
}

func (s *Slot) sync() error {
	if err := s.dev.Sync(); err != nil {
		return fmt.Errorf("update: writing the slot: %w", err)
	}
	return nil
}

func (s *Slot) putDurably(b []byte, off int64) error {
	if err := s.put(b, off); err != nil {
		return err
	}
	return s.sync()
}

// invalidate makes the slot, to Installed, nothing complete, and then no file
// system, before the rest of it changes.
func (s *Slot) invalidate() error {
	clear(s.buf)
	if err := s.putDurably(s.buf[:HeaderLen], s.size-HeaderLen); err != nil {
		return err
	}
	return s.putDurably(s.buf, 0)
}

// finish reads everything back, and then writes what makes it count: the first
// chunk, and when that is durable and right the header.
func (s *Slot) finish(ctx context.Context, header []byte, m *Manifest, first []byte) error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.verify(ctx, m, 1); err != nil {
		return err
	}
	copy(s.buf, first)
	if err := s.putDurably(s.buf, 0); err != nil {
		return err
	}
	if ok, err := s.has(m, 0); err != nil {
		return err
	} else if !ok {
		return errors.New("update: what the slot holds at its begin is not what was written: the card is failing")
	}
	copy(s.buf, header)
	if err := s.putDurably(s.buf[:HeaderLen], s.size-HeaderLen); err != nil {
		return err
	}
	has, err := s.header()
	if err != nil {
		return wrap(err)
	}
	if !bytes.Equal(has, header) {
		return errors.New("update: what the slot holds at its end is not what was written: the card is failing")
	}
	return nil
}
