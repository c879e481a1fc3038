//go:build image

package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// dataSize is the data partition's before it has grown.
const dataSize = 32 << 20

// changeData changes the data partition of a card that has not grown.
func changeData(t *testing.T, card string, change func(partition string)) {
	t.Helper()
	f, err := os.OpenFile(card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, dataSize)
	if _, err := f.ReadAt(b, offsets[4]); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	change(name)
	if b, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, offsets[4]); err != nil {
		t.Fatal(err)
	}
}

// A card that is full, and one that can only be read: the gateway comes up, and
// says so. When that is over, the network is what it was.
func TestCannotWrite(t *testing.T) {
	c := card(t)
	if err := os.Truncate(c, offsets[4]+dataSize); err != nil {
		t.Fatal(err)
	}
	b := start(t, c, false, nil)
	name := between(b.says(pageLimit, "is not on the air"), "“", "”")
	b.cut()

	changeData(t, c, func(partition string) {
		big := filepath.Join(t.TempDir(), "big")
		if err := os.WriteFile(big, bytes.Repeat([]byte("x"), dataSize), 0o600); err != nil {
			t.Fatal(err)
		}
		tool(t, "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; e2fsck -p "$1" || [ $? = 1 ]`, "sh", partition) // 1: repaired
		tool(t, "debugfs", "-w", "-R", "write "+big+" /big", partition)
	})
	b = start(t, c, false, nil)
	b.says(pageLimit, "“"+name+"”", "The data partition is full")
	b.cut()

	if err := os.Chmod(c, 0o400); err != nil {
		t.Fatal(err)
	}
	b = start(t, c, false, nil)
	if page := b.says(pageLimit, "is not on the air", "The data partition cannot be used"); strings.Contains(page, "“"+name+"”") {
		t.Errorf("the network goes on with counters that are not kept:\n%s", page)
	}
	b.cut()

	if err := os.Chmod(c, 0o600); err != nil {
		t.Fatal(err)
	}
	changeData(t, c, func(partition string) {
		tool(t, "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; e2fsck -p "$1" || [ $? = 1 ]`, "sh", partition) // 1: repaired
		tool(t, "debugfs", "-w", "-R", "rm /big", partition)
	})
	b = start(t, c, false, nil)
	if page := b.says(pageLimit, "“"+name+"”"); strings.Contains(page, "The data partition") {
		t.Errorf("the page complains:\n%s", page)
	}
}

// Nobody on the LAN gives addresses, neither of IPv4 nor of IPv6, and there is
// no internet: a host there has its address from the gateway, reads its page
// and reaches the devices. The dongle is pulled while the first of them joins.
func TestAlone(t *testing.T) {
	d, l := newDongle(t), newLAN(t)
	l.quiet = true
	joining := make(chan struct{})
	d.unplug()
	d.joining = sync.OnceFunc(func() { close(joining) })
	d.plug()
	b := startOn(t, "virt", card(t), false, d, l)
	b.console.activate(pageLimit)
	b.console.until(pageLimit, "gatewayd status | grep -E 'role +leader'")
	b.console.must(30*time.Second, "gatewayd joiner add '*' J01NME --timeout 10m")
	host := newPeer(t, l, b.kernel, b.root)
	own := strings.TrimSpace(b.console.until(pageLimit, `ip -6 -o addr show dev eth0 scope global | awk '{ sub("/.*", "", $4); print $4; exit }' | grep .`))
	page := host.until(pageLimit, fmt.Sprintf("wget -q -T 5 -O - 'http://[%s]/'", own))
	for _, what := range []string{"The dongle works", "the gateway is its leader", "Connected by eth0 as " + own, "Nobody gave an IPv4 address"} {
		if !strings.Contains(page, what) {
			t.Errorf("the page does not say %q:\n%s", what, page)
		}
	}

	v := newDevice(t, d)
	v.do("ifconfig up")
	v.do("joiner start J01NME")
	select {
	case <-joining:
		d.unplug()
		d.joining = nil
	case <-time.After(60 * time.Second):
		t.Fatal("the device does not begin to join")
	}
	b.console.until(pageLimit, "gatewayd status | grep -E 'radio +absent'")
	d.plug()
	b.console.until(pageLimit, "gatewayd status | grep -E 'radio +ready'")
	// It may have tried for long enough.
	if lines := v.wait("", 90*time.Second, "Join "); lines[len(lines)-1] == "Join success" {
		v.do("thread start")
	} else {
		v.join("J01NME")
	}
	host.until(pageLimit, "ping -6 -c 1 -W 2 "+v.address(pageLimit).String())
}

// A card that breaks is replaced by a new one with the network's credentials,
// and the devices come back by themselves.
func TestNewCard(t *testing.T) {
	d := newDongle(t)
	b := start(t, card(t), false, d)
	b.console.activate(pageLimit)
	b.console.until(pageLimit, "gatewayd status | grep -E 'role +leader'")
	// The log is on the console, too.
	out := b.console.must(pageLimit, "gatewayd dataset export 2>/dev/null")
	kept := regexp.MustCompile(`(?m)^[0-9a-f]{100,}$`).FindString(out)
	if kept == "" {
		t.Fatalf("no dataset in %q", out)
	}
	name := between(b.page(), "“", "”")
	v := newDevice(t, d)
	for _, command := range []string{"dataset set active " + kept, "ifconfig up", "thread start"} {
		v.do(command)
	}
	b.says(pageLimit, "hears 1 now")
	b.cut()

	c := card(t)
	writeFile(t, c, 1, "gatewayd.conf", "dataset="+kept+"\n")
	b = start(t, c, false, d)
	b.says(pageLimit, "The dongle works", "“"+name+"”")
	began := time.Now()
	b.says(5*time.Minute, "hears 1 now")
	t.Logf("the device came back after %v", time.Since(began).Round(time.Second))
}

// Without the boot partition's settings the network goes on.
func TestNoBootPartition(t *testing.T) {
	c := card(t)
	writeFile(t, c, 1, "gatewayd.conf", "hostname=cellar\n")
	b := start(t, c, false, nil)
	// The boot loader has read it; the system never will.
	f, err := os.OpenFile(c, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 1<<20), offsets[1]); err != nil {
		t.Fatal(err)
	}
	b.says(pageLimit, "<h1>gatewayd</h1>", "There is no boot partition: gatewayd.conf is not followed.", "is not on the air", "Connected by eth0")
}
