package spinel

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gatewayd/radio/hdlc"
)

// Kind is what seems to be at the other end of a serial line.
type Kind uint8

// What can be told apart.
const (
	KindSilent     Kind = iota // nothing was received
	KindNoise                  // bytes without sense
	KindRCP                    // a Spinel RCP
	KindNCP                    // a Spinel co-processor with its own Thread stack
	KindSpinel                 // one or the other
	KindEZSP                   // Silicon Labs' Zigbee co-processor
	KindCPC                    // Silicon Labs' multiprotocol co-processor
	KindBootloader             // Silicon Labs' serial bootloader
	KindZNP                    // Texas Instruments' Zigbee co-processor
	KindCLI                    // a firmware with a command line
	KindText                   // a boot log or some other text
)

var kindNames = [...]string{"silent", "noise", "rcp", "ncp", "spinel", "ezsp", "cpc", "bootloader", "znp", "cli", "text"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Guess is what something looks like, and what to do about it.
type Guess struct {
	Kind   Kind
	Looks  string // a sentence
	Advice string // a sentence, or ""
}

func (g Guess) String() string {
	if g.Advice == "" {
		return g.Looks
	}
	return g.Looks + "; " + g.Advice
}

const flashRCP = "flash OpenThread RCP firmware for this dongle"

var guesses = map[Kind]Guess{
	KindSilent: {Looks: "nothing answers",
		Advice: "check that this is the right device, that it is flashed with RCP firmware, its baud rate and its flow control"},
	KindNoise: {Looks: "what it sends makes no sense",
		Advice: "the baud rate is probably wrong"},
	KindRCP: {Looks: "it is an OpenThread RCP"},
	KindNCP: {Looks: "it is an OpenThread NCP, which runs a Thread stack of its own",
		Advice: flashRCP},
	KindSpinel: {Looks: "it speaks Spinel"},
	KindEZSP: {Looks: "it looks like Silicon Labs Zigbee (EZSP) firmware",
		Advice: flashRCP},
	KindCPC: {Looks: "it looks like Silicon Labs multiprotocol (CPC) firmware",
		Advice: "flash OpenThread RCP firmware without multiprotocol support, or stop the CPC daemon's co-processor from being used here"},
	KindBootloader: {Looks: "it is in the Silicon Labs (Gecko) bootloader",
		Advice: "it has no application to start or was told to stay there: " + flashRCP},
	KindZNP: {Looks: "it looks like Texas Instruments Zigbee (ZNP) firmware",
		Advice: flashRCP},
	KindCLI: {Looks: "it has a command line, not an RCP's interface",
		Advice: "it is probably an OpenThread CLI or a shell build: " + flashRCP},
	KindText: {Looks: "it sends text, such as a boot log",
		Advice: "the firmware's console is on this port, or it is restarting over and over"},
}

func guess(k Kind) Guess {
	g := guesses[k]
	g.Kind = k
	return g
}

// RecogniseCaps tells an RCP from an NCP by its capabilities.
func RecogniseCaps(caps []Cap) Guess {
	switch {
	case slices.Contains(caps, CapMACRaw):
		return guess(KindRCP)
	case slices.Contains(caps, CapConfigFTD), slices.Contains(caps, CapConfigMTD):
		return guess(KindNCP)
	}
	g := guess(KindSpinel)
	g.Looks += " but has no raw 802.15.4 interface"
	g.Advice = flashRCP
	return g
}

// Recognise tells what is at the other end of a serial line from the first
// bytes that it sent, some hundreds at most. Binary protocols are told by
// their checksums, so that noise is not taken for one of them.
func Recognise(first []byte) Guess {
	if len(first) == 0 {
		return guess(KindSilent)
	}
	if g, ok := recogniseText(first); ok {
		return g
	}
	var d hdlc.Decoder
	for f := range d.Frames(first) {
		if _, err := DecodeFrame(f); err == nil {
			return guess(KindSpinel)
		}
	}
	switch {
	case hasASH(first):
		return guess(KindEZSP)
	case hasCPC(first):
		return guess(KindCPC)
	case hasZNP(first):
		return guess(KindZNP)
	}
	return guess(KindNoise)
}

// texts are what certain firmwares print.
var texts = []struct {
	has  string
	kind Kind
	what string
}{
	{"Gecko Bootloader", KindBootloader, ""},
	{"BL >", KindBootloader, ""},
	{"ESP-ROM:", KindText, "the boot log of an Espressif chip"},
	{"rst:0x", KindText, "the boot log of an Espressif chip"},
	{"uart:~$", KindCLI, "a Zephyr shell"},
	{"Booting Zephyr", KindText, "the boot log of a Zephyr firmware"},
	{"InvalidCommand", KindCLI, "an OpenThread command line"},
	{"OpenThread", KindCLI, "an OpenThread command line"},
}

func recogniseText(b []byte) (Guess, bool) {
	for _, t := range texts {
		if bytes.Contains(b, []byte(t.has)) {
			g := guess(t.kind)
			if t.what != "" {
				g.Looks = "it sends " + t.what
			}
			return g, true
		}
	}
	printable := 0
	for _, c := range b {
		if c == '\r' || c == '\n' || c == '\t' || c == 0x1b || ' ' <= c && c < 0x7f {
			printable++
		}
	}
	if len(b) < 8 || printable*10 < len(b)*9 {
		return Guess{}, false
	}
	g := guess(KindText)
	line, _, _ := strings.Cut(strings.TrimLeft(string(b), "\r\n"), "\n")
	g.Looks = fmt.Sprintf("it sends text: %q", logText([]byte(line)[:min(len(line), 60)]))
	return g, true
}

// hasASH looks for a frame of ASH, the framing of EZSP (Silicon Labs UG101):
// flag 7e, escape 7d, CRC-16 with its most significant byte first. 1a cancels
// what came before it.
func hasASH(b []byte) bool {
	for frame := range bytes.SplitSeq(b, []byte{0x7e}) {
		if i := bytes.LastIndexByte(frame, 0x1a); i >= 0 {
			frame = frame[i+1:]
		}
		var raw []byte
		escaped := false
		for _, c := range frame {
			switch {
			case escaped:
				raw, escaped = append(raw, c^0x20), false
			case c == 0x7d:
				escaped = true
			default:
				raw = append(raw, c)
			}
		}
		n := len(raw) - 2
		if n >= 1 && crc16(0xffff, raw[:n]) == uint16(raw[n])<<8|uint16(raw[n+1]) {
			return true
		}
	}
	return false
}

// hasCPC looks for a CPC header: flag 14, address, length, control, and the
// CRC-16 of these, least significant byte first.
func hasCPC(b []byte) bool {
	for i := range b {
		h := b[i:]
		if len(h) < 7 {
			return false
		}
		if h[0] == 0x14 && crc16(0, h[:5]) == uint16(h[5])|uint16(h[6])<<8 {
			return true
		}
	}
	return false
}

// crc16 is the CRC with polynomial 0x1021, most significant bit first.
func crc16(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// hasZNP looks for a frame of TI's monitor-and-test interface: fe, length, two
// bytes of command, data, and the exclusive or of all but fe.
func hasZNP(b []byte) bool {
	for i, c := range b {
		if c != 0xfe || len(b)-i < 5 {
			continue
		}
		body := b[i+1:]
		end := 3 + int(body[0])
		if end >= len(body) {
			continue
		}
		var sum byte
		for _, c := range body[:end] {
			sum ^= c
		}
		if sum == body[end] {
			return true
		}
	}
	return false
}
