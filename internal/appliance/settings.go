package appliance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"gatewayd/radio"
	"gatewayd/thread/meshcop"
)

// What is taken of gatewayd.conf, and said of it: a console takes a minute for
// what a file that is something else has wrong.
const (
	maxSettings = 64 << 10 // bytes
	maxProblem  = 400      // bytes of one
	maxProblems = 20
)

// Settings are what is said on the boot partition. The zero value is that of an
// empty file: DHCP, no SSH, the dongle that is found, a network of its own.
type Settings struct {
	Hostname string       // without domain
	Address  netip.Prefix // fixed IPv4 address with its network; zero: by DHCP
	Gateway  netip.Addr   // of the fixed address
	DNS      []netip.Addr // likewise
	NTP      []string     // names or addresses; empty: those of DHCP, or the pool
	TimeZone string       // by its name in the tz database; empty: UTC
	User     string       // who logs in, beside root
	Password string       // of the console, as crypt(3) hashes it; empty: no login there
	SSHKeys  []string     // that may log in; empty: no SSH
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
	text := e.Err.Error()
	if len(text) > maxProblem {
		text = strings.ToValidUTF8(text[:maxProblem], "") + "..."
	}
	if e.Line == 0 {
		return fmt.Sprintf("appliance: %s: %s", e.File, text)
	}
	return fmt.Sprintf("appliance: %s:%d: %s", e.File, e.Line, text)
}

func (e *SettingsError) Unwrap() error { return e.Err }

// settingsFile is the one that is meant to be edited.
const settingsFile = "gatewayd.conf"

// settingsFiles in the order in which they are read.
var settingsFiles = []string{"custom.toml", "rpi-preseed.toml", settingsFile}

// LoadSettings reads what is said in the folder that the boot partition is
// mounted at: in gatewayd.conf, and in what Raspberry Pi Imager writes. The
// first wins where both speak; keys add up.
func LoadSettings(dir string) (s Settings, errs []error) {
	for _, name := range settingsFiles {
		file := filepath.Join(dir, name)
		b, err := readSettings(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			errs = append(errs, &SettingsError{File: file, Err: err})
		case name == settingsFile:
			errs = append(errs, s.parse(file, b)...)
		default:
			errs = append(errs, s.parseImager(file, b)...)
		}
	}
	errs = append(errs, strangers(dir)...)
	if more := len(errs) - maxProblems; more > 1 {
		errs = append(errs[:maxProblems:maxProblems], &SettingsError{File: dir, Err: fmt.Errorf("%d more like these", more)})
	}
	return s, errs
}

// readSettings reads a file that is not larger than it should be.
func readSettings(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err == nil && len(b) > maxSettings {
		err = fmt.Errorf("has more than %d bytes", maxSettings)
	}
	return b, err
}

// ParseSettings reads lines of KEY=VALUE. Empty lines and those that begin with
// # are passed over, as are blanks and quotes around a value and what editors
// of other systems make of a text: its mark, ends of lines, and UTF-16. A line
// that is wrong is an error and nothing else: every other line counts. file is
// the name in errors.
func ParseSettings(file string, b []byte) (s Settings, errs []error) {
	if len(b) > maxSettings {
		return s, []error{&SettingsError{File: file, Err: fmt.Errorf("has more than %d bytes", maxSettings)}}
	}
	errs = s.parse(file, b)
	return s, errs
}

// parse adds the lines of a file to s.
func (s *Settings) parse(file string, b []byte) (errs []error) {
	seen := map[string]int{}
	n, gatewayLine := 0, 0
	for line := range strings.Lines(plainText(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		err := errors.New("want KEY=VALUE")
		if ok {
			err = s.set(key, unquote(strings.TrimSpace(value)))
		}
		if first := seen[key]; ok && err == nil && first != 0 && key != "ssh_key" {
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
	var err error
	switch {
	case !s.Gateway.IsValid():
	case !s.Address.IsValid():
		err = errors.New("gateway: counts only with a fixed address, address=, which is not given")
	case !s.Address.Contains(s.Gateway):
		err = fmt.Errorf("gateway: %v is not in the network of the address %v", s.Gateway, s.Address)
	case s.Address.Addr() == s.Gateway:
		err = fmt.Errorf("gateway: %v is this box's own address: want the router's", s.Gateway)
	}
	if err != nil {
		errs = append(errs, &SettingsError{file, gatewayLine, err})
		s.Gateway = netip.Addr{}
	}
	return errs
}

// plainText is a text in UTF-8, with a line feed after each line.
func plainText(b []byte) string {
	if order := utf16Order(b); order != nil {
		var units []uint16
		for b = b[2:]; len(b) >= 2; b = b[2:] {
			units = append(units, order.Uint16(b))
		}
		b = []byte(string(utf16.Decode(units)))
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b))
}

// utf16Order is the order of bytes of a text that its mark says is in UTF-16,
// or nil.
func utf16Order(b []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return binary.BigEndian
	}
	return nil
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
		if err := checkAddress(p); err != nil {
			return fail(err)
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
	case "ntp":
		var list []string
		for _, v := range strings.Fields(strings.ReplaceAll(value, ",", " ")) {
			_, addr := netip.ParseAddr(v)
			_, port := netip.ParseAddrPort(v)
			if addr != nil && port != nil && checkDomain(v) != nil {
				return fail(fmt.Errorf("%q is neither a name nor an address", v))
			}
			list = append(list, v)
		}
		s.NTP = list
	case "timezone":
		if _, err := ZoneRule(value); err != nil {
			return fail(err)
		}
		s.TimeZone = value
	case "user":
		if !userName.MatchString(value) || value == "nobody" {
			return fail(fmt.Errorf("%q is no name to log in with: want up to 32 small letters, digits, - and _, beginning with a letter", value))
		}
		s.User = value
	case "password":
		if err := checkHash(value); err != nil {
			return fail(err)
		}
		s.Password = value
	case "ssh_key":
		key, err := checkKey(value)
		if err != nil {
			return fail(err)
		}
		if !slices.Contains(s.SSHKeys, key) {
			s.SSHKeys = append(s.SSHKeys, key)
		}
	case "radio":
		if value == "auto" {
			s.Radio = ""
			return nil
		}
		if _, err := radio.ParseURL(value); err != nil {
			return errors.New(key + ": " + strings.TrimPrefix(err.Error(), "radio: "))
		}
		s.Radio = value
	case "dataset":
		b, err := hex.DecodeString(value)
		if err != nil {
			return fail(errors.New("want hexadecimal digits, as `gatewayd dataset export` prints them"))
		}
		d, err := meshcop.DecodeDataset(b)
		if err != nil {
			return fail(fmt.Errorf("it is not complete, or changed: %s", strings.TrimPrefix(err.Error(), "meshcop: ")))
		}
		if missing := d.MissingToAttach(); len(missing) > 0 {
			return fail(errors.New("lacks " + meshcop.TypeNames(missing)))
		}
		s.Dataset = b
	default:
		if strings.HasPrefix(key, "wifi") || strings.HasPrefix(key, "wlan") {
			return fail(errNoWiFi)
		}
		return fmt.Errorf("there is no %q: want hostname, address, gateway, dns, ntp, timezone, user, password, ssh_key, radio or dataset", key)
	}
	return nil
}
