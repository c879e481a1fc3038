package update

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLocate(t *testing.T) {
	for _, bad := range []string{"ftp://host/b", "://"} {
		if _, err := Locate(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

// serve has a server send the file, and breaks off after so many bytes of an
// answer, if any.
func serve(t *testing.T, file string, ranges bool, breaks int) (url string, asked *[]string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Header.Get("Range"))
		if breaks > 0 {
			w = &breaking{w, breaks}
		}
		if !ranges {
			r.Header.Del("Range")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// breaking is an answer that breaks off.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

// A transfer that breaks off again and again, from servers that can go on where
// it did and from those that cannot, ends well.
func TestTransfer(t *testing.T) {
	file, payload := bundle(t, "1.2", chunks, 1)
	for _, tt := range []struct {
		name   string
		ranges bool
		breaks int
	}{{"ranges", true, 0}, {"breaking off", true, ChunkLen + ChunkLen/2}, {"everything each time", false, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			url, asked := serve(t, file.Name, tt.ranges, tt.breaks)
			b, err := Locate(url)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			card := newMedium(slotSize)
			// A part is there.
			copy(card.b[ChunkLen:], payload[ChunkLen:2*ChunkLen])
			if err := install(t, NewSlot(card, slotSize, make([]byte, ChunkLen)), b); err != nil {
				t.Fatalf("%v, asked for %v", err, *asked)
			}
			if !bytes.HasPrefix(card.b, payload) {
				t.Error("other content")
			}
			if tt.ranges && !strings.Contains(strings.Join(*asked, " "), "bytes=2162688-") { // the third chunk
				t.Errorf("what is there was fetched: asked for %v", *asked)
			}
		})
	}
}

func TestBadSources(t *testing.T) {
	private, k := key("k", 1)
	good, _ := bundle(t, "1.2", chunks, 1)
	whole, err := os.ReadFile(good.Name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		write(t, name, b)
		return name
	}
	damaged := bytes.Clone(whole)
	damaged[HeaderLen+2*ChunkLen+5]++
	short, _ := serve(t, file("short", whole[:len(whole)-1]), true, 0)
	for _, tt := range []struct{ name, source, want string }{
		{"missing", filepath.Join(dir, "none"), "no such file"},
		{"a folder", dir, "is a directory"},
		{"empty", file("empty", nil), "no update bundle"},
		{"cut in the header", file("header", whole[:500]), "cut short: it ends after 500 bytes, within its header"},
		{"cut behind it", file("payload", whole[:HeaderLen+ChunkLen]), "cut short, or changed: it has 1114112 bytes and should have 4259840"},
		{"longer", file("longer", append(bytes.Clone(whole), 0)), "cut short, or changed"},
		{"cut, on a server", short, "cut short, or changed"},
		{"something else", file("zeros", make([]byte, 1<<20)), "no update bundle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := Locate(tt.source)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, _, _, err := b.Header(t.Context(), []Key{k}); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.source) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}

	// What is damaged behind the header is noticed before it is written.
	card := newMedium(slotSize)
	b, err := Locate(file("damaged", damaged))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := install(t, NewSlot(card, slotSize, make([]byte, ChunkLen)), b); err == nil || !strings.Contains(err.Error(), "at byte 2162688 is not what was signed") {
		t.Error(err)
	}
	if bytes.Contains(card.b, damaged[HeaderLen+2*ChunkLen:][:sector]) {
		t.Error("and was written")
	}

	// Another signature is put on it, by whoever has the key.
	other, kk := key("other", 2)
	f, err := os.OpenFile(good.Name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, signer := range []struct {
		private []byte
		key     Key
	}{{other, kk}, {private, k}} {
		if err := Sign(f, signer.private); err != nil {
			t.Fatal(err)
		}
		if _, m, by, err := good.Header(t.Context(), []Key{k, kk}); err != nil || by.Name != signer.key.Name || m.Version != "1.2" {
			t.Errorf("%+v, %+v, %v", m, by, err)
		}
	}
	if again, err := os.ReadFile(good.Name); err != nil || !bytes.Equal(again, whole) {
		t.Error("signed again by the first key it is not the same again")
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		want    string
		refused bool
	}{
		{"not found", http.NotFound, "the server says 404", true},
		{"too short", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(416) }, "cut short: it has no byte 5", true},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "the server says 500", false},
		{"another range", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 7-9/10")
			w.WriteHeader(206)
		}, "asked for byte 5 the server sends byte 7", true},
		{"no range", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) }, "where the range should be", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.answer)
			defer s.Close()
			_, _, err := get(t.Context(), s.URL, 5)
			var no *refusal
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &no) != tt.refused {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestContentRange(t *testing.T) {
	for _, tt := range []struct {
		s           string
		from, total int64
		ok          bool
	}{
		{"bytes 100-199/1000", 100, 1000, true},
		{"bytes 0-0/*", 0, -1, true},
		{"bytes */1000", 0, 0, false},
		{"bytes 1-2", 0, 0, false},
		{"bytes x-2/3", 0, 0, false},
		{"bytes 1-2/x", 0, 0, false},
		{"1-2/3", 0, 0, false},
	} {
		from, total, err := contentRange(tt.s)
		if (err == nil) != tt.ok || tt.ok && (from != tt.from || total != tt.total) {
			t.Errorf("%q: %d, %d, %v", tt.s, from, total, err)
		}
	}
}

// A source that breaks off without end is given up; one that is stopped, at
// once.
func TestGivesUp(t *testing.T) {
	_, k := key("k", 1)
	good, _ := bundle(t, "1.2", chunks, 1)
	header, m, _, err := good.Header(t.Context(), []Key{k})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		b := &Bundled{Name: "b", open: func(context.Context, int64) (io.ReadCloser, int64, error) {
			opened++
			return io.NopCloser(strings.NewReader("less than a chunk")), -1, nil
		}}
		card := newMedium(slotSize)
		s := NewSlot(card, slotSize, make([]byte, ChunkLen))
		err := s.Write(t.Context(), header, m, b, func(int64) {})
		if err == nil || !strings.Contains(err.Error(), "ends after") || opened != maxTries {
			t.Errorf("%v, after %d attempts", err, opened)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if err := s.Write(ctx, header, m, b, func(int64) {}); err == nil || time.Since(began) > time.Second {
			t.Errorf("%v, after %v", err, time.Since(began))
		}
	})
}
