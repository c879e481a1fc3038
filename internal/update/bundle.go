package update

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Bundle writes a bundle of the slot's file system that payload holds, made
// whole chunks by zeros, without the free space at its end, which is zeros. m
// says all but the chunks.
func Bundle(w io.WriteSeeker, payload io.Reader, m Manifest, key ed25519.PrivateKey) error {
	if _, err := w.Seek(HeaderLen, io.SeekStart); err != nil {
		return wrap(err)
	}
	empty := Hash(sha256.Sum256(make([]byte, ChunkLen)))
	var free []Hash // chunks of zeros that nothing followed yet
	for chunk := make([]byte, ChunkLen); ; {
		n, err := io.ReadFull(payload, chunk)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return wrap(err)
		}
		clear(chunk[n:])
		h := Hash(sha256.Sum256(chunk))
		if h == empty {
			free = append(free, h)
			continue
		}
		m.Chunks = append(append(m.Chunks, free...), h)
		if _, err := w.Seek(int64(len(free))*ChunkLen, io.SeekCurrent); err != nil {
			return wrap(err)
		}
		if _, err := w.Write(chunk); err != nil {
			return wrap(err)
		}
		free = nil
	}
	header, err := Seal(&m, key)
	if err != nil {
		return err
	}
	if _, err := w.Seek(0, io.SeekStart); err != nil {
		return wrap(err)
	}
	_, err = w.Write(header)
	return wrap(err)
}

// Sign puts another signature on a bundle, whoever signed it before.
func Sign(b interface {
	io.ReaderAt
	io.WriterAt
}, key ed25519.PrivateKey) error {
	header := make([]byte, HeaderLen)
	if _, err := b.ReadAt(header, 0); err != nil {
		return fmt.Errorf("update: %w", ErrNoBundle)
	}
	text, err := manifestOf(header)
	if err != nil {
		return wrap(err)
	}
	m, err := decodeManifest(text)
	if err != nil {
		return wrap(err)
	}
	if header, err = Seal(m, key); err != nil {
		return err
	}
	_, err = b.WriteAt(header, 0)
	return wrap(err)
}
