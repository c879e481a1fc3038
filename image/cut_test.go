//go:build image

package image

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The power goes in every phase of an update: the gateway comes back each time,
// with what it had or with what was kept, and the next attempt goes on.
func TestCutsInUpdate(t *testing.T) {
	c := card(t)
	s := newStore(t)
	good := s.bundle("8.1", s.board, 4*time.Minute, nil)
	wipeSlot(t, c, 3)
	r := rand.New(rand.NewPCG(3, 4))
	apply := func() *box {
		t.Helper()
		b := firmware(t, c)
		b.console.activate(pageLimit)
		b.console.until(30*time.Second, "ip route | grep -q default")
		if !b.console.has("started from partition 2") {
			t.Fatal("a slot was started that is not complete")
		}
		b.console.send("gatewayd update apply " + good + "\r")
		return b
	}
	had := 0 // % of the update, at least
	for _, phase := range []string{"10 % of", "60 % of", "90 % of"} {
		b := apply()
		m := b.console.hears(writeLimit, `(\d+) % of`)
		if n, err := strconv.Atoi(m[1]); err != nil || n < had-10 { // the first chunk always goes last
			t.Errorf("an update that had %d %% begins at %s %%", had, m[1])
		}
		b.console.hears(writeLimit, phase)
		time.Sleep(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
		b.cut()
		had, _ = strconv.Atoi(strings.Fields(phase)[0]) // digits
		if a := autoboot(t, c); a.Boot != 2 {
			t.Fatalf("after a cut at %s it is started from partition %d", phase, a.Boot)
		}
	}

	// The other slot is complete: what goes now is its trial.
	apply().restarts(writeLimit)
	b := firmware(t, c)
	for end := time.Now().Add(restartLimit); !b.console.has("started from partition 3"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the other slot was not started")
		}
	}
	b.cut()
	b = firmware(t, c)
	b.says(pageLimit, "Version 8.1 did not become healthy: it ")
	b.cut()

	apply().restarts(writeLimit)
	b = firmware(t, c)
	kept(t, c, 3)
	b.cut()
	b = firmware(t, c)
	if page := b.says(pageLimit, "is not on the air"); strings.Contains(page, "This box") || !b.console.has("started from partition 3") {
		t.Errorf("the page says\n%s", page)
	}
	b.console.activate(30 * time.Second)
	b.console.until(30*time.Second, "gatewayd update status | grep 'Version 8.1 has followed'")
}

// The power goes while a card is started for the first time and its data
// partition grows. It comes back whole.
func TestCutsInFirstStart(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	took := pageLimit
	for round := range 5 {
		c := card(t)
		b := start(t, c, false, nil)
		if round == 0 {
			b.says(pageLimit, "is not on the air")
			took = time.Since(b.began)
		} else {
			time.Sleep(time.Duration(r.Int64N(int64(took))))
		}
		b.cut()
		b = start(t, c, false, nil)
		if page := b.says(pageLimit, "is not on the air"); strings.Contains(page, "This box") {
			t.Errorf("the page complains:\n%s", page)
		}
		b.cut()
	}
}

// The power goes while the data partition grows and somebody writes there: what
// was written durably is there.
func TestCutsWithWriter(t *testing.T) {
	c := card(t)
	r := rand.New(rand.NewPCG(7, 8))
	wrote := regexp.MustCompile(`wrote-(\d+)-`)
	last, size := 0, int64(cardSize)
	for range 4 {
		b := start(t, c, false, nil)
		b.console.activate(pageLimit)
		if out := b.console.must(30*time.Second, "cat /data/writer 2>/dev/null || echo 0"); last > 0 {
			if n, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || n < last {
				t.Errorf("the writer had written %d, and there is %q", last, out)
			}
		}
		b.console.send(fmt.Sprintf("n=%d; while n=$((n+1)); do echo $n >/data/new && sync /data/new && mv /data/new /data/writer && sync && echo wro''te-$n-; done &\r", last))
		b.console.hears(30*time.Second, `wrote-\d+-`)
		size *= 2
		b.command("block_resize", "device", "card", "size", size)
		b.console.send("gatewayd appliance grow /data\r")
		time.Sleep(time.Duration(r.Int64N(int64(1500 * time.Millisecond))))
		b.cut()
		log, err := os.ReadFile(b.console.log)
		if err != nil {
			t.Fatal(err)
		}
		said := wrote.FindAllSubmatch(log, -1)
		if last, err = strconv.Atoi(string(said[len(said)-1][1])); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, c, false, nil)
	b.console.activate(pageLimit)
	b.console.must(30*time.Second, fmt.Sprintf("[ $(cat /data/writer) -ge %d ]", last))
	blocks, err := strconv.ParseInt(strings.TrimSpace(b.console.must(30*time.Second, "df -k /data | awk 'END { print $2 }'")), 10, 64)
	b.says(pageLimit, "is not on the air")
	if strings.Contains(b.page(), "This box") {
		t.Errorf("the page complains:\n%s", b.page())
	}
	if want := (size - offsets[4]) / 1024 * 9 / 10; err != nil || blocks < want {
		t.Errorf("the data partition has %d KiB, %v; want %d at least", blocks, err, want)
	}
}
