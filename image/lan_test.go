//go:build image

package image

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// A lan is the cable between a card's machine and a peer: datagrams that carry
// Ethernet frames, beside QEMU's own network.
type lan struct {
	card, peer string // sockets
	quiet      bool   // there is nothing else: no DHCP, no way out
	out        bool   // there is a router
}

func newLAN(t *testing.T) *lan {
	dir := shortDir(t)
	return &lan{card: filepath.Join(dir, "card"), peer: filepath.Join(dir, "peer")}
}

// args are QEMU's for a network interface's other end of that name. user is
// QEMU's own network, which gives addresses by DHCP but no IPv6; unless there is
// a router, neither a default route.
func (l *lan) args(name, user string) []string {
	if l.quiet {
		return []string{"-netdev", cable(name, l.card, l.peer)}
	}
	user += ",ipv6=off"
	if !l.out {
		user += ",restrict=on"
	}
	return []string{"-netdev", user + ",id=user", "-netdev", cable("wire", l.card, l.peer),
		"-netdev", "hubport,hubid=0,id=port0,netdev=user", "-netdev", "hubport,hubid=0,id=port1,netdev=wire", "-netdev", "hubport,hubid=0,id=" + name}
}

func cable(name, from, to string) string {
	return fmt.Sprintf("dgram,id=%s,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", name, from, to)
}

// newPeer starts another machine on that cable: the image's kernel and a shell,
// nothing else. The kernel does IPv6 by itself. The settings are the two that
// an ordinary distribution's network manager has: addresses and routes by
// router advertisements.
func newPeer(t *testing.T, l *lan, kernel, root string) *serial {
	t.Helper()
	s := newSerial(t)
	args := append([]string{"-accel", "tcg", "-nographic", "-monitor", "none", "-no-reboot", "-M", "virt", "-cpu", "cortex-a53", "-m", "256",
		"-kernel", kernel, "-initrd", root, "-append", "console=ttyAMA0 quiet rdinit=/bin/sh",
		"-netdev", cable("lan", l.peer, l.card), "-device", "virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:12:34:57"}, s.args()...)
	s.powerOn("the peer's QEMU", "qemu-system-aarch64", args...)
	s.hears(pageLimit, `# `)
	for _, command := range []string{
		"[ ! -e /etc/init.d/S00commands ] || /etc/init.d/S00commands; mkdir -p /proc /sys && mount -t proc proc /proc && mount -t sysfs sys /sys",
		"modprobe -a virtio_pci virtio_net",
		"echo 64 >/proc/sys/net/ipv6/conf/eth0/accept_ra_rt_info_max_plen",
		"ip link set lo up && ip link set eth0 up",
	} {
		s.must(30*time.Second, command)
	}
	return s
}
