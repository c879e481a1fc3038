package radio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatewayd/ieee802154"
)

// Bus is how a radio is reached.
type Bus uint8

// The buses.
const (
	BusUART Bus = iota // a serial device
	BusPTY             // a program on a pseudo terminal
	BusTCP             // a serial server
	BusUnix            // a stream socket
	BusSim             // a simulated medium, see URL.Path
	BusZEP             // a medium of ZEP datagrams
	BusAuto            // the USB serial device that turns out to be one
)

var busNames = [...]string{"uart", "forkpty", "tcp", "unix", "sim", "zep", "auto"}

func (b Bus) String() string {
	if int(b) < len(busNames) {
		return busNames[b]
	}
	return fmt.Sprintf("bus %d", uint8(b))
}

// Parity is a serial line's parity.
type Parity uint8

// The parities.
const (
	ParityNone Parity = iota
	ParityEven
	ParityOdd
)

// zepPort is ZEP's UDP port, where a URL gives none.
const zepPort = "17754"

// DefaultBaud is the baud rate where a URL gives none, as in OpenThread.
const DefaultBaud = 115200

// URL says where a radio is and how to use it. Syntax and parameters are those
// of OpenThread's POSIX host, so that its radio URLs can be used as they are:
//
//	spinel+hdlc+uart:///dev/ttyACM0?uart-baudrate=460800&uart-flow-control
//	spinel+hdlc+forkpty:///usr/bin/ot-rcp?forkpty-arg=1
//
// and beyond those
//
//	spinel+hdlc+tcp://host:port
//	spinel+hdlc+tcp://_slzb-06._tcp.local
//	spinel+hdlc+unix:///path
//	sim:name
//	zep://host:port?local=:port&eui64=0200000000000001
//
// A host may be one of multicast DNS, rcp.local; the name of a service there
// has its port with it. A path alone, /dev/ttyACM0, is that of a serial device; auto is the USB serial
// device that turns out to be a radio.
type URL struct {
	Bus  Bus
	Path string // device, program, socket; of BusSim all after the colon
	Addr string // host:port of BusTCP and BusZEP; of BusTCP also a service's name

	Local string             // local: the own host:port of BusZEP, or :port; "" is any
	EUI64 ieee802154.ExtAddr // eui64 of BusZEP; zero if not given

	Args []string // forkpty-arg, repeated

	Baud         uint32 // uart-baudrate; 0 if not given
	Parity       Parity // uart-parity
	StopBits     uint8  // uart-stop; 1 or 2
	FlowControl  bool   // uart-flow-control: RTS and CTS
	InitDeassert bool   // uart-init-deassert: DTR and RTS low

	NoReset          bool          // no-reset
	SkipVersionCheck bool          // skip-rcp-compatibility-check
	IID              uint8         // iid: Spinel interface, 0..3
	BusLatency       time.Duration // bus-latency
	Tuning           Tuning        // region, cca-threshold, fem-lnagain, enable-coex, max-power-table
}

// busFrame is the longest frame on a bus, in bytes: that of the air and what
// Spinel adds.
const busFrame = 150

// BusTime is how long a frame takes to the radio, at most, as far as the URL
// tells.
func (u URL) BusTime() time.Duration {
	if u.Bus != BusUART && u.Bus != BusAuto {
		return u.BusLatency
	}
	baud := u.Baud
	if baud == 0 {
		baud = DefaultBaud
	}
	bits := 9 + int(max(u.StopBits, 1))
	if u.Parity != ParityNone {
		bits++
	}
	return u.BusLatency + time.Duration(busFrame*bits)*time.Second/time.Duration(baud)
}

