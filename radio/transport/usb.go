package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatewayd/radio/spinel"
)

// A SerialPort is a serial device that a dongle may be behind, and what USB
// says of it. Nothing of that tells what it is: the same adapters carry other
// firmware, and other things than radios.
type SerialPort struct {
	Path    string // "/dev/ttyACM0"
	Vendor  uint16 // USB's number; 0 if it is not at USB
	Product uint16
	Maker   string // as the device says
	Name    string // likewise
}

// SerialPorts lists the serial devices of USB's kind, in order. sys is where
// sysfs is mounted.
func SerialPorts(sys string) []SerialPort {
	dirs, _ := filepath.Glob(filepath.Join(sys, "class/tty/tty[AU][CS][MB][0-9]*")) // only a bad pattern fails
	var ports []SerialPort
	for _, dir := range dirs {
		name := filepath.Base(dir)
		if !strings.HasPrefix(name, "ttyACM") && !strings.HasPrefix(name, "ttyUSB") {
			continue
		}
		ports = append(ports, serialPort(sys, filepath.Join("/dev", name)))
	}
	slices.SortFunc(ports, func(a, b SerialPort) int {
		if c := strings.Compare(a.Path[:len("/dev/ttyACM")], b.Path[:len("/dev/ttyACM")]); c != 0 {
			return c
		}
		return number(a.Path) - number(b.Path)
	})
	return ports
}

// serialPort reads what USB says of the device at path.
func serialPort(sys, path string) SerialPort {
	p := SerialPort{Path: path}
	at, err := filepath.EvalSymlinks(filepath.Join(sys, "class/tty", filepath.Base(path), "device"))
	if err == nil {
		p.usb(at, sys)
	}
	return p
}

func number(path string) int {
	n, _ := strconv.Atoi(path[len("/dev/ttyACM"):]) // 0 for what is no number
	return n
}

// usb reads what the USB device says that an interface, at a folder of sysfs,
// belongs to.
func (p *SerialPort) usb(at, sys string) {
	for ; len(at) > len(sys); at = filepath.Dir(at) {
		vendor, err := strconv.ParseUint(attribute(at, "idVendor"), 16, 16)
		if err != nil {
			continue // not yet at the device
		}
		product, _ := strconv.ParseUint(attribute(at, "idProduct"), 16, 16) // the kernel writes both
		p.Vendor, p.Product = uint16(vendor), uint16(product)
		p.Maker, p.Name = attribute(at, "manufacturer"), attribute(at, "product")
		return
	}
}

func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// String is what people call it: "SkyConnect v1.0 by Nabu Casa".
func (p SerialPort) String() string {
	switch {
	case p.Name != "" && p.Maker != "" && !strings.Contains(p.Name, p.Maker):
		return p.Name + " by " + p.Maker
	case p.Name != "":
		return p.Name
	case p.Vendor != 0:
		return fmt.Sprintf("USB device %04x:%04x", p.Vendor, p.Product)
	}
	return "serial port"
}

// firmwares are where the firmware of known dongles comes from, by a word in
// what they say of themselves, or by numbers that nothing else has.
var firmwares = []struct {
	word, also      string // in maker or name, in small letters; "": any
	vendor, product uint16 // if there is no word
	from            string
}{
	{word: "zbt-2", from: "Home Assistant's page for Connect ZBT-2 flashes it from a browser: choose OpenThread"},
	{word: "nabu casa", from: "Home Assistant's page for Connect ZBT-1 (SkyConnect) flashes it from a browser: choose OpenThread"},
	{word: "slzb-0", from: "SMLIGHT's page for this SLZB flashes it from a browser: choose Thread"},
	{word: "dongle plus v2", from: "SONOFF's dongle flasher does it from a browser: choose OpenThread RCP"},
	{word: "sonoff", also: "mg2", from: "SONOFF's dongle flasher does it from a browser: choose OpenThread RCP"},
	{word: "sonoff", from: "this one with a chip by Texas Instruments takes an RCP for the CC2652P; the one called Dongle Plus V2 or E is easier"},
	{word: "conbee", from: "see dresden elektronik's page for this ConBee, whether there is one"},
	{word: "zigate", from: "there is none: use another dongle"},
	{word: "nrf52840", from: "Nordic's nRF Connect for Desktop, Programmer, takes an ot-rcp image"},
	{vendor: 0x1915, product: 0x521f, from: "it is in its bootloader: Nordic's nRF Connect for Desktop, Programmer, takes an ot-rcp image"},
	{word: "xds110", from: "Texas Instruments' UniFlash takes the rcp example of its OpenThread SDK"},
	{vendor: 0x303a, product: 0x1001, from: "the ot_rcp example of Espressif's ESP-IDF, by idf.py flash"},
}

// Advise adds to the guess what another firmware is to be replaced by, as far as
// it is known where that comes from.
func (p SerialPort) Advise(g spinel.Guess) spinel.Guess {
	from := p.firmware()
	switch {
	case from == "", g.Kind == spinel.KindRCP, g.Kind == spinel.KindSilent, g.Kind == spinel.KindNoise:
	case g.Advice == "":
		g.Advice = from
	default:
		g.Advice += ": " + from
	}
	return g
}

// firmware says where OpenThread's RCP firmware for it comes from; "" if that
// is not known.
func (p SerialPort) firmware() string {
	said := strings.ToLower(p.Maker + " " + p.Name)
	for _, f := range firmwares {
		if f.word != "" && strings.Contains(said, f.word) && strings.Contains(said, f.also) || f.word == "" && f.vendor == p.Vendor && f.product == p.Product {
			return f.from
		}
	}
	return ""
}
