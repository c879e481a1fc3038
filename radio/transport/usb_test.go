package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatewayd/radio/spinel"
)

// sysfs makes a folder like the kernel's, of USB serial devices.
func sysfs(t *testing.T, ports []SerialPort) string {
	t.Helper()
	sys := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(sys, "class/tty/ttyS0/dev"), "4:64\n")
	for i, p := range ports {
		usb := filepath.Join(sys, "devices/usb1", string(rune('a'+i)))
		tty := filepath.Base(p.Path)
		at := filepath.Join(usb, "if0", tty) // as of usb-serial, a level below that of cdc_acm
		write(filepath.Join(at, "dev"), "1:1\n")
		if p.Vendor != 0 {
			write(filepath.Join(usb, "idVendor"), hex4(p.Vendor))
			write(filepath.Join(usb, "idProduct"), hex4(p.Product))
		}
		if p.Maker != "" {
			write(filepath.Join(usb, "manufacturer"), p.Maker+"\n")
		}
		if p.Name != "" {
			write(filepath.Join(usb, "product"), p.Name+"\n")
		}
		link(filepath.Join(sys, "class/tty", tty, "device"), at)
	}
	return sys
}

func hex4(v uint16) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15], '\n'})
}

func TestSerialPorts(t *testing.T) {
	want := []SerialPort{
		{"/dev/ttyACM0", 0x303a, 0x831a, "Nabu Casa", "ZBT-2"},
		{"/dev/ttyUSB2", 0x10c4, 0xea60, "Nabu Casa", "SkyConnect v1.0"},
		{"/dev/ttyUSB10", 0x10c4, 0xea60, "", ""},
		{"/dev/ttyUSB11", 0, 0, "", ""},
	}
	sys := sysfs(t, []SerialPort{want[2], want[0], want[3], want[1]})
	got := SerialPorts(sys)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := SerialPorts(t.TempDir()); len(got) != 0 {
		t.Errorf("ports of nothing: %v", got)
	}
}

func TestFirmware(t *testing.T) {
	for _, tt := range []struct {
		port SerialPort
		name string
		from string
	}{
		{SerialPort{"", 0x303a, 0x831a, "Nabu Casa", "ZBT-2"}, "ZBT-2 by Nabu Casa", "ZBT-2"},
		{SerialPort{"", 0x10c4, 0xea60, "Nabu Casa", "SkyConnect v1.0"}, "SkyConnect v1.0 by Nabu Casa", "ZBT-1"},
		{SerialPort{"", 0x10c4, 0xea60, "SMLIGHT", "SMLIGHT SLZB-07"}, "SMLIGHT SLZB-07", "SMLIGHT's"},
		{SerialPort{"", 0x1a86, 0x55d4, "ITEAD", "SONOFF Zigbee 3.0 USB Dongle Plus V2"}, "SONOFF Zigbee 3.0 USB Dongle Plus V2 by ITEAD", "OpenThread RCP"},
		{SerialPort{"", 0x10c4, 0xea60, "Silicon Labs", "Sonoff Zigbee 3.0 USB Dongle Plus"}, "Sonoff Zigbee 3.0 USB Dongle Plus by Silicon Labs", "CC2652P"},
		{SerialPort{"", 0x10c4, 0xea60, "SONOFF", "SONOFF Dongle Lite MG21"}, "SONOFF Dongle Lite MG21", "OpenThread RCP"},
		{SerialPort{"", 0x10c4, 0xea60, "SONOFF", "SONOFF Dongle Plus MG24"}, "SONOFF Dongle Plus MG24", "OpenThread RCP"},
		{SerialPort{"", 0x10c4, 0xea60, "SMLIGHT", "SMLIGHT SLZB-07Mg24"}, "SMLIGHT SLZB-07Mg24", "SMLIGHT's"},
		{SerialPort{"", 0x2886, 0x0062, "Seeed", "Board with MG24"}, "Board with MG24 by Seeed", ""},
		{SerialPort{"", 0x1cf1, 0x0030, "dresden elektronik ingenieurtechnik GmbH", "ConBee II"}, "ConBee II by dresden", "ConBee"},
		{SerialPort{"", 0x303a, 0x1001, "Espressif", "USB JTAG/serial debug unit"}, "USB JTAG/serial debug unit", "ESP-IDF"},
		{SerialPort{"", 0x10c4, 0xea60, "Silicon Labs", "CP2102N USB to UART Bridge Controller"}, "CP2102N", ""},
		{SerialPort{"", 0x1234, 0xabcd, "", ""}, "USB device 1234:abcd", ""},
		{SerialPort{}, "serial port", ""},
	} {
		if got := tt.port.String(); !strings.HasPrefix(got, tt.name) {
			t.Errorf("%+v is %q, want %q", tt.port, got, tt.name)
		}
		if got := tt.port.firmware(); !strings.Contains(got, tt.from) || tt.from == "" && got != "" {
			t.Errorf("%v: %q, want %q", tt.port, got, tt.from)
		}
	}
}

func TestAdvise(t *testing.T) {
	p := SerialPort{Path: "/dev/ttyUSB0", Maker: "Nabu Casa", Name: "SkyConnect v1.0"}
	if g := p.Advise(spinel.Recognise([]byte("\x1a\xc1\x02\x0b\x0a\x52\x7e"))); !strings.HasPrefix(g.Advice, "flash OpenThread RCP firmware for this dongle: Home Assistant's") {
		t.Errorf("%v", g)
	}
	for _, g := range []spinel.Guess{spinel.Recognise(nil), spinel.RecogniseCaps([]spinel.Cap{spinel.CapMACRaw})} {
		if got := p.Advise(g); got != g {
			t.Errorf("%v became %v", g, got)
		}
	}
}
