//go:build image

// Package image boots a card in QEMU: the one that debian.sh makes, or another
// that GATEWAYD_IMAGE names, if its kernel knows QEMU's boards. What the first
// does not test is what Buildroot adds: its packages, the boards' kernel and
// firmware.
package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/internal/appliance"
	"gatewayd/radio/medium"
	"gatewayd/radio/medium/udp"
	"gatewayd/radio/rcpd"
)

// cardSize is more than the image: the data partition has something to grow
// into. QEMU's cards have sizes that are powers of two.
const cardSize = 512 << 20

// offsets of partitions, as genimage.cfg has them.
var offsets = map[int]int64{1: 1 << 20, 2: 17 << 20, 3: 145 << 20, 4: 273 << 20}

// card copies the image onto a card of its own.
func card(t *testing.T) string {
	t.Helper()
	image := os.Getenv("GATEWAYD_IMAGE")
	if image == "" {
		t.Skip("GATEWAYD_IMAGE does not name an image: use `make image-test`")
	}
	name := filepath.Join(t.TempDir(), "card")
	tool(t, "cp", "--sparse=always", image, name)
	if err := os.Truncate(name, cardSize); err != nil {
		t.Fatal(err)
	}
	return name
}

func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func partition(card string, n int) string { return fmt.Sprintf("%s@@%d", card, offsets[n]) }

func readFile(t *testing.T, card string, n int, name string) []byte {
	t.Helper()
	return tool(t, "mtype", "-i", partition(card, n), "::"+name)
}

func writeFile(t *testing.T, card string, n int, name, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "mcopy", "-n", "-o", "-i", partition(card, n), file, "::"+name)
}

// A box is a machine that runs from a card.
type box struct {
	t       *testing.T
	cmd     *exec.Cmd
	console *serial
	url     string // of the page
	kernel  string // files that it was started from
	root    string
	monitor string // QEMU's, a socket
	port22  string // where SSH is found
	began   time.Time
	dongle  *dongle
}

// start does what the Raspberry Pi's boot loader does: it takes the slot from
// autoboot.txt, and kernel, root and command line as that slot's files say.
func start(t *testing.T, card string, tryboot bool, d *dongle) *box {
	t.Helper()
	return startOn(t, "virt", card, tryboot, d, nil)
}

// startOn is start on one of QEMU's boards: virt, which has nothing of a
// Raspberry Pi but is fast, or raspi3b. Beside QEMU's own network there may be
// a LAN with others, and more is what else there is for QEMU.
func startOn(t *testing.T, board, card string, tryboot bool, d *dongle, l *lan, more ...string) *box {
	t.Helper()
	a, err := appliance.ParseAutoboot(readFile(t, card, 1, "autoboot.txt"))
	if err != nil {
		t.Fatal(err)
	}
	slot := a.Boot
	if tryboot {
		slot = a.Try
	}
	config := string(readFile(t, card, slot, "config.txt"))
	named := func(pattern string) string {
		m := regexp.MustCompile(`(?m)^` + pattern).FindStringSubmatch(config)
		if m == nil {
			t.Fatalf("config.txt of partition %d has no %s:\n%s", slot, pattern, config)
		}
		file := filepath.Join(t.TempDir(), m[1])
		tool(t, "mcopy", "-n", "-o", "-i", partition(card, slot), "::"+m[1], file)
		return file
	}
	kernel, root := named(`kernel=(\S+)`), named(`initramfs (\S+) followkernel`)
	cmdline := strings.ReplaceAll(strings.TrimSpace(string(readFile(t, card, slot, "cmdline.txt"))), "serial0", "ttyAMA0")

	b := &box{t: t, console: newSerial(t), dongle: d, kernel: kernel, root: root, monitor: filepath.Join(shortDir(t), "qmp"), began: time.Now()}
	port := freePort(t)
	b.url, b.port22 = fmt.Sprintf("http://127.0.0.1:%d/", port), fmt.Sprint(freePort(t))
	lock := ""
	if i, err := os.Stat(card); err == nil && i.Mode()&0o200 == 0 {
		lock = ",readonly=on" // the switch at the card's side
	}
	args := []string{"-accel", "tcg,thread=multi", "-nographic", "-monitor", "none", "-no-reboot", "-kernel", kernel, "-initrd", root}
	args = append(args, "-qmp", "unix:"+b.monitor+",server=on,wait=off")
	if user := fmt.Sprintf("user,hostfwd=tcp:127.0.0.1:%d-:80,hostfwd=tcp:127.0.0.1:%s-:22", port, b.port22); l != nil {
		args = append(args, l.args("lan", user)...)
	} else {
		args = append(args, "-netdev", user+",id=lan")
	}
	switch board {
	case "virt", "virt with a watchdog", "virt without a network":
		args = append(args, "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512",
			"-drive", "file="+card+",if=none,id=card,format=raw"+lock, "-device", "virtio-blk-pci,drive=card,romfile=", "-device", "qemu-xhci")
		if board != "virt without a network" {
			args = append(args, "-device", "virtio-net-pci,netdev=lan,romfile=,id=nic")
		}
		if board == "virt with a watchdog" {
			args = append(args, "-device", "i6300esb")
		}
	case "raspi3b":
		tree := filepath.Join(t.TempDir(), "tree")
		tool(t, "mcopy", "-n", "-o", "-i", partition(card, slot), "::bcm2837-rpi-3-b.dtb", tree)
		// Its watchdog resets at once, which the real one does not.
		cmdline = strings.ReplaceAll(cmdline, "ttyAMA0", "ttyS1") + " gw.watchdog=0"
		args = append(args, "-M", "raspi3b", "-dtb", tree, "-drive", "file="+card+",if=sd,format=raw",
			"-serial", "null", "-device", "usb-net,netdev=lan")
	}
	if !strings.Contains(cmdline, "gw.trial=") {
		cmdline += " gw.trial=4s,4m" // a minute is long for a test
	}
	args = append(append(args, b.console.args()...), more...)
	args = append(args, "-append", fmt.Sprintf("%s gw.partition=%d", cmdline, slot))
	if d != nil {
		args = append(args, "-chardev", "socket,id=rcp,reconnect=1,path="+d.socket, "-device", "usb-serial,chardev=rcp")
	}
	b.cmd = exec.Command("qemu-system-aarch64", args...)
	var said bytes.Buffer
	b.cmd.Stderr = &said
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.cut()
		if t.Failed() {
			log, _ := os.ReadFile(b.console.log)
			t.Logf("QEMU: %s\nconsole:\n%s", &said, log)
		}
	})
	return b
}

