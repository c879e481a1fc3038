package gateway

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const complete = `
# Everything there is to say.
radio     = "spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800"
tun       = "mesh0"
data-dir  = "/srv/gatewayd"
socket    = "/run/mesh0.sock"
infra     = "eth0"
log-level = "debug"
`

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig("c.toml", []byte(complete))
	want := Config{
		Radio:      "spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800",
		TUN:        "mesh0",
		DataDir:    "/srv/gatewayd",
		Socket:     "/run/mesh0.sock",
		Infra:      "eth0",
		LogLevel:   "debug",
		Mode:       ModeThread,
		Inbound:    "local",
		Egress:     "accept",
		NoFirewall: "open",
		NAT64:      "on",
		PD:         "on",
		Backbone:   "on",
		TREL:       "on",
		Lowpan:     defaultLowpan(),
	}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, %v, want %+v", c, err, want)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Level() != slog.LevelDebug {
		t.Errorf("Level = %v", c.Level())
	}

	want = Defaults()
	want.TUN = "wpan1"
	for _, text := range []string{`tun = "wpan1"`, "\ufefftun = 'wpan1'\r\n", "tun = \"\"\"\nwpan1\"\"\""} {
		if c, err := ParseConfig("c.toml", []byte(text)); err != nil || !reflect.DeepEqual(c, want) {
			t.Errorf("%q: %+v, %v, want %+v", text, c, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, err := ParseConfig("empty.toml", nil)
	want := Config{TUN: "wpan0", DataDir: "/var/lib/gatewayd", Socket: "/run/gatewayd.sock", LogLevel: "info", Mode: ModeThread, Inbound: "local", Egress: "accept", NoFirewall: "open", NAT64: "on", PD: "on", Backbone: "on", TREL: "on", Lowpan: defaultLowpan()}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, %v", c, err)
	}
	// A radio is all that must be said.
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "gateway: radio: none is given") {
		t.Errorf("Validate: %v", err)
	}
	c.Radio = "spinel+hdlc+uart:///dev/ttyACM0"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestBadFiles(t *testing.T) {
	tests := []struct {
		name string
		text string
		want string // each line of the error
	}{
		{"misspelt key", "radio = 'x:'\ntnu = 'wpan0'", `c.toml:2:1: no such key "tnu", did you mean "tun"?`},
		{"underscore", "data_dir = '/x'", `c.toml:1:1: no such key "data_dir", did you mean "data-dir"?`},
		{"no hyphen", "\n\n  loglevel = 'info'", `c.toml:3:3: no such key "loglevel", did you mean "log-level"?`},
		{"nothing like it", "colour = 'green'", `c.toml:1:1: no such key "colour", there are radio, tun, data-dir, socket, infra, network, log-level, mode, inbound, egress, no-firewall, nat64, pd`},
		{"two of them", "soket = 'a'\nradio = 'x:'\ninfar = 'b'",
			`c.toml:1:1: no such key "soket", did you mean "socket"?` + "\n" +
				`c.toml:3:1: no such key "infar", did you mean "infra"?`},
		{"unknown table", "[observability]\nlevel = 'info'", `c.toml:1:2: no such key "observability", there are `},
		{"dotted", "log.level = 'info'", `c.toml:1:1: no such key "log.level", did you mean "log-level"?`},
		{"table for a value", "[radio]\nurl = 'x:'", `c.toml:1:`},
		{"number for a string", "radio = 'x:'\ntun = 7", `c.toml:2:7: tun: want a string, not integer`},
		{"bool for a string", "infra = true", `c.toml:1:9: infra: want a string, not boolean`},
		{"list for a string", "radio = ['a', 'b']", `c.toml:1:9: radio: want a string, not array`},
		{"twice", "tun = 'a'\ntun = 'b'", `c.toml:2:1: `},
		{"no quotes", "tun = wpan0", `c.toml:1:7: `},
		{"open string", "tun = 'wpan0\nradio = 'x:'", `c.toml:1:`},
		{"no value", "tun =", `c.toml:1:5: expected value`},
		{"no equals sign", "tun 'wpan0'", `c.toml:1:`},
		{"two on a line", "tun = 'a' infra = 'b'", `c.toml:1:`},
		{"bad escape", `radio = "\q"`, `c.toml:1:`},
		{"not UTF-8", "tun = '\xff'", `c.toml:1:`},
		{"a zero byte", "tun = 'a\x00'", `c.toml:1:`},
		{"YAML", "radio: x\ntun: wpan0\n", `c.toml:1:`},
		{"JSON", `{"tun": "wpan0"}`, `c.toml:1:1: `},
		{"a program", "\x7fELF\x02\x01\x01", `c.toml:1:1: `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig("c.toml", []byte(tt.text))
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			got, want := strings.Split(err.Error(), "\n"), strings.Split(tt.want, "\n")
			if len(got) != len(want) {
				t.Fatalf("error %q, want %q", got, want)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], "gateway: "+want[i]) || strings.HasSuffix(got[i], ": ") {
					t.Errorf("error %q, want gateway: %s", got[i], want[i])
				}
			}
			t.Log(err)
		})
	}
}

func TestLoadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatewayd.toml")
	if _, err := LoadConfig(file); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, []byte(complete+"x = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(file); err == nil || !strings.HasPrefix(err.Error(), "gateway: "+file+":9:1: ") {
		t.Errorf("bad file: %v", err)
	}
	if err := os.WriteFile(file, []byte(complete), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := LoadConfig(file); err != nil || c.TUN != "mesh0" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		key, value string
		want       string // "" for a good value
	}{
		{"radio", "", "gateway: radio: none is given: want a URL like spinel+hdlc+uart:///dev/ttyACM0"},
		{"radio", "/dev/ttyUSB1", ""},
		{"radio", "sim:1", ""},
		{"radio", "ttyUSB1", `gateway: radio: URL "ttyUSB1": it must be auto or begin like spinel+hdlc+uart:///dev/...`},
		{"radio", "spinel+hdlc+uart://%zz", `gateway: radio: URL "spinel+hdlc+uart://%zz": `},
		{"radio", "spinel+hdlc+uart:///dev/ttyACM0?baud=1", "parameter baud: there is no such parameter"},
		{"radio", "spinel+hdlc+forkpty:///usr/bin/ot-rcp?forkpty-arg=1", ""},
		{"tun", "", ""},
		{"tun", "a-name-that-is-too-long", "cannot name an interface"},
		{"tun", "wpan/0", "cannot name an interface"},
		{"data-dir", "", "gateway: data-dir: is empty"},
		{"data-dir", "a\x00b", "no file name"},
		{"data-dir", "state", ""},
		{"socket", "", "gateway: socket: is empty"},
		{"socket", "/" + strings.Repeat("a", 107), "has 108 bytes"},
		{"socket", "/" + strings.Repeat("a", 106), ""},
		{"infra", "", ""},
		{"infra", "eth 0", "gateway: infra: host: "},
		{"infra", "wpan0", "gateway: infra: wpan0 is the mesh's own interface (tun)"},
		{"egress", "reject", `gateway: egress: firewall: verdict "reject": want accept or drop`},
		{"no-firewall", "off", `gateway: no-firewall: "off" is neither open nor closed`},
		{"no-firewall", "closed", ""},
		{"log-level", "loud", `gateway: log-level: "loud" is none of debug, info, warn, error`},
		{"log-level", "", "is none of"},
		{"log-level", "info+2", "is none of"},
		{"log-level", "WARN", ""},
		{"domain", "fd00:7d03:7d03:7d03::/64", ""},
		{"domain", "fd00:7d03:7d03:7d03::/56", "is no IPv6 prefix of 64 bits"},
		{"domain", "fd00:7d03:7d03:7d03::1/64", "is no IPv6 prefix of 64 bits"},
		{"domain", "fe80::/64", "is no IPv6 prefix of 64 bits"},
		{"domain", "home", "is no IPv6 prefix of 64 bits"},
	}
	for _, tt := range tests {
		c := Defaults()
		c.Radio = "spinel+hdlc+uart:///dev/ttyACM0"
		set(t, &c, tt.key, tt.value)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s = %q: %v, want %q", tt.key, tt.value, err, tt.want)
		}
	}

	c := Config{}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 11 {
		t.Errorf("twelve things are wrong with nothing: %v", err)
	}
}

func set(t *testing.T, c *Config, name, value string) {
	t.Helper()
	for _, k := range Keys {
		if k.Name == name {
			k.Set(c, value)
			return
		}
	}
	t.Fatalf("no key %q", name)
}

// Every field has its key, under the name it has in the file.
func TestKeysMatchFields(t *testing.T) {
	typ := reflect.TypeFor[Config]()
	if typ.NumField() != len(Keys)+3 { // and the table [lowpan], and two of rules
		t.Errorf("%d fields, %d keys", typ.NumField(), len(Keys))
	}
	for i := range len(Keys) {
		name := typ.Field(i).Tag.Get("toml")
		var c Config
		set(t, &c, name, "a value")
		if got := reflect.ValueOf(c).Field(i).String(); got != "a value" {
			t.Errorf("key %q does not set field %s", name, typ.Field(i).Name)
		}
		for _, k := range Keys {
			if k.Name == name && (k.Get(&c) != "a value" || k.Usage == "") {
				t.Errorf("key %q: Get %q, usage %q", name, k.Get(&c), k.Usage)
			}
		}
	}
}

// No file can make the parser fail other than with an error that says where,
// and what is accepted means what it says.
func FuzzParseConfig(f *testing.F) {
	f.Add(complete)
	f.Add("tnu = 'x'\n[radio]\nx.y = [1, {a = 2}]")
	f.Add("tun = \"\\u0041\"")
	f.Add(rulesFile)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig("c.toml", []byte(text))
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "gateway: c.toml:") {
					t.Fatalf("%q: %v", text, err)
				}
			}
			return
		}
		c.Validate()
	})
}
