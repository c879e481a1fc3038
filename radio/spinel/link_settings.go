package spinel

import (
	"encoding/binary"
	"slices"
	"time"

	"gatewayd/radio"
)

// setting is a property that is set, and which of its parts if it has several.
type setting struct {
	prop Prop
	part uint8
}

// settings is what the RCP was told since it was last reset.
type settings struct {
	identified bool // what it is, is known
	dirty      bool // reconcile again when all is answered
	deferred   bool // reconcile again when the frame or scan is done
	asked      map[setting]string
	confirmed  map[setting]string
	short, ext matchTable
	probes     []radio.Probe

	// counterKey is the key that counters were used with, up to used-1, as far
	// as the RCP has said. They outlast resets.
	counterKey [16]byte
	used       uint32
}

// forget is for after a reset.
func (s *settings) forget() {
	s.identified, s.dirty, s.deferred = false, false, false
	s.probes = nil
	s.asked = make(map[setting]string)
	s.confirmed = make(map[setting]string)
	s.short = matchTable{prop: PropMACSrcMatchShort, capacity: unlimited, removes: true}
	s.ext = matchTable{prop: PropMACSrcMatchExt, capacity: unlimited}
}

// Configure says what the radio is to be. It takes effect as soon as there is
// an RCP, and again whenever the RCP was reset.
func (l *Link) Configure(now time.Time, s radio.Settings) {
	l.clock.Set(now)
	s.SourceMatchShort = slices.Clone(s.SourceMatchShort)
	s.SourceMatchExt = slices.Clone(s.SourceMatchExt)
	s.Probes = slices.Clone(s.Probes)
	l.want = s
	l.reconcile()
}

// reconcile sends the difference between what the RCP was told and what it is
// to be. PHY_ENABLED comes first because RCPs refuse the rest without it, the
// stream last, so that nothing is received with half of the settings.
func (l *Link) reconcile() {
	if !l.told.identified || l.state != Syncing && l.state != Ready {
		return
	}
	want := &l.want
	on := setting{prop: PropPhyEnabled}
	if !want.Enabled {
		if l.told.asked[on] != "\x00" {
			l.told.forget()
			l.told.identified = true
			l.set(on, "\x00", false)
		}
		l.checkSettled()
		return
	}
	l.set(on, "\x01", true)
	l.tune()
	l.setKeys()
	le := binary.LittleEndian
	pan, panID := setting{prop: PropMACPANID}, string(le.AppendUint16(nil, want.PANID))
	if l.told.asked[pan] != panID {
		l.told.short.outdated()
		l.told.ext.outdated()
	}
	l.set(pan, panID, true)
	l.setMatch()
	l.set(setting{prop: PropMACShortAddr}, string(le.AppendUint16(nil, want.Short)), true)
	if l.id.Info.Caps.Has(radio.CapAltShort) {
		l.set(setting{prop: PropMACAltShortAddr}, string(le.AppendUint16(nil, want.AltShort)), false)
	}
	l.set(setting{prop: PropMACLongAddr}, string(want.Ext[:]), true)
	l.set(setting{prop: PropMACPromiscuousMode}, boolString(want.Promiscuous), false)
	if l.id.Info.Caps.Has(radio.CapRxOnWhenIdle) {
		l.set(setting{prop: PropMACRxOnWhenIdleMode}, boolString(want.Receiving), false)
	}
	l.setProbes()
	// An RCP that sends or scans is about to return to its channel by itself.
	l.told.deferred = l.tx.sent || l.scan.active
	if !l.told.deferred {
		if want.Channel != 0 {
			l.set(setting{prop: PropPhyChan}, string([]byte{want.Channel}), true)
		}
		l.set(setting{prop: PropMACRawStreamEnabled}, boolString(want.Receiving), true)
	}
	l.checkSettled()
}

func boolString(v bool) string { return string(AppendBool(nil, v)) }

