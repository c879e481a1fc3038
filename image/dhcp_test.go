package image

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What udhcpc learns gets into the kernel; an address that is renewed stays
// there all the time, and with it what goes by it.
func TestDHCPScript(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil || os.Getuid() != 0 {
		t.Skip("not root, or no ip")
	}
	const script = `set -e
mount -t tmpfs none /run
mkdir /run/gatewayd
ip tuntap add eth9 mode tap
ip link set eth9 up
says() { interface=eth9 ip=$2 mask=24 router='192.0.2.1 192.0.2.2' dns='192.0.2.1 192.0.2.3' ntpsrv=192.0.2.4 sh ../overlay/usr/share/udhcpc/default.script $1; }
says deconfig
says bound 192.0.2.7
ip route add 198.51.100.0/24 via 192.0.2.9
says renew 192.0.2.7
echo kept $(ip -4 -o addr show dev eth9 | awk '{ print $4 }'), $(ip -4 route show 198.51.100.0/24), $(ip -4 route show default)
says renew 192.0.2.8
echo other $(ip -4 -o addr show dev eth9 | awk '{ print $4 }')
echo files $(cat /run/resolv.conf /run/gatewayd/ntp)
says deconfig
echo gone $(ip -4 -o addr show dev eth9)
`
	out, err := exec.Command("unshare", "-n", "-m", "sh", "-c", script).CombinedOutput()
	if strings.Contains(string(out), "unshare failed") || strings.Contains(string(out), "/dev/net/tun") {
		t.Skipf("no namespaces here: %s", out)
	}
	if err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	for _, want := range []string{
		"kept 192.0.2.7/24, 198.51.100.0/24 via 192.0.2.9 dev eth9", "default via 192.0.2.1 dev eth9",
		"other 192.0.2.8/24\n", "files nameserver 192.0.2.1 nameserver 192.0.2.3 192.0.2.4\n", "gone\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