// String is the URL in its canonical form.
func (u URL) String() string {
	var b strings.Builder
	switch u.Bus {
	case BusAuto:
		return "auto"
	case BusSim:
		return "sim:" + u.Path
	case BusTCP:
		b.WriteString("spinel+hdlc+tcp://" + escape(u.Addr, "?#"))
	case BusZEP:
		b.WriteString("zep://" + escape(u.Addr, "?#"))
	default:
		b.WriteString("spinel+hdlc+" + u.Bus.String() + "://" + escape(u.Path, "?#"))
	}
	sep := byte('?')
	add := func(name, value string) {
		b.WriteByte(sep)
		sep = '&'
		b.WriteString(name + "=" + escape(value, "&#"))
	}
	flag := func(name string, on bool) {
		if on {
			b.WriteByte(sep)
			sep = '&'
			b.WriteString(name)
		}
	}
	for _, a := range u.Args {
		add("forkpty-arg", a)
	}
	if u.Local != "" {
		add("local", u.Local)
	}
	if u.EUI64 != (ieee802154.ExtAddr{}) {
		add("eui64", u.EUI64.String())
	}
	if u.Baud != 0 {
		add("uart-baudrate", strconv.Itoa(int(u.Baud)))
	}
	switch u.Parity {
	case ParityEven:
		add("uart-parity", "even")
	case ParityOdd:
		add("uart-parity", "odd")
	}
	if u.StopBits == 2 {
		add("uart-stop", "2")
	}
	flag("uart-flow-control", u.FlowControl)
	flag("uart-init-deassert", u.InitDeassert)
	flag("no-reset", u.NoReset)
	flag("skip-rcp-compatibility-check", u.SkipVersionCheck)
	if u.IID != 0 {
		add("iid", strconv.Itoa(int(u.IID)))
	}
	if u.BusLatency != 0 {
		add("bus-latency", strconv.FormatInt(u.BusLatency.Microseconds(), 10))
	}
	if u.Tuning.Region != "" {
		add("region", u.Tuning.Region)
	}
	if v := u.Tuning.CCAThreshold; v != nil {
		add("cca-threshold", strconv.Itoa(int(*v)))
	}
	if v := u.Tuning.FEMLNAGain; v != nil {
		add("fem-lnagain", strconv.Itoa(int(*v)))
	}
	if v := u.Tuning.Coex; v != nil {
		add("enable-coex", map[bool]string{true: "1", false: "0"}[*v])
	}
	if len(u.Tuning.MaxPower) > 0 {
		var list []string
		for _, p := range u.Tuning.MaxPower {
			list = append(list, strconv.Itoa(int(p)))
		}
		add("max-power-table", strings.Join(list, ","))
	}
	return b.String()
}

// buses maps a URL's scheme.
var buses = map[string]Bus{
	"spinel+hdlc":         BusUART,
	"spinel+hdlc+uart":    BusUART,
	"spinel+hdlc+forkpty": BusPTY,
	"spinel+hdlc+tcp":     BusTCP,
	"spinel+hdlc+unix":    BusUnix,
	"zep":                 BusZEP,
}

// ParseURL parses a radio URL. Errors name the parameter that is wrong.
func ParseURL(s string) (URL, error) {
	u := URL{StopBits: 1}
	if s == "auto" {
		u.Bus = BusAuto
		return u, nil
	}
	if rest, ok := strings.CutPrefix(s, "sim:"); ok {
		u.Bus, u.Path = BusSim, rest
		return u, nil
	}
	if strings.HasPrefix(s, "/") {
		u.Path = s
		return u, nil
	}
	fail := func(format string, args ...any) (URL, error) {
		return URL{}, fmt.Errorf("radio: URL %q: %w", s, fmt.Errorf(format, args...))
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return fail("it must be auto or begin like spinel+hdlc+uart:///dev/...")
	}
	if u.Bus, ok = buses[scheme]; !ok {
		if strings.HasPrefix(scheme, "spinel+spi") {
			return fail("radios on SPI are not supported, use one on a serial port or USB")
		}
		return fail("unknown scheme %q", scheme)
	}
	where, query, hasQuery := strings.Cut(rest, "?")
	where, err := unescape(where)
	if err != nil {
		return fail("%w", err)
	}
	switch {
	case u.Bus == BusZEP:
		if u.Addr, ok = zepRemote(strings.TrimSuffix(where, "/")); !ok {
			return fail("after zep:// there must be host:port, an IPv6 address in brackets")
		}
	case u.Bus == BusTCP:
		u.Addr = strings.TrimSuffix(where, "/")
		if strings.HasSuffix(u.Addr, "._tcp.local") {
			break
		}
		host, port, _ := cutLast(u.Addr, ":")
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
			return fail("after tcp:// there must be host:port, or a service like _slzb-06._tcp.local")
		}
	case !strings.HasPrefix(where, "/"):
		return fail("the path must be absolute: %s:///...", scheme)
	default:
		u.Path = where
	}
	if !hasQuery || query == "" {
		return u, nil
	}
	for param := range strings.SplitSeq(query, "&") {
		name, value, hasValue := strings.Cut(param, "=")
		value, err := unescape(value)
		if err == nil {
			err = u.param(name, value, hasValue)
		}
		if err != nil {
			return fail("parameter %s: %w", name, err)
		}
	}
	return u, nil
}

var (
	errUnknown = errors.New("there is no such parameter")
	errNeeds   = errors.New("it needs a value")
	errBus     = errors.New("it is for another kind of radio")
)