// checkSettled goes on when nothing is left to be set.
func (l *Link) checkSettled() {
	switch {
	case !l.told.identified || l.requests.settings > 0:
	case l.told.dirty:
		l.told.dirty = false
		l.reconcile()
	default:
		l.settled()
	}
}

// set sets a property unless it is as it should be. If the RCP refuses a vital
// one, it is no use until it is reset.
func (l *Link) set(what setting, value string, vital bool) {
	if asked, ok := l.told.asked[what]; ok && asked == value {
		return
	}
	l.told.asked[what] = value
	delete(l.told.confirmed, what)
	l.ask(&request{cmd: CmdSet, prop: what.prop, value: []byte(value), setting: true,
		done: func(_ []byte, s Status) {
			switch {
			case s == StatusOK:
				if l.told.asked[what] == value {
					l.told.confirmed[what] = value
				}
			case vital && s != StatusInvalidArgument:
				l.refused(what.prop, s)
				l.lost("it refused "+what.prop.String()+": "+s.String(), false)
				return
			default:
				l.refused(what.prop, s)
			}
			l.checkSettled()
		}})
}

func (l *Link) refused(p Prop, s Status) {
	l.notify(Event{Kind: EventRefused, Prop: p, Status: s})
}

// tune sends what the site decided.
func (l *Link) tune() {
	t := &l.cfg.Tuning
	if len(t.Region) == 2 {
		code := uint16(t.Region[0])<<8 | uint16(t.Region[1])
		l.set(setting{prop: PropPhyRegionCode}, string(binary.LittleEndian.AppendUint16(nil, code)), false)
	}
	if t.CCAThreshold != nil {
		l.set(setting{prop: PropPhyCCAThreshold}, string([]byte{byte(*t.CCAThreshold)}), false)
	}
	if t.FEMLNAGain != nil {
		l.set(setting{prop: PropPhyFEMLNAGain}, string([]byte{byte(*t.FEMLNAGain)}), false)
	}
	if t.Coex != nil {
		l.set(setting{prop: PropRadioCoexEnable}, boolString(*t.Coex), false)
	}
	if len(t.MaxPower) == 0 {
		return
	}
	n := 0
	for c := range uint8(32) {
		if l.id.Channels&(1<<c) != 0 {
			limit := t.MaxPower[min(n, len(t.MaxPower)-1)]
			l.set(setting{PropPhyChanMaxPower, c}, string([]byte{c, byte(limit)}), false)
			n++
		}
	}
}

// setKeys sends the MAC keys, and with new ones the frame counter to begin
// with. The key goes first: the other way around, the RCP could acknowledge
// with the old key and a counter that was used with it before.
func (l *Link) setKeys() {
	k := l.want.Keys
	if k.Index == 0 || !l.id.Info.Caps.Has(radio.CapTransmitSecurity) {
		return
	}
	what := setting{prop: PropRCPMACKey}
	value := string(MACKeys(k).Append(nil))
	if asked, ok := l.told.asked[what]; ok && asked == value {
		if l.want.CounterFloor > l.told.used {
			// "Set only if it is higher".
			l.set(setting{prop: PropRCPMACFrameCounter},
				string(AppendBool(binary.LittleEndian.AppendUint32(nil, l.want.CounterFloor), true)), true)
		}
		return
	}
	if k.Current != l.told.counterKey {
		l.told.counterKey, l.told.used = k.Current, 0
	}
	counter := binary.LittleEndian.AppendUint32(nil, max(l.want.FrameCounter, l.told.used))
	delete(l.told.asked, setting{prop: PropRCPMACFrameCounter})
	l.set(what, value, true)
	// "Set even if it is lower": a new key begins anew.
	l.set(setting{prop: PropRCPMACFrameCounter}, string(AppendBool(counter, false)), true)
}

// counterUsed notes a frame counter that the RCP says it used.
func (l *Link) counterUsed(keyIndex uint8, counter uint32) {
	if keyIndex == l.want.Keys.Index && l.want.Keys.Current == l.told.counterKey && counter >= l.told.used && counter < 0xffffffff {
		l.told.used = counter + 1
	}
}
