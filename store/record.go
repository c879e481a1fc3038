package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MaxSize is how many bytes a value may have. It bounds what a damaged
// directory entry can make Load read.
const MaxSize = 16 << 20

// The first line of a file: format version, name, generation, length of the
// value, and SHA-256 over the line up to here and the value.
const headerFormat = "gatewayd-store 1 %s %d %d "

// maxHeaderLen is the longest first line, with room to spare.
const maxHeaderLen = 256

var errRecord = errors.New("not what was written")

// encode returns the file of one generation of a value.
func encode(name string, gen uint64, data []byte) []byte {
	b := fmt.Appendf(make([]byte, 0, maxHeaderLen+len(data)), headerFormat, name, gen, len(data))
	h := sha256.New()
	h.Write(b)
	h.Write(data)
	b = fmt.Appendf(b, "%x\n", h.Sum(nil))
	return append(b, data...)
}

// decode returns the value in the file of generation gen of name.
func decode(name string, gen uint64, file []byte) ([]byte, error) {
	line, data, found := bytes.Cut(file, []byte{'\n'})
	if !found {
		return nil, fmt.Errorf("%w: no complete first line in %d bytes", errRecord, len(file))
	}
	// There is one way only to write a record down, so any other spelling
	// of it is damage too.
	want := encode(name, gen, data)
	if !bytes.Equal(want, file) {
		return nil, fmt.Errorf("%w: first line %.*q, or the %d bytes after it", errRecord, maxHeaderLen, line, len(data))
	}
	return data, nil
}
