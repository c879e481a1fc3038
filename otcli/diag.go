package otcli

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatewayd/thread/diag"
	"gatewayd/thread/neighbor"
)

const (
	diagnosticTimeout = 5 * time.Second
	maxDiagnostics    = 35 // types in one command
)

// networkDiagnostic is
//
//	networkdiagnostic get address [type...]
//	networkdiagnostic reset address [type...]
func networkDiagnostic(c *CLI, args []string) error {
	to, err := parseAddr(word(args, 1))
	if err != nil {
		return err
	}
	types := []diag.Type{}
	for _, s := range args[2:] {
		t, err := parseUint(s, 8)
		if err != nil || len(types) == maxDiagnostics {
			return InvalidArgs
		}
		types = append(types, diag.Type(t))
	}
	switch {
	case args[0] == "get" && to.IsMulticast():
		_, err = c.node.Diag().Query(to, types, diagnosticTimeout, c.showReport, func() { c.finish(nil) })
	case args[0] == "get":
		err = c.getDiagnostic(func(done func(diag.Report, error)) error {
			_, err := c.node.Diag().Get(to, types, done)
			return err
		})
	case args[0] == "reset":
		_ = c.node.Diag().Reset(to, types, nil) // nor does OpenThread say what came of it
		return nil
	default:
		return InvalidCommand
	}
	if err != nil {
		return err
	}
	return Pending
}

// getDiagnostic waits for a report. The command ends with it or, since there
// may be none, after a while; a late one is shown all the same.
func (c *CLI) getDiagnostic(get func(done func(diag.Report, error)) error) error {
	over := false
	end := func() {
		if !over {
			over = true
			c.finish(nil)
		}
	}
	timer := c.node.Clock().NewTimer(end)
	err := get(func(r diag.Report, err error) {
		if err == nil {
			c.showReport(r)
		}
		timer.Stop()
		end()
	})
	if err == nil {
		timer.Start(diagnosticTimeout)
	}
	return err
}

// showReport shows a report and its TLVs, which are lists and maps as in YAML.
func (c *CLI) showReport(r diag.Report) {
	c.line("DIAG_GET.rsp/ans from %s: %s", address(r.From), hex.EncodeToString(r.Payload))
	for _, v := range r.Values {
		c.showDiagnostic(v)
	}
}

var textTitles = map[diag.Type]string{
	diag.TypeVendorName: "Vendor Name", diag.TypeVendorModel: "Vendor Model", diag.TypeVendorVersion: "Vendor SW Version",
	diag.TypeVendorAppURL: "Vendor App URL", diag.TypeStackVersion: "Thread Stack Version",
}

func (c *CLI) showDiagnostic(v diag.Value) {
	switch v := v.(type) {
	case diag.ExtAddress:
		c.line("Ext Address: %x", v[:])
	case diag.Address16:
		c.line("Rloc16: 0x%04x", uint16(v))
	case diag.Mode:
		c.line("Mode:")
		c.showMode(indent, neighbor.Mode(v))
	case diag.PollTimeout:
		c.line("Timeout: %d", time.Duration(v)/time.Second)
	case diag.Connectivity:
		c.showConnectivity(v)
	case diag.Route:
		c.showRoute(v)
	case diag.LeaderData:
		c.line("Leader Data:")
		c.line(indent+"PartitionId: 0x%08x", v.Partition)
		c.line(indent+"Weighting: %d", v.Weight)
		c.line(indent+"DataVersion: %d", v.DataVersion)
		c.line(indent+"StableDataVersion: %d", v.StableVersion)
		c.line(indent+"LeaderRouterId: 0x%02x", v.LeaderID)
	case diag.NetworkData:
		c.line("Network Data: %x", []byte(v))
	case diag.Addresses:
		c.line("IP6 Address List:")
		for _, a := range v {
			c.line(indent+"- %s", address(a))
		}
	case diag.MACCounters:
		c.line("MAC Counters:")
		c.showCounters(indent, []counter{
			{"IfInUnknownProtos", v.InUnknownProtos}, {"IfInErrors", v.InErrors}, {"IfOutErrors", v.OutErrors},
			{"IfInUcastPkts", v.InUnicast}, {"IfInBroadcastPkts", v.InBroadcast}, {"IfInDiscards", v.InDiscards},
			{"IfOutUcastPkts", v.OutUnicast}, {"IfOutBroadcastPkts", v.OutBroadcast}, {"IfOutDiscards", v.OutDiscards},
		})
	case diag.MLECounters:
		c.showDiagnosticMLE(v)
	case diag.BatteryLevel:
		c.line("Battery Level: %d%%", uint8(v))
	case diag.SupplyVoltage:
		c.line("Supply Voltage: %dmV", uint16(v))
	case diag.ChildTable:
		c.showDiagnosticChildren(v)
	case diag.ChannelPages:
		c.line("Channel Pages: '%x'", []byte(v))
	case diag.MaxChildTimeout:
		c.line("Max Child Timeout: %d", time.Duration(v)/time.Second)
	case diag.EUI64:
		c.line("EUI64: %x", v[:])
	case diag.Text:
		c.line("%s: %s", textTitles[v.Kind], printable(v.Text))
	}
}

