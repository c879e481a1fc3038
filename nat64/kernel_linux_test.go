package nat64

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"gatewayd/alarm"
)

// Linux on both sides, and a router in the middle of the IPv4 side:
//
//	 mesh                         router                       server
//	fd00:1::10 --mesh0  [us]  nat64-- 198.51.100.1 --veth-- 203.0.113.7
//	                                 203.0.113.1
//
// The translator has 192.168.255.0/28.
type world struct {
	t                    *testing.T
	mesh, router, server string // namespaces
	tuns                 [2]*os.File
	pcap                 string
	done                 sync.WaitGroup

	mu    sync.Mutex // guards what follows
	clock alarm.Clock
	x     *Translator
	out   *pcapgo.Writer
}

// need skips a test that cannot run here.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root, for network namespaces")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("SKIPPED: no program %s", p)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("SKIPPED: no TUN devices here: %v", err)
	}
}

// namespace makes one, and returns its name.
func (w *world) namespace(name string) string {
	w.t.Helper()
	ns := fmt.Sprintf("gw-nat64-%d-%s", os.Getpid(), name)
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		w.t.Skipf("SKIPPED: no network namespaces: %v: %s", err, out)
	}
	w.t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	return ns
}

func newWorld(t *testing.T) *world {
	need(t, "ip", "ping")
	w := &world{t: t}
	w.mesh, w.router, w.server = w.namespace("mesh"), w.namespace("router"), w.namespace("server")
	t.Cleanup(w.done.Wait) // when what follows is closed
	w.tuns[0] = w.tun(w.mesh, "mesh0")
	w.tuns[1] = w.tun(w.router, "nat64")
	t.Cleanup(func() { w.tuns[0].Close(); w.tuns[1].Close() })
	w.ip(w.router, "link add r0 type veth peer name s0 netns "+w.server)
	for _, l := range [][2]string{{w.mesh, "lo"}, {w.mesh, "mesh0"}, {w.router, "nat64"}, {w.router, "r0"}, {w.server, "s0"}} {
		w.ip(l[0], "link set "+l[1]+" up")
	}
	w.ip(w.mesh, "addr add fd00:1::10/64 dev mesh0 nodad")
	w.ip(w.mesh, "route add 64:ff9b::/96 dev mesh0")
	w.ip(w.router, "addr add 198.51.100.1/32 dev nat64")
	w.ip(w.router, "route add 192.168.255.0/28 dev nat64 src 198.51.100.1")
	w.ip(w.router, "addr add 203.0.113.1/24 dev r0")
	w.ip(w.server, "addr add 203.0.113.7/24 dev s0")
	w.ip(w.server, "route add default via 203.0.113.1")
	w.run(w.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	w.serve()

	w.pcap = filepath.Join(t.TempDir(), "nat64.pcap")
	f, err := os.Create(w.pcap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w.out = pcapgo.NewWriter(f)
	if err := w.out.WriteFileHeader(65536, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i := range w.tuns {
		w.done.Go(func() { w.forward(i) })
	}
	return w
}

// use replaces the translator.
func (w *world) use(change func(*Config)) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.Set(time.Now())
	cfg := Config{
		Clock: &w.clock, Rand: rand.New(rand.NewPCG(1, 2)), Prefix: wellKnown, Pool: netip.MustParsePrefix("192.168.255.0/28"),
		ToMesh: func(p []byte) { w.record(p); w.tuns[0].Write(p) },
		ToIPv4: func(p []byte) { w.record(p); w.tuns[1].Write(p) },
	}
	change(&cfg)
	var err error
	if w.x, err = New(cfg); err != nil {
		w.t.Fatal(err)
	}
	w.ip(w.mesh, fmt.Sprintf("link set mesh0 mtu %d", w.x.cfg.MTU6))
	w.ip(w.router, fmt.Sprintf("link set nat64 mtu %d", w.x.cfg.MTU4))
}

func (w *world) forward(i int) {
	b := make([]byte, 65536)
	for {
		n, err := w.tuns[i].Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue // it is down, still or again
		}
		w.mu.Lock()
		if w.x != nil {
			w.clock.Advance(time.Now())
			w.record(b[:n])
			if i == 0 {
				w.x.FromMesh(b[:n])
			} else {
				w.x.FromIPv4(b[:n])
			}
		}
		w.mu.Unlock()
	}
}

func (w *world) record(p []byte) {
	w.out.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(p), Length: len(p)}, p)
}

