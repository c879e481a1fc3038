package web

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/api"
	"gatewayd/host/doctor"
)

// A Link is a network interface of the host that is not the mesh's.
type Link struct {
	Name      string
	Up        bool // with a carrier
	Addresses []netip.Addr
}

// An item is one thing that the page tells of.
type item struct {
	Good   bool
	Text   string
	Advice string // what to do if it is not good
}

// A view is what one page says.
type view struct {
	Hostname, Version string
	Dongle            item
	Network           item
	Uplink            item
	Reach             *item // nil: the page does not tell of it
	Notices           []string
	Problems          []string
	SSH               *string // fingerprint, "" if it is off
	Local             bool    // the name is found in "local."
	Joining           bool    // a first device can be added
	Devices           int     // that have a radio link with the gateway
}

// away is the view of a gateway that does not answer.
func away(err error) view {
	var gone *api.UnreachableError
	text, advice := sentence("The gateway does not answer: "+strings.TrimPrefix(err.Error(), "api: ")), "Its log says more."
	if errors.As(err, &gone) {
		text, advice = "The gateway is not running.", "It is started again by itself within a minute. If it stays away, its log says why."
	}
	unknown := item{Text: "Not known while the gateway does not answer."}
	return view{Dongle: item{Text: text, Advice: advice}, Network: unknown}
}

// present is the view of a gateway that answers, on a system that tells some
// things itself.
func present(st *api.Status, notices []string) view {
	v := view{Dongle: dongle(&st.Radio), Network: network(st), Devices: len(st.Children) + len(st.Routers)}
	if v.Dongle.Good && v.Network.Good {
		v.Reach = reach(st.Reach)
	}
	for _, r := range st.Routers {
		if r.Self {
			v.Devices--
		}
	}
	if !v.Dongle.Good && st.Network != nil && st.Lowpan == nil {
		v.Network = item{Text: fmt.Sprintf("The Thread network “%s” is not on the air while no dongle works.", st.Network.Name)}
	}
	for _, f := range st.Findings {
		switch {
		case f.Level != doctor.Problem && f.Code != doctor.OtherNetwork:
			continue
		case f.Code == "HOST-RADIO": // which the dongle's item tells better
			continue
		case f.Code == "HOST-DATATMP" && len(notices) > 0: // and the system this
			continue
		}
		if f.Fix != "" {
			f.Text += " What helps: " + f.Fix
		}
		v.Notices = append(v.Notices, f.Text)
	}
	v.Joining = v.Dongle.Good && v.Network.Good && st.Lowpan == nil
	return v
}

func dongle(r *api.Radio) item {
	switch {
	case r.State == "ready" && r.Problem == "":
		text := "The dongle works"
		if r.Version != "" {
			text += ": " + r.Version
		}
		return item{Good: true, Text: text + "."}
	case r.Looks != "":
		return item{Text: sentence("There is a dongle, but it is of no use yet: " + r.Looks), Advice: r.Hint}
	case r.Problem != "":
		advice := r.Hint
		if advice == "" {
			advice = "Plug in a dongle with an OpenThread RCP firmware, straight into a USB port or with a cable. It is found within seconds."
		}
		return item{Text: sentence("No dongle works: " + strings.TrimPrefix(r.Problem, "transport: ")), Advice: advice}
	}
	return item{Text: "The dongle is being started (" + r.State + ").", Advice: "This takes a few seconds."}
}

// sentence ends what may end as a sentence already.
func sentence(s string) string {
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func network(st *api.Status) item {
	switch {
	case st.Lowpan != nil:
		return item{Good: true, Text: fmt.Sprintf("A plain 6LoWPAN network runs, prefix %s, with %d registered addresses.", st.Lowpan.Prefix, st.Lowpan.Registered)}
	case st.Network == nil:
		return item{Text: "The gateway belongs to no Thread network yet.", Advice: "Make one with: gatewayd dataset new"}
	}
	name := fmt.Sprintf("“%s” on channel %d", st.Network.Name, st.Network.Channel)
	switch st.Role {
	case "leader", "router":
		return item{Good: true, Text: fmt.Sprintf("The Thread network %s runs; the gateway is its %s.", name, st.Role)}
	case "child":
		return item{Good: true, Text: fmt.Sprintf("The gateway is a child in the Thread network %s.", name)}
	case "detached":
		return item{Text: fmt.Sprintf("The gateway looks for the Thread network %s.", name), Advice: "If nobody else is in it, the gateway starts it by itself within a minute."}
	}
	return item{Text: fmt.Sprintf("The Thread network %s is off.", name), Advice: "It starts when the dongle works."}
}

// reach tells whether the two networks reach each other; nil if that is not
// wanted.
func reach(r *api.Reach) *item {
	switch {
	case r == nil:
		return nil
	case r.Ready:
		return &item{Good: true, Text: "Your network's hosts reach the devices by " + r.Prefix + "."}
	}
	return &item{Text: "Your network's hosts do not reach the devices yet.", Advice: "This takes some seconds after the devices' network has started."}
}

func uplink(links []Link) item {
	var names []string
	for _, l := range links {
		var global []string
		v4, v6 := false, false
		for _, a := range l.Addresses {
			if !a.IsLinkLocalUnicast() && !a.IsLoopback() {
				global = append(global, a.String())
				v4, v6 = v4 || a.Is4(), v6 || a.Is6()
			}
		}
		if !l.Up {
			continue
		}
		names = append(names, l.Name)
		if len(global) == 0 {
			continue
		}
		text := fmt.Sprintf("Connected by %s as %s.", l.Name, strings.Join(global, ", "))
		if !v4 {
			text += " Nobody gave an IPv4 address: is there a router with DHCP? A fixed address can be set in gatewayd.conf on the boot partition."
		}
		if !v6 {
			text += " There is no IPv6 from the router; devices of this network are still reached from here and from the same cable."
		}
		return item{Good: true, Text: text}
	}
	if names != nil {
		return item{Text: "The cable is plugged in (" + strings.Join(names, ", ") + "), but nobody gave an address.",
			Advice: "Is there a router with DHCP? A fixed address can be set in gatewayd.conf on the boot partition."}
	}
	return item{Text: "No network cable is plugged in.", Advice: "Connect the gateway to your router."}
}
