package thread_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"gatewayd/internal/capture"
	"gatewayd/thread/diag"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/tmf"
)

// answers are the kinds of messages that answer another, and how many of them
// the recordings hold. Two are package joining's to test: the answers to c/je,
// which need the keys of a joiner's session, and c/tx, which carries the session
// and of which only the beginning is to be had here.
var answers = map[string]int{
	mle.ParentResponse.String():         35,
	mle.ChildIDResponse.String():        30,
	mle.ChildUpdateResponse.String():    11,
	mle.DataResponse.String():           4, // those that are for one device
	mle.LinkAccept.String():             1,
	mle.LinkAcceptAndRequest.String():   1,
	mle.DiscoveryResponse.String():      7,
	tmf.AddressNotify:                   17, // to a/aq
	tmf.DiagnosticGetAnswer:             1,  // to d/dq
	tmf.RelayReceive:                    10, // to the datagrams of joiners
	tmf.AddressNotify + " answer":       17,
	tmf.AddressSolicit + " answer":      21,
	tmf.ServerData + " answer":          2,
	tmf.ActiveGet + " answer":           1,
	tmf.ActiveSet + " answer":           1,
	tmf.PendingSet + " answer":          2,
	tmf.CommissionerGet + " answer":     1,
	tmf.CommissionerSet + " answer":     2,
	tmf.LeaderPetition + " answer":      1,
	tmf.LeaderKeepAlive + " answer":     1,
	tmf.DiagnosticGet + " answer":       3,
	tmf.DiagnosticReset + " answer":     1,
	tmf.DiagnosticGetAnswer + " answer": 1,
}

// alike are kinds of messages that a node sends by itself. When it does depends
// on more than what it was told; what is in it has the same TLVs.
var alike = []string{mle.Advertisement.String(), mle.ParentRequest.String(), mle.ChildIDRequest.String(), mle.LinkRequest.String(),
	mle.DataRequest.String(), mle.DiscoveryRequest.String(), tmf.AddressSolicit, tmf.AddressQuery, tmf.ServerData, tmf.ActiveSet,
	tmf.PendingSet, tmf.CommissionerGet, tmf.CommissionerSet, tmf.LeaderPetition, tmf.LeaderKeepAlive, tmf.DiagnosticGet,
	tmf.DiagnosticReset, tmf.JoinerEntrust, tmf.RelayTransmit}

// A tally counts the messages of a kind: how many are recorded, how many our
// node said, and how many of these had the same TLVs, in the same order, with
// the same values.
type tally struct{ seen, said, types, order, values int }