func (w *world) counters() Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.x.Counters()
}

// ip runs the program in a namespace.
func (w *world) ip(ns, args string) string {
	w.t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", ns}, strings.Fields(args)...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	return string(out)
}

func (w *world) run(ns string, args ...string) string {
	w.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Errorf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// in calls f in a namespace.
func (w *world) in(ns string, f func() error) {
	w.t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := os.Open("/var/run/netns/" + ns)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	if err := <-result; err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tun(ns, name string) (f *os.File) {
	w.in(ns, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return err
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f
}

const echoPort = 7

// serve answers with what it gets, by UDP and TCP.
func (w *world) serve() {
	var udp net.PacketConn
	var tcp net.Listener
	w.in(w.server, func() (err error) {
		if udp, err = net.ListenPacket("udp4", fmt.Sprintf("203.0.113.7:%d", echoPort)); err == nil {
			tcp, err = net.Listen("tcp4", fmt.Sprintf("203.0.113.7:%d", echoPort))
		}
		return err
	})
	w.t.Cleanup(func() { udp.Close(); tcp.Close() })
	w.done.Go(func() {
		b := make([]byte, 65536)
		for {
			n, from, err := udp.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			udp.WriteTo(b[:n], from) // may be too large for the path at first
		}
	})
	w.done.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			w.done.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
}

// dial connects from the mesh to the server, by its address under the prefix.
func (w *world) dial(network string, port int) (c net.Conn) {
	w.t.Helper()
	w.in(w.mesh, func() (err error) {
		c, err = (&net.Dialer{Timeout: 10 * time.Second}).Dial(network, netip.AddrPortFrom(under(server), uint16(port)).String())
		return err
	})
	c.SetDeadline(time.Now().Add(20 * time.Second))
	w.t.Cleanup(func() { c.Close() })
	return c
}

// echoUDP sends a datagram until it comes back, and says after how many times.
func (w *world) echoUDP(c net.Conn, n int) int {
	w.t.Helper()
	sent, b := pattern(n), make([]byte, 65536)
	for try := 1; try <= 5; try++ {
		if _, err := c.Write(sent); err != nil {
			continue // too large for the path, as it has just become known
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if m, err := c.Read(b); err == nil {
			if !bytes.Equal(b[:m], sent) {
				w.t.Fatalf("%d bytes came back as %d others", n, m)
			}
			return try
		}
	}
	w.t.Errorf("%d bytes by UDP did not come back", n)
	return 0
}

// echoTCP sends bytes and reads them back until the end of both directions.
func (w *world) echoTCP(n int) {
	w.t.Helper()
	c := w.dial("tcp6", echoPort).(*net.TCPConn)
	sent := pattern(n)
	go func() {
		c.Write(sent)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		w.t.Errorf("%d bytes by TCP came back as %d: %v", n, len(got), err)
	}
}

func TestKernel(t *testing.T) {
	w := newWorld(t)
	w.use(func(*Config) {})
	to := under(server).String()

	for _, size := range []string{"0", "56", "1232", "3000", "20000"} { // the last two in fragments
		if out := w.run(w.mesh, "ping", "-6", "-n", "-c", "1", "-W", "5", "-s", size, to); !strings.Contains(out, " 0% packet loss") {
			t.Errorf("ping with %s bytes:\n%s", size, out)
		}
	}
	c := w.dial("udp6", echoPort)
	for _, n := range []int{0, 1, 1000, 1232, 1233, 4000, 60000} {
		w.echoUDP(c, n)
	}
	w.echoTCP(300000)

	// Who is on the way: the translator, the router, the server.
	for hops, want := range map[string]string{
		"1": "From " + w.x.Addr().String() + " icmp_seq=1 Time exceeded",
		"2": "From 64:ff9b::c633:6401 icmp_seq=1 Time exceeded",
		"3": "1 received",
	} {
		out, _ := exec.Command("ip", "netns", "exec", w.mesh, "ping", "-6", "-n", "-c", "1", "-W", "5", "-t", hops, to).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%s hops: want %q in\n%s", hops, want, out)
		}
	}
	// Nobody listens: by UDP an ICMP error says so, by TCP a reset.
	c = w.dial("udp6", 9)
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	w.in(w.mesh, func() error {
		if _, err := net.DialTimeout("tcp6", netip.AddrPortFrom(under(server), 9).String(), 5*time.Second); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		return nil
	})
	// No such address: the router says so.
	out, _ := exec.Command("ip", "netns", "exec", w.mesh, "ping", "-6", "-n", "-c", "1", "-W", "5", under(netip.MustParseAddr("192.0.2.1")).String()).CombinedOutput()
	if !strings.Contains(string(out), "From 64:ff9b::c633:6401 icmp_seq=1 Destination unreachable: No route") {
		t.Errorf("no route:\n%s", out)
	}

	// The server learns what fits into the mesh, and goes on.
	c = w.dial("udp6", echoPort)
	w.echoUDP(c, 1300)
	w.mu.Lock()
	outside := w.x.Hosts()[0].Outside
	w.mu.Unlock()
	if r := w.ip(w.server, "route get "+outside.String()); w.counters().FromIPv4[TooBig] == 0 || !strings.Contains(r, "mtu 1260") {
		t.Errorf("the server was not told: %d packets too big, %s", w.counters().FromIPv4[TooBig], r)
	}

	// A link on the IPv4 side that takes less than the mesh: what comes from the
	// mesh may be fragmented there.
	w.ip(w.router, "link set r0 mtu 600")
	w.ip(w.server, "link set s0 mtu 600")
	w.echoUDP(w.dial("udp6", echoPort), 1232)
	w.echoTCP(20000)

	// With large packets in the mesh, hosts learn what fits.
	w.ip(w.router, "link set r0 mtu 1400")
	w.ip(w.server, "link set s0 mtu 1400")
	w.use(func(c *Config) { c.MTU6 = 1500 })
	w.echoUDP(w.dial("udp6", echoPort), 1440)
	if r := w.ip(w.mesh, "route get "+to); !strings.Contains(r, "mtu 1420") {
		t.Errorf("path MTU: want 1420 in %s", r)
	}
	w.echoTCP(300000)

	n := w.counters()
	t.Logf("%+v", n)
	if n.FromMesh[Malformed]+n.FromIPv4[Malformed]+n.FromIPv4[NoMapping] != 0 || n.Out[TCP].Packets == 0 || n.In[TCP].Packets == 0 {
		t.Errorf("counters %+v", n)
	}
	w.tshark()
}

// tshark finds nothing wrong with any packet on either side.
func (w *world) tshark() {
	program, err := exec.LookPath("tshark")
	if err != nil {
		w.t.Log("tshark is not installed: packets not looked at")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	read := func(filter string) []string {
		w.t.Helper()
		out, err := exec.Command(program, "-r", w.pcap, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
			"-o", "udp.check_checksum:TRUE", "-Y", filter).Output()
		if err != nil {
			w.t.Fatalf("tshark %s: %v", filter, err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	// A checksum of 0xffff is as good as 0 to whoever receives it, and the kernel's
	// own NAT makes one now and then.
	const kernels = "tcp.checksum == 0xffff && ip.src == 203.0.113.7"
	const wrong = "_ws.malformed || _ws.expert.severity == error || ip.checksum.status == Bad || udp.checksum.status == Bad || " +
		"(tcp.checksum.status == Bad && !(" + kernels + ")) || icmp.checksum.status == Bad || icmpv6.checksum.status == Bad"
	if bad := read(wrong); bad[0] != "" {
		w.t.Errorf("tshark objects to %d packets:\n%s", len(bad), strings.Join(bad[:min(len(bad), 20)], "\n"))
	}
	for _, filter := range []string{"ipv6.fragment.count > 2 && udp", "ip.fragment.count > 2 && icmp", "icmpv6.type == 2", "icmp.type == 3 && icmp.code == 4", "tcp && ipv6", "tcp && ip"} {
		if got := read(filter); got[0] == "" {
			w.t.Errorf("no packet with %s", filter)
		}
	}
}
