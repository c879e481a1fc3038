package appliance

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A file on the boot partition asks for a factory reset; editors of some
// systems give it an ending that they do not show. The word in it leaves the
// settings alone.
const (
	resetFile    = "factory-reset"
	keepSettings = "keep-settings"
)

var resetFiles = []string{resetFile, resetFile + ".txt"}

// dataPartition is the last one of the card, whatever is left of what is in it.
const dataPartition = 4

// EmptyData is the file system of a data partition as it is flashed.
const EmptyData = "/usr/share/gatewayd/data.ext4.gz"

// RequestReset has the next start reset everything but the slots, or but those
// and the settings.
func (c *Card) RequestReset(settingsStay bool) error {
	text := ""
	if settingsStay {
		text = keepSettings + "\n"
	}
	return c.create(resetFile, text)
}

// Reset makes the data partition as it was flashed, and takes the settings off
// the boot partition, if a file there asks for it; nothing of either may be in
// use. Power may go at any moment: the file goes last, and until then every
// start does it again.
func (c *Card) Reset(empty string, log func(string)) error {
	var asked []string
	settingsStay := false
	for _, name := range resetFiles {
		b, err := os.ReadFile(filepath.Join(c.boot, name))
		if err == nil {
			asked = append(asked, name)
			settingsStay = settingsStay || strings.TrimSpace(string(b)) == keepSettings
		}
	}
	if asked == nil {
		return nil
	}
	log("factory reset")
	device, err := c.Partition(dataPartition)
	if err != nil {
		return err
	}
	if err := resetDevice(device, empty, log); err != nil {
		return err
	}
	return c.writing(func() error {
		if !settingsStay {
			if err := c.shredSettings(); err != nil {
				return err
			}
		}
		for _, name := range asked {
			if err := os.Remove(filepath.Join(c.boot, name)); err != nil {
				return err
			}
		}
		log("factory reset done")
		return nil
	})
}

// shredSettings takes off the boot partition what its owner has put there:
// settings, and what was meant to be some.
func (c *Card) shredSettings() error {
	names := slices.Clone(settingsFiles)
	for _, s := range strange {
		names = append(names, s.name)
	}
	for _, name := range names {
		if err := shred(filepath.Join(c.boot, name)); err != nil {
			return err
		}
	}
	return nil
}

// shred overwrites a file where it is, and removes it.
func shred(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, fi.Size()))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Remove(name)
}

func resetDevice(device, empty string, log func(string)) error {
	fail := func(err error) error { return fmt.Errorf("appliance: resetting %s: %w", device, err) }
	f, err := os.OpenFile(device, os.O_RDWR|os.O_EXCL|unix.O_DIRECT, 0)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fail(err)
	}
	buf, err := unix.Mmap(-1, 0, wipeStep, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = unix.Munmap(buf) }() // it was mapped
	template, err := os.Open(empty)
	if err != nil {
		return fail(err)
	}
	defer template.Close()
	z, err := gzip.NewReader(template)
	if err != nil {
		return fail(err)
	}
	if err := wipe(&blocks{f}, size, buf, log); err != nil {
		return fail(err)
	}
	if err := writeLastFirst(f, z, size, buf); err != nil {
		return fail(err)
	}
	return nil
}

// A medium is what is wiped.
type medium interface {
	io.ReaderAt
	Discard(secure bool, size int64) error
	Zero(off, n int64) error // returns when it is durable
}

// Wiping reads and zeros by this many bytes; and every sampleStep it looks, a
// page at a time.
const (
	wipeStep   = 1 << 20
	zeroStep   = 64 << 20
	wipeHead   = 32 << 20 // that were in use even when the card was new
	sampleStep = 4 << 20
	page       = 4096
)

// wipe makes what a medium held unreadable: erased by the medium itself, if it
// can and it shows, and else overwritten. buf has wipeStep bytes, at an address
// that the device can read to.
func wipe(m medium, size int64, buf []byte, log func(string)) error {
	if m.Discard(true, size) == nil {
		log("the card has erased its data for good")
		return nil
	}
	if m.Discard(false, size) == nil {
		// Some take the order and do nothing.
		erased, err := looksErased(m, size, buf)
		if err != nil {
			return err
		}
		if erased {
			log("the card has erased its data")
			return nil
		}
	}
	for off, said := int64(0), int64(-1); off < size; off += zeroStep {
		if tenth := off * 10 / size; tenth != said {
			log(fmt.Sprintf("overwriting the data: %d %%", tenth*10))
			said = tenth
		}
		if err := m.Zero(off, min(zeroStep, size-off)); err != nil {
			return err
		}
	}
	return nil
}

func looksErased(m medium, size int64, buf []byte) (bool, error) {
	uniform := func(b []byte) bool {
		for _, c := range b {
			if c != b[0] || c != 0 && c != 0xff {
				return false
			}
		}
		return true
	}
	for off := int64(0); off+page <= size; {
		n, next := int64(page), off+sampleStep
		if off < wipeHead {
			n, next = min(wipeStep, (size-off)&^(page-1)), off+wipeStep
		}
		if _, err := m.ReadAt(buf[:n], off); err != nil {
			return false, err
		}
		if !uniform(buf[:n]) {
			return false, nil
		}
		off = next
	}
	return true, nil
}

// writeLastFirst writes a file system so that its begin, without which it is
// none, comes when the rest is durable.
func writeLastFirst(w interface {
	io.WriterAt
	Sync() error
}, fs io.Reader, size int64, buf []byte) error {
	var first []byte
	for off := int64(0); ; off += int64(len(buf)) {
		n, err := io.ReadFull(fs, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		clear(buf[n:])
		if off+int64(len(buf)) > size {
			return fmt.Errorf("%d bytes are too few for an empty file system", size)
		}
		if first == nil {
			first = append(first, buf...)
			clear(buf)
		}
		if _, err := w.WriteAt(buf, off); err != nil {
			return err
		}
	}
	if first == nil {
		return errors.New("there is no empty file system")
	}
	if err := w.Sync(); err != nil {
		return err
	}
	copy(buf, first)
	if _, err := w.WriteAt(buf, 0); err != nil {
		return err
	}
	return w.Sync()
}
