package appliance

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blocks is a block device that can erase what it holds.
type blocks struct{ *os.File }

// Discard tells the device that nothing of it is wanted any more; if secure,
// that no copy may be left.
func (b *blocks) Discard(secure bool, size int64) error {
	if secure {
		return b.span(unix.BLKSECDISCARD, 0, size)
	}
	return b.span(unix.BLKDISCARD, 0, size)
}

// Zero overwrites.
func (b *blocks) Zero(off, n int64) error {
	if err := b.span(unix.BLKZEROOUT, off, n); err != nil {
		return err
	}
	return b.Sync()
}

func (b *blocks) span(ioctl uint, off, n int64) error {
	r := [2]uint64{uint64(off), uint64(n)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, b.Fd(), uintptr(ioctl), uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("appliance: %s: %w", b.Name(), errno)
	}
	return nil
}
