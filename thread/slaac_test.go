package thread

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/ip"
	"gatewayd/thread/netdata"
)

// Addresses come and go with the prefixes: those of prefixes that are gone stay
// for a while, deprecated, unless others need the room.
func TestSLAAC(t *testing.T) {
	clock := &alarm.Clock{}
	clock.Set(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	stack := ip.New(ip.Config{Clock: clock, Rand: rand.New(rand.NewPCG(1, 2))})
	s := slaac{ip: stack, clock: clock, enabled: true, secret: func() [32]byte { return [32]byte{1} }}
	s.timer = clock.NewTimer(s.expire)
	update := func(prefixes string) {
		var d netdata.Data
		for _, n := range strings.Fields(prefixes) {
			d.Prefixes = append(d.Prefixes, netdata.Prefix{
				Prefix: netip.MustParsePrefix("fd00:" + n + "::/64"),
				BorderRouters: []netdata.BorderRouter{{
					RLOC16: 0x0400, Flags: netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagOnMesh, Stable: true}}})
		}
		s.update(&d)
	}
	manual := netip.MustParseAddr("fd00:33::1")
	for _, step := range []struct {
		what string
		do   func()
		want string // prefixes of the addresses, deprecated ones in brackets
	}{
		{"two prefixes", func() { update("11 22") }, "11 22"},
		{"one is gone", func() { update("22") }, "(11) 22"},
		{"it is back", func() { update("22 11") }, "11 22"},
		{"one with an address already", func() {
			stack.Add(ip.Address{Addr: manual, Bits: 64, Preferred: true, Origin: ip.OriginManual})
			update("11 22 33")
		}, "11 22 =33"},
		{"without that address", func() { stack.Remove(manual); update("11 22 33") }, "11 22 33"},
		{"more than there is room for", func() { update("11 22 33 44 55") }, "11 22 33 44"},
		{"one less", func() { update("11 33 44 55") }, "11 33 44 55"},
		{"two gone", func() { update("44 55") }, "(11) (33) 44 55"},
		{"a new one", func() { update("44 55 66") }, "(33) 44 55 66"},
		{"later", func() { clock.Advance(clock.Now().Add(deprecateTime)) }, "44 55 66"},
		{"all", func() { s.clear() }, ""},
	} {
		step.do()
		var got []string
		for _, a := range stack.Addresses() {
			b := a.As16()
			p := fmt.Sprintf("%x", b[3])
			switch {
			case a.Origin == ip.OriginManual:
				p = "=" + p
			case !a.Preferred:
				p = "(" + p + ")"
			}
			got = append(got, p)
		}
		if g := strings.Join(got, " "); g != step.want {
			t.Errorf("%s: %s, want %s", step.what, g, step.want)
		}
	}
}