// param sets one parameter. As in OpenThread a flag is set whatever its value.
func (u *URL) param(name, value string, hasValue bool) error {
	zep := name == "local" || name == "eui64"
	if zep && u.Bus != BusZEP || strings.HasPrefix(name, "uart-") && u.Bus != BusUART || strings.HasPrefix(name, "forkpty-") && u.Bus != BusPTY {
		return errBus
	}
	switch name {
	case "uart-flow-control":
		u.FlowControl = true
		return nil
	case "uart-init-deassert":
		u.InitDeassert = true
		return nil
	case "uart-reset", "uart-exclusive":
		return nil // a device that goes away is always reopened, and always ours alone
	case "no-reset":
		u.NoReset = true
		return nil
	case "skip-rcp-compatibility-check":
		u.SkipVersionCheck = true
		return nil
	case "uart-parity":
		// Without a value there is none, as without the parameter.
		switch value {
		case "":
			return nil
		case "even":
			u.Parity = ParityEven
		case "odd":
			u.Parity = ParityOdd
		default:
			return fmt.Errorf("%q is neither even nor odd", value)
		}
		return nil
	case "uart-stop":
		if value == "" {
			return nil
		}
	}
	if known := params[name]; !known {
		return errUnknown
	}
	if !hasValue {
		return errNeeds
	}
	var err error
	switch name {
	case "forkpty-arg":
		u.Args = append(u.Args, value)
	case "local":
		if _, port, ok := cutLast(value, ":"); !ok || !isPort(port, 0) {
			return fmt.Errorf("%q is not host:port or :port", value)
		}
		u.Local = value
	case "eui64":
		e, ok := eui64(value)
		if !ok {
			return fmt.Errorf("%q is not 16 hexadecimal digits", value)
		}
		u.EUI64 = e
	case "uart-baudrate":
		var v uint64
		if v, err = number(value, 50, 20e6); err == nil {
			u.Baud = uint32(v)
		}
	case "uart-stop":
		var v uint64
		if v, err = number(value, 1, 2); err == nil {
			u.StopBits = uint8(v)
		}
	case "iid":
		var v uint64
		if v, err = number(value, 0, 3); err == nil {
			u.IID = uint8(v)
		}
	case "iid-list":
		// Frames for other interfaces are none of our business.
		for part := range strings.SplitSeq(value, ",") {
			if _, err := number(part, 0, 3); err != nil {
				return err
			}
		}
	case "bus-latency":
		var v uint64
		if v, err = number(value, 0, 10e6); err == nil {
			u.BusLatency = time.Duration(v) * time.Microsecond
		}
	case "region":
		if len(value) != 2 || !isLetter(value[0]) || !isLetter(value[1]) {
			return fmt.Errorf("%q is not a country code of two letters", value)
		}
		u.Tuning.Region = strings.ToUpper(value)
	case "cca-threshold":
		u.Tuning.CCAThreshold, err = dBm(value)
	case "fem-lnagain":
		u.Tuning.FEMLNAGain, err = dBm(value)
	case "enable-coex":
		var v uint64
		if v, err = number(value, 0, 255); err == nil {
			on := v != 0
			u.Tuning.Coex = &on
		}
	case "max-power-table":
		u.Tuning.MaxPower = nil
		for part := range strings.SplitSeq(value, ",") {
			v, err := dBm(part)
			if err != nil {
				return err
			}
			u.Tuning.MaxPower = append(u.Tuning.MaxPower, *v)
		}
	}
	return err
}

// params are the parameters that need a value.
var params = map[string]bool{
	"forkpty-arg": true, "uart-baudrate": true, "uart-stop": true, "iid": true, "iid-list": true,
	"bus-latency": true, "region": true, "cca-threshold": true, "fem-lnagain": true,
	"enable-coex": true, "max-power-table": true, "local": true, "eui64": true,
}

// zepRemote is a host and a port, or a host alone, with the port.
func zepRemote(s string) (addr string, ok bool) {
	host, port, found := cutLast(s, ":")
	if !found || strings.HasSuffix(s, "]") {
		host, port = s, zepPort
	}
	if strings.HasPrefix(host, "[") != strings.HasSuffix(host, "]") || strings.Contains(host, ":") && host[0] != '[' {
		return "", false
	}
	return host + ":" + port, host != "" && isPort(port, 1)
}

func isPort(s string, least uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= least
}

func eui64(s string) (e ieee802154.ExtAddr, ok bool) {
	n, err := strconv.ParseUint(s, 16, 64)
	binary.BigEndian.PutUint64(e[:], n)
	return e, err == nil && len(s) == 16 && n != 0
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// number parses a number from least to most, decimal or 0x.
func number(s string, least, most uint64) (uint64, error) {
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil || v < least || v > most {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, least, most)
	}
	return v, nil
}

// dBm parses a signed byte, decimal or 0x.
func dBm(s string) (*int8, error) {
	v, err := strconv.ParseInt(s, 0, 8)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number from -128 to 127", s)
	}
	p := int8(v)
	return &p, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// escape writes the bytes in also, percent and what does not print as %XX.
func escape(s, also string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' || strings.IndexByte(also, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape is the inverse of escape.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", fmt.Errorf("%q ends within an escape", s)
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%q is not an escape", s[i:i+3])
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), nil
}
