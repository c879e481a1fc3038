package main

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatewayd/api"
	"gatewayd/enrol"
	"gatewayd/pacd"
	"gatewayd/radio"
	"gatewayd/wpan"
)

// insideNamespace tells the test binary that it is the one in a namespace, and
// gatewayArgs that it is a gateway with these arguments.
const (
	insideNamespace = "GATEWAYD_TEST_LOWPAN_NAMESPACE"
	gatewayArgs     = "GATEWAYD_TEST_LOWPAN_ARGS"
)

// The kernel pings a device of a plain network, and the device the kernel; also
// after the gateway was killed.
func TestLowpanHost(t *testing.T) {
	if words := strings.Fields(os.Getenv(gatewayArgs)); len(words) > 0 {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(execute(ctx, words, streams{nil, os.Stdout, os.Stderr}))
	}
	if os.Getenv(insideNamespace) != "" {
		inNamespace(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("not root: no network namespace for the gateway's interface")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("no /dev/net/tun")
	}
	for _, program := range []string{"ip", "ping"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program, "is not installed")
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLowpanHost$", "-test.v")
	cmd.Env = append(os.Environ(), insideNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		if strings.Contains(err.Error(), "operation not permitted") {
			t.Skip("the kernel gives no network namespace: ", err)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func inNamespace(t *testing.T) {
	for _, line := range []string{"ip link set lo up", "ip route add 224.0.0.0/4 dev lo"} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	d := newDaemon(t)
	// A process of its own, for it will be killed.
	start := func() *exec.Cmd {
		t.Helper()
		args := append([]string{"run", "--radio", "sim:1", "--tun", "wpan0", "--data-dir", filepath.Join(d.dir, "data"), "--socket", d.socket}, d.plainConfig("")...)
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestLowpanHost$")
		cmd.Env = append(os.Environ(), gatewayArgs+"="+strings.Join(args, " "))
		cmd.Stdout, cmd.Stderr = &d.log, &d.log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if r := runCmd(t, "", "--socket", d.socket, "status"); r.code == exitOK {
				return cmd
			}
			if time.Now().After(end) {
				t.Fatalf("the gateway does not start:\n%s", d.log.String())
			}
		}
	}
	process := start()
	defer func() {
		_ = process.Process.Signal(os.Interrupt)
		if err := process.Wait(); err != nil {
			t.Errorf("%v\n%s", err, d.log.String())
		}
	}()
	s := d.wait("an address", func(s *api.Status) bool { return len(s.Addresses) > 1 })
	if r := runCmd(t, testPSK, "--socket", d.socket, "credential", "add", "pump-7"); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	gateway := netip.MustParseAddr(s.Addresses[len(s.Addresses)-1])
	key, err := enrol.ParsePSK(testPSK)
	if err != nil {
		t.Fatal(err)
	}
	u, err := radio.ParseURL("sim:5")
	if err != nil {
		t.Fatal(err)
	}

	addr, answered := make(chan netip.Addr, 1), make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- pacd.RunDevice(ctx, pacd.DeviceConfig{Radio: u, Credential: pacd.Credential{Identity: "pump-7", PSK: key},
			Channels: 1 << 20, DataDir: filepath.Join(d.dir, "device"),
			Ready: func(n *wpan.Node) {
				addr <- n.Addresses()[1]
				n.Ping(&wpan.Ping{Dst: gateway, Size: 600, Count: 5, Interval: 200 * time.Millisecond, Timeout: 3 * time.Second,
					Done: func(_, received int) { answered <- received }})
			}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var device netip.Addr
	select {
	case device = <-addr:
	case <-time.After(60 * time.Second):
		t.Fatalf("the device is not in the network\n%s", d.log.String())
	}
	if n := <-answered; n < 4 {
		t.Errorf("the kernel answered %d of 5 pings", n)
	}
	ping := func() {
		t.Helper()
		out, err := exec.Command("ping", "-6", "-c", "5", "-i", "0.2", "-W", "3", "-s", "600", device.String()).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	ping()
	if out, err := exec.Command("ip", "-6", "addr", "show", "dev", "wpan0").CombinedOutput(); err != nil || !strings.Contains(string(out), gateway.String()+"/") {
		t.Errorf("%v %s", err, out)
	}
	time.Sleep(time.Second) // registrations are stored soon, not at once
	// Killed, it begins where it was: the device notices nothing.
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // says that it was killed
	if exec.Command("ip", "link", "show", "wpan0").Run() == nil {
		t.Error("the interface is left behind")
	}
	process = start()
	if s := d.wait("the address", func(s *api.Status) bool { return len(s.Addresses) > 1 }); s.Addresses[len(s.Addresses)-1] != gateway.String() {
		t.Errorf("%v became %v", gateway, s.Addresses)
	}
	if s := d.status(); s.Lowpan.Registered == 0 || s.Lowpan.Sessions != 0 {
		t.Errorf("%+v", s.Lowpan)
	}
	time.Sleep(500 * time.Millisecond)
	ping()
}
