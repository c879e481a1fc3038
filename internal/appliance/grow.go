package appliance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An MBR's partition table: four entries before the signature.
const (
	sector      = 512
	tableOffset = 446
	entryLen    = 16
	lbaOffset   = 8 // in an entry: first sector, then number of sectors
	signature   = 0xaa55
)

// alignment of a partition's end, in sectors: what erases at once in a card.
const alignment = 1 << 20 / sector

// ext4 resizes itself while mounted (ioctl of the mounted root); from
// include/uapi/linux/ext4.h.
const ext4ResizeFS = 0x40086610

// maxCard bounds how far an MBR reaches, in sectors.
const maxCard = math.MaxUint32

// growTable makes partition n, from 1, reach to the end of a card of the given
// number of sectors, in the card's first sector. It tells the partition's new
// size, and whether that is another. Only the last partition can grow.
func growTable(mbr []byte, n int, card uint64) (start, size uint32, changed bool, err error) {
	if len(mbr) != sector || binary.LittleEndian.Uint16(mbr[sector-2:]) != signature {
		return 0, 0, false, errors.New("appliance: the card has no partition table")
	}
	if n < 1 || n > 4 {
		return 0, 0, false, fmt.Errorf("appliance: partition %d is none of the four", n)
	}
	at := func(i int) []byte { return mbr[tableOffset+i*entryLen+lbaOffset:] }
	entry := at(n - 1)
	start, size = binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])
	if size == 0 {
		return 0, 0, false, fmt.Errorf("appliance: there is no partition %d", n)
	}
	for i := range 4 {
		if i != n-1 && binary.LittleEndian.Uint32(at(i)[4:]) != 0 && binary.LittleEndian.Uint32(at(i)) >= start {
			return 0, 0, false, fmt.Errorf("appliance: partition %d is behind partition %d, which so cannot grow", i+1, n)
		}
	}
	end := min(card, maxCard) &^ (alignment - 1)
	if end <= uint64(start)+uint64(size) {
		return start, size, false, nil // never shrinks
	}
	size = uint32(end - uint64(start))
	binary.LittleEndian.PutUint32(entry[4:], size)
	return start, size, true, nil
}

// Grow makes the file system that is mounted at dir, an ext4 in the last
// partition of an MBR, as large as the card allows. It tells the size in bytes
// before and after. Power may go at any moment: the table is one sector, the
// file system's growth is in its journal, and the next call goes on.
func Grow(dir string) (before, after uint64, err error) {
	device, err := mounted("/proc/self/mountinfo", dir, "ext4")
	if err != nil {
		return 0, 0, err
	}
	disk, n, err := parent("/sys", filepath.Base(device))
	if err != nil {
		return 0, 0, err
	}
	if before, err = capacity(dir); err != nil {
		return 0, 0, err
	}
	size, err := growPartition(filepath.Join("/dev", disk), n)
	if err != nil {
		return before, before, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return before, before, fmt.Errorf("appliance: %w", err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return before, before, fmt.Errorf("appliance: %s: %w", dir, err)
	}
	blocks := size / uint64(st.Bsize)
	// It does nothing if there is nothing to gain.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ext4ResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return before, before, fmt.Errorf("appliance: growing the file system of %s: %w", dir, errno)
	}
	after, err = capacity(dir)
	return before, after, err
}

func capacity(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("appliance: %s: %w", dir, err)
	}
	return st.Blocks * uint64(st.Bsize), nil
}

// growPartition grows a partition that is in use, and returns its size in
// bytes.
func growPartition(disk string, n int) (uint64, error) {
	fail := func(err error) (uint64, error) { return 0, fmt.Errorf("appliance: %s: %w", disk, err) }
	f, err := os.OpenFile(disk, os.O_RDWR|unix.O_SYNC, 0)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	end, err := f.Seek(0, 2)
	if err != nil {
		return fail(err)
	}
	mbr := make([]byte, sector)
	if _, err := f.ReadAt(mbr, 0); err != nil {
		return fail(err)
	}
	start, size, changed, err := growTable(mbr, n, uint64(end)/sector)
	if err != nil {
		return 0, err
	}
	if changed {
		if _, err := f.WriteAt(mbr, 0); err != nil {
			return fail(err)
		}
	}
	// The kernel reads a table in use only when it is told each change.
	part := unix.BlkpgPartition{Start: int64(start) * sector, Length: int64(size) * sector, Pno: int32(n)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fail(errno)
	}
	return uint64(size) * sector, nil
}

// mounted is the device whose file system fs is mounted at dir, from a file like
// /proc/self/mountinfo (proc_pid_mountinfo(5)).
func mounted(file, dir, fs string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("appliance: %w", err)
	}
	defer f.Close()
	device := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		front, back, ok := strings.Cut(lines.Text(), " - ")
		a, b := strings.Fields(front), strings.Fields(back)
		if ok && len(a) > 4 && len(b) > 1 && a[4] == filepath.Clean(dir) && b[0] == fs {
			device = b[1] // the last one is on top
		}
	}
	if device == "" {
		return "", fmt.Errorf("appliance: no %s is mounted at %s", fs, dir)
	}
	return device, nil
}

// parent is the disk that a partition is on, and the partition's number.
func parent(sys, partition string) (disk string, n int, err error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(sys, "class/block", partition))
	if err != nil {
		return "", 0, fmt.Errorf("appliance: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "partition"))
	if err != nil {
		return "", 0, fmt.Errorf("appliance: %s is no partition: %w", partition, err)
	}
	if n, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return "", 0, fmt.Errorf("appliance: %s: %w", partition, err)
	}
	return filepath.Base(filepath.Dir(dir)), n, nil
}
