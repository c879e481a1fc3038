// Package nonblock reads and writes files that never block, behind the
// scheduler's back.
//
// A system call may take long, for all the runtime knows: when one begins in a
// process that was asleep, it wakes a thread to watch over it. Who sleeps
// between any two frames pays more for that than for the call. Calls that
// return at once need no watch.
package nonblock

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2) of a non-blocking file.
func Read(fd uintptr, b []byte) (int, error) { return call(unix.SYS_READ, fd, b) }

// Write is write(2) of a non-blocking file.
func Write(fd uintptr, b []byte) (int, error) { return call(unix.SYS_WRITE, fd, b) }

// ReceiveFrom is recvfrom(2) of a non-blocking UDP socket. Of the sender it
// tells the port.
func ReceiveFrom(fd uintptr, b []byte) (n int, port uint16, err error) {
	for {
		var from [unix.SizeofSockaddrInet6]byte
		size := uint32(len(from))
		n, _, err := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			0, uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)))
		switch err {
		case 0:
			return int(n), binary.BigEndian.Uint16(from[2:]), nil // IPv4 has it in the same place
		case syscall.EINTR:
		default:
			return 0, 0, err
		}
	}
}

func call(number, fd uintptr, b []byte) (int, error) {
	for {
		n, _, err := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}

// File is an os.File whose Read and Write are those of this package where that
// is possible.
type File struct {
	*os.File
	raw syscall.RawConn // nil: not to be waited for, so it may block
}

// NewFile returns the File of a descriptor that was opened with O_NONBLOCK.
func NewFile(fd int, name string) *File {
	f := &File{File: os.NewFile(uintptr(fd), name)}
	if f.SetDeadline(time.Time{}) == nil {
		f.raw, _ = f.SyscallConn()
	}
	return f
}

// Read implements io.Reader.
func (f *File) Read(b []byte) (n int, err error) {
	if f.raw == nil || len(b) == 0 {
		return f.File.Read(b)
	}
	waited := f.raw.Read(func(fd uintptr) bool {
		n, err = Read(fd, b)
		return err != syscall.EAGAIN
	})
	if err := explain("read", f.Name(), waited, err); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (done int, err error) {
	if f.raw == nil {
		return f.File.Write(b)
	}
	waited := f.raw.Write(func(fd uintptr) bool {
		for done < len(b) && err == nil {
			var n int
			n, err = Write(fd, b[done:])
			done += n
		}
		if err == syscall.EAGAIN {
			err = nil
			return false
		}
		return true
	})
	return done, explain("write", f.Name(), waited, err)
}

// explain makes an error what an os.File says. The first is of waiting, which
// fails when the file is closed or its deadline has passed.
func explain(op, name string, waited, err error) error {
	switch {
	case errors.Is(waited, os.ErrDeadlineExceeded):
		err = waited
	case waited != nil:
		err = os.ErrClosed
	case err == nil:
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
