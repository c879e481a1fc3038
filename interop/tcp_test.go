//go:build interop

package interop

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peer is the program of either end of a connection: it listens or connects,
// sends a file and takes what comes until the other end has sent all of its own.
// It says how long its segments can be.
const peer = `import socket, sys, threading
role, addr, port, send, take = sys.argv[1:]
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
s.settimeout(120)
if role == "listen":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", int(port)))
    s.listen(1)
    print("listens", flush=True)
    c, _ = s.accept()
    c.settimeout(120)
else:
    s.connect((addr, int(port)))
    c = s
def sender():
    c.sendall(open(send, "rb").read())
    c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=sender)
t.start()
with open(take, "wb") as f:
    while b := c.recv(65536):
        f.write(b)
t.join()
print("segments of", c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
`

// exchange has two kernels send each other so many bytes by one connection,
// both ways at a time, and compares what arrives.
func exchange(t *testing.T, listener, caller *rcpNetns, addr string, size int) {
	t.Helper()
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	sent := map[string][]byte{}
	for _, end := range []string{"listener", "caller"} {
		b := make([]byte, size)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		sent[end] = b
		if err := os.WriteFile(name(end), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var heard syncBuffer
	l := listener.command("python3", "-c", peer, "listen", "::", "4000", name("listener"), name("from-caller"))
	l.Stdout, l.Stderr = &heard, &heard
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = l.Process.Kill()
		_ = l.Wait()
	}()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(heard.String(), "listens"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the listener: %s", heard.String())
		}
	}
	began := time.Now()
	out, err := caller.command("python3", "-c", peer, "connect", addr, "4000", name("caller"), name("from-listener")).CombinedOutput()
	if err != nil {
		t.Fatalf("the caller: %v: %s", err, out)
	}
	took := time.Since(began)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(heard.String(), "segments"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the listener: %s", heard.String())
		}
	}
	for from, file := range map[string]string{"caller": "from-caller", "listener": "from-listener"} {
		got, err := os.ReadFile(name(file))
		if err != nil || !bytes.Equal(got, sent[from]) {
			t.Errorf("of the %d bytes of the %s, %d arrived, or others: %v", size, from, len(got), err)
		}
	}
	m := regexp.MustCompile(`segments of (\d+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("the caller: %s", out)
	}
	// A frame takes some eighty bytes: what is longer goes in fragments.
	if segment, _ := strconv.Atoi(string(m[1])); segment < 1000 {
		t.Errorf("segments have %d bytes", segment)
	}
	t.Logf("%d bytes each way in %v, in segments of %s", size, took.Round(10*time.Millisecond), m[1])
}

// TCP between the kernel of a host on the LAN and the kernel of a device, which
// is OpenThread's POSIX host with a namespace of its own: either begins, both
// send, in segments that go through the mesh in fragments, and every byte
// arrives.
func TestTCPBetweenKernels(t *testing.T) {
	rcp, daemon, ctl := otProgram(t, "ot-rcp"), otProgram(t, "ot-daemon"), otProgram(t, "ot-ctl")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	dataset := strings.TrimSpace(g.ctl("dataset", "export"))

	// The device's kernel is another one than the gateway's; its co-processor is
	// on the same air.
	dev := &rcpNetns{t: t, name: ns.name + "-dev", env: ns.env}
	for _, args := range [][]string{{"netns", "add", dev.name}, {"-n", dev.name, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", dev.name).Run() })
	ip, err := exec.LookPath("ip")
	if err == nil {
		ip, err = filepath.EvalSymlinks(ip)
	}
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"forkpty-arg": {"netns", "exec", ns.name, rcp, "2"}}
	ifname := fmt.Sprintf("wpan%d", os.Getpid()) // also names its socket, which no namespace keeps apart
	cmd := dev.command(daemon, "-I", ifname, "-d", "4", "-v",
		"spinel+hdlc+forkpty://"+ip+"?"+strings.ReplaceAll(q.Encode(), "%2F", "/")) // it is not unescaped
	var log syncBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	dev.start(cmd)
	ask := func(command string) []string {
		t.Helper()
		out, err := dev.command(ctl, append([]string{"-I", ifname}, strings.Fields(command)...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Done") {
			t.Fatalf("ot-ctl %s: %v: %s", command, err, out)
		}
		return strings.Split(strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(string(out), "\r", ""), "Done", "")), "\n")
	}
	for end := time.Now().Add(10 * time.Second); dev.command(ctl, "-I", ifname, "state").Run() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("ot-daemon does not answer:\n%s", log.String())
		}
	}
	for _, s := range []string{"dataset set active " + dataset, "ifconfig up", "thread start"} {
		ask(s)
	}
	waitState(t, ask, 60*time.Second, "child", "router")
	var omr string
	for end := time.Now().Add(60 * time.Second); omr == ""; time.Sleep(300 * time.Millisecond) {
		for _, a := range ask("ipaddr -v") {
			if strings.Contains(a, "origin:slaac") {
				omr, _, _ = strings.Cut(a, " ")
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the device has no routable address: %q", ask("ipaddr -v"))
		}
	}
	if out, err := dev.command("ip", "-6", "route", "add", "default", "dev", ifname).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	host := l.address(40 * time.Second)
	l.hostRoute(omr, 30*time.Second)
	l.ping(omr, 1200)

	const size = 100_000
	t.Run("the host begins", func(t *testing.T) { exchange(t, dev, l.host, omr, size) })
	t.Run("the device begins", func(t *testing.T) { exchange(t, l.host, dev, host, size) })
}
