package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// preseed is as Raspberry Pi Imager 2 writes it.
const preseed = `config_version = "1.0"

[system]
hostname = "cellar"

[user]
name = "pi"
password = "` + hash + `"
password_encrypted = true
groups = ["sudo"]

[ssh]
enabled = true
password_authentication = false
authorized_keys = [
  "` + key + `",
  "` + other + `",
]

[wlan]
ssid = "home"
password = "0011223344556677889900112233445566778899001122334455667788990011"
password_encrypted = true
hidden = false
country = "DE"

[locale]
keymap = "de"
timezone = "Europe/Berlin"

[connect]
enabled = true
mode = "device-identity"

[interfaces]
i2c = true
`

func TestLoadSettings(t *testing.T) {
	full := Settings{Hostname: "cellar", User: "pi", Password: hash, SSHKeys: []string{key, other}, TimeZone: "Europe/Berlin"}
	tests := []struct {
		name  string
		files map[string]string
		want  Settings
		errs  []string
	}{
		{"nothing", nil, Settings{}, nil},
		{"of the Imager", map[string]string{"rpi-preseed.toml": preseed}, full,
			[]string{"rpi-preseed.toml:21: this system has no Wi-Fi", "rpi-preseed.toml:32: this system has no Raspberry Pi Connect"}},
		{"gatewayd.conf wins", map[string]string{"rpi-preseed.toml": preseed[:strings.Index(preseed, "[wlan]")], "gatewayd.conf": "hostname=attic\nssh_key=" + key},
			Settings{Hostname: "attic", User: "pi", Password: hash, SSHKeys: []string{key, other}}, nil},
		{"by hand", map[string]string{"custom.toml": "\ufeffconfig_version = 1\r\nsystem.hostname = 'x_y'\r\n[locale]\r\ntimezone = \"Nowhere\"\r\n[ssh]\r\nenabled = true\r\n[user]\r\npassword = 'secret'\r\n"},
			Settings{}, []string{`custom.toml:2: hostname: "x_y" has "_"`, `custom.toml:4: timezone: there is no time zone "Nowhere"`,
				"custom.toml:8: password: want its hash", "custom.toml:6: ssh: it takes no passwords"}},
		{"SSH switched off", map[string]string{"custom.toml": "[ssh]\nenabled = false\nauthorized_keys = ['" + key + "']\n"}, Settings{}, nil},
		{"cut", map[string]string{"rpi-preseed.toml": preseed[:90]}, Settings{}, []string{"rpi-preseed.toml:8: "}},
		{"twice", map[string]string{"custom.toml": "[system]\nhostname='a'\n[system]\nhostname='b'\n"}, Settings{}, []string{"custom.toml:3: "}},
		{"of others", map[string]string{"ssh": "", "firstrun.sh": "#!", "userconf.txt": "pi:x", "wpa_supplicant.conf": "", "user-data": "#cloud-config", "gatewayd.conf.txt": "hostname=x"}, Settings{},
			[]string{"firstrun.sh: this is a script", "user-data: this is for cloud-init", "ssh: SSH is on if", "userconf.txt: this file", "wpa_supplicant.conf: this system has no Wi-Fi", "gatewayd.conf.txt: this file is not followed, because of its name"}},
		{"too long", map[string]string{"custom.toml": strings.Repeat("#", maxSettings+1)}, Settings{}, []string{"custom.toml: has more than"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, errs := LoadSettings(dir)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(got.Address, got.Gateway)); diff != "" {
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

// Whatever the file, errors name a line that exists and what is taken is fit
// for scripts.
func FuzzParseImager(f *testing.F) {
	f.Add([]byte(preseed))
	f.Add([]byte("[ssh]\nenabled=true\nauthorized_keys=[['" + key + "'], 1]\n[[user]]\n[a.b]\nc={d=1}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s Settings
		for _, err := range s.parseImager("f", in) {
			var e *SettingsError
			if !errors.As(err, &e) || e.Line < 0 || e.Line > strings.Count(string(in), "\n")+1 {
				t.Fatalf("%#v of %d bytes", err, len(in))
			}
		}
		if s.Hostname != "" && checkHostname(s.Hostname) != nil || s.Password != "" && checkHash(s.Password) != nil {
			t.Fatalf("%+v", s)
		}
	})
}
