package radius_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	testSecret = "testing123"
	testKey    = "0123456789abcdef" // joe's, for EAP-PSK
	readyIn    = 20 * time.Second   // of a foreign server
)

// program finds a program, or skips the test.
func program(t testing.TB, name, debian string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	t.Skipf("SKIPPED: there is no %s here (Debian: apt install %s)", name, debian)
	return ""
}

// freePort returns a UDP port of the loopback address that nobody uses.
func freePort(t testing.TB) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// serve runs a server until the test ends, and returns when it listens.
func serve(t testing.TB, port int, cmd *exec.Cmd) (pid int) {
	t.Helper()
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said at last:\n%s", filepath.Base(cmd.Path), &out)
		}
	})
	for end := time.Now().Add(readyIn); !listening(port); {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", filepath.Base(cmd.Path), &out)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready in %v", filepath.Base(cmd.Path), readyIn)
		}
	}
	return cmd.Process.Pid
}

// listening reports whether some program has a UDP port.
func listening(port int) bool {
	v4, _ := os.ReadFile("/proc/self/net/udp")
	v6, _ := os.ReadFile("/proc/self/net/udp6")
	return strings.Contains(string(append(v4, v6...)), fmt.Sprintf(":%04X 00000000", port))
}

// tail keeps the last of what a program writes.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b...)
	w.b = w.b[max(0, len(w.b)-2000):]
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

// hostapd runs hostapd as a RADIUS server for EAP-PSK and EAP-TLS, with the
// certificate "server" of ca, at 127.0.0.1 or the address given.
func hostapd(t testing.TB, ca *authority, at ...string) (addr netip.AddrPort, pid int) {
	bin := program(t, "hostapd", "hostapd")
	ca.issue(t, "server")
	dir := t.TempDir()
	port := freePort(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	write(t, file("users"), fmt.Sprintf("\"joe\" PSK %x\n\"tls\" TLS\n", testKey))
	ip := loopback
	v6 := ""
	if len(at) > 0 {
		ip = netip.MustParseAddr(at[0])
		v6 = "radius_server_ipv6=1\n"
	}
	write(t, file("clients"), ip.String()+" "+testSecret+"\n")
	write(t, file("hostapd.conf"), fmt.Sprintf(`
interface=radius
driver=none
logger_stdout=-1
eap_server=1
eap_user_file=%s
ca_cert=%s
server_cert=%s
private_key=%s
tls_flags=[ENABLE-TLSv1.3]
radius_server_clients=%s
radius_server_auth_port=%d
`+v6, file("users"), ca.file("ca.pem"), ca.file("server.pem"), ca.file("server.key"), file("clients"), port))
	pid = serve(t, port, exec.Command(bin, file("hostapd.conf")))
	return netip.AddrPortFrom(ip, uint16(port)), pid
}

// freeRADIUS runs FreeRADIUS for EAP-TLS with the certificate "server" of ca,
// and accounting.
func freeRADIUS(t testing.TB, ca *authority) (auth, acct netip.AddrPort, pid int) {
	bin := program(t, "freeradius", "freeradius")
	ca.issue(t, "server")
	dir := t.TempDir()
	authPort, acctPort := freePort(t), freePort(t)
	write(t, filepath.Join(dir, "radiusd.conf"), fmt.Sprintf(`
prefix = /usr
name = freeradius
confdir = %[1]s
logdir = %[1]s
run_dir = %[1]s
libdir = /usr/lib/freeradius
pidfile = %[1]s/pid
security {
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}
thread pool {
	start_servers = 1
	max_servers = 2
	min_spare_servers = 1
	max_spare_servers = 2
	max_requests_per_server = 0
}
client localhost {
	ipaddr = 127.0.0.1
	secret = %[2]s
	require_message_authenticator = yes
}
modules {
	always ok {
		rcode = ok
	}
	eap {
		default_eap_type = tls
		max_sessions = 4096
		tls-config common {
			private_key_file = %[3]s
			certificate_file = %[4]s
			ca_file = %[5]s
			tls_min_version = "1.2"
			tls_max_version = "1.3"
			ecdh_curve = "prime256v1"
			cipher_list = "DEFAULT"
		}
		tls {
			tls = common
		}
	}
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = %[6]d
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %[7]d
	}
	authorize {
		eap {
			ok = return
		}
	}
	authenticate {
		eap
	}
	post-auth {
		update reply {
			Class := "a class"
			Session-Timeout := 3600
		}
	}
	preacct {
		ok
	}
	accounting {
		ok
	}
}
`, dir, testSecret, ca.file("server.key"), ca.file("server.pem"), ca.file("ca.pem"), authPort, acctPort))
	cmd := exec.Command(bin, "-f", "-l", "stdout", "-d", dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	pid = serve(t, acctPort, cmd)
	return netip.AddrPortFrom(loopback, uint16(authPort)), netip.AddrPortFrom(loopback, uint16(acctPort)), pid
}

// eapolTest runs eapol_test with a network block, and returns what it wrote.
func eapolTest(t testing.TB, server netip.AddrPort, network string) (out string, ok bool) {
	t.Helper()
	bin := program(t, "eapol_test", "eapoltest")
	conf := filepath.Join(t.TempDir(), "eapol.conf")
	write(t, conf, "network={\nkey_mgmt=WPA-EAP\n"+network+"\n}\n")
	b, err := exec.Command(bin, "-c", conf, "-a", server.Addr().String(), "-p", fmt.Sprint(server.Port()), "-s", testSecret, "-t", "10").CombinedOutput()
	return string(b), err == nil
}
