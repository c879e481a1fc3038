package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// In a child process, which the tests below start, the test binary saves
// without end, or just holds the directory.
func TestMain(m *testing.M) {
	dir := os.Getenv("STORE_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(dir, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var n uint64
	if b, err := s.Load("counter"); err == nil {
		n = binary.BigEndian.Uint64(b)
	}
	for fmt.Println(n); ; fmt.Println(n) {
		n++
		if err := s.Save("counter", counterValue(n)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// counterValue is n followed by some kilobytes that depend on n.
func counterValue(n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n)
	return append(b, bytes.Repeat(b, int(n%1024))...)
}

// child starts a process that saves into dir until it is killed, and returns
// once it has begun.
func child(t *testing.T, dir string) (cmd *exec.Cmd, saved *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "STORE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	saved = bufio.NewScanner(out)
	if !saved.Scan() {
		t.Fatal("child ended at once")
	}
	return cmd, saved
}

// A process killed in the middle of saving loses nothing it was told is
// saved, and what is there is whole.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	rng := rand.New(rand.NewPCG(1, 2))
	var total uint64
	for range 25 {
		cmd, saved := child(t, dir)
		time.Sleep(time.Duration(rng.IntN(20000)) * time.Microsecond)
		cmd.Process.Kill()
		told := saved.Text()
		for saved.Scan() {
			told = saved.Text()
		}
		cmd.Wait()

		s, logged := open(t, dir)
		b, err := s.Load("counter")
		if err != nil && (told != "0" || errors.Is(err, ErrDamaged)) {
			t.Fatalf("told that %s was saved, Load: %v", told, err)
		}
		if err == nil {
			n := binary.BigEndian.Uint64(b)
			if !bytes.Equal(b, counterValue(n)) {
				t.Fatalf("value of %d bytes is not what was saved", len(b))
			}
			if fmt.Sprint(n) != told && fmt.Sprint(n-1) != told {
				t.Fatalf("told that %s was saved, found %d", told, n)
			}
			total = n
		}
		if logged.Len() != 0 {
			t.Fatalf("logged %s", logged)
		}
		for _, f := range listing(t, dir) {
			if !strings.HasPrefix(f, "counter.") {
				t.Fatalf("left behind: %s", f)
			}
		}
		s.Close()
	}
	if total == 0 {
		t.Fatal("nothing was ever saved")
	}
	t.Logf("%d saves", total)
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := child(t, dir)
	_, err := Open(dir, nil)
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.PID != cmd.Process.Pid {
		t.Fatalf("Open beside pid %d: %v", cmd.Process.Pid, err)
	}
	if want := fmt.Sprintf("store: data directory %s is in use by pid %d", dir, cmd.Process.Pid); err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	cmd.Process.Kill()
	cmd.Wait()

	s, _ := open(t, dir) // the lock died with its holder
	_, err = Open(dir, nil)
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("second Open in one process: %v", err)
	}
	s.Close()
	open(t, dir)
}
