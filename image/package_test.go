//go:build image

package image

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// debianLimit is for an ordinary Debian machine without hardware acceleration.
const debianLimit = 5 * time.Minute

// debian starts the machine that vm.sh has made, with the package in root's
// folder, the dongle beside it, and a LAN. It returns its console, on which
// root is.
func debian(t *testing.T, deb string, d *dongle, l *lan) *serial {
	t.Helper()
	vm := os.Getenv("GATEWAYD_VM")
	if vm == "" || deb == "" {
		t.Skip("GATEWAYD_VM and GATEWAYD_DEB do not name a machine and a package: use `make package-test`")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	tool(t, "cp", "--sparse=always", filepath.Join(vm, "disk"), disk)
	if out := tool(t, "debugfs", "-w", "-R", "write "+deb+" /root/gatewayd.deb", disk); bytes.Contains(out, []byte("No such")) {
		t.Fatalf("the package does not get onto the disk: %s", out)
	}
	s := newSerial(t)
	args := append([]string{"-accel", "tcg,thread=multi", "-nographic", "-monitor", "none", "-no-reboot", "-M", "q35", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-kernel", filepath.Join(vm, "kernel"), "-initrd", filepath.Join(vm, "initrd"), "-append", "console=ttyS0 quiet",
		"-drive", "file=" + disk + ",if=none,id=disk,format=raw,cache=unsafe", "-device", "virtio-blk-pci,drive=disk",
		"-device", "virtio-net-pci,netdev=lan,romfile=", "-device", "virtio-rng-pci", "-device", "qemu-xhci",
		"-chardev", "socket,id=rcp,reconnect=1,path=" + d.socket, "-device", "usb-serial,chardev=rcp"}, s.args()...)
	args = append(args, l.args("lan", "user")...)
	s.powerOn("QEMU", "qemu-system-x86_64", args...)
	s.hears(debianLimit, `root@debian:~# `)
	return s
}

// traces is what a package and its service may leave on a system.
const traces = `(find / -xdev -name '*gatewayd*' -not -path '/root/*' -not -path '/proc/*' -not -path '/run/log/*'; ` +
	`getent passwd gatewayd; getent group gatewayd; systemctl list-unit-files --no-legend 'gatewayd*'; systemctl list-units --all --no-legend 'gatewayd*'; ` +
	`nft list tables; ip -6 rule; ip -6 route show table all proto 154; ip -o link; ip -6 addr show scope global -dynamic; ` +
	`sysctl -a | grep -E 'forward|accept_ra|accept_redirects') 2>/dev/null`

// A Debian machine with the dongle plugged in is a border router after the two
// commands of README.md; and what it was before, after a purge.
func TestPackage(t *testing.T) {
	deb, image := os.Getenv("GATEWAYD_DEB"), os.Getenv("GATEWAYD_IMAGE")
	d, l := newDongle(t), newLAN(t)
	l.out = true // the interface is chosen by the default route
	vm := debian(t, deb, d, l)
	vm.until(debianLimit, "systemctl is-system-running --wait | grep -E 'running|degraded'")
	vm.until(time.Minute, "ip -4 route | grep default")
	before := vm.must(time.Minute, traces)

	// Where no systemd runs, as when an image is made, it is enabled too.
	vm.must(time.Minute, "mkdir /tmp/root /tmp/new /tmp/work && mount -t overlay -o lowerdir=/,upperdir=/tmp/new,workdir=/tmp/work none /tmp/root && "+
		"chroot /tmp/root dpkg -i /root/gatewayd.deb >/tmp/said 2>&1 || cat /tmp/said; test -L /tmp/root/etc/systemd/system/multi-user.target.wants/gatewayd.service")
	vm.must(time.Minute, "umount /tmp/root && rm -r /tmp/root /tmp/new /tmp/work")

	for _, command := range readmeCommands(t) {
		command = regexp.MustCompile(`\S+\.deb`).ReplaceAllString(command, "./gatewayd.deb")
		vm.must(2*time.Minute, strings.TrimPrefix(command, "sudo "))
	}
	vm.until(2*time.Minute, "gatewayd status | grep -E 'role +leader'")
	if out := vm.must(time.Minute, "systemctl is-enabled gatewayd; systemctl is-active gatewayd"); strings.TrimSpace(out) != "enabled\nactive" {
		t.Errorf("the service is %q", out)
	}

	vm.must(time.Minute, "gatewayd joiner add '*' J01NME --timeout 10m")
	v := newDevice(t, d)
	v.join("J01NME")
	address := v.address(time.Minute)
	vm.until(time.Minute, fmt.Sprintf("gatewayd border | grep %s", netip.PrefixFrom(address, 64).Masked()))

	// The LAN's other machine runs from the card's files.
	kernel, root := filepath.Join(t.TempDir(), "kernel"), filepath.Join(t.TempDir(), "root")
	tool(t, "mcopy", "-n", "-o", "-i", partition(image, 2), "::kernel8.img", kernel)
	tool(t, "mcopy", "-n", "-o", "-i", partition(image, 2), "::rootfs.cpio.zst", root)
	host := newPeer(t, l, kernel, root)
	host.until(time.Minute, "ip -6 route | grep "+netip.PrefixFrom(address, 64).Masked().String())
	host.until(time.Minute, "ping -6 -c 1 -W 2 "+address.String())

	if vm.must(time.Minute, traces) == before {
		t.Error("a border router leaves no traces: they are not looked for where they are")
	}
	vm.must(2*time.Minute, "echo '# mine' >>/etc/gatewayd.toml && apt-get -q install -y --reinstall ./gatewayd.deb && grep '# mine' /etc/gatewayd.toml")
	vm.until(2*time.Minute, "gatewayd status | grep -E 'role +leader'")

	d.unplug()
	vm.until(time.Minute, "gatewayd status | grep -i 'plugged in'")
	d.plug()
	vm.until(time.Minute, "gatewayd status | grep -E 'role +leader'")

	vm.must(2*time.Minute, "apt-get -q purge -y gatewayd")
	after := vm.must(time.Minute, traces)
	if after != before {
		t.Errorf("a purge leaves something:\nbefore:\n%s\nafter:\n%s", before, after)
	}
}

// readmeCommands are those for Debian in README.md.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^    (sudo (?:apt|gatewayd) .*?)(?: +#.*)?$`).FindAllSubmatch(text, -1)
	if len(commands) != 2 {
		t.Fatalf("README.md has %d commands for Debian, want 2", len(commands))
	}
	var list []string
	for _, c := range commands {
		list = append(list, string(c[1]))
	}
	return list
}
