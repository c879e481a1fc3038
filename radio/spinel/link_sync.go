package spinel

import (
	"fmt"
	"slices"

	"gatewayd/radio"
)

// The versions this host speaks.
const (
	protocolMajor = 4
	protocolMinor = 3
	hostAPI       = 11 // RCP API version
	oldestRCPAPI  = 4
)

const clockBurst = 3 // readings of the clock before an RCP counts as ready

// Identity is what an RCP says of itself.
type Identity struct {
	Major, Minor uint32 // Spinel protocol version
	Version      string // firmware
	Caps         []Cap
	// RCP API version and the oldest one of a host that it works with; 0 when
	// the RCP has no such thing.
	API, MinHostAPI uint32
	radio.Info
}

// Has reports whether the RCP has a capability.
func (id Identity) Has(c Cap) bool { return slices.Contains(id.Caps, c) }

// identify begins to learn what the RCP is. Nothing it was told before holds.
func (l *Link) identify(cause string) {
	l.enter(Syncing, cause)
	l.forget()
	l.id = Identity{}
	l.heard = l.clock.Now()
	l.get(PropProtocolVersion, func(v []byte, s Status) {
		r := NewReader(v, 0)
		l.id.Major, l.id.Minor = r.Packed("major version"), r.Packed("minor version")
		if err := r.Err(); err != nil {
			l.nonsense(PropProtocolVersion, s, err)
			return
		}
		if l.id.Major != protocolMajor && !l.cfg.SkipVersionCheck {
			l.unusable(fmt.Sprintf("it speaks Spinel %d.%d, this host %d.%d",
				l.id.Major, l.id.Minor, protocolMajor, protocolMinor))
		}
	})
	l.get(PropNCPVersion, func(v []byte, s Status) {
		r := NewReader(v, 0)
		l.id.Version = logText([]byte(r.String("version")))
		l.id.Info.Version = l.id.Version
		if err := r.Err(); err != nil {
			l.nonsense(PropNCPVersion, s, err)
		}
	})
	l.get(PropCaps, func(v []byte, s Status) {
		caps, err := DecodeCaps(v)
		if s != StatusOK || err != nil {
			l.nonsense(PropCaps, s, err)
			return
		}
		l.id.Caps = caps
		if !l.id.Has(CapMACRaw) {
			l.unusable(RecogniseCaps(caps).String())
			return
		}
		l.identifyRadio()
	})
}

// identifyRadio asks what only an RCP answers.
func (l *Link) identifyRadio() {
	l.get(PropHWAddr, func(v []byte, s Status) {
		r := NewReader(v, 0)
		l.id.EUI64 = r.ExtAddr("EUI-64")
		if err := r.Err(); err != nil {
			l.nonsense(PropHWAddr, s, err)
		}
	})
	if l.id.Has(CapRCPAPIVersion) {
		l.get(PropRCPAPIVersion, func(v []byte, s Status) {
			l.id.API = NewReader(v, 0).Packed("version")
			if s == StatusOK && l.id.API < oldestRCPAPI {
				l.notify(Event{Kind: EventWarning, Text: fmt.Sprintf(
					"the radio's firmware has RCP API version %d; older than %d is untested", l.id.API, oldestRCPAPI)})
			}
		})
	}
	if l.id.Has(CapRCPMinHostAPI) {
		l.get(PropRCPMinHostAPIVersion, func(v []byte, s Status) {
			l.id.MinHostAPI = NewReader(v, 0).Packed("version")
			if l.id.MinHostAPI > hostAPI && !l.cfg.SkipVersionCheck {
				l.unusable(fmt.Sprintf("its firmware wants a host with RCP API version %d, this host has %d",
					l.id.MinHostAPI, hostAPI))
			}
		})
	}
	l.get(PropPhyChanSupported, func(v []byte, s Status) {
		for _, c := range v {
			if c < 32 {
				l.id.Channels |= 1 << c
			}
		}
	})
	if l.id.Has(CapRCPLogCrashDump) {
		l.ask(&request{cmd: CmdSet, prop: PropRCPLogCrashDump}) // it answers by PropStreamLog
	}
	l.getByte(PropPhyRxSensitivity, func(v uint8) { l.id.RxSensitivity = int8(v) })
	l.getByte(PropRCPCSLAccuracy, func(v uint8) { l.id.CSLAccuracy = v })
	l.getByte(PropRCPCSLUncertainty, func(v uint8) { l.id.CSLUncertain = v })
	l.get(PropRadioCaps, func(v []byte, s Status) {
		r := NewReader(v, 0)
		l.id.Info.Caps = radio.Caps(r.Packed("radio capabilities"))
		if err := r.Err(); err != nil {
			l.nonsense(PropRadioCaps, s, err)
			return
		}
		l.told.identified = true
		l.reconcile()
	})
}

