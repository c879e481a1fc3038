package update

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sector is what a card writes whole or not at all.
const sector = 512

// A medium is a card with a cache: until a Sync what was written may be there,
// or not, sector by sector. The power goes when cut has come down to 0.
type medium struct {
	b      []byte // as read
	stable []byte // for certain
	cut    int    // operations until then; negative: never
	r      *rand.Rand
	writes int
}

var errCut = errors.New("the power is gone")

func newMedium(size int) *medium {
	m := &medium{b: make([]byte, size), cut: -1, r: rand.New(rand.NewPCG(1, 2))}
	rand.NewChaCha8([32]byte{99}).Read(m.b)
	m.stable = bytes.Clone(m.b)
	return m
}

func (m *medium) step() error {
	if m.cut == 0 {
		return errCut
	}
	m.cut--
	return nil
}

func (m *medium) ReadAt(b []byte, off int64) (int, error) {
	if off%HeaderLen != 0 || len(b)%HeaderLen != 0 {
		return 0, fmt.Errorf("unaligned: %d bytes at %d", len(b), off)
	}
	return copy(b, m.b[off:]), nil
}

func (m *medium) WriteAt(b []byte, off int64) (int, error) {
	if off%HeaderLen != 0 || len(b)%HeaderLen != 0 {
		return 0, fmt.Errorf("unaligned: %d bytes at %d", len(b), off)
	}
	if err := m.step(); err != nil {
		m.lose(off, b)
		return 0, err
	}
	m.writes++
	return copy(m.b[off:], b), nil
}

func (m *medium) Sync() error {
	if err := m.step(); err != nil {
		m.lose(0, nil)
		return err
	}
	copy(m.stable, m.b)
	return nil
}

// lose has some sectors of what is not stable, and of a write under way, not
// get through.
func (m *medium) lose(off int64, b []byte) {
	copy(m.b[off:], b)
	for at := 0; at < len(m.b); at += sector {
		if m.r.IntN(2) == 0 {
			copy(m.b[at:at+sector], m.stable[at:])
		}
	}
	copy(m.stable, m.b)
}

