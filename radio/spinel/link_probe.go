package spinel

import (
	"encoding/binary"
	"slices"

	"gatewayd/radio"
)

// setProbes tells the RCP which neighbours' frames its enhanced
// acknowledgements report on, and whose no more.
func (l *Link) setProbes() {
	for _, p := range slices.Clone(l.told.probes) {
		if !slices.ContainsFunc(l.want.Probes, func(w radio.Probe) bool { return w.Ext == p.Ext }) {
			p.Metrics = 0
			l.setProbe(p)
		}
	}
	for _, p := range l.want.Probes {
		if !slices.Contains(l.told.probes, p) {
			l.setProbe(p)
		}
	}
}

func (l *Link) setProbe(p radio.Probe) {
	l.told.probes = slices.DeleteFunc(l.told.probes, func(q radio.Probe) bool { return q.Ext == p.Ext })
	if p.Metrics != 0 {
		l.told.probes = append(l.told.probes, p)
	}
	value := append(append(binary.LittleEndian.AppendUint16(nil, p.Short), p.Ext[:]...), byte(p.Metrics))
	l.ask(&request{cmd: CmdSet, prop: PropRCPEnhAckProbing, value: value, setting: true,
		done: func(_ []byte, s Status) {
			if s != StatusOK {
				l.refused(PropRCPEnhAckProbing, s)
			}
			l.checkSettled()
		}})
}
