package appliance

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// table is an MBR with partitions of {start, size} in sectors.
func table(parts ...[2]uint32) []byte {
	b := make([]byte, sector)
	for i, p := range parts {
		e := b[tableOffset+i*entryLen+lbaOffset:]
		binary.LittleEndian.PutUint32(e, p[0])
		binary.LittleEndian.PutUint32(e[4:], p[1])
	}
	binary.LittleEndian.PutUint16(b[sector-2:], signature)
	return b
}

func TestGrowTable(t *testing.T) {
	four := [][2]uint32{{2048, 32768}, {34816, 65536}, {100352, 65536}, {165888, 65536}}
	tests := []struct {
		name string
		mbr  []byte
		n    int
		card uint64
		want uint32 // the partition's size; 0: an error
		err  string
	}{
		{"to the end", table(four...), 4, 500 * 2048, 500*2048 - 165888, ""},
		{"end aligned", table(four...), 4, 500*2048 + 2047, 500*2048 - 165888, ""},
		{"full already", table(four...), 4, 165888 + 65536, 65536, ""},
		{"a card that lies about its size", table(four...), 4, 1000, 65536, ""},
		{"beyond what an MBR can say", table(four...), 4, 1 << 40, 0xfffff800 - 165888, ""},
		{"not the last", table(four...), 3, 1 << 20, 0, "partition 4 is behind partition 3"},
		{"missing", table(four[:3]...), 4, 1 << 20, 0, "no partition 4"},
		{"no such", table(four...), 5, 1 << 20, 0, "none of the four"},
		{"no table", make([]byte, sector), 4, 1 << 20, 0, "no partition table"},
		{"cut", table(four...)[:500], 4, 1 << 20, 0, "no partition table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			was := bytes.Clone(tt.mbr)
			_, size, changed, err := growTable(tt.mbr, tt.n, tt.card)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !bytes.Equal(was, tt.mbr) {
					t.Fatalf("error %v, want %q and the table as it was", err, tt.err)
				}
				return
			}
			if err != nil || size != tt.want || changed == bytes.Equal(was, tt.mbr) {
				t.Fatalf("size %d, changed %v, %v; want %d", size, changed, err, tt.want)
			}
			want := append([][2]uint32{}, four...)
			want[3][1] = tt.want
			if !bytes.Equal(tt.mbr, table(want...)) {
				t.Error("more than the size was changed")
			}
		})
	}
}

func TestMounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	text := `21 1 0:1 / / rw - rootfs rootfs rw
22 21 254:1 / /boot ro,relatime shared:1 - vfat /dev/vda1 ro
23 21 254:4 / /data rw,noatime - ext4 /dev/vda4 rw
24 21 0:30 / /tmp rw - tmpfs tmpfs rw
cut
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if dev, err := mounted(file, "/data/", "ext4"); dev != "/dev/vda4" || err != nil {
		t.Errorf("%q, %v", dev, err)
	}
	for _, dir := range []string{"/boot", "/tmp", "/nothing"} {
		if dev, err := mounted(file, dir, "ext4"); err == nil {
			t.Errorf("%s: %q", dir, dev)
		}
	}
}

func TestParent(t *testing.T) {
	sys := t.TempDir()
	dir := filepath.Join(sys, "devices/virtio0/block/vda/vda4")
	for _, d := range []string{dir, filepath.Join(sys, "class/block")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"vda": filepath.Dir(dir), "vda4": dir} {
		if err := os.Symlink(to, filepath.Join(sys, "class/block", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "partition"), []byte("4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if disk, n, err := parent(sys, "vda4"); disk != "vda" || n != 4 || err != nil {
		t.Errorf("%q, %d, %v", disk, n, err)
	}
	for _, name := range []string{"vda", "vdb1"} {
		if disk, n, err := parent(sys, name); err == nil {
			t.Errorf("%s: %q, %d", name, disk, n)
		}
	}
}
