package spinel

import (
	"encoding/binary"
	"slices"
)

const (
	unlimited = int(^uint(0) >> 1)
	// maxMatchSet is how many bytes of addresses are set at once; RCPs have
	// small receive buffers. The rest is inserted one by one.
	maxMatchSet = 256
)

// matchTable is one of the RCP's two tables of addresses to acknowledge with
// the frame-pending bit.
type matchTable struct {
	prop     Prop
	removes  bool // single entries can be removed safely
	known    bool // have is what the table holds
	noSet    bool // the RCP refused to set the whole table
	have     []string
	capacity int // what fitted when it was full, or unlimited
}

// full reports whether not all of want fits. Source matching is off then:
// better to keep a child awake in vain than not to tell it of its frames.
func (t *matchTable) full(want []string) bool { return len(want) > t.capacity }

// outdated is for when the PAN ID is about to change: RCPs keep a hash of the
// address and the PAN ID at the time, so entries must be made anew.
func (t *matchTable) outdated() {
	if len(t.have) > 0 {
		t.known = false
	}
}

// setMatch brings the RCP's tables and the use of them up to date.
func (l *Link) setMatch() {
	var short, ext []string
	if l.want.SourceMatch {
		for _, a := range l.want.SourceMatchShort {
			short = append(short, string(binary.LittleEndian.AppendUint16(nil, a)))
		}
		for _, a := range l.want.SourceMatchExt {
			ext = append(ext, string(a[:]))
		}
	}
	short, ext = unique(short), unique(ext)
	on := setting{prop: PropMACSrcMatchEnabled}
	if !l.want.SourceMatch || l.told.short.full(short) || l.told.ext.full(ext) {
		l.set(on, "\x00", false)
	}
	l.updateMatch(&l.told.short, short)
	l.updateMatch(&l.told.ext, ext)
	if l.want.SourceMatch && !l.told.short.full(short) && !l.told.ext.full(ext) {
		l.set(on, "\x01", false)
	}
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// updateMatch makes the RCP's table hold want, or as much of it as fits.
func (l *Link) updateMatch(t *matchTable, want []string) {
	want = want[:min(len(want), t.capacity)]
	isWanted := func(a string) bool { return slices.Contains(want, a) }
	gone := slices.ContainsFunc(t.have, func(a string) bool { return !isWanted(a) })
	switch {
	case !t.known, gone && !t.removes:
		l.setTable(t, want)
	case gone:
		for _, a := range slices.Clone(t.have) {
			if !isWanted(a) {
				l.changeTable(t, CmdRemove, a)
			}
		}
	}
	for _, a := range want {
		if !slices.Contains(t.have, a) {
			l.changeTable(t, CmdInsert, a)
		}
	}
}

// setTable sets the whole table, or the first part of a long one.
func (l *Link) setTable(t *matchTable, want []string) {
	var value []byte
	t.have = nil
	if !t.noSet {
		for _, a := range want {
			if len(value)+len(a) > maxMatchSet {
				break
			}
			value = append(value, a...)
			t.have = append(t.have, a)
		}
	}
	t.known = true
	l.ask(&request{cmd: CmdSet, prop: t.prop, value: value, setting: true,
		done: func(_ []byte, s Status) {
			switch {
			case s == StatusOK:
			case len(value) > 0:
				// It may have stopped half-way: empty it, then insert.
				t.noSet, t.known, l.told.dirty = true, false, true
				l.refused(t.prop, s)
			default:
				// No such table. Without it all are told that there is more.
				t.capacity, l.told.dirty = 0, true
				l.refused(t.prop, s)
			}
			l.checkSettled()
		}})
}

// changeTable inserts or removes one entry.
func (l *Link) changeTable(t *matchTable, cmd Command, a string) {
	if cmd == CmdInsert {
		t.have = append(t.have, a)
	} else {
		t.have = slices.DeleteFunc(t.have, func(b string) bool { return a == b })
	}
	l.ask(&request{cmd: cmd, prop: t.prop, value: []byte(a), setting: true,
		done: func(_ []byte, s Status) {
			switch {
			case s == StatusOK || cmd == CmdInsert && s == StatusAlready:
			case cmd == CmdInsert:
				t.have = slices.DeleteFunc(t.have, func(b string) bool { return a == b })
				t.capacity, l.told.dirty = min(t.capacity, len(t.have)), true
				l.refused(t.prop, s)
			default:
				t.known, l.told.dirty = false, true // it holds something else than we think
				l.refused(t.prop, s)
			}
			l.checkSettled()
		}})
}
