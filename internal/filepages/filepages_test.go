package filepages

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// residentFile is how much of this program's files is mapped, in kB.
func residentFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nRssFile:")
	kB, err := strconv.Atoi(strings.Fields(rest + " -")[0])
	if err != nil {
		t.Fatal(err)
	}
	return kB
}

func TestUnmap(t *testing.T) {
	before := residentFile(t)
	if err := Unmap(); err != nil {
		t.Fatal(err)
	}
	// What runs right now came back at once, and this program is small.
	if after := residentFile(t); after > before*9/10 {
		t.Errorf("%d kB of files are mapped, %d kB before", after, before)
	}
}
