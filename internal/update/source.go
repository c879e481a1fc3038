package update

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// How long a server may say nothing, and how often in a row it may break off
// without having sent a chunk.
const (
	stallLimit = 30 * time.Second
	maxTries   = 5
	retryAfter = 2 * time.Second
)

// A Bundled is a bundle somewhere, read from any byte on.
type Bundled struct {
	Name   string // of the file, or its URL
	open   func(ctx context.Context, off int64) (io.ReadCloser, int64, error)
	stream io.ReadCloser
	at     int64 // in the bundle: the stream's next byte
}

// Locate names a bundle: a file, or an http or https URL.
func Locate(name string) (*Bundled, error) {
	scheme, _, ok := strings.Cut(name, "://")
	switch {
	case !ok:
		return &Bundled{Name: name, open: func(_ context.Context, off int64) (io.ReadCloser, int64, error) { return openFile(name, off) }}, nil
	case scheme == "http" || scheme == "https":
		return &Bundled{Name: name, open: func(ctx context.Context, off int64) (io.ReadCloser, int64, error) { return get(ctx, name, off) }}, nil
	}
	return nil, fmt.Errorf("update: %s: want a file, or a URL with http or https", name)
}

// Close ends a transfer that goes on.
func (b *Bundled) Close() {
	if b.stream != nil {
		b.stream.Close() // it was only read
		b.stream = nil
	}
}

// Header reads the header and, where the source tells its length, checks that
// all of what the header announces is there. It returns the header too.
func (b *Bundled) Header(ctx context.Context, keys []Key) ([]byte, *Manifest, Key, error) {
	fail := func(err error) ([]byte, *Manifest, Key, error) {
		return nil, nil, Key{}, fmt.Errorf("update: %s: %w", b.Name, err)
	}
	b.Close()
	stream, total, err := b.open(ctx, 0)
	if err != nil {
		return fail(err)
	}
	header := make([]byte, HeaderLen)
	if n, err := io.ReadFull(stream, header); err != nil {
		stream.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return fail(err)
		}
		if strings.HasPrefix(string(header[:n]), magic) {
			return fail(fmt.Errorf("cut short: it ends after %d bytes, within its header", n))
		}
		return fail(ErrNoBundle)
	}
	b.stream, b.at = stream, HeaderLen
	m, k, err := Open(header, keys)
	if err != nil {
		return fail(errors.New(strings.TrimPrefix(err.Error(), "update: ")))
	}
	if want := HeaderLen + m.Size(); total >= 0 && total != want {
		return fail(fmt.Errorf("cut short, or changed: it has %d bytes and should have %d", total, want))
	}
	return header, m, k, nil
}

// chunk reads chunk i, and checks it. A transfer that breaks off is taken up
// where it was.
func (b *Bundled) chunk(ctx context.Context, m *Manifest, i int, buf []byte) error {
	off := HeaderLen + int64(i)*ChunkLen
	for try := 1; ; try++ {
		err := b.readAt(ctx, buf, off)
		if err == nil {
			break
		}
		b.Close()
		var no *refusal
		if try == maxTries || ctx.Err() != nil || errors.As(err, &no) {
			return fmt.Errorf("update: %s: at byte %d: %w", b.Name, off, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
	if sha256.Sum256(buf) != m.Chunks[i] {
		return fmt.Errorf("update: %s: what it has at byte %d is not what was signed: damaged, or changed by somebody", b.Name, off)
	}
	return nil
}

func (b *Bundled) readAt(ctx context.Context, buf []byte, off int64) (err error) {
	if b.stream == nil || b.at != off {
		b.Close()
		if b.stream, _, err = b.open(ctx, off); err != nil {
			return err
		}
	}
	n, err := io.ReadFull(b.stream, buf)
	b.at = off + int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends after %d bytes", b.at)
	}
	return err
}

// A refusal is an error that another attempt does not mend.
type refusal struct{ error }

func (e *refusal) Unwrap() error { return e.error }

func openFile(name string, off int64) (io.ReadCloser, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, &refusal{err}
	}
	fi, err := f.Stat()
	if err == nil {
		_, err = f.Seek(off, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, 0, &refusal{err}
	}
	return f, fi.Size(), nil
}

// get asks for a URL from a byte on, and returns the length of the whole, or
// -1. A server that knows no ranges sends everything, and what comes before is
// thrown away.
func get(ctx context.Context, address string, off int64) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	fail := func(err error) (io.ReadCloser, int64, error) {
		cancel()
		return nil, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fail(&refusal{err})
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-", off))
	r.Header.Set("Accept-Encoding", "identity")
	stalled := time.AfterFunc(stallLimit, cancel)
	a, err := http.DefaultClient.Do(r)
	switch fired := !stalled.Stop(); {
	case err != nil && fired:
		return fail(errStalled)
	case err != nil:
		var u *url.Error // whose text names the URL again
		if errors.As(err, &u) {
			err = u.Err
		}
		return fail(err)
	}
	body := &transfer{body: a.Body, stalled: stalled, cancel: cancel}
	total := int64(-1)
	switch a.StatusCode {
	case http.StatusPartialContent:
		var from int64
		if from, total, err = contentRange(a.Header.Get("Content-Range")); err == nil && from != off {
			err = &refusal{fmt.Errorf("asked for byte %d the server sends byte %d", off, from)}
		}
	case http.StatusOK:
		total = a.ContentLength
		_, err = io.CopyN(io.Discard, body, off)
	case http.StatusRequestedRangeNotSatisfiable:
		err = &refusal{fmt.Errorf("cut short: it has no byte %d", off)}
	default:
		err = fmt.Errorf("the server says %s", a.Status)
		if a.StatusCode < http.StatusInternalServerError {
			err = &refusal{err}
		}
	}
	if err != nil {
		body.Close()
		return nil, 0, err
	}
	return body, total, nil
}

// contentRange reads "bytes 100-199/1000" (RFC 9110 Section 14.4); the length
// is -1 where it is not told.
func contentRange(s string) (from, total int64, err error) {
	bad := func() (int64, int64, error) {
		return 0, 0, &refusal{fmt.Errorf("the server says %q where the range should be", s)}
	}
	s, ok := strings.CutPrefix(s, "bytes ")
	span, length, ok2 := strings.Cut(s, "/")
	first, _, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return bad()
	}
	if from, err = strconv.ParseInt(first, 10, 64); err != nil {
		return bad()
	}
	if length == "*" {
		return from, -1, nil
	}
	if total, err = strconv.ParseInt(length, 10, 64); err != nil {
		return bad()
	}
	return from, total, nil
}

var errStalled = fmt.Errorf("the server has sent nothing for %v", stallLimit)

// A transfer is a body that may not stall.
type transfer struct {
	body    io.ReadCloser
	stalled *time.Timer // stopped but while it is read
	cancel  context.CancelFunc
}

func (t *transfer) Read(b []byte) (int, error) {
	t.stalled.Reset(stallLimit)
	n, err := t.body.Read(b)
	if fired := !t.stalled.Stop(); fired && err != nil {
		err = errStalled
	}
	return n, err
}

func (t *transfer) Close() error {
	t.cancel()
	return t.body.Close()
}