func (c *CLI) showMode(indent string, m neighbor.Mode) {
	c.line(indent+"RxOnWhenIdle: %d", bit(m.RxOnWhenIdle()))
	c.line(indent+"DeviceType: %d", bit(m.FullThread()))
	c.line(indent+"NetworkData: %d", bit(m.FullNetworkData()))
}

func (c *CLI) showConnectivity(v diag.Connectivity) {
	c.line("Connectivity:")
	c.line(indent+"ParentPriority: %d", v.Priority)
	for lq := 3; lq > 0; lq-- {
		c.line(indent+"LinkQuality%d: %d", lq, v.LinkQuality[lq])
	}
	c.line(indent+"LeaderCost: %d", v.LeaderCost)
	c.line(indent+"IdSequence: %d", v.IDSequence)
	c.line(indent+"ActiveRouters: %d", v.ActiveRouters)
	c.line(indent+"SedBufferSize: %d", v.SEDBuffer)
	c.line(indent+"SedDatagramCount: %d", v.SEDDatagrams)
}

func (c *CLI) showRoute(v diag.Route) {
	c.line("Route:")
	c.line(indent+"IdSequence: %d", v.Sequence)
	c.line(indent + "RouteData:")
	for id, e := range v.Entries {
		if !v.Has(uint8(id)) {
			continue
		}
		c.line(indent+indent+"- RouteId: 0x%02x", id)
		c.line(indent+indent+"  LinkQualityOut: %d", e.Out)
		c.line(indent+indent+"  LinkQualityIn: %d", e.In)
		c.line(indent+indent+"  RouteCost: %d", e.Cost)
	}
}

func (c *CLI) showDiagnosticChildren(t diag.ChildTable) {
	c.line("Child Table:")
	for _, x := range t {
		c.line(indent+"- ChildId: 0x%04x", x.ID)
		c.line(indent+"  Timeout: %d", x.Timeout)
		c.line(indent+"  Link Quality: %d", x.Quality)
		c.line(indent + "  Mode:")
		c.showMode(indent+"  "+indent, x.Mode)
	}
}

func (c *CLI) showDiagnosticMLE(v diag.MLECounters) {
	c.line("MLE Counters:")
	c.showCounters(indent, []counter{
		{"DisabledRole", uint32(v.Disabled)}, {"DetachedRole", uint32(v.Detached)}, {"ChildRole", uint32(v.Child)},
		{"RouterRole", uint32(v.Router)}, {"LeaderRole", uint32(v.Leader)}, {"AttachAttempts", uint32(v.AttachAttempts)},
		{"PartitionIdChanges", uint32(v.PartitionChanges)},
		{"BetterPartitionAttachAttempts", uint32(v.BetterPartitionAttempts)}, {"ParentChanges", uint32(v.ParentChanges)},
	})
	for _, t := range []struct {
		name string
		d    time.Duration
	}{
		{"TrackedTime", v.Tracked}, {"DisabledTime", v.DisabledTime}, {"DetachedTime", v.DetachedTime},
		{"ChildTime", v.ChildTime}, {"RouterTime", v.RouterTime}, {"LeaderTime", v.LeaderTime},
	} {
		c.line("%s: %d", t.name, t.d.Milliseconds()) // not part of the map at OpenThread's either
	}
}

// printable is another node's text without what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
