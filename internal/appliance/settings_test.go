package appliance

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatewayd/thread/meshcop"
)

// A whole dataset: timestamp, channel 15, mask, PAN ID, extended PAN ID, name,
// mesh-local prefix, key, PSKc, policy.
const dataset = "0e080000000000010000" + "00030000" + "0f" + "35060004001fffe0" + "01021234" + "02081111111122222222" +
	"030a6f7074696f6e2d617070" + "0708fd0011112222" + "0000" + "051000112233445566778899aabbccddeeff" +
	"041000112233445566778899aabbccddeeff" + "0c0402a0f7f8"

const (
	key   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjnR4LbUUY2fPYDLzsW6dGhWzcVDaoGLBOYlNDbNjt0 a@b c"
	other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjnR4LbUUY2fPYDLzsW6dGhWzcVDaoGLBOYlNDbNjt1"
	// Of the password "test", by `openssl passwd -5 -salt saltsalt test`.
	hash = "$5$saltsalt$q6kNPzk9GPb3dpYKO2TUS45z2kiVxsUVz7eWVJcih.0"
)

func TestParseSettings(t *testing.T) {
	raw, err := hex.DecodeString(dataset)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		text string
		want Settings
		errs []string
	}{
		{"empty", "", Settings{}, nil},
		{"only comments", "# a\n\n  # b\n", Settings{}, nil},
		{"everything", "hostname=cellar\naddress = 192.0.2.7/24\ngateway=192.0.2.1\ndns=192.0.2.1, 2001:db8::1\nradio=spinel+hdlc+uart:///dev/ttyACM0\ndataset=" + dataset,
			Settings{Hostname: "cellar", Address: netip.MustParsePrefix("192.0.2.7/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
				DNS:   []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
				Radio: "spinel+hdlc+uart:///dev/ttyACM0", Dataset: raw}, nil},
		{"from another system", "\ufeffhostname=\"cellar\"\r\naddress=dhcp\r\nradio='auto'\r\n", Settings{Hostname: "cellar"}, nil},
		{"with carriage returns only", "hostname=cellar\rx=1\r", Settings{Hostname: "cellar"}, []string{`boot.conf:2: there is no "x"`}},
		{"in UTF-16", "\xff\xfeh\x00o\x00s\x00t\x00n\x00a\x00m\x00e\x00=\x00a\x00\r\x00\n\x00x\x00=\x00\xe4\x00", Settings{Hostname: "a"}, []string{`boot.conf:2: there is no "x"`}},
		{"in the other UTF-16", "\xfe\xff\x00h\x00o\x00s\x00t\x00n\x00a\x00m\x00e\x00=\x00a\x00", Settings{Hostname: "a"}, nil},
		{"a key without end", strings.Repeat("k", 5000) + "=1", Settings{}, []string{"kkk..."}},
		{"good lines count", "hostnam=x\nhostname=good\nnonsense\naddress=300.1.1.1/24\n", Settings{Hostname: "good"}, []string{
			`boot.conf:1: there is no "hostnam"`, "boot.conf:3: want KEY=VALUE", `boot.conf:4: address: "300.1.1.1/24" is neither dhcp`}},
		{"twice", "hostname=a\nhostname=b\n", Settings{Hostname: "b"}, []string{"boot.conf:2: hostname is given in line 1 already"}},
		{"a bad second leaves the first", "hostname=a\nhostname=-b\n", Settings{Hostname: "a"}, []string{`boot.conf:2: hostname: "-b" has "-" at byte 0`}},
		{"too long a name", "hostname=" + strings.Repeat("a", 64), Settings{}, []string{"boot.conf:1: hostname: want 1 to 63"}},
		{"an umlaut in a name", "hostname=k\u00fcche", Settings{}, []string{"hostname: \"k\u00fcche\" has \"\u00fc\" at byte 1: want letters from a to z"}},
		{"shell in a name", "hostname=$(reboot)", Settings{}, []string{`has "$" at byte 0`}},
		{"gateway elsewhere", "address=192.0.2.7/24\n\ngateway=198.51.100.1\n", Settings{Address: netip.MustParsePrefix("192.0.2.7/24")},
			[]string{"boot.conf:3: gateway: 198.51.100.1 is not in the network of the address 192.0.2.7/24"}},
		{"gateway alone", "gateway=198.51.100.1\n", Settings{}, []string{"boot.conf:1: gateway: counts only with a fixed address"}},
		{"gateway of a wrong address", "address=192.0.2.7\ngateway=192.0.2.1\n", Settings{}, []string{"boot.conf:1: address", "boot.conf:2: gateway: counts only with"}},
		{"itself as gateway", "address=192.0.2.7/24\ngateway=192.0.2.7\n", Settings{Address: netip.MustParsePrefix("192.0.2.7/24")}, []string{"boot.conf:2: gateway: 192.0.2.7 is this box's own"}},
		{"a network for an address", "address=192.0.2.64/26", Settings{}, []string{"boot.conf:1: address: 192.0.2.64 is the network itself"}},
		{"a broadcast address", "address=192.0.2.127/26", Settings{}, []string{"boot.conf:1: address: 192.0.2.127 is for all hosts"}},
		{"a group for an address", "address=224.0.0.5/24", Settings{}, []string{"boot.conf:1: address: 224.0.0.5 is no address of a host"}},
		{"loopback for an address", "address=127.0.0.5/8", Settings{}, []string{"boot.conf:1: address: 127.0.0.5 is no address of a host"}},
		{"one of two", "address=192.0.2.0/31\ngateway=192.0.2.1", Settings{Address: netip.MustParsePrefix("192.0.2.0/31"), Gateway: netip.MustParseAddr("192.0.2.1")}, nil},
		{"IPv6 address", "address=2001:db8::1/64", Settings{}, []string{"boot.conf:1: address"}},
		{"bad server", "dns=192.0.2.1 x", Settings{}, []string{`boot.conf:1: dns: "x" is no address`}},
		{"bad radio", "radio=usb", Settings{}, []string{"boot.conf:1: radio: URL \"usb\""}},
		{"dataset of letters", "dataset=xyz", Settings{}, []string{"boot.conf:1: dataset: want hexadecimal"}},
		{"dataset cut", "dataset=" + dataset[:60], Settings{}, []string{"boot.conf:1: dataset: it is not complete, or changed: "}},
		{"dataset that is enough", "dataset=" + dataset[20:], Settings{Dataset: raw[10:]}, nil},
		{"dataset without a key", "dataset=030a6f7074696f6e2d617070", Settings{}, []string{"boot.conf:1: dataset: lacks Network Key, Extended PAN ID, "}},
		{"who may come in", "user=pi\npassword='" + hash + "'\nssh_key=\"" + key + "\"\nssh_key= " + strings.ReplaceAll(other, " ", "\t") + "\nssh_key=" + key,
			Settings{User: "pi", Password: hash, SSHKeys: []string{key, other}}, nil},
		{"time", "timezone=Europe/Berlin\nntp=192.0.2.3, 2.pool.ntp.org\n", Settings{TimeZone: "Europe/Berlin", NTP: []string{"192.0.2.3", "2.pool.ntp.org"}}, nil},
		{"no such zone", "timezone=Berlin", Settings{}, []string{`boot.conf:1: timezone: there is no time zone "Berlin"`}},
		{"bad time server", "ntp=a;b", Settings{}, []string{`boot.conf:1: ntp: "a;b" is neither`}},
		{"bad user", "user=a:b", Settings{}, []string{`boot.conf:1: user: "a:b" is no name`}},
		{"a password", "password=hunter2", Settings{}, []string{"boot.conf:1: password: this is no hash"}},
		{"another hash", "password=$y$j9T$abc$def", Settings{}, []string{"boot.conf:1: password: this system cannot check"}},
		{"hash cut", "password=" + hash[:40], Settings{}, []string{"boot.conf:1: password: the hash is not complete"}},
		{"hash of another length", "password=" + strings.Replace(hash, "5", "6", 1), Settings{}, []string{"boot.conf:1: password: the hash is not complete"}},
		{"a private key", "ssh_key=-----BEGIN OPENSSH PRIVATE KEY-----", Settings{}, []string{"boot.conf:1: ssh_key: this is a private key"}},
		{"not a key", "ssh_key=on", Settings{}, []string{"boot.conf:1: ssh_key: want a public key"}},
		{"key cut", "ssh_key=" + key[:60], Settings{}, []string{"boot.conf:1: ssh_key: the key is not complete"}},
		{"key of another type", "ssh_key=ssh-rsa" + key[11:], Settings{}, []string{"boot.conf:1: ssh_key: the key is of another type"}},
		{"Wi-Fi", "wifi_ssid=home", Settings{}, []string{"boot.conf:1: wifi_ssid: this system has no Wi-Fi"}},
		{"too long", strings.Repeat("#", maxSettings+1), Settings{}, []string{"boot.conf: has more than 65536 bytes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, errs := ParseSettings("boot.conf", []byte(tt.text))
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if len(errs) != len(tt.errs) {
				t.Fatalf("errors %q, want %q", errs, tt.errs)
			}
			for i, err := range errs {
				if !strings.Contains(err.Error(), tt.errs[i]) {
					t.Errorf("error %d is %q, want %q in it", i, err, tt.errs[i])
				}
			}
		})
	}
}

