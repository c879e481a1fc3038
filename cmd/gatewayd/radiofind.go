package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatewayd/radio"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
)

// found is what `radio find` prints of a port for programs.
type found struct {
	Port     string `json:"port"`
	USB      string `json:"usb"`  // vendor:product
	Name     string `json:"name"` // as people call it
	Firmware string `json:"firmware,omitempty"`
	Error    string `json:"error,omitempty"` // it could not be opened
	probed
}

func (a *app) radioFind() *cobra.Command {
	var first bool
	c := a.printsJSON(&cobra.Command{
		Use:   "find",
		Short: "Find dongles at the serial ports, by what they answer",
		Long: `Ask every USB serial device of this machine what it is, as "radio probe" does.
The gateway must not be using one of them. It fails if none is of use.

With --first it stops at the first that is, prints the URL that --radio takes,
and says on the standard error what is the matter with those before it.`,
		Example: `  gatewayd radio find
  gatewayd run --radio "$(gatewayd radio find --first)"`,
		Args: args(cobra.NoArgs),
	})
	c.Flags().BoolVar(&first, "first", false, "only print the URL of the first that the gateway can use")
	c.RunE = func(c *cobra.Command, _ []string) error {
		usable := false
		all := []found{}
		for _, p := range transport.SerialPorts("/sys") {
			f := found{Port: p.Path, USB: fmt.Sprintf("%04x:%04x", p.Vendor, p.Product), Name: p.String()}
			r, err := transport.Probe(c.Context(), radio.URL{Path: p.Path, StopBits: 1})
			switch {
			case c.Context().Err() != nil:
				return c.Context().Err()
			case err != nil:
				f.Error = plain(err.Error())
			default:
				f.probed = probedOf(&r)
			}
			if err == nil && !r.Usable() {
				f.Firmware = flashing(p, r.Guess.Kind)
			}
			usable = usable || f.Usable
			all = append(all, f)
			switch {
			case first && f.Usable:
				_, err = fmt.Fprintln(a.out, f.URL)
				return err
			case first:
				fmt.Fprintln(a.err, f.sentence())
			case !a.json:
				fmt.Fprintln(a.out, f.sentence())
			}
		}
		if a.json {
			if err := printJSON(a.out, all); err != nil {
				return err
			}
		} else if len(all) == 0 && !first {
			fmt.Fprintln(a.out, "there is no USB serial device")
		}
		if !usable {
			return &failure{}
		}
		return nil
	}
	return c
}

// flashing says where firmware comes from, if it is another firmware that is
// the matter.
func flashing(p transport.SerialPort, k spinel.Kind) string {
	switch k {
	case spinel.KindRCP, spinel.KindSilent, spinel.KindNoise:
		return ""
	}
	return p.Firmware()
}

// sentence says all of it to people.
func (f *found) sentence() string {
	s := fmt.Sprintf("%s, %s: ", f.Port, f.Name)
	switch {
	case f.Error != "":
		return s + strings.TrimPrefix(f.Error, f.Port+": ")
	case f.Usable:
		return s + "it is an OpenThread RCP, " + f.Version + ": gatewayd run --radio '" + f.URL + "'"
	}
	s += f.Looks
	more := []string{f.Hint, f.Firmware}
	if f.Kind == spinel.KindRCP.String() {
		more = []string{f.Problem}
	}
	for _, m := range more {
		if m != "" {
			s += "; " + m
		}
	}
	return s
}
