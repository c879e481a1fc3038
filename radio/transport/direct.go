package transport

import (
	"syscall"

	"gatewayd/internal/nonblock"
)

// directWriter returns what writes to a connection as much as it takes without
// waiting, and tells how much that was; nil if the connection cannot. Errors
// are left for the next ordinary write to meet.
func directWriter(c Conn) func(b []byte) int {
	if w, ok := c.(interface{ base() Conn }); ok {
		c = w.base()
	}
	if l, ok := c.(*nonblock.Line); ok {
		return l.WriteNow
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return func(b []byte) (n int) {
		_ = raw.Write(func(fd uintptr) bool {
			n, _ = nonblock.Write(fd, b)
			return true
		})
		return n
	}
}
