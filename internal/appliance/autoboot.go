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

// maxPartition is what the boot loader takes at most.
const maxPartition = 63

// ParseAutoboot reads autoboot.txt. Sections other than [all] and [tryboot],
// and keys that it does not know, are for others and passed over.
func ParseAutoboot(b []byte) (Autoboot, error) {
	var a Autoboot
	section := "all"
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || key != "boot_partition" {
			continue
		}
		p, err := strconv.Atoi(value)
		if err != nil || p < 1 || p > maxPartition {
			return Autoboot{}, fmt.Errorf("appliance: autoboot.txt:%d: %q is no partition", n, value)
		}
		switch section {
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

// Append appends autoboot.txt to b. The file fits a sector, so that it is
// written whole or not at all.
func (a Autoboot) Append(b []byte) []byte {
	return fmt.Appendf(b, "[all]\ntryboot_a_b=1\nboot_partition=%d\n[tryboot]\nboot_partition=%d\n", a.Boot, a.Try)
}

// Swapped has the partitions change places: the tried one stays.
func (a Autoboot) Swapped() Autoboot { return Autoboot{Boot: a.Try, Try: a.Boot} }

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
