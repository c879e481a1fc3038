package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const older, newer = "the value before", `{"counter": 4096, "key": "00112233"}`

// damaged opens a directory whose newest generation of "v" is file, and
// checks that the one before it is used and the damage set aside and named.
func damaged(t *testing.T, what string, file []byte) {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "v.1", encode("v", 1, []byte(older)))
	put(t, dir, "v.2", file)
	s, logged := open(t, dir)
	defer s.Close()
	got, err := s.Load("v")
	if err != nil || string(got) != older {
		t.Fatalf("%s: Load = %q, %v", what, got, err)
	}
	if n := s.Lost("v"); n != 1 {
		t.Fatalf("%s: Lost = %d", what, n)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"v.1", "v.2.corrupt-1"}) {
		t.Fatalf("%s: files %q", what, got)
	}
	if aside, err := os.ReadFile(filepath.Join(dir, "v.2.corrupt-1")); err != nil || !bytes.Equal(aside, file) {
		t.Fatalf("%s: set aside %q, %v", what, aside, err)
	}
	if l := logged.String(); !strings.Contains(l, filepath.Join(dir, "v.2")) || !strings.Contains(l, "v.2.corrupt-1") {
		t.Fatalf("%s: logged %q", what, l)
	}
}

func TestTruncated(t *testing.T) {
	whole := encode("v", 2, []byte(newer))
	for n := range whole {
		damaged(t, fmt.Sprintf("first %d bytes", n), whole[:n])
	}
}

func TestBitFlips(t *testing.T) {
	whole := encode("v", 2, []byte(newer))
	for bit := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		damaged(t, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), b)
	}
}

func TestOtherDamage(t *testing.T) {
	whole := encode("v", 2, []byte(newer))
	for what, b := range map[string][]byte{
		"zeroes":              make([]byte, len(whole)),
		"a byte more":         append(bytes.Clone(whole), 'x'),
		"another value":       encode("w", 2, []byte(newer)),
		"another generation":  encode("v", 1, []byte(newer)),
		"checksum in capital": bytes.Replace(whole, whole[20:60], bytes.ToUpper(whole[20:60]), 1),
		"sparse and huge":     make([]byte, MaxSize+2*maxHeaderLen),
	} {
		damaged(t, what, b)
	}
}

func TestDamageAndSave(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "v.7", encode("v", 7, []byte("seven")))
	put(t, dir, "v.8", []byte("rot"))
	put(t, dir, "v.9", nil)
	s, _ := open(t, dir)
	wantValue(t, s, "v", "seven")
	if n := s.Lost("v"); n != 2 {
		t.Errorf("Lost = %d, want 2", n)
	}
	s.Close()

	s, _ = open(t, dir) // set aside by now, and still known to be lost
	wantValue(t, s, "v", "seven")
	if n := s.Lost("v"); n != 2 {
		t.Errorf("Lost after reopening = %d, want 2", n)
	}
	save(t, s, "v", "ten")
	if n := s.Lost("v"); n != 0 {
		t.Errorf("Lost after Save = %d", n)
	}
	wantValue(t, s, "v", "ten")
	if n := s.Lost("v"); n != 0 {
		t.Errorf("Lost after Save and Load = %d", n)
	}
	want := []string{"v.10", "v.7", "v.8.corrupt-1", "v.9.corrupt-1"}
	if got := listing(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	for gen := range uint64(generations) {
		put(t, dir, fileName("v", gen+1), []byte("rot"))
	}
	s, _ := open(t, dir)
	for range 2 {
		if b, err := s.Load("v"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrDamaged) {
			t.Fatalf("Load = %q, %v", b, err)
		}
	}
	if names, err := s.Names(); err != nil || len(names) != 0 {
		t.Errorf("Names = %q, %v", names, err)
	}
	save(t, s, "v", "new")
	wantValue(t, s, "v", "new")

	if _, err := s.Load("never"); errors.Is(err, ErrDamaged) {
		t.Errorf("a value never saved: %v", err)
	}
}

// Flash that spoils every file must not fill up with them.
func TestEvidenceIsBounded(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	for range 3 * maxAside {
		save(t, s, "v", "value")
		files := listing(t, dir)
		for _, f := range files {
			if !strings.Contains(f, asideMark) {
				put(t, dir, f, []byte("rot"))
			}
		}
		s.Load("v")
	}
	got := listing(t, dir)
	if len(got) != maxAside || !slices.Contains(got, fmt.Sprintf("v.%d.corrupt-1", 3*maxAside)) {
		t.Errorf("files %q", got)
	}
}

// Whatever decodes is what was encoded.
func FuzzDecode(f *testing.F) {
	f.Add(encode("v", 1, []byte("value")))
	f.Add([]byte("gatewayd-store 1 v 1 0 \n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		data, err := decode("v", 1, file)
		if err == nil && !bytes.Equal(encode("v", 1, data), file) {
			t.Fatalf("%q decodes to %q", file, data)
		}
		sealed := encode("v", 1, file)
		if data, err := decode("v", 1, sealed); err != nil || !bytes.Equal(data, file) {
			t.Fatalf("%q became %q, %v", file, data, err)
		}
	})
}