// In the place of every node of every recording a node of ours, told what that
// one was told, answers with the same TLVs.
func TestRecordedAnswers(t *testing.T) {
	all, err := capture.LoadAll("../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	tallies := map[string]*tally{}
	var raw, adapted int
	for _, c := range all {
		for _, who := range c.Nodes {
			p := newReplay(t, c, who)
			p.run()
			raw, adapted = raw+p.raw, adapted+p.adapted
			for _, x := range p.pairs {
				kind, must := x.recorded.kind, answers[x.recorded.kind] > 0
				if x.recorded.dst.IsMulticast() && kind == mle.DataResponse.String() {
					kind, must = kind+" to all", false
				}
				if tallies[kind] == nil {
					tallies[kind] = &tally{}
				}
				why := tallies[kind].compare(x)
				if must && why != "" {
					t.Errorf("%s, %s to %v: %s", c.Name, who.Name, x.recorded.dst, why)
				}
			}
		}
	}
	for kind, n := range answers {
		if tallies[kind] == nil || tallies[kind].seen != n {
			t.Errorf("%s: %+v, there are %d", kind, tallies[kind], n)
		}
	}
	for _, kind := range alike {
		if s := tallies[kind]; s == nil || s.said == 0 || s.types != s.said {
			t.Errorf("%s: %+v", kind, s)
		}
	}
	t.Logf("%d messages told as recorded, %d with what is our node's in place of the recorded one's", raw, adapted)
	table := func(title string, want bool) {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%s\trecorded\tsaid\tTLVs equal\torder equal\tvalues equal\n", title)
		var kinds []string
		for k := range tallies {
			if answers[k] > 0 == want {
				kinds = append(kinds, k)
			}
		}
		slices.Sort(kinds)
		for _, k := range kinds {
			s := tallies[k]
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", k, s.seen, s.said, s.types, s.order, s.values)
		}
		w.Flush()
		t.Log("\n" + b.String())
	}
	table("answer", true)
	table("other message", false)
}

// compare counts a pair, and says how ours differs from the recorded one.
func (s *tally) compare(x pair) (why string) {
	s.seen++
	if x.ours == nil {
		return x.recorded.kind + ": nothing was said"
	}
	s.said++
	was, is := x.recorded.tlvs(), x.ours.tlvs()
	wasTypes, isTypes := typesOf(was), typesOf(is)
	if slices.Equal(wasTypes, isTypes) {
		s.order++
	}
	slices.Sort(wasTypes)
	slices.Sort(isTypes)
	if !slices.Equal(wasTypes, isTypes) {
		return fmt.Sprintf("%s: TLVs %v, recorded %v", x.recorded.kind, isTypes, wasTypes)
	}
	s.types++
	if to := x.recorded.dst; to != x.ours.dst && !to.IsMulticast() {
		return fmt.Sprintf("%s: sent to %v, recorded %v", x.recorded.kind, x.ours.dst, to)
	}
	if x.recorded.coap.Code != x.ours.coap.Code {
		return fmt.Sprintf("%s: %v, recorded %v", x.recorded.kind, x.ours.coap.Code, x.recorded.coap.Code)
	}
	for _, v := range was {
		i := slices.IndexFunc(is, func(o meshcop.TLV) bool { return o.Type == v.Type })
		a, b := determined(x.recorded, v), determined(x.recorded, is[i])
		if !bytes.Equal(a, b) {
			return fmt.Sprintf("%s: TLV %d is %x, recorded %x", x.recorded.kind, v.Type, is[i].Value, v.Value)
		}
	}
	s.values++
	return ""
}

// determined is a TLV's value without what may differ between two nodes in the
// same situation, which is all here.
func determined(m *message, t meshcop.TLV) []byte {
	b := slices.Clone(t.Value)
	free := func(from, to int) { clear(b[min(from, len(b)):min(to, len(b))]) }
	if m.isMLE {
		switch mle.Type(t.Type) {
		case mle.TypeChallenge, mle.TypeLinkCounter, mle.TypeMLECounter: // random, or a count
			free(0, len(b))
		case mle.TypeLeaderData:
			free(5, 7) // the versions begin at random
		case mle.TypeConnectivity:
			free(5, 6) // the router id sequence too
		case mle.TypeRoute:
			free(0, 1)
		case mle.TypeCSLAccuracy: // the radio's
			free(0, len(b))
		case mle.TypeNetworkData:
			b = withoutSession(b)
		case mle.TypePendingDataset, mle.TypeActiveDataset:
			b = inOrder(b, meshcop.TypeDelayTimer)
		case mle.TypeDiscovery:
			// The recorded one has a Border Agent.
			b = inOrder(b, meshcop.TypeCommissionerUDPPort)
			if i := bytes.Index(b, []byte{byte(meshcop.TypeDiscoveryResponse), 2}); i >= 0 {
				b[i+2] &^= 0x08
			}
		}
		return b
	}
	switch path, _, _ := strings.Cut(m.kind, " "); {
	case path == tmf.AddressSolicit && tmf.Type(t.Type) == tmf.RouterMask:
		free(0, 1) // the router id sequence
	case path == tmf.AddressNotify && tmf.Type(t.Type) == tmf.LastTransaction:
		free(0, len(b)) // a time
	case strings.HasPrefix(path, "c/") && t.Type == meshcop.TypeCommissionerSessionID:
		free(0, len(b)) // random
	case path == tmf.DiagnosticGet || path == tmf.DiagnosticGetAnswer:
		switch diag.Type(t.Type) {
		case diag.TypeLeaderData:
			free(5, 7)
		case diag.TypeConnectivity:
			free(5, 6)
		case diag.TypeRoute:
			free(0, 1)
		case diag.TypeNetworkData:
			b = withoutSession(b)
		case diag.TypeMACCounters:
			free(0, len(b))
		case diag.TypeStackVersion:
			return nil
		}
	}
	return b
}

// withoutSession is network data without the commissioner's session id, which
// is random.
func withoutSession(b []byte) []byte {
	const commissioning = 4
	for t := range meshcop.TLVs(b).All() {
		if t.Type>>1 == commissioning {
			if v, ok := meshcop.TLVs(t.Value).Find(meshcop.TypeCommissionerSessionID); ok {
				clear(v)
			}
		}
	}
	return b
}

// inOrder is a sequence of TLVs in the order of their types, without one of
// them but for its length.
func inOrder(b []byte, without meshcop.Type) []byte {
	var all [][]byte
	for t := range meshcop.TLVs(b).All() {
		if t.Type == without {
			continue
		}
		all = append(all, append([]byte{byte(t.Type), byte(len(t.Value))}, t.Value...))
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

func (m *message) tlvs() (all []meshcop.TLV) {
	if m.isMLE {
		for t := range m.mle.TLVs.All() {
			all = append(all, meshcop.TLV{Type: meshcop.Type(t.Type), Value: t.Value})
		}
		return all
	}
	for t := range meshcop.TLVs(m.coap.Payload).All() {
		all = append(all, t)
	}
	return all
}

func typesOf(all []meshcop.TLV) (types []int) {
	for _, t := range all {
		types = append(types, int(t.Type))
	}
	return types
}
