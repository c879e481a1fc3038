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
	KindDeconz                 // dresden elektronik's Zigbee co-processor
	KindZiGate                 // a ZiGate
	KindCLI                    // a firmware with a command line
	KindText                   // a boot log or some other text
)

var kindNames = [...]string{"silent", "noise", "rcp", "ncp", "spinel", "ezsp", "cpc", "bootloader", "znp", "deconz", "zigate", "cli", "text"}

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
	KindDeconz: {Looks: "it looks like dresden elektronik Zigbee (deCONZ) firmware",
		Advice: flashRCP + ", if there is one"},
	KindZiGate: {Looks: "it looks like a ZiGate, with Zigbee firmware",
		Advice: "there is no OpenThread RCP firmware for it: use another dongle"},
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
	case hasDeconz(first):
		return guess(KindDeconz)
	case hasZiGate(first):
		return guess(KindZiGate)
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
