//go:build image

package image

import (
	"strings"
	"testing"
	"time"
)

// A network adapter that is plugged in when the box runs already is used.
func TestLateUplink(t *testing.T) {
	b := startOn(t, "virt without a network", card(t), false, newDongle(t), nil)
	b.console.activate(pageLimit)
	b.console.until(pageLimit, "gatewayd status | grep -E 'role +leader'")
	if !b.console.has("there is no network interface; one that comes later is used") {
		t.Error("the console does not tell that there is none")
	}
	b.command("device_add", "driver", "usb-net", "netdev", "lan", "id", "nic")
	b.says(60*time.Second, "as 10.0.2.15", "the gateway is its leader", "hosts reach the devices by fd")
}

// The cable is pulled and plugged in again: an address is asked for anew, since
// it may be another network. Another disk that looks like a card of ours is none.
func TestCableAndDisk(t *testing.T) {
	other := card(t)
	writeFile(t, other, 1, "gatewayd.conf", "hostname=other\n")
	c := card(t)
	writeFile(t, c, 1, "gatewayd.conf", "hostname=cellar\n")
	b := startOn(t, "virt", c, false, nil, nil, "-drive", "file="+other+",if=none,id=other,format=raw", "-device", "virtio-blk-pci,drive=other,romfile=")
	b.says(pageLimit, "<h1>cellar</h1>", "Connected by eth0 as 10.0.2.15")
	b.console.activate(pageLimit)
	b.console.until(60*time.Second, "[ -b /dev/vdb4 ]")
	if out := b.console.must(10*time.Second, "grep -E ' /(boot|data) ' /proc/mounts"); strings.Contains(out, "/dev/vdb") || strings.Count(out, "/dev/vda") != 2 {
		t.Errorf("mounted are\n%s", out)
	}
	asked := b.console.must(10*time.Second, "pidof udhcpc")
	b.command("set_link", "name", "nic", "up", false)
	b.console.until(30*time.Second, "[ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]")
	time.Sleep(3 * time.Second) // as a hand needs, at least
	b.command("set_link", "name", "nic", "up", true)
	b.console.until(30*time.Second, "pidof udhcpc && [ \"$(pidof udhcpc)\" != '"+strings.TrimSpace(asked)+"' ]")
	b.says(60*time.Second, "Connected by eth0 as 10.0.2.15")
}
