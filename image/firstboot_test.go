//go:build image

package image

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/sntp"
)

// ssh runs a command on the box as a user who has a key.
func (b *box) ssh(key, user, command string) (string, error) {
	cmd := exec.Command("ssh", "-F", "none", "-i", key, "-p", b.port22, "-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile="+key+".hosts",
		"-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR", user+"@127.0.0.1", command)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func newKey(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	key := filepath.Join(t.TempDir(), "key")
	tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "someone@somewhere", "-f", key)
	return key
}

// What Raspberry Pi Imager and its owner have written on the boot partition is
// followed: who has the key comes in, and nobody else.
func TestFirstBoot(t *testing.T) {
	t.Parallel() // with the watchdog's test, which mostly waits
	c := card(t)
	key, stranger := newKey(t), newKey(t)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	// Of the password "test".
	const hash = "$5$saltsalt$q6kNPzk9GPb3dpYKO2TUS45z2kiVxsUVz7eWVJcih.0"
	writeFile(t, c, 1, "rpi-preseed.toml", "config_version = \"1.0\"\n[system]\nhostname = \"cellar\"\n[user]\nname = \"pi\"\npassword = \""+hash+
		"\"\npassword_encrypted = true\n[ssh]\nenabled = true\nauthorized_keys = [\n  \""+strings.TrimSpace(string(public))+"\",\n]\n[wlan]\nssid = \"home\"\n")
	writeFile(t, c, 1, "gatewayd.conf", "timezone=Europe/Berlin\ntimezon=x\nntp="+tomorrow(t)+"\n")

	b := start(t, c, false, nil)
	page := b.says(60*time.Second, "<h1>cellar</h1>", "ssh root@cellar.local", "SHA256:", "rpi-preseed.toml:14: this system has no Wi-Fi", "gatewayd.conf:2: there is no")
	fingerprint := "SHA256:" + between(page, "SHA256:", ".")
	for end := time.Now().Add(pageLimit); ; time.Sleep(time.Second) {
		if out, err := b.ssh(key, "root", "gatewayd dataset show >/dev/null && echo up"); err == nil && strings.Contains(out, "up") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("gatewayd does not answer by SSH: %v, %s", err, out)
		}
	}
	if out, err := b.ssh(stranger, "root", "id"); err == nil {
		t.Errorf("a stranger came in: %s", out)
	}
	out, err := b.ssh(key, "pi", `id -u; hostname; date +%Z%z; stat -c '%a %U' /data/ssh /data/ssh/ed25519; grep pi: /etc/shadow; gatewayd status`)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"0\ncellar\nCE", "700 root\n600 root\n", "pi:" + hash + ":", "role"} {
		if !strings.Contains(out, want) {
			t.Errorf("not %q in:\n%s", want, out)
		}
	}
	screen, err := b.ssh(key, "root", "sleep 10; fold -w 80 /dev/vcs1")
	if err != nil || !strings.Contains(screen, "Open http://cellar.local") || !strings.Contains(screen, "or http://10.0.2.15 ") || !strings.Contains(screen, "gatewayd.conf:2:") {
		t.Errorf("%v; a monitor shows:\n%s", err, screen)
	}

	// At the console it is the password that counts.
	b.console.plug()
	b.console.send("\r")
	b.console.hears(30*time.Second, "login: ")
	b.console.send("pi\r")
	b.console.hears(30*time.Second, "Password: ")
	b.console.send("wrong\r")
	b.console.hears(30*time.Second, "Login incorrect")
	b.console.send("root\r")
	b.console.hears(30*time.Second, "Password: ")
	b.console.send("test\r")
	b.console.hears(30*time.Second, "# ")
	if who := b.console.must(30*time.Second, "echo $HOME $USER"); !strings.Contains(who, "/root root") {
		t.Errorf("the console's user is %q", who)
	}

	ahead := func() time.Duration {
		out, err := b.ssh(key, "root", "date +%s")
		s, _ := strconv.ParseInt(strings.TrimSpace(out), 10, 64) // 0 is far off, too
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return time.Until(time.Unix(s, 0))
	}
	for end := time.Now().Add(pageLimit); ahead() < 23*time.Hour; time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("the clock is %v ahead, the time server a day", ahead())
		}
	}

	hosts := string(tool(t, "ssh-keygen", "-l", "-f", key+".hosts"))
	if !strings.Contains(hosts, fingerprint) {
		t.Errorf("the page says that the key is %s, but it is %s", fingerprint, hosts)
	}
	b.cut()

	// The box keeps its key, and loses who is not named any more.
	writeFile(t, c, 1, "rpi-preseed.toml", "")
	writeFile(t, c, 1, "gatewayd.conf", "ssh_key="+string(public))
	b = start(t, c, false, nil)
	b.says(pageLimit, "<h1>gatewayd</h1>", fingerprint)
	if out, err := b.ssh(key, "root", "hostname"); err != nil || out != "gatewayd\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := b.ssh(key, "pi", "id"); err == nil {
		t.Errorf("pi came in: %s", out)
	}
	if d := ahead(); d < 23*time.Hour {
		t.Errorf("the clock went back: it is %v ahead", d)
	}
	b.cut()

	writeFile(t, c, 1, "gatewayd.conf", "")
	b = start(t, c, false, nil)
	b.says(pageLimit, "SSH is off")
	if out, err := b.ssh(key, "root", "id"); err == nil {
		t.Errorf("SSH is on: %s", out)
	}
}

