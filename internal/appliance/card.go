package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatewayd/internal/update"
)

// BootDir is where the boot partition is mounted, for reading.
const BootDir = "/boot"

// Where the kernel shows its devices, and where they are.
const (
	sysDir = "/sys"
	devDir = "/dev"
)

// A Card is the one that the system was started from: the disk of its boot
// partition.
type Card struct {
	boot    string                    // folder
	disk    string                    // name of the device
	remount func(writable bool) error // the boot partition
}

// FindCard finds the card by where its boot partition is mounted.
func FindCard(boot string) (*Card, error) {
	device, err := mounted("/proc/self/mountinfo", boot, "vfat")
	if err != nil {
		return nil, fmt.Errorf("appliance: there is no boot partition, which has the settings and says what is started: %s", bare(err))
	}
	disk, _, err := parent(sysDir, filepath.Base(device))
	if err != nil {
		return nil, err
	}
	return &Card{boot, disk, func(writable bool) error {
		flags := uintptr(unix.MS_REMOUNT)
		if !writable {
			flags |= unix.MS_RDONLY
		}
		return unix.Mount("", boot, "", flags, "")
	}}, nil
}

// Partition is the device of the card's partition n.
func (c *Card) Partition(n int) (string, error) { return partition(sysDir, c.disk, n) }

func partition(sys, disk string, n int) (string, error) {
	files, err := filepath.Glob(filepath.Join(sys, "class/block", disk, "*/partition"))
	if err != nil {
		return "", fmt.Errorf("appliance: %w", err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(n) {
			return filepath.Join(devDir, filepath.Base(filepath.Dir(file))), nil
		}
	}
	return "", fmt.Errorf("appliance: %s has no partition %d", disk, n)
}

// OpenSlot opens a slot by its partition, past the kernel's cache: what is read
// is what the card holds. One that is mounted is not opened.
func OpenSlot(device string) (*update.Slot, io.Closer, error) {
	f, err := os.OpenFile(device, os.O_RDWR|os.O_EXCL|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, nil, fmt.Errorf("appliance: %s is in use: by another `gatewayd update`, or it is mounted: %w", device, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("appliance: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("appliance: %w", err)
	}
	// Whole pages, which the device wants.
	buf, err := unix.Mmap(-1, 0, update.ChunkLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("appliance: %w", err)
	}
	return update.NewSlot(f, size, buf), closer(func() error { return errors.Join(unix.Munmap(buf), f.Close()) }), nil
}

type closer func() error

func (c closer) Close() error { return c() }

// autobootFile tells the boot loader which slot to start.
const autobootFile = "autoboot.txt"

// Autoboot reads autoboot.txt.
func (c *Card) Autoboot() (Autoboot, error) {
	b, err := os.ReadFile(filepath.Join(c.boot, autobootFile))
	if err != nil {
		return Autoboot{}, fmt.Errorf("appliance: %w", err)
	}
	return ParseAutoboot(b)
}

// Keep has the slots change places: the one that was tried is the one that is
// started. Power may go at any moment: it is one sector, written in place.
func (c *Card) Keep() error {
	name := filepath.Join(c.boot, autobootFile)
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	if b, err = swapAutoboot(b); err != nil {
		return err
	}
	return c.writing(func() error {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.WriteAt(b, 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		// What the card holds, not what was to be written.
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return err
		}
		is := make([]byte, len(b))
		if _, err := f.ReadAt(is, 0); err != nil {
			return err
		}
		if !bytes.Equal(is, b) {
			return fmt.Errorf("%s is not what was written: the card is failing", name)
		}
		return nil
	})
}

// writing does something to the boot partition while it can be written.
func (c *Card) writing(f func() error) error {
	if err := c.remount(true); err != nil {
		return fmt.Errorf("appliance: %s cannot be written: %w", c.boot, err)
	}
	err := errors.Join(f(), c.remount(false))
	if err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	return nil
}

// create makes a small file on the boot partition, durably.
func (c *Card) create(name, text string) error {
	return c.writing(func() error {
		f, err := os.Create(filepath.Join(c.boot, name))
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Sync(), f.Close())
	})
}
