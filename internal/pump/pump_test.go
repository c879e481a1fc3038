package pump

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRead(t *testing.T) {
	to := make(chan []byte)
	ended := make(chan error, 1)
	go func() { ended <- Read(t.Context(), iotest.DataErrReader(strings.NewReader("abcde")), 2, to) }()
	for _, want := range []string{"ab", "cd", "e"} {
		if got := string(<-to); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := Read(ctx, strings.NewReader("x"), 1, to); err != why {
		t.Errorf("ended with %v", err)
	}
}
