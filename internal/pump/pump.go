// Package pump passes on what a stream gives to the goroutine that owns what it
// is for.
package pump

import (
	"context"
	"io"
)

// Read sends what it reads from a stream, at most size bytes at a time, until
// the stream ends or ctx does, and returns the reason. It waits for the stream,
// which its owner has to close.
func Read(ctx context.Context, from io.Reader, size int, to chan<- []byte) error {
	for {
		b := make([]byte, size)
		n, err := from.Read(b)
		if n > 0 {
			select {
			case to <- b[:n]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}