// getByte asks for something that not every RCP has.
func (l *Link) getByte(p Prop, set func(uint8)) {
	l.get(p, func(v []byte, s Status) {
		if len(v) > 0 {
			set(v[0])
		}
	})
}

// nonsense gives an RCP up that does not answer what it must: s is the status
// it gave instead, err why its value makes no sense.
func (l *Link) nonsense(p Prop, s Status, err error) {
	if s != StatusOK {
		l.lost(fmt.Sprintf("it will not tell %v: %v", p, s), false)
		return
	}
	l.malformed(p, err)
	l.lost(fmt.Sprintf("malformed %v", p), false)
}

// settled is called when nothing is left to be set: the radio is ready once
// its clock was read too.
func (l *Link) settled() {
	if l.state != Syncing {
		return
	}
	if l.readings < clockBurst {
		l.readClock()
		return
	}
	l.upSince = l.clock.Now()
	l.restarted = false
	l.enter(Ready, l.id.Version)
	if l.state != Ready {
		return // the owner closed it
	}
	l.probe.Start(l.cfg.ProbeInterval)
	l.id.Info.BusTime = l.cfg.BusTime + l.remote.rtt/2
	l.cfg.Handler.RadioUp(l.clock.Now(), l.id.Info)
}

// readClock asks for the RCP's clock. The argument makes the question as long
// as the answer, so that both take the same time.
func (l *Link) readClock() {
	if l.reading {
		return
	}
	l.reading = true
	r := &request{cmd: CmdGet, prop: PropRCPTimestamp, value: make([]byte, 8)}
	r.done = func(v []byte, s Status) {
		l.reading = false
		l.readings++
		rd := NewReader(v, 0)
		remote := rd.Uint64("timestamp")
		switch {
		case s != StatusOK || rd.Err() != nil:
			l.readings = clockBurst // it has none to tell
		case !r.retried: // else which of two questions this answers is not known
			l.remote.add(r.asked, l.clock.Now(), remote)
		}
		if l.remote.known {
			l.sync.Start(l.cfg.ClockInterval)
		}
		l.checkSettled()
	}
	l.ask(r)
}

// probeDue asks a silent RCP for a sign of life, and whether it still is what
// it was told to be: it might have been reset without our hearing of it.
func (l *Link) probeDue() {
	silent := l.clock.Now().Sub(l.heard)
	if silent < l.cfg.ProbeInterval {
		l.probe.Start(l.cfg.ProbeInterval - silent)
		return
	}
	l.probe.Start(l.cfg.ProbeInterval)
	told, ok := l.told.confirmed[setting{prop: PropMACPANID}]
	if !ok {
		l.get(PropProtocolVersion, nil)
		return
	}
	l.get(PropMACPANID, func(v []byte, s Status) {
		if now, ok := l.told.confirmed[setting{prop: PropMACPANID}]; !ok || now != told {
			return // changed meanwhile
		}
		if s == StatusOK && string(v) != told {
			l.lost("it has forgotten its settings", false)
		}
	})
}
