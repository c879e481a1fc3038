package rings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestModule(t *testing.T) {
	root := filepath.Join("..", "..")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	module, ok := strings.CutPrefix(first, "module ")
	if !ok {
		t.Fatalf("go.mod begins with %q", first)
	}

	c := newChecker(module, table)
	dirs, err := c.tree(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range c.found {
		t.Error(v)
	}
	if !slices.Contains(dirs, "internal/rings") {
		t.Errorf("walked %q, which misses this very package", dirs)
	}
}

// The checker itself: each source must draw exactly the complaint given.
func TestChecker(t *testing.T) {
	rings := map[string]ring{
		"frame": wire, "bits": wire, "mle": machine, "dtls": machine, "host": daemon, "mletest": support,
		"eap/tls": machine,
	}
	tests := []struct {
		name string
		file string
		src  string
		want string // part of the only complaint, "" for none
	}{
		{"wire, pure", "frame/a.go", `import ("errors"; "net/netip"; "time"; "m/bits"); var _ time.Duration`, ""},
		{"wire imports a machine", "frame/a.go", `import "m/mle"`, "frame/a.go:1:19: wire package imports m/mle: it is a machine package"},
		{"wire imports a daemon", "frame/a.go", `import "m/host"`, "it is a daemon package"},
		{"wire imports a library", "frame/a.go", `import "filippo.io/nistec"`, "not on the list"},
		{"machine imports wire and machine", "mle/a.go", `import ("m/frame"; "m/dtls")`, ""},
		{"machine imports a daemon", "mle/a.go", `import "m/host"`, "it is a daemon package"},
		{"machine imports a pure library", "dtls/a.go", `import "github.com/pion/dtls/v3/pkg/crypto/prf"`, ""},
		{"machine imports the rest of that library", "dtls/a.go", `import "github.com/pion/dtls/v3"`, "not on the list"},
		{"daemon imports everything", "host/a.go", `import ("net"; "os"; "time"; "m/mle"; "m/frame"; "example.org/x"); var _ = time.Now`, ""},
		{"package in no ring", "mle/a.go", `import "m/new"`, ""},
		{"tests' helper in a daemon", "host/a.go", `import "m/mletest"`, "for tests only"},

		{"net", "mle/a.go", `import "net"`, "sockets"},
		{"below net", "mle/a.go", `import "net/http"`, "sockets"},
		{"net's types, excepted", "eap/tls/a.go", `import "net"; func f(net.Conn) net.Addr { return nil }`, ""},
		{"the rest of net, for the same package", "eap/tls/a.go", `import "net"; var _ = net.Dial`, "net.Dial: it is not among the types excepted"},
		{"the rest below net, for the same package", "eap/tls/a.go", `import "net/http"`, "sockets"},
		{"net's types elsewhere", "mle/a.go", `import "net"; var _ net.Conn`, "sockets"},
		{"os", "frame/a.go", `import "os"`, "files"},
		{"below os", "frame/a.go", `import "os/exec"`, "files"},
		{"context", "mle/a.go", `import "context"`, "cancelling"},
		{"slog", "mle/a.go", `import "log/slog"`, "logging"},
		{"crypto/rand", "mle/a.go", `import "crypto/rand"`, "randomness"},
		{"blank import", "mle/a.go", `import _ "net"`, "sockets"},
		{"cgo", "mle/a.go", `import "C"`, "no cgo"},
		{"dot import", "mle/a.go", `import . "time"`, "with a dot"},

		{"clock", "mle/a.go", `import "time"; var t = time.Now()`, "mle/a.go:1:35: machine package uses time.Now: time is an argument"},
		{"clock as a value", "mle/a.go", `import "time"; var now = time.Now`, "time.Now"},
		{"clock by another name", "mle/a.go", `import clock "time"; var t = clock.Since`, "time.Since"},
		{"timer in a function", "mle/a.go", `import "time"; func f() { if true { <-time.After(time.Second) } }`, "time.After"},
		{"sleep", "frame/a.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"method of the same name", "mle/a.go", `import "time"; func f(c interface{ Now() time.Time }) time.Time { return c.Now() }`, ""},
		{"After of a time", "mle/a.go", `import "time"; func f(a, b time.Time) bool { return a.After(b) }`, ""},

		{"global random source", "mle/a.go", `import "math/rand/v2"; var x = rand.Uint32()`, "math/rand/v2.Uint32"},
		{"global random source, generic", "mle/a.go", `import "math/rand/v2"; var x = rand.N[int]`, "math/rand/v2.N"},
		{"old global random source", "mle/a.go", `import "math/rand"; var x = rand.Intn(3)`, "math/rand.Intn"},
		{"own random source", "mle/a.go", `import "math/rand/v2"; func f(s rand.Source) *rand.Rand { return rand.New(s) }`, ""},

		{"goroutine", "mle/a.go", `func f() { go f() }`, "starts a goroutine"},
		{"goroutine of a daemon", "host/a.go", `func f() { go f() }`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChecker("m", rings)
			if err := c.file(tt.file, []byte("package p; "+tt.src)); err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.want == "" && len(c.found) != 0:
				t.Errorf("complains: %q", c.found)
			case tt.want != "" && (len(c.found) != 1 || !strings.Contains(c.found[0], tt.want)):
				t.Errorf("complains: %q, want one with %q", c.found, tt.want)
			}
		})
	}
}

// A folder nobody classified, a test file, and what does not belong to the
// module, on disk.
func TestTree(t *testing.T) {
	root := t.TempDir()
	for name, src := range map[string]string{
		"frame/frame.go":         `package frame; import "os"; var _ = os.Args`,
		"frame/frame_linux.go":   "//go:build never\n\npackage frame; import \"net\"; var _ net.Addr",
		"frame/frame_test.go":    `package frame; import "os"; var _ = os.Args`,
		"frame/testdata/x.go":    `not Go`,
		"new/new.go":             `package new`,
		"nested/go.mod":          `module nested`,
		"nested/x.go":            `package x`,
		".hidden/x.go":           `package x`,
		"onlytests/only_test.go": `package onlytests`,
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := newChecker("m", map[string]ring{"frame": wire})
	dirs, err := c.tree(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"frame", "new"}; !slices.Equal(dirs, want) {
		t.Errorf("walked %q, want %q", dirs, want)
	}
	want := []string{"imports os:", "imports net:", "new: package is in no ring"}
	if len(c.found) != len(want) {
		t.Fatalf("complains: %q", c.found)
	}
	for i := range want {
		if !strings.Contains(c.found[i], want[i]) {
			t.Errorf("complaint %d: %q, want one with %q", i, c.found[i], want[i])
		}
	}
}
