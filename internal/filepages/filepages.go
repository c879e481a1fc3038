// Package filepages unmaps what a program has mapped of its own file.
//
// With a page that is needed the kernel maps its neighbours, so that soon most
// of a program's file is resident, though little of it is in use: what the start
// needs, for one, is needed once.
package filepages

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Unmap lets go of all pages of the program's file. Those that are needed again
// come back from the page cache by themselves; the others no longer count as the
// program's, and the kernel finds them sooner when memory is scarce.
func Unmap() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("filepages: %w", err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("filepages: %w", err)
	}
	defer f.Close()
	var from, to uintptr // of the mapping that is being described, if it is one of the file's
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		var start, end uintptr
		var may string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &start, &end, &may); n == 3 {
			from, to = 0, 0
			if strings.HasSuffix(line, " "+exe) && (may == "r-xp" || may == "r--p") {
				from, to = start, end
			}
			continue
		}
		// What was changed before it was made read-only, by relocation, is
		// nowhere else.
		var kB int
		if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kB); n != 1 || kB > 0 || to == 0 {
			continue
		}
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); e != 0 {
			return fmt.Errorf("filepages: %w", e)
		}
	}
	return nil
}