// bundle is one with that many chunks, of which every second is as in every
// other bundle, in a file.
func bundle(t *testing.T, version string, chunks int, seed byte) (*Bundled, []byte) {
	t.Helper()
	private, _ := key("k", 1)
	r := rand.NewChaCha8([32]byte{seed})
	payload := make([]byte, chunks*ChunkLen)
	for i := range chunks {
		b := payload[i*ChunkLen : (i+1)*ChunkLen]
		r.Read(b)
		if i%2 == 0 { // as FAT's own sectors are, from version to version
			rand.NewChaCha8([32]byte{100}).Read(b)
		}
	}
	name := filepath.Join(t.TempDir(), version)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The last chunk is filled up.
	if err := Bundle(f, bytes.NewReader(payload[:len(payload)-1000]), Manifest{Board: "b", Version: version}, private); err != nil {
		t.Fatal(err)
	}
	clear(payload[len(payload)-1000:])
	b, err := Locate(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, payload
}

func install(t *testing.T, s *Slot, b *Bundled) error {
	t.Helper()
	_, k := key("k", 1)
	header, m, _, err := b.Header(t.Context(), []Key{k})
	if err != nil {
		t.Fatal(err)
	}
	var done []int64
	err = s.Write(t.Context(), header, m, b, func(n int64) { done = append(done, n) })
	if !slices.IsSorted(done) || err == nil && done != nil && done[len(done)-1] != m.Size() {
		t.Errorf("progress of %d bytes is %v, %v", m.Size(), done, err)
	}
	return err
}

const (
	chunks   = 4
	slotSize = (chunks+1)*ChunkLen + 3*HeaderLen + 100 // not whole chunks
)

func TestWrite(t *testing.T) {
	_, k := key("k", 1)
	card := newMedium(slotSize)
	s := NewSlot(card, slotSize, make([]byte, ChunkLen))
	if _, _, err := s.Installed([]Key{k}); err == nil || !strings.Contains(err.Error(), "nothing complete") {
		t.Errorf("of junk: %v", err)
	}
	first, payload := bundle(t, "1.1", chunks, 1)
	if err := install(t, s, first); err != nil {
		t.Fatal(err)
	}
	m, _, err := s.Installed([]Key{k})
	if err != nil || m.Version != "1.1" || s.Verify(t.Context(), m) != nil || !bytes.HasPrefix(card.b, payload) {
		t.Fatalf("%+v, %v", m, err)
	}

	// What is there is not written again; of another version only what differs.
	card.writes = 0
	if err := install(t, s, first); err != nil || card.writes != 0 {
		t.Errorf("the same again: %d writes, %v", card.writes, err)
	}
	second, payload := bundle(t, "1.2", chunks, 2)
	if err := install(t, s, second); err != nil || !bytes.HasPrefix(card.b, payload) {
		t.Fatal(err)
	}
	// Header and first chunk twice, to take them back and to set them.
	if want := 4 + chunks/2; card.writes != want {
		t.Errorf("%d writes of what differs, want %d", card.writes, want)
	}

	// A card that fails later is noticed when the slot is looked at.
	card.b[ChunkLen+77]++
	if m, _, err := s.Installed([]Key{k}); err != nil || s.Verify(t.Context(), m) == nil {
		t.Errorf("%+v, %v: a changed byte was not noticed", m, err)
	}

	big, _ := bundle(t, "2", chunks+2, 3)
	card.writes = 0
	if err := install(t, s, big); err == nil || !strings.Contains(err.Error(), "do not fit") || card.writes != 0 {
		t.Errorf("too large: %v, %d writes", err, card.writes)
	}
}

// The power goes in every operation of a writing in turn. A slot that counts,
// to the firmware or to us, is one that is whole; and writing it again ends
// well, without writing again what is there.
func TestPowerCut(t *testing.T) {
	_, k := key("k", 1)
	_, old := bundle(t, "1.1", chunks, 1)
	b, payload := bundle(t, "1.2", chunks, 2)
	oldBundle, _ := bundle(t, "1.1", chunks, 1)
	for cut := 0; ; cut++ {
		card := newMedium(slotSize)
		s := NewSlot(card, slotSize, make([]byte, ChunkLen))
		if err := install(t, s, oldBundle); err != nil {
			t.Fatal(err)
		}
		card.cut = cut
		err := install(t, s, b)
		card.cut = -1
		if err == nil {
			if cut < 8 {
				t.Fatalf("done after %d operations", cut)
			}
			t.Logf("%d operations", cut)
			return
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if m, _, err := s.Installed([]Key{k}); err == nil && s.Verify(t.Context(), m) != nil {
			t.Errorf("cut %d: a torn slot counts as %s", cut, m.Version)
		}
		rest := card.b[ChunkLen:len(payload)]
		if bytes.Equal(card.b[:sector], payload[:sector]) && !bytes.Equal(rest, payload[ChunkLen:]) && !bytes.Equal(rest, old[ChunkLen:]) {
			t.Errorf("cut %d: a torn slot could be started", cut)
		}
		card.writes = 0
		if err := install(t, s, b); err != nil || !bytes.HasPrefix(card.b, payload) {
			t.Fatalf("cut %d: again: %v", cut, err)
		}
		if m, _, err := s.Installed([]Key{k}); err != nil || m.Version != "1.2" || s.Verify(t.Context(), m) != nil {
			t.Fatalf("cut %d: again: %+v, %v", cut, m, err)
		}
	}
}

// Free space within the payload is in the bundle, that at its end is not.
func TestBundleFreeSpace(t *testing.T) {
	private, k := key("k", 1)
	payload := make([]byte, 6*ChunkLen)
	payload[0], payload[2*ChunkLen] = 1, 1
	name := filepath.Join(t.TempDir(), "b")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Bundle(f, bytes.NewReader(payload), Manifest{Board: "b", Version: "1"}, private); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := Open(b[:HeaderLen], []Key{k})
	if err != nil || len(m.Chunks) != 3 || !bytes.Equal(b[HeaderLen:], payload[:3*ChunkLen]) {
		t.Errorf("%d bytes, %+v, %v", len(b), m, err)
	}
	if err := Bundle(f, bytes.NewReader(nil), Manifest{Board: "b", Version: "1"}, private); err == nil {
		t.Error("a bundle of nothing")
	}
}
