package update

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Sizes of a bundle, in bytes: a header, then chunks of the payload.
const (
	HeaderLen = 64 << 10
	ChunkLen  = 1 << 20
)

// A header: magic, id of the key, signature, length of the manifest, manifest
// as JSON, zeros.
const (
	magic        = "gatewayd update 1\n"
	idOffset     = len(magic)
	sigOffset    = idOffset + keyIDLen
	lengthOffset = sigOffset + ed25519.SignatureSize
	jsonOffset   = lengthOffset + 4
	maxJSON      = HeaderLen - jsonOffset
)

// maxChunks bounds a payload to what a slot holds many times over.
const maxChunks = 512

// A Hash is a SHA-256, in hexadecimal in JSON.
type Hash [sha256.Size]byte

// MarshalText writes it in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a SHA-256 of %d digits, want %d", len(b), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// A Manifest says what a bundle is and what is in it. The payload is the file
// system of a slot, in chunks of ChunkLen bytes.
type Manifest struct {
	Board   string `json:"board"`             // that it is for
	Version string `json:"version"`           // that it is
	Minimum string `json:"minimum,omitempty"` // the oldest version that takes it; empty: any
	Chunks  []Hash `json:"chunks"`
}

// Size of the payload in bytes.
func (m *Manifest) Size() int64 { return int64(len(m.Chunks)) * ChunkLen }

func (m *Manifest) validate() error {
	if m.Board == "" || strings.Trim(m.Board, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("board %q: want lower-case letters, digits and hyphens", m.Board)
	}
	versions := []string{m.Version}
	if m.Minimum != "" {
		versions = append(versions, m.Minimum)
	}
	for _, v := range versions {
		if _, err := parseVersion(v); err != nil {
			return err
		}
	}
	if len(m.Chunks) == 0 || len(m.Chunks) > maxChunks {
		return fmt.Errorf("%d chunks, want 1 to %d", len(m.Chunks), maxChunks)
	}
	return nil
}

// signed is what the signature is over: it cannot be one over anything else.
func signed(manifest []byte) []byte { return append([]byte(magic), manifest...) }

// Seal makes the header of HeaderLen bytes.
func Seal(m *Manifest, key ed25519.PrivateKey) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	if len(text) > maxJSON {
		return nil, fmt.Errorf("update: a manifest of %d bytes, more than the %d of a header", len(text), maxJSON)
	}
	b := append(make([]byte, 0, HeaderLen), magic...)
	b = append(b, keyID(key.Public().(ed25519.PublicKey))...)
	b = append(b, ed25519.Sign(key, signed(text))...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	return b[:HeaderLen], nil
}

// ErrNoBundle is what is wrong with a header that is none.
var ErrNoBundle = errors.New("this is no update bundle")

// manifestOf is the manifest's text in a header.
func manifestOf(header []byte) ([]byte, error) {
	if len(header) != HeaderLen || !bytes.HasPrefix(header, []byte(magic)) {
		return nil, ErrNoBundle
	}
	n := binary.BigEndian.Uint32(header[lengthOffset:])
	if n > uint32(maxJSON) {
		return nil, fmt.Errorf("damaged header: a manifest of %d bytes at byte %d", n, lengthOffset)
	}
	return header[jsonOffset : jsonOffset+int(n)], nil
}

func decodeManifest(text []byte) (*Manifest, error) {
	m := &Manifest{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Open checks the signature of a header of HeaderLen bytes against the keys,
// and only then looks into it. It tells which key it was.
func Open(header []byte, keys []Key) (*Manifest, Key, error) {
	fail := func(err error) (*Manifest, Key, error) { return nil, Key{}, fmt.Errorf("update: %w", err) }
	text, err := manifestOf(header)
	if err != nil {
		return fail(err)
	}
	id := header[idOffset:sigOffset]
	for _, k := range keys {
		if !bytes.Equal(keyID(k.Public), id) {
			continue
		}
		if !ed25519.Verify(k.Public, signed(text), header[sigOffset:lengthOffset]) {
			return fail(fmt.Errorf("not what was signed with the key %q: damaged, or changed by somebody", k.Name))
		}
		m, err := decodeManifest(text)
		if err != nil {
			return fail(err)
		}
		return m, k, nil
	}
	if bytes.Count(header[idOffset:lengthOffset], []byte{0}) == lengthOffset-idOffset {
		return fail(errors.New("it is not signed"))
	}
	return fail(fmt.Errorf("signed with the key %x, which this gateway does not trust", id))
}
