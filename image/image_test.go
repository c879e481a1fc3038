//go:build image

package image

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pageLimit is how long the page may take from the power on. Idle machines
// need a fraction; this is for busy ones.
const pageLimit = 120 * time.Second

// A dataset: name "image", channel 15.
const dataset = "0e0800000000000100000003" + "00000f" + "35060004001fffe0" + "01021a2b" + "0208dead00beef00cafe" +
	"0305" + "696d616765" + "0708fd00db8000000000" + "051000112233445566778899aabbccddeeff" +
	"0410445566778899aabbccddeeff00112233" + "0c0402a0f7f8"

// From a card as it was flashed, with settings of which one is wrong, to a
// network that a device joins, which a host on the LAN reaches by what router
// advertisements tell; the dongle comes and goes; the power goes; the other
// slot is tried. The network stays the same.
func TestLife(t *testing.T) {
	c := card(t)
	d := newDongle(t)
	l := newLAN(t)
	writeFile(t, c, 1, "gatewayd.conf", "hostname=gw-image\nhostnam=x\ndataset="+dataset+"\n")

	b := startOn(t, "virt", c, false, d, l)
	b.says(pageLimit, "<h1>gw-image</h1>")
	first := time.Since(b.began)
	b.says(pageLimit, "The dongle works: OPENTHREAD/test.", "“image” on channel 15 runs; the gateway is its leader", "Connected by eth0 as 10.0.2.15",
		"/boot/gatewayd.conf:2: there is no", "Add the first device")
	t.Logf("page after %v, leader after %v", first.Round(100*time.Millisecond), time.Since(b.began).Round(100*time.Millisecond))
	if !b.console.has("started from partition 2") || !b.console.has("gatewayd.conf:2: there is no \"hostnam\"") {
		t.Error("the console does not tell the slot and the wrong line")
	}
	if !b.console.has("grew /data from") {
		t.Error("the data partition did not grow")
	}

	host := newPeer(t, l, b.kernel, b.root)
	b.console.activate(30 * time.Second)
	b.console.must(30*time.Second, "gatewayd joiner add '*' J01NME --timeout 10m")
	v := newDevice(t, d)
	v.join("J01NME")
	b.says(60*time.Second, "hears 1 now")
	address := v.address(60 * time.Second)
	route := host.until(60*time.Second, "ip -6 route | grep '^"+netip.PrefixFrom(address, 64).Masked().String()+"'")
	if !strings.Contains(route, "via fe80::") {
		t.Errorf("the LAN's host has not learned the route from a router: %s", route)
	}
	ping := "ping -6 -c 1 -W 2 " + address.String()
	host.until(30*time.Second, ping)
	t.Logf("a host on the LAN reaches %v %v after the power on", address, time.Since(b.began).Round(100*time.Millisecond))

	d.unplug()
	b.says(30*time.Second, "No dongle works", "“image” is not on the air")
	d.plug()
	b.says(60*time.Second, "The dongle works", "the gateway is its leader")
	host.until(60*time.Second, ping)
	b.cut()

	// Nothing on the boot partition names the network any more.
	writeFile(t, c, 1, "gatewayd.conf", "address=dhcp\n")
	d.unplug()
	b = start(t, c, true, d)
	b.says(pageLimit, "No dongle works", "“image” is not on the air")
	d.plug()
	page := b.says(60*time.Second, "The dongle works", "“image” on channel 15 runs")
	if !b.console.has("started from partition 3") {
		t.Error("the other slot was not tried")
	}
	if strings.Contains(page, "/boot/gatewayd.conf") || strings.Contains(page, "This box") {
		t.Errorf("the page complains:\n%s", page)
	}
}

// kernelTime returns when the kernel began to count time, and how much of it went by
// until its first program.
func (b *box) kernelTime() (began time.Time, own time.Duration) {
	b.t.Helper()
	b.console.activate(30 * time.Second)
	said := b.console.must(10*time.Second, "dmesg | grep -o '^.*Run /init'; echo up $(cut -d' ' -f1 /proc/uptime)")
	now := time.Now()
	m := regexp.MustCompile(`(?s)\[ *([0-9.]+)\] Run.*up ([0-9.]+)`).FindStringSubmatch(said)
	if m == nil {
		b.t.Fatalf("the kernel says %q", said)
	}
	seconds := func(s string) time.Duration {
		d, err := time.ParseDuration(s + "s")
		if err != nil {
			b.t.Fatal(err)
		}
		return d
	}
	return now.Add(-seconds(m[2])), seconds(m[1])
}

