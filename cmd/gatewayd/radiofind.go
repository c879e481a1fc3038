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
	Port  string `json:"port"`
	USB   string `json:"usb"`             // vendor:product
	Name  string `json:"name"`            // as people call it
	Error string `json:"error,omitempty"` // it could not be opened
	probed
}

func (a *app) radioFind() *cobra.Command {
	c := a.printsJSON(&cobra.Command{
		Use:   "find",
		Short: "Find dongles at the serial ports, by what they answer",
		Long: `Ask every USB serial device of this machine what it is, as "radio probe" does.
The gateway must not be using one of them. It fails if none is of use.
A gateway with the radio "auto" does the same by itself.`,
		Args: args(cobra.NoArgs),
	})
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
				r.Guess = p.Advise(r.Guess)
				f.probed = probedOf(&r)
			}
			usable = usable || f.Usable
			all = append(all, f)
			if !a.json {
				fmt.Fprintln(a.out, printable(f.sentence()))
			}
		}
		if a.json {
			if err := printJSON(a.out, all); err != nil {
				return err
			}
		} else if len(all) == 0 {
			fmt.Fprintln(a.out, "there is no USB serial device")
		}
		if !usable {
			return &failure{}
		}
		return nil
	}
	return c
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
	more := f.Hint
	if f.Kind == spinel.KindRCP.String() {
		more = f.Problem
	}
	if more != "" {
		more = "; " + more
	}
	return s + f.Looks + more
}
