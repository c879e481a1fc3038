package web

import (
	_ "embed"
	"fmt"
	"html"
)

//go:embed head.html
var head string

// Written out by hand: html/template finds methods by name, which keeps every
// method of everything in the program, and that is a quarter of its size.

// Append appends the page to b. Every text is escaped here.
func (v *view) Append(b []byte) []byte {
	b = append(b, head...)
	b = element(b, "title", "", v.Hostname+": gateway")
	b = append(b, "</head>\n<body>\n"...)
	b = element(b, "h1", "", v.Hostname)
	b = append(b, "<dl>\n"...)
	b = v.Dongle.append(b, "Dongle")
	b = v.Network.append(b, "Network of the devices")
	b = v.Uplink.append(b, "Your network")
	if v.Reach != nil && v.Uplink.Good {
		b = v.Reach.append(b, "The way between them")
	}
	b = list(b, "This box", v.Notices)
	b = list(b, "Settings", v.Problems)
	if len(v.Problems) > 0 {
		b = element(b, "dd", "advice", "These lines of gatewayd.conf are not followed; all others are. Correct them on the boot partition and start the gateway again.")
	}
	b = append(b, "</dl>\n"...)
	if v.Joining {
		which, heard := "first", ""
		if v.Devices > 0 {
			which, heard = "next", fmt.Sprintf(" The gateway hears %d now.", v.Devices)
		}
		b = element(b, "h2", "", "Add the "+which+" device")
		b = element(b, "p", "", "On the gateway's command line, with the code that is printed on the device, its PSKd:")
		b = element(b, "pre", "", "gatewayd joiner add '*' CODE")
		b = element(b, "p", "", "Then switch the device on."+heard)
	}
	if v.SSH != nil {
		b = append(b, "<h2>The command line</h2>\n"...)
		if *v.SSH == "" {
			b = element(b, "p", "", "It is at the serial console. SSH is off, because no key is given: put ssh_key= and your public key into gatewayd.conf on the boot partition and start the gateway again.")
		} else {
			b = element(b, "pre", "", "ssh root@"+v.name())
			b = element(b, "p", "", "The first time it asks whether you trust this box, whose key is "+*v.SSH+".")
		}
	}
	where := ""
	if v.Local {
		where = " at http://" + v.name()
	}
	b = element(b, "footer", "", "gatewayd "+v.Version+where+". This page shows and changes nothing else.")
	return append(b, "</body>\n</html>\n"...)
}

// name is what other hosts call this one.
func (v *view) name() string {
	if v.Local {
		return v.Hostname + ".local"
	}
	return v.Hostname
}

func (i item) append(b []byte, name string) []byte {
	class := "bad"
	if i.Good {
		class = "good"
	}
	b = element(element(b, "dt", "", name), "dd", class, i.Text)
	if i.Advice != "" {
		b = element(b, "dd", "advice", i.Advice)
	}
	return b
}

func list(b []byte, name string, bad []string) []byte {
	if len(bad) == 0 {
		return b
	}
	b = element(b, "dt", "", name)
	for _, text := range bad {
		b = element(b, "dd", "bad", text)
	}
	return b
}

func element(b []byte, tag, class, text string) []byte {
	if class != "" {
		class = ` class="` + class + `"`
	}
	return fmt.Appendf(b, "<%s%s>%s</%s>\n", tag, class, html.EscapeString(text), tag)
}