// A file that is something else does not keep the console busy.
func TestManyProblems(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, settingsFile), []byte("hostname=a\n"+strings.Repeat("x\n", 30000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, errs := LoadSettings(dir)
	if s.Hostname != "a" || len(errs) != maxProblems+1 || !strings.HasSuffix(errs[maxProblems].Error(), ": 29980 more like these") {
		t.Errorf("%+v, %d problems, the last: %v", s, len(errs), errs[len(errs)-1])
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	s, errs := ParseSettings("boot.conf", []byte("hostname=a\naddress=192.0.2.7/24\ndns=192.0.2.1\ndataset="+dataset+
		"\ntimezone=Europe/Berlin\nuser=pi\npassword="+hash+"\nssh_key="+key+"\nssh_key="+other+"\nntp=192.0.2.3 ntp.example\nx=1\n"))
	if err := s.Write(dir, errs); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"hostname": "a\n", "address": "192.0.2.7/24\n", "dns": "192.0.2.1\n", "dataset": dataset + "\n",
		"timezone": "Europe/Berlin\n", "user": "pi\n",
		"password": hash + "\n", "authorized_keys": key + "\n" + other + "\n", "ntp": "192.0.2.3\nntp.example\n",
		"problems": "boot.conf:11: there is no \"x\": want hostname, address, gateway, dns, ntp, timezone, user, password, ssh_key, radio or dataset\n"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v, want %q", name, b, err, want)
		}
	}
	for _, name := range []string{"dataset", "password"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s, a secret, is %v, %v", name, fi.Mode(), err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "localtime")); err != nil || !strings.HasSuffix(string(b), "\nCET-1CEST,M3.5.0,M10.5.0/3\n") {
		t.Errorf("local time is %q, %v", b, err)
	}
	// What is no longer said leaves nothing behind.
	if err := new(Settings).Write(dir, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Whatever is on the boot partition, what is taken from it is fit for scripts,
// and errors name a line that exists.
func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("hostname=a\naddress=192.0.2.7/24\ngateway=192.0.2.1\n"))
	f.Add([]byte("\ufeffdataset=" + dataset + "\r\nradio=auto\r\n=\n\"="))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, errs := ParseSettings("f", in)
		if s.Hostname != "" && checkHostname(s.Hostname) != nil {
			t.Fatalf("host name %q", s.Hostname)
		}
		if s.Gateway.IsValid() && !s.Address.Contains(s.Gateway) {
			t.Fatalf("gateway %v outside %v", s.Gateway, s.Address)
		}
		if s.Dataset != nil {
			if _, err := meshcop.DecodeDataset(s.Dataset); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range s.SSHKeys {
			if again, err := checkKey(k); err != nil || again != k {
				t.Fatalf("key %q, again %q, %v", k, again, err)
			}
		}
		for _, err := range errs {
			if e, ok := err.(*SettingsError); !ok || e.Line < 0 || e.Line > strings.Count(plainText(in), "\n")+1 || len(err.Error()) > maxProblem+40 {
				t.Fatalf("%#v of %d bytes", err, len(in))
			}
		}
	})
}