// freePort is one that nobody listened on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// gone waits for the machine to end by itself: it does not start again.
func (b *box) gone(limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid)); err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
	}
	return false
}

// cut takes the power away.
func (b *box) cut() {
	if b.cmd.ProcessState == nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait() // killed
	}
}

func (b *box) page() string {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(b.url)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // cut short, it lacks what is looked for
	return string(text)
}

// says waits until the page says all of that, and returns the page.
func (b *box) says(limit time.Duration, what ...string) string {
	b.t.Helper()
	var page, missing string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		page, missing = b.page(), ""
		for _, s := range what {
			if !strings.Contains(page, s) {
				missing = s
				break
			}
		}
		if missing == "" && page != "" {
			return page
		}
	}
	b.t.Fatalf("after %v the page does not say %q:\n%s", limit, missing, page)
	return ""
}

// A dongle is a co-processor behind a USB serial adapter, on an air of its own.
type dongle struct {
	t      *testing.T
	socket string
	air    int // port offset

	// If set, called once when a joiner's first record arrives.
	joining func()

	mu   sync.Mutex
	stop func() // unplugs it
}

func newDongle(t *testing.T) *dongle {
	// An air that no other test uses.
	d := &dongle{t: t, socket: filepath.Join(shortDir(t), "rcp"), air: 20 + rand.IntN(20)}
	d.plug()
	t.Cleanup(d.unplug)
	return d
}

// plug lets the adapter find its other end: QEMU shows a USB device when it
// does.
func (d *dongle) plug() {
	d.t.Helper()
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			m, err := udp.Open(udp.Config{Node: 1, PortOffset: d.air})
			if err != nil {
				d.t.Error(err)
				return
			}
			_ = rcpd.Serve(ctx, c, rcpd.Config{Medium: &ear{m, d.joining}, Version: "OPENTHREAD/test"})
			m.Close()
		}
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop = sync.OnceFunc(func() {
		l.Close()
		cancel()
		wg.Wait()
	})
}

// An ear notices a joiner: on an air without other devices the first one who
// addresses a frame without link security to somebody.
type ear struct {
	*udp.Medium
	joining func()
}

func (e *ear) Deliver(d medium.Datagram) {
	if e.joining != nil && len(d.PSDU) > 2 {
		if f, err := ieee802154.Decode(d.PSDU[:len(d.PSDU)-2]); err == nil && f.Type == ieee802154.FrameData && f.Dst.Mode == ieee802154.AddrExtended && !f.Secured {
			go e.joining()
			e.joining = nil
		}
	}
	e.Medium.Deliver(d)
}

func (d *dongle) unplug() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop()
}
