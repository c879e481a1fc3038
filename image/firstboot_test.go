//go:build image

package image

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	key := filepath.Join(t.TempDir(), "key")
	tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "someone@somewhere", "-f", key)
	return key
}

// What Raspberry Pi Imager and its owner have written on the boot partition is
// followed: who has the key comes in, and nobody else.
func TestFirstBoot(t *testing.T) {
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
	writeFile(t, c, 1, "gatewayd.conf", "timezone=Europe/Berlin\ntimezon=x\n")

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
	b.cut()

	writeFile(t, c, 1, "gatewayd.conf", "")
	b = start(t, c, false, nil)
	b.says(pageLimit, "SSH is off")
	if out, err := b.ssh(key, "root", "id"); err == nil {
		t.Errorf("SSH is on: %s", out)
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
	b := start(t, card(t), false, &dongle{t: t, socket: socket})
	b.says(pageLimit, "of no use yet: /dev/ttyUSB0, QEMU USB SERIAL: it looks like Silicon Labs Zigbee (EZSP) firmware.", "flash OpenThread RCP firmware for this dongle")
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
