package update

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// key makes a key of a seed.
func key(name string, seed byte) (ed25519.PrivateKey, Key) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return k, Key{name, k.Public().(ed25519.PublicKey)}
}

func manifest() *Manifest {
	return &Manifest{Board: "raspberrypi", Version: "1.2", Minimum: "1.0", Chunks: []Hash{{1}, {2}}}
}

func seal(t testing.TB, m *Manifest, k ed25519.PrivateKey) []byte {
	t.Helper()
	b, err := Seal(m, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHeader(t *testing.T) {
	private, ours := key("release", 1)
	other, _ := key("other", 2)
	_, older := key("older", 3)
	good := seal(t, manifest(), private)
	m, k, err := Open(good, []Key{older, ours})
	if err != nil || k.Name != "release" || cmp.Diff(manifest(), m) != "" {
		t.Fatalf("%+v, %+v, %v", m, k, err)
	}

	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	unsigned := bytes.Clone(good)
	clear(unsigned[idOffset:lengthOffset])
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"one bit of the manifest", changed(jsonOffset+12, good[jsonOffset+12]^1), `not what was signed with the key "release"`},
		{"one bit of the signature", changed(sigOffset, good[sigOffset]^1), "not what was signed"},
		{"a manifest cut short", changed(lengthOffset+3, good[lengthOffset+3]-1), "not what was signed"},
		{"a manifest beyond the header", changed(lengthOffset, 1), "damaged header"},
		{"another's", seal(t, manifest(), other), "which this gateway does not trust"},
		{"without a signature", unsigned, "it is not signed"},
		{"something else", bytes.Repeat([]byte("x"), HeaderLen), "no update bundle"},
		{"zeros", make([]byte, HeaderLen), "no update bundle"},
		{"cut", good[:HeaderLen-1], "no update bundle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if m, _, err := Open(tt.b, []Key{ours}); err == nil || m != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v; want %q", m, err, tt.want)
			}
		})
	}
}

// What is signed says all that it must, or it is not signed.
func TestSealRefuses(t *testing.T) {
	private, _ := key("", 1)
	for name, change := range map[string]func(*Manifest){
		"no board":     func(m *Manifest) { m.Board = "" },
		"board":        func(m *Manifest) { m.Board = "a b" },
		"no version":   func(m *Manifest) { m.Version = "" },
		"version":      func(m *Manifest) { m.Version = "new" },
		"minimum":      func(m *Manifest) { m.Minimum = "old" },
		"empty":        func(m *Manifest) { m.Chunks = nil },
		"much too big": func(m *Manifest) { m.Chunks = make([]Hash, maxChunks+1) },
	} {
		m := manifest()
		change(m)
		if _, err := Seal(m, private); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
	m := manifest()
	m.Chunks = make([]Hash, maxChunks)
	if _, err := Seal(m, private); err != nil {
		t.Errorf("the largest: %v", err)
	}
}

// Whatever a header holds, it is refused or says what Seal would say again.
func FuzzOpen(f *testing.F) {
	private, ours := key("k", 1)
	good := seal(f, manifest(), private)
	f.Add(good[:jsonOffset+200], false)
	f.Add([]byte(magic), false)
	f.Add([]byte(`{"board":"a","version":"1","chunks":["`+strings.Repeat("00", 32)+`"]}`), true)
	f.Fuzz(func(t *testing.T, in []byte, sign bool) {
		header := make([]byte, HeaderLen)
		copy(header, in)
		if sign { // as if whoever has the key signed nonsense
			n := min(len(in), maxJSON)
			copy(header, good[:sigOffset])
			copy(header[sigOffset:], ed25519.Sign(private, signed(in[:n])))
			copy(header[lengthOffset:], []byte{0, 0, byte(n >> 8), byte(n)})
			copy(header[jsonOffset:], in[:n])
		}
		m, _, err := Open(header, []Key{ours})
		if err != nil {
			return
		}
		again, _, err := Open(seal(t, m, private), []Key{ours})
		if err != nil || cmp.Diff(m, again) != "" {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func TestHashJSON(t *testing.T) {
	var h Hash
	for _, bad := range []string{`""`, `"00"`, `"` + strings.Repeat("zz", 32) + `"`, `"` + strings.Repeat("00", 33) + `"`} {
		if err := json.Unmarshal([]byte(bad), &h); err == nil {
			t.Errorf("%s passed", bad)
		}
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "signing.key")
	if err := NewKey(file); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if err := NewKey(file); err == nil {
		t.Error("a key was overwritten")
	}
	k, err := LoadPrivateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	public, err := PublicPEM(k)
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(dir, "keys")
	if err := os.Mkdir(trusted, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(trusted); err == nil || !strings.Contains(err.Error(), "no keys") {
		t.Errorf("without keys: %v", err)
	}
	write(t, filepath.Join(trusted, "release.pem"), public)
	keys, err := LoadKeys(trusted)
	if err != nil || len(keys) != 1 || keys[0].Name != "release" || !keys[0].Public.Equal(k.Public()) {
		t.Fatalf("%+v, %v", keys, err)
	}
	if _, err := LoadPrivateKey(filepath.Join(trusted, "release.pem")); err == nil {
		t.Error("a public key passed for a private one")
	}
	write(t, filepath.Join(trusted, "torn.pem"), public[:40])
	if _, err := LoadKeys(trusted); err == nil || !strings.Contains(err.Error(), "torn.pem") {
		t.Errorf("a torn key: %v", err)
	}
}

// Keys are those that OpenSSL makes, and the other way round.
func TestOpenSSLKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	theirs := filepath.Join(dir, "theirs")
	run("genpkey", "-algorithm", "ed25519", "-out", theirs)
	ours := filepath.Join(dir, "ours")
	if err := NewKey(ours); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{theirs, ours} {
		k, err := LoadPrivateKey(file)
		if err != nil {
			t.Fatal(err)
		}
		public, err := PublicPEM(k)
		if err != nil {
			t.Fatal(err)
		}
		if want := run("pkey", "-in", file, "-pubout"); !bytes.Equal(public, want) {
			t.Errorf("%s: %s, OpenSSL has %s", file, public, want)
		}
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
