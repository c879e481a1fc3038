package appliance

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"gatewayd/radio"
	"gatewayd/thread/meshcop"
)

// maxSettings bounds gatewayd.conf, in bytes.
const maxSettings = 64 << 10

// Settings are what gatewayd.conf says. The zero value is that of an empty
// file: DHCP, the dongle that is found, a network of its own.
type Settings struct {
	Hostname string       // without domain
	Address  netip.Prefix // fixed IPv4 address with its network; zero: by DHCP
	Gateway  netip.Addr   // of the fixed address
	DNS      []netip.Addr // likewise
	Radio    string       // URL; empty: whatever dongle is found
	Dataset  []byte       // of the network to adopt, as TLVs
}

// A SettingsError is one thing wrong in a file of settings.
type SettingsError struct {
	File string
	Line int // from 1; 0: the file as a whole
	Err  error
}

func (e *SettingsError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("appliance: %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("appliance: %s:%d: %v", e.File, e.Line, e.Err)
}

func (e *SettingsError) Unwrap() error { return e.Err }

// LoadSettings is ParseSettings for a file. One that is missing says nothing.
func LoadSettings(file string) (Settings, []error) {
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Settings{}, nil
	case err != nil:
		return Settings{}, []error{&SettingsError{File: file, Err: err}}
	}
	return ParseSettings(file, b)
}

// ParseSettings reads lines of KEY=VALUE. Empty lines and those that begin with
// # are passed over, as are blanks and quotes around a value and what editors
// of other systems add. A line that is wrong is an error and nothing else:
// every other line counts. file is the name in errors.
func ParseSettings(file string, b []byte) (s Settings, errs []error) {
	if len(b) > maxSettings {
		return s, []error{&SettingsError{File: file, Err: fmt.Errorf("has more than %d bytes", maxSettings)}}
	}
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	lines.Buffer(nil, maxSettings+1)
	gatewayLine := 0
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		err := errors.New("want KEY=VALUE")
		if ok {
			err = s.set(key, unquote(strings.TrimSpace(value)))
		}
		if first := seen[key]; ok && err == nil && first != 0 {
			err = fmt.Errorf("%s is given in line %d already; this one counts", key, first)
		}
		if err != nil {
			errs = append(errs, &SettingsError{file, n, err})
			continue
		}
		seen[key] = n
		if key == "gateway" {
			gatewayLine = n
		}
	}
	if s.Gateway.IsValid() && !s.Address.Contains(s.Gateway) {
		errs = append(errs, &SettingsError{file, gatewayLine, fmt.Errorf("gateway: %v is not in the network of an address that is given", s.Gateway)})
		s.Gateway = netip.Addr{}
	}
	return s, errs
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

func (s *Settings) set(key, value string) error {
	fail := func(err error) error { return fmt.Errorf("%s: %w", key, err) }
	switch key {
	case "hostname":
		if err := checkHostname(value); err != nil {
			return fail(err)
		}
		s.Hostname = value
	case "address":
		if value == "dhcp" {
			s.Address = netip.Prefix{}
			return nil
		}
		p, err := netip.ParsePrefix(value)
		if err != nil || !p.Addr().Is4() || p.Addr().IsUnspecified() {
			return fail(fmt.Errorf("%q is neither dhcp nor an address with its network, like 192.168.1.2/24", value))
		}
		s.Address = p
	case "gateway":
		a, err := netip.ParseAddr(value)
		if err != nil || !a.Is4() {
			return fail(fmt.Errorf("%q is no IPv4 address", value))
		}
		s.Gateway = a
	case "dns":
		var list []netip.Addr
		for _, v := range strings.Fields(strings.ReplaceAll(value, ",", " ")) {
			a, err := netip.ParseAddr(v)
			if err != nil {
				return fail(fmt.Errorf("%q is no address", v))
			}
			list = append(list, a)
		}
		s.DNS = list
	case "radio":
		if value == "auto" {
			s.Radio = ""
			return nil
		}
		if _, err := radio.ParseURL(value); err != nil {
			return fail(err)
		}
		s.Radio = value
	case "dataset":
		b, err := hex.DecodeString(value)
		if err != nil {
			return fail(errors.New("want hexadecimal digits, as `gatewayd dataset export` prints them"))
		}
		d, err := meshcop.DecodeDataset(b)
		if err != nil {
			return fail(err)
		}
		if missing := d.MissingActive(); len(missing) > 0 {
			return fail(fmt.Errorf("lacks %v", missing))
		}
		s.Dataset = b
	default:
		return fmt.Errorf("there is no %q: want hostname, address, gateway, dns, radio or dataset", key)
	}
	return nil
}

// checkHostname takes a label of RFC 1123 Section 2.1.
func checkHostname(v string) error {
	if len(v) == 0 || len(v) > 63 {
		return errors.New("want 1 to 63 letters, digits and hyphens")
	}
	for i, c := range []byte(v) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(v)-1:
		default:
			return fmt.Errorf("%q has %q at byte %d: want letters, digits, and hyphens within", v, v[i:i+1], i)
		}
	}
	return nil
}

// Write puts every setting that is given into a file of its own below dir, for
// the scripts that bring the system up, and what was wrong into "problems",
// one a line. Values have been checked: no script has to.
func (s *Settings) Write(dir string, errs []error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	files := map[string]string{"hostname": s.Hostname, "address": "", "gateway": "", "radio": s.Radio, "dataset": hex.EncodeToString(s.Dataset)}
	if s.Address.IsValid() {
		files["address"] = s.Address.String()
	}
	if s.Gateway.IsValid() {
		files["gateway"] = s.Gateway.String()
	}
	var dns, problems []string
	for _, a := range s.DNS {
		dns = append(dns, a.String())
	}
	for _, err := range errs {
		problems = append(problems, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), "appliance: "))
	}
	files["dns"], files["problems"] = strings.Join(dns, "\n"), strings.Join(problems, "\n")
	for name, value := range files {
		file := filepath.Join(dir, name)
		if value == "" {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("appliance: %w", err)
			}
			continue
		}
		mode := os.FileMode(0o644)
		if name == "dataset" {
			mode = 0o600 // it holds the network's key
		}
		if err := renameio.WriteFile(file, []byte(value+"\n"), mode); err != nil {
			return fmt.Errorf("appliance: %w", err)
		}
	}
	return nil
}