// tomorrow is a time server whose clock is a day ahead, as the box sees it.
func tomorrow(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return // the test is over
			}
			if p, err := sntp.Decode(b[:n]); err == nil {
				now := sntp.TimestampOf(time.Now().Add(24 * time.Hour))
				_, _ = conn.WriteTo(sntp.Packet{Version: 4, Mode: sntp.ModeServer, Stratum: 1, Originate: p.Transmit, Receive: now, Transmit: now}.Append(nil), from)
			}
		}
	}()
	return fmt.Sprintf("10.0.2.2:%d", conn.LocalAddr().(*net.UDPAddr).Port)
}

// A gateway that hangs is started anew by the watchdog, and everything with it.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	b := startOn(t, "virt with a watchdog", card(t), false, nil, nil)
	b.says(pageLimit, "is not on the air")
	b.console.activate(30 * time.Second)
	b.console.until(30*time.Second, "ls -l /proc/[0-9]*/fd | grep -q /dev/watchdog")
	time.Sleep(20 * time.Second) // a look at a gateway that is well
	if b.console.must(30*time.Second, `for p in $(pidof gatewayd); do tr '\0' ' ' </proc/$p/cmdline | grep -q 'run --radio' && kill -STOP $p; done; echo`); b.gone(time.Second) {
		t.Fatal("it is off at once")
	}
	if !b.gone(5 * time.Minute) {
		t.Fatal("it is not started anew")
	}
	if !b.console.has("the gateway does not answer: starting anew") {
		t.Error("the console does not tell why")
	}
}

// A dongle with Zigbee firmware is named as such, with what to do; so is one
// that comes after it, and one that is of use is taken.
func TestZigbeeDongle(t *testing.T) {
	socket := filepath.Join(shortDir(t), "ncp")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go ncp(c)
		}
	}()
	c := card(t)
	writeFile(t, c, 1, "gatewayd.conf", "address=10.0.2.15/24\ngateway=10.0.2.2\ndns=10.0.2.3\nntp=10.0.2.2:9\n")
	b := start(t, c, false, &dongle{t: t, socket: socket})
	b.says(pageLimit, "Connected by eth0 as 10.0.2.15", "No time server answers (10.0.2.2:9): is there a way to the internet?", "of no use yet: /dev/ttyUSB0, QEMU USB SERIAL: it looks like Silicon Labs Zigbee (EZSP) firmware.", "flash OpenThread RCP firmware for this dongle")
	if !b.console.has("/dev/ttyUSB0, QEMU USB SERIAL: it looks like Silicon Labs Zigbee (EZSP) firmware; flash OpenThread RCP") {
		t.Error("the console does not tell")
	}
}

// ncp answers a reset of EmberZNet's serial protocol as its firmware does
// (Silicon Labs UG101), and nothing else.
func ncp(c net.Conn) {
	defer c.Close()
	var said []byte
	b := make([]byte, 256)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		said = append(said, b[:n]...)
		if i := bytes.Index(said, []byte{0x1a, 0xc0, 0x38, 0xbc, 0x7e}); i >= 0 {
			said = said[:0]
			if _, err := c.Write([]byte{0x1a, 0xc1, 0x02, 0x0b, 0x0a, 0x52, 0x7e}); err != nil {
				return
			}
		}
	}
}
