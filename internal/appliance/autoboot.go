package appliance

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An Autoboot is what autoboot.txt tells the boot loader: the partition to
// start from, and the one to try once when told so by a reboot.
type Autoboot struct {
	Boot int // partition number, from 1
	Try  int
}

// What the boot loader takes at most: a partition's number, and of the file.
const (
	maxPartition = 63
	maxAutoboot  = 512
)

// autobootValue is a line that names a partition, and where in it.
type autobootValue struct {
	section string
	from    int // offset of the number in the file
	text    string
}

func autobootValues(b []byte) []autobootValue {
	var values []autobootValue
	section, offset := "all", 0
	for line := range strings.Lines(string(b)) {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			section = text[1 : len(text)-1]
		} else if value, ok := strings.CutPrefix(text, "boot_partition="); ok {
			values = append(values, autobootValue{section, offset + strings.Index(line, "=") + 1, value})
		}
		offset += len(line)
	}
	return values
}

// ParseAutoboot reads autoboot.txt. Sections other than [all] and [tryboot],
// and keys that it does not know, are for others and passed over.
func ParseAutoboot(b []byte) (Autoboot, error) {
	var a Autoboot
	for _, v := range autobootValues(b) {
		p, err := strconv.Atoi(v.text)
		if err != nil || p < 1 || p > maxPartition {
			return Autoboot{}, fmt.Errorf("appliance: autoboot.txt:%d: %q is no partition", 1+bytes.Count(b[:v.from], []byte("\n")), v.text)
		}
		switch v.section {
		case "all":
			a.Boot = p
		case "tryboot":
			a.Try = p
		}
	}
	if a.Boot == 0 || a.Try == 0 || a.Boot == a.Try {
		return Autoboot{}, fmt.Errorf("appliance: autoboot.txt: wants two partitions, one in [all] and another in [tryboot]: has %d and %d", a.Boot, a.Try)
	}
	return a, nil
}

// swapAutoboot has the two partitions of an autoboot.txt change places, and
// leaves every other byte where it is: the file stays as long, in its one
// sector, which a card writes whole or not at all.
func swapAutoboot(b []byte) ([]byte, error) {
	a, err := ParseAutoboot(b)
	if err != nil {
		return nil, err
	}
	if len(b) > maxAutoboot {
		return nil, fmt.Errorf("appliance: autoboot.txt: has %d bytes, and the boot loader reads %d", len(b), maxAutoboot)
	}
	b = bytes.Clone(b)
	for _, v := range autobootValues(b) {
		to := ""
		switch v.section {
		case "all":
			to = strconv.Itoa(a.Try)
		case "tryboot":
			to = strconv.Itoa(a.Boot)
		default:
			continue
		}
		if len(to) != len(v.text) {
			return nil, fmt.Errorf("appliance: autoboot.txt: partitions %d and %d cannot change places in a file of the same length", a.Boot, a.Try)
		}
		copy(b[v.from:], to)
	}
	return b, nil
}

// bootedFile is where the Raspberry Pi's boot loader leaves the number of the
// partition that it started from, as 32 bits in network order.
const bootedFile = "/proc/device-tree/chosen/bootloader/partition"

// Booted is the partition the running system was started from: what the boot
// loader says, or else gw.partition on the kernel's command line, which is how
// other firmware says it.
func Booted() (int, error) { return booted(bootedFile, "/proc/cmdline") }

func booted(file, cmdline string) (int, error) {
	if b, err := os.ReadFile(file); err == nil && len(b) == 4 && bytes.Equal(b[:3], []byte{0, 0, 0}) && b[3] != 0 {
		return int(b[3]), nil
	}
	b, err := os.ReadFile(cmdline)
	if err != nil {
		return 0, fmt.Errorf("appliance: %w", err)
	}
	for word := range strings.FieldsSeq(string(b)) {
		if v, ok := strings.CutPrefix(word, "gw.partition="); ok {
			if p, err := strconv.Atoi(v); err == nil && p >= 1 && p <= maxPartition {
				return p, nil
			}
		}
	}
	return 0, fmt.Errorf("appliance: neither %s nor the kernel's command line says which slot runs", file)
}
