package appliance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseImager adds what is said in a file that Raspberry Pi Imager writes,
// rpi-preseed.toml, or Raspberry Pi OS reads, custom.toml: both have the same
// tables. What is of no concern to a gateway, as the keyboard, is passed over.
func (s *Settings) parseImager(file string, b []byte) (errs []error) {
	fail := func(line int, err error) { errs = append(errs, &SettingsError{file, line, err}) }
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if err := toml.Unmarshal(b, new(map[string]any)); err != nil {
		line := 0
		var where *toml.DecodeError
		if errors.As(err, &where) {
			line, _ = where.Position()
		}
		fail(line, err)
		return errs // half a file is not followed
	}
	var p unstable.Parser // which also tells lines
	p.Reset(b)
	table, lines, values := "", map[string]int{}, map[string]text{}
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = keyOf(e.Key())
		case unstable.KeyValue:
			first := e.Key()
			first.Next()
			key := strings.TrimPrefix(table+"."+keyOf(e.Key()), ".")
			lines[key], values[key] = p.Shape(p.Range(first.Node().Data)).Start.Line, textOf(e.Value())
		}
	}

	set := func(key, setting string) {
		for _, v := range values[key].list() {
			if err := s.set(setting, v); err != nil {
				fail(lines[key], err)
			}
		}
	}
	set("system.hostname", "hostname")
	set("locale.timezone", "timezone")
	set("user.name", "user")
	switch {
	case !values["user.password"].given():
	case values["user.password_encrypted"].is("true"):
		set("user.password", "password")
	default:
		fail(lines["user.password"], errors.New("password: want its hash, and password_encrypted = true"))
	}
	if values["ssh.enabled"].is("true") {
		set("ssh.authorized_keys", "ssh_key")
		if !values["ssh.authorized_keys"].given() {
			fail(lines["ssh.enabled"], errors.New("ssh: it takes no passwords: without a key it stays off"))
		}
	}
	for _, key := range []string{"wlan.ssid", "wlan.ssid_hex"} {
		if values[key].given() {
			fail(lines[key], errNoWiFi)
		}
	}
	if values["connect.enabled"].is("true") {
		fail(lines["connect.enabled"], errors.New("this system has no Raspberry Pi Connect"))
	}
	return errs
}

// text is a value, or those of a list, as it is written.
type text []string

func (t text) given() bool      { return len(t) > 0 && t[0] != "" }
func (t text) is(v string) bool { return len(t) == 1 && t[0] == v }
func (t text) list() (l []string) {
	for _, v := range t {
		if v != "" {
			l = append(l, v)
		}
	}
	return l
}

func textOf(n *unstable.Node) (t text) {
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			t = append(t, textOf(it.Node())...)
		}
	case unstable.InlineTable:
	default:
		t = text{string(n.Data)}
	}
	return t
}

func keyOf(it unstable.Iterator) string {
	var parts []string
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, ".")
}

// strange are files that other systems follow and this one does not, and what
// to do about each.
var strange = []struct{ name, what string }{
	{"firstrun.sh", "this is a script for Raspberry Pi OS, which is not run: put the settings into gatewayd.conf"},
	{"user-data", "this is for cloud-init, which is not here: put the settings into gatewayd.conf"},
	{"ssh", "SSH is on if there is a key, ssh_key in gatewayd.conf, and not by this file"},
	{"ssh.txt", "SSH is on if there is a key, ssh_key in gatewayd.conf, and not by this file"},
	{"userconf.txt", "this file is not followed: put user and password into gatewayd.conf"},
	{"userconf", "this file is not followed: put user and password into gatewayd.conf"},
	{"wpa_supplicant.conf", errNoWiFi.Error()},
	{"gatewayd.conf.txt", "this file is not followed, because of its name, whose end some systems do not show: it must be gatewayd.conf"},
	{"gatewayd.txt", "this file is not followed, because of its name: it must be gatewayd.conf"},
}

// strangers tells of files that somebody put here in vain.
func strangers(dir string) (errs []error) {
	for _, s := range strange {
		file := filepath.Join(dir, s.name)
		if _, err := os.Lstat(file); err == nil {
			errs = append(errs, &SettingsError{File: file, Err: errors.New(s.what)})
		}
	}
	return errs
}
