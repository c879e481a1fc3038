package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/api"
	"gatewayd/internal/appliance"
)

func (a *app) statusCommand() *cobra.Command {
	var counters bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the gateway, its radio, its network and its neighbours",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			s, err := cl.Status(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.out, s)
			}
			printStatus(a.out, &s)
			for _, notice := range lines(appliance.NoticesFile) {
				fmt.Fprintln(a.out, "\n"+notice)
			}
			if counters {
				printCounters(a.out, s.Counters)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&counters, "counters", false, "show the counters that are not zero, too")
	return a.printsJSON(c)
}

func printStatus(w io.Writer, s *api.Status) {
	var p pairs
	p.add("gatewayd", s.Version+", up "+span(s.Uptime))
	for _, f := range s.Findings {
		p.add(string(f.Level), f.Text+" ("+f.Code+", `gatewayd doctor` knows more)")
	}
	radioPairs(&p, &s.Radio)
	role := s.Role
	if s.Lowpan == nil {
		role += " for " + span(s.RoleSeconds)
	}
	if s.RLOC16 != "" {
		role += ", RLOC16 " + s.RLOC16
		if s.Role != "leader" {
			role += ", leader " + s.LeaderRLOC16
		}
	}
	p.add("role", role)
	p.add("ext address", s.ExtAddress)
	switch {
	case s.Network == nil:
		p.add("network", "none: make one with `gatewayd dataset new`, or take one over with `gatewayd dataset import`")
	default:
		networkPairs(&p, s.Network)
	}
	if s.PartitionID != nil {
		p.add("partition", fmt.Sprintf("0x%08x", *s.PartitionID))
	}
	if l := s.Lowpan; l != nil {
		lowpanPairs(&p, l)
	}
	p.addList("on-mesh prefixes", s.OnMeshPrefixes)
	switch r := s.Reach; {
	case r == nil:
	case r.Ready:
		p.add("reach", "hosts of the infrastructure reach devices by "+r.Prefix)
	default:
		p.add("reach", "hosts of the infrastructure do not reach devices yet: see `gatewayd border`")
	}
	if s.Interface == "" {
		p.add("interface", "none on this host")
	} else {
		p.add("interface", s.Interface)
	}
	p.addList("addresses", s.Addresses)
	p.addList("groups", s.MulticastGroups)
	if s.Lowpan == nil {
		p.add("commissioner", fmt.Sprintf("%s, joiners: %d", s.Commissioner.State, s.Commissioner.Joiners))
	}
	p.print(w)

	if s.Parent != nil {
		t := table{}
		t.row("PARENT", "EXT ADDRESS", "LQ", "RSSI", "HEARD")
		t.row(s.Parent.RLOC16, s.Parent.ExtAddress, quality(s.Parent.QualityIn), dBm(s.Parent.RSSI), span(s.Parent.Age))
		printTable(w, &t)
	}
	if len(s.Children) > 0 {
		t := table{}
		t.row("CHILD", "EXT ADDRESS", "STATE", "MODE", "TIMEOUT", "LQ", "RSSI", "HEARD", "ADDRESSES")
		for _, c := range s.Children {
			t.row(c.RLOC16, c.ExtAddress, c.State, c.Mode, span(c.Timeout), quality(c.QualityIn), dBm(c.RSSI), span(c.Age), strings.Join(c.Addresses, " "))
		}
		printTable(w, &t)
	}
	if len(s.Routers) > 0 {
		t := table{}
		t.row("ROUTER", "ID", "NEXT HOP", "COST", "LQ IN", "LQ OUT", "EXT ADDRESS", "HEARD", "")
		for _, r := range s.Routers {
			t.row(routerRow(&r)...)
		}
		printTable(w, &t)
	}
}

func lowpanPairs(p *pairs, l *api.Lowpan) {
	security := "none: anybody in reach is in the network"
	if l.Secured {
		security = fmt.Sprintf("network key %d", l.KeyIndex)
		if !l.Permit {
			security += ", no new devices may join"
		}
	}
	p.add("security", security)
	p.add("prefix", l.Prefix)
	p.add("devices", fmt.Sprintf("%d sessions, %d registered addresses, %d routes", l.Sessions, l.Registered, l.Routes))
}

func routerRow(r *api.Router) []string {
	row := []string{r.RLOC16, fmt.Sprint(r.ID), orDash(r.NextHop), "-", "-", "-", orDash(r.ExtAddress), "-", ""}
	if r.PathCost > 0 {
		row[3] = fmt.Sprint(r.PathCost)
	}
	if r.ExtAddress != "" {
		row[4], row[5], row[7] = quality(r.QualityIn), quality(r.QualityOut), span(r.Age)
	}
	var notes []string
	if r.Self {
		notes = append(notes, "this gateway")
	}
	if r.Leader {
		notes = append(notes, "leader")
	}
	row[8] = strings.Join(notes, ", ")
	return row
}

func printTable(w io.Writer, t *table) {
	fmt.Fprintln(w)
	t.print(w, "")
}

func radioPairs(p *pairs, r *api.Radio) {
	p.add("radio", r.State+", "+r.URL)
	p.add("", plain(r.Problem))
	p.add("", r.Looks)
	p.add("", r.Hint)
	identityPairs(p, r)
}

func identityPairs(p *pairs, r *api.Radio) {
	if r.EUI64 == "" {
		return
	}
	p.add("firmware", r.Version)
	versions := "Spinel " + r.Spinel
	if r.API > 0 {
		versions += fmt.Sprintf(", RCP API %d", r.API)
	}
	p.add("versions", versions)
	p.add("EUI-64", r.EUI64)
	p.add("capabilities", strings.Join(r.Capabilities, ", "))
	p.add("channels", ranges(r.Channels))
	p.add("sensitivity", dBm(r.Sensitivity)+" dBm")
}

func networkPairs(p *pairs, n *api.Network) {
	p.add("network", n.Name)
	p.add("channel", fmt.Sprint(n.Channel))
	p.add("PAN ID", n.PANID)
	p.add("ext PAN ID", n.ExtPANID)
	p.add("mesh-local prefix", n.MeshLocalPrefix)
}

func printCounters(w io.Writer, counters map[string]map[string]uint64) {
	t := table{}
	for _, group := range slices.Sorted(maps.Keys(counters)) {
		for _, name := range slices.Sorted(maps.Keys(counters[group])) {
			if v := counters[group][name]; v > 0 {
				t.row(group, name, fmt.Sprint(v))
			}
		}
	}
	printTable(w, &t)
}

func quality(q uint8) string { return fmt.Sprint(q) }
func dBm(v int8) string      { return fmt.Sprint(v) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) eventsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "events",
		Short: "Follow what the gateway logs, a JSON object a line",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client(c)
			if err != nil {
				return err
			}
			err = cl.Events(c.Context(), func(e json.RawMessage) error {
				_, err := fmt.Fprintf(a.out, "%s\n", e)
				return err
			})
			if c.Context().Err() != nil {
				return nil // asked to stop
			}
			return err
		},
	}
}
