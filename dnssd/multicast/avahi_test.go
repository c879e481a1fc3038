package multicast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/dnssd"
	"gatewayd/dnssd/mdns"
	"gatewayd/internal/netns"
)

// namespaces runs the test again in a namespace of its own: v0 with 192.0.2.1,
// at the other end of whose cable is v1 with 192.0.2.2, in a namespace whose
// name it returns. Outside of it, there is nothing to do any more.
func namespaces(t *testing.T, programs ...string) (peer string, outside bool) {
	t.Helper()
	peer, inside := netns.Between(t, "v0", "v1", func(w *netns.Wire) {
		for i, end := range [][2]string{{w.Ours, "v0"}, {w.Peer, "v1"}} {
			w.IP(end[0], "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", end[1])
			// Addresses are there at once without duplicate address detection.
			w.IP(end[0], "addr", "add", fmt.Sprintf("fe80::%d/64", i+1), "dev", end[1], "nodad")
			w.IP(end[0], "link", "set", end[1], "addrgenmode", "none")
		}
	}, append(programs, "unshare")...)
	return peer, !inside
}

// owner runs a machine on the host's sockets, on one goroutine.
type owner struct {
	*mdns.Machine
	calls chan func()
	sock  *Sockets
	index int
}

func newOwner(t *testing.T) *owner {
	t.Helper()
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	i, err := Interface("v0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetInterfaces([]mdns.Interface{i}); err != nil {
		t.Fatal(err)
	}
	o := &owner{calls: make(chan func()), sock: s, index: i.Index}
	clock := &alarm.Clock{}
	clock.Set(time.Now())
	o.Machine = mdns.New(mdns.Config{Clock: clock, Rand: rand.New(rand.NewPCG(rand.Uint64(), 1)), Send: s.Send})
	ctx, cancel := context.WithCancel(context.Background())
	datagrams := make(chan Datagram)
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Run(ctx, func(d Datagram) {
			select {
			case datagrams <- d:
			case <-ctx.Done():
			}
		})
	})
	wg.Go(func() {
		o.SetInterfaces([]mdns.Interface{i})
		for {
			wait := time.Hour
			if at := clock.Deadline(); !at.IsZero() {
				wait = time.Until(at)
			}
			select {
			case d := <-datagrams:
				clock.Advance(time.Now())
				o.Receive(d.Iface, d.From, d.To, d.Bytes)
			case f := <-o.calls:
				clock.Advance(time.Now())
				f()
			case <-time.After(wait):
				clock.Advance(time.Now())
			case <-ctx.Done():
				o.Stop()
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		s.Close()
	})
	return o
}

// do runs f on the machine's goroutine.
func (o *owner) do(f func()) {
	done := make(chan struct{})
	o.calls <- func() { f(); close(done) }
	<-done
}

// publish publishes and waits until the names are settled.
func (o *owner) publish(t *testing.T, id string, h dnssd.Host, opt mdns.Options) *mdns.Registration {
	t.Helper()
	var r *mdns.Registration
	var err error
	o.do(func() { r, err = o.Publish(id, h, opt) })
	if err != nil {
		t.Fatal(err)
	}
	o.settled(t, r)
	return r
}

func (o *owner) settled(t *testing.T, r *mdns.Registration) (st mdns.Status) {
	t.Helper()
	eventually(t, 15*time.Second, "names are settled", func() bool {
		o.do(func() { st = r.Status() })
		for _, s := range st.Services {
			if s.State == mdns.Probing {
				return false
			}
		}
		return st.State != mdns.Probing
	})
	return st
}

func eventually(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); ; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

// output collects what a program says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// An avahi is a daemon with a bus of its own.
type avahi struct {
	netns string // "": this one
	env   []string
	out   *output
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>system</type>
 <listen>unix:path=%s</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow send_destination="*" eavesdrop="true"/>
  <allow eavesdrop="true"/>
  <allow own="*"/>
  <allow user="*"/>
 </policy>
</busconfig>
`

const avahiConfig = `[server]
host-name=%s
allow-interfaces=v0,v1
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
ratelimit-burst=1000
[publish]
publish-workstation=no
publish-hinfo=no
`

// startAvahi starts a daemon that calls its host by name.
func startAvahi(t *testing.T, netns, name string) *avahi {
	t.Helper()
	dir := t.TempDir()
	write := func(file, format string, args ...any) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bus := filepath.Join(dir, "bus")
	a := &avahi{netns: netns, out: &output{}, env: append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+bus)}
	a.start(t, a.out, "dbus-daemon", "--config-file="+write("bus.conf", busConfig, bus), "--nofork", "--nopidfile")
	eventually(t, 5*time.Second, "the bus is there", func() bool { _, err := os.Stat(bus); return err == nil })
	// It has its socket and its pid in /run, which must not be the host's.
	a.start(t, a.out, "unshare", "-m", "sh", "-c",
		`mount -t tmpfs none /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "$1"`,
		"sh", write("avahi.conf", avahiConfig, name))
	eventually(t, 10*time.Second, "avahi-daemon is up", func() bool {
		return strings.Contains(a.out.String(), "Server startup complete")
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("avahi of %s:\n%s", name, a.out)
		}
	})
	return a
}

func (a *avahi) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	if a.netns != "" {
		cmd = exec.Command("ip", append([]string{"netns", "exec", a.netns, name}, args...)...)
	}
	cmd.Env = a.env
	return cmd
}

// start starts a program; the test ends it.
func (a *avahi) start(t *testing.T, out *output, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := a.command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	return cmd
}

func stop(cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

// ask runs a program to its end, with a limit.
func (a *avahi) ask(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := a.command(name, args...)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	t.Logf("%s %q: %v\n%s", name, args, err, out.String())
	return out.String()
}

// events collects what is discovered.
type events struct {
	mu  sync.Mutex
	all []mdns.Event
}

func (e *events) add(ev mdns.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// last is the last event of an instance.
func (e *events) last(instance string) (ev mdns.Event, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.all {
		if x.Service.Instance == instance {
			ev, ok = x, true
		}
	}
	return ev, ok
}

func (o *owner) discover(t *testing.T, service string) *events {
	t.Helper()
	var e events
	var err error
	o.do(func() { _, err = o.Discover(service, e.add) })
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// awkward has a dot, a backslash, quotes, blanks and more than ASCII.
const awkward = `Küche 2.5 "hell" \ 灯`

func lamp() dnssd.Host {
	return dnssd.Host{
		Name: "sensor-7", Addrs: []netip.Addr{netip.MustParseAddr("fd00::7")},
		Services: []dnssd.Service{{
			Instance: awkward, Type: "_hap._udp", Subtypes: []string{"_color"}, Port: 5000, Priority: 1, Weight: 2,
			TXT: []byte("\x04id=1\x04flag\x06bin=\x01\xff\x02E="),
		}},
	}
}

// TestAvahi has avahi, on another host, find what is ours, and the other way.
func TestAvahi(t *testing.T) {
	peer, outside := namespaces(t, "avahi-daemon", "avahi-browse", "avahi-resolve", "avahi-publish", "dbus-daemon")
	if outside {
		return
	}
	capture := startCapture(t)
	o := newOwner(t)
	lampReg := o.publish(t, "lamp", lamp(), mdns.Options{})
	av := startAvahi(t, peer, "peer")

	t.Run("browse", func(t *testing.T) {
		out := av.ask(t, "avahi-browse", "-rtp", "_hap._udp")
		for _, want := range []string{
			`=;v1;IPv6;K\195\188che\0322\.5\032\034hell\034\032\\\032\231\129\175;_hap._udp;local;sensor-7.local;fd00::7;5000;`,
			`"id=1"`, `"flag"`, `"E="`,
		} {
			if !strings.Contains(out, want) {
				t.Errorf("avahi-browse does not say %s", want)
			}
		}
	})
	t.Run("types", func(t *testing.T) {
		if out := av.ask(t, "avahi-browse", "-atp"); !strings.Contains(out, "_hap._udp") {
			t.Error("avahi-browse -a does not list the type")
		}
	})
	t.Run("subtype", func(t *testing.T) {
		if out := av.ask(t, "avahi-browse", "-tp", "_color._sub._hap._udp"); !strings.Contains(out, `K\195\188che`) {
			t.Error("avahi-browse does not find by subtype")
		}
	})
	t.Run("resolve", func(t *testing.T) {
		if out := av.ask(t, "avahi-resolve", "-6", "-n", "sensor-7.local"); !strings.Contains(out, "sensor-7.local\tfd00::7") {
			t.Error("avahi-resolve does not find the address")
		}
		if out := av.ask(t, "avahi-resolve", "-a", "fd00::7"); !strings.Contains(out, "fd00::7\tsensor-7.local") {
			t.Error("avahi-resolve does not find the name")
		}
	})
	t.Run("theirs", func(t *testing.T) {
		found := o.discover(t, "_http._tcp")
		var out output
		cmd := av.start(t, &out, "avahi-publish", "-s", "Their. Page ü", "_http._tcp", "80", "path=/", "flag")
		eventually(t, 10*time.Second, "our browser finds avahi's service", func() bool {
			ev, ok := found.last("Their. Page ü")
			return ok && ev.Kind != mdns.Removed && len(ev.Addrs) == 2
		})
		ev, _ := found.last("Their. Page ü")
		t.Logf("%+v", ev)
		txt := string(ev.Service.TXT)
		if ev.Service.Port != 80 || ev.Host.String() != "peer.local." || !strings.Contains(txt, "\x06path=/") || !strings.Contains(txt, "\x04flag") {
			t.Errorf("found %+v", ev)
		}
		var got *mdns.Answer
		var mu sync.Mutex
		n, _ := mdns.ParseName("peer.local.")
		o.do(func() {
			o.Query(mdns.Query{Name: n, Types: []uint16{mdns.TypeAAAA}, Timeout: 3 * time.Second}, func(a mdns.Answer) {
				mu.Lock()
				defer mu.Unlock()
				got = &a
			})
		})
		eventually(t, 4*time.Second, "the query is answered", func() bool { mu.Lock(); defer mu.Unlock(); return got != nil })
		if len(got.Records) != 1 || got.Records[0].Addr() != netip.MustParseAddr("fe80::2") {
			t.Errorf("asked for peer.local AAAA, got %v", got.Records)
		}
		stop(cmd)
		eventually(t, 10*time.Second, "avahi's goodbye is heard", func() bool {
			ev, _ := found.last("Their. Page ü")
			return ev.Kind == mdns.Removed
		})
	})
	t.Run("ours loses", func(t *testing.T) {
		var out output
		av.start(t, &out, "avahi-publish", "-s", "Printer", "_plot._tcp", "631")
		eventually(t, 10*time.Second, "avahi has the name", func() bool { return strings.Contains(out.String(), "Established") })
		h := dnssd.Host{Name: "peer", Addrs: lamp().Addrs, Services: []dnssd.Service{{Instance: "Printer", Type: "_plot._tcp", Port: 1}}}
		r := o.publish(t, "printer", h, mdns.Options{})
		st := o.settled(t, r)
		if st.Host != "peer-2" || st.Services[0].Instance != "Printer (2)" || st.State != mdns.Established {
			t.Errorf("names are %+v, want peer-2 and Printer (2)", st)
		}
		if s := out.String(); strings.Contains(s, "collision") {
			t.Errorf("avahi has been disturbed: %s", s)
		}
		res := av.ask(t, "avahi-browse", "-rtp", "_plot._tcp")
		if !strings.Contains(res, `Printer;_plot._tcp;local;peer.local`) || !strings.Contains(res, `Printer\032\0402\041;_plot._tcp;local;peer-2.local;fd00::7;1;`) {
			t.Error("avahi-browse does not see both")
		}
		o.do(r.Unpublish)
	})
	t.Run("theirs loses", func(t *testing.T) {
		var out output
		av.start(t, &out, "avahi-publish", "-s", awkward, "_hap._udp", "1")
		eventually(t, 15*time.Second, "avahi takes another name", func() bool { return strings.Contains(out.String(), "#2") })
		if st := o.settled(t, lampReg); st.Services[0].Instance != awkward {
			t.Errorf("ours has become %q", st.Services[0].Instance)
		}
	})
	t.Run("goodbye", func(t *testing.T) {
		o.do(lampReg.Unpublish)
		eventually(t, 10*time.Second, "avahi has forgotten ours", func() bool {
			return !strings.Contains(av.ask(t, "avahi-browse", "-tcp", "_hap._udp"), "灯;")
		})
	})
	o.do(func() {
		c := o.Counters()
		t.Logf("%+v, unsent %d", c, o.sock.Unsent())
		if c.Malformed > 0 {
			t.Errorf("%d packets of avahi's could not be read", c.Malformed)
		}
	})
	capture.check(t)
}

// TestBesideAvahi has avahi on the same host and port, and another one look on.
func TestBesideAvahi(t *testing.T) {
	peer, outside := namespaces(t, "avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon")
	if outside {
		return
	}
	capture := startCapture(t)
	beside := startAvahi(t, "", "gateway")
	far := startAvahi(t, peer, "peer")
	o := newOwner(t)
	// The host's name is avahi's too. Both say the same of it, which is no
	// conflict (RFC 6762 Section 9).
	h := lamp()
	h.Name, h.Addrs = "gateway", nil
	r := o.publish(t, "self", h, mdns.Options{LinkAddrs: true})
	// What is elsewhere must have another one.
	h = dnssd.Host{Name: "gateway", Addrs: lamp().Addrs}
	o.do(func() {
		if _, err := o.Publish("node", h, mdns.Options{}); !errors.Is(err, mdns.ErrNameInUse) {
			t.Errorf("a second host of the name: %v", err)
		}
	})
	var out output
	beside.start(t, &out, "avahi-publish", "-s", "Avahi's", "_hap._udp", "7")
	eventually(t, 10*time.Second, "avahi beside us has its name", func() bool { return strings.Contains(out.String(), "Established") })

	t.Run("both seen from afar", func(t *testing.T) {
		res := far.ask(t, "avahi-browse", "-rtp", "_hap._udp")
		if !strings.Contains(res, "gateway.local;192.0.2.1;5000") || !strings.Contains(res, "gateway.local;192.0.2.1;7") {
			t.Error("not both are found")
		}
	})
	t.Run("avahi beside sees ours", func(t *testing.T) {
		if res := beside.ask(t, "avahi-browse", "-rtp", "_hap._udp"); !strings.Contains(res, "gateway.local;192.0.2.1;5000") {
			t.Error("not found")
		}
	})
	t.Run("we see avahi beside", func(t *testing.T) {
		found := o.discover(t, "_hap._udp")
		eventually(t, 10*time.Second, "found", func() bool {
			ev, ok := found.last("Avahi's")
			return ok && len(ev.Addrs) == 2 && ev.Service.Port == 7
		})
		if ev, ok := found.last(awkward); !ok || !ev.Own {
			t.Errorf("our own service was found as %+v", ev)
		}
	})
	t.Run("check", func(t *testing.T) {
		var got []mdns.Visibility
		var mu sync.Mutex
		o.do(func() { o.Check(func(v []mdns.Visibility) { mu.Lock(); defer mu.Unlock(); got = v }) })
		eventually(t, 5*time.Second, "the check ends", func() bool { mu.Lock(); defer mu.Unlock(); return got != nil })
		t.Logf("%+v", got)
		if len(got) != 1 || !got[0].OK() || !got[0].V4 || !got[0].V6 {
			t.Errorf("found %+v", got)
		}
	})
	t.Run("nobody is renamed", func(t *testing.T) {
		if st := o.settled(t, r); st.Host != "gateway" || st.Services[0].Instance != awkward {
			t.Errorf("ours are %+v", st)
		}
		o.do(r.Unpublish)
		eventually(t, 5*time.Second, "ours are gone, avahi's are there", func() bool {
			res := far.ask(t, "avahi-browse", "-rtp", "_hap._udp")
			return !strings.Contains(res, ";5000;") && strings.Contains(res, "gateway.local;192.0.2.1;7")
		})
		if s := beside.out.String() + far.out.String(); strings.Contains(s, "onflict") || strings.Contains(s, "collision") {
			t.Errorf("avahi says: %s", s)
		}
	})
	capture.check(t)
}

// capture is tshark listening on v0.
type capture struct {
	file string
	cmd  *exec.Cmd
}

// startCapture returns nil without tshark.
func startCapture(t *testing.T) *capture {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Log("no tshark here: what is sent is not looked at")
		return nil
	}
	c := &capture{file: filepath.Join(t.TempDir(), "v0.pcap")}
	var out output
	a := &avahi{env: os.Environ()}
	c.cmd = a.start(t, &out, "tshark", "-q", "-i", "v0", "-f", "udp port 5353", "-w", c.file)
	eventually(t, 10*time.Second, "tshark listens", func() bool { return strings.Contains(out.String(), "Capturing on") })
	time.Sleep(300 * time.Millisecond) // it says so a little early
	return c
}

// check has tshark look for what is wrong with the packets.
func (c *capture) check(t *testing.T) {
	t.Helper()
	if c == nil {
		return
	}
	stop(c.cmd)
	all, err := exec.Command("tshark", "-r", c.file, "-Y", "ip.src==192.0.2.1 || ipv6.src==fe80::1", "-T", "fields", "-e", "frame.number").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	n := len(strings.Fields(string(all)))
	// Warnings are of announcements, which it takes for retransmissions.
	bad, err := exec.Command("tshark", "-r", c.file, "-V", "-Y",
		"_ws.malformed || _ws.expert.severity == error || (mdns && !(ip.ttl==255 || ipv6.hlim==255))").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if len(bad) > 0 || n < 20 {
		t.Errorf("of %d packets from here, tshark minds:\n%s", n, bad)
	}
	t.Logf("tshark minds none of %d packets from here", n)
}