// From the kernel's first program to a mesh that the LAN's hosts know the way to,
// with a new card and with one that has its network. The figures are the test's
// to tell and nobody's to judge here: they are an idle machine's only if this one is.
func TestStart(t *testing.T) {
	c, d := card(t), newDongle(t)
	for _, what := range []string{"a new network", "a network that there was"} {
		b := start(t, c, false, d)
		b.says(pageLimit, "<h1>")
		page := time.Now()
		b.says(pageLimit, "The dongle works: OPENTHREAD/test.", "the gateway is its leader", "Connected by", "hosts reach the devices by fd")
		reached := time.Now()
		began, own := b.kernelTime()
		tell := func(at time.Time) time.Duration { return (at.Sub(began) - own).Round(100 * time.Millisecond) }
		t.Logf("%s: page after %v, hosts reach devices after %v, beyond the kernel's %v", what, tell(page), tell(reached), own.Round(100*time.Millisecond))
		b.cut()
	}
}

// The same card in a Raspberry Pi's slot, as far as QEMU's has one: its SD
// controller, and network and dongle at its one USB port.
func TestRaspberryPi(t *testing.T) {
	b := startOn(t, "raspi3b", card(t), false, newDongle(t), nil)
	b.says(2*pageLimit, "<h1>gatewayd</h1>")
	first := time.Now()
	b.says(pageLimit, "The dongle works: OPENTHREAD/test.", "the gateway is its leader", "Connected by")
	led := time.Now()
	// QEMU takes its time before this board's kernel begins.
	began, own := b.kernelTime()
	t.Logf("page after %v, leader after %v of the kernel's time, of which it took %v itself",
		first.Sub(began).Round(100*time.Millisecond), led.Sub(began).Round(100*time.Millisecond), own.Round(100*time.Millisecond))
}

// The power goes at any moment of the first seconds, again and again, from the
// first start on, which grows the data partition. The gateway comes back with
// its first network.
func TestPowerCuts(t *testing.T) {
	times := 6
	if s := os.Getenv("POWER_CUTS"); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	c := card(t)
	b := start(t, c, false, nil)
	b.says(pageLimit, "is not on the air")
	took := time.Since(b.began)
	name := between(b.page(), "“", "”")
	if name == "" {
		t.Fatalf("no network on the page:\n%s", b.page())
	}
	b.cut()
	r := rand.New(rand.NewPCG(1, 2))
	for range times {
		b = start(t, c, r.IntN(2) == 1, nil)
		time.Sleep(time.Duration(r.Int64N(int64(took + took/4))))
		b.cut()
	}
	b = start(t, c, false, nil)
	page := b.says(pageLimit, "“"+name+"”")
	// The other slot may have been on trial when the power went, and is given up.
	given := regexp.MustCompile(`(?m)^.*did not become healthy: it was started anew before it was well.*\n`)
	if strings.Contains(between(given.ReplaceAllString(page, ""), "<dt>This box</dt>", "</dl>"), "bad") {
		t.Errorf("the page complains:\n%s", page)
	}
	t.Logf("%q survived %d power cuts within %v of the start", name, times, (took + took/4).Round(time.Second))
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, ok := strings.Cut(s, to)
	if !ok {
		return ""
	}
	return s
}

// A data partition that is torn is repaired, even if that empties it; without
// one, and without settings, the gateway runs all the same, and says so.
func TestTorn(t *testing.T) {
	const notice = "The data partition cannot be used"
	for _, tt := range []struct {
		name   string
		behind int64 // of the partition's begin: what is overwritten
		notice bool
	}{{"behind the superblock", 2048, false}, {"all", 0, true}} {
		t.Run(tt.name, func(t *testing.T) {
			c := card(t)
			tool(t, "mdel", "-i", partition(c, 1), "::gatewayd.conf")
			f, err := os.OpenFile(c, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			junk := make([]byte, 31<<20)
			rand.NewChaCha8([32]byte{1}).Read(junk)
			if _, err := f.WriteAt(junk, offsets[4]+tt.behind); err != nil {
				t.Fatal(err)
			}
			b := start(t, c, false, nil)
			page := b.says(pageLimit, "<h1>gatewayd</h1>", "No dongle works", "is not on the air")
			if strings.Contains(page, notice) != tt.notice {
				t.Errorf("notice %v, the page says:\n%s", tt.notice, page)
			}
		})
	}
}
