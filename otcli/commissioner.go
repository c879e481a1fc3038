package otcli

import (
	"fmt"
	"time"

	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// joinerTimeout is how long a joiner stays on the list unless told otherwise.
const joinerTimeout = 120

func commissionerCommands() []command {
	return []command{
		{"announce", commissionerAnnounce},
		{"energy", commissionerEnergy},
		{"id", commissionerID},
		{"joiner", commissionerJoiner},
		{"mgmtget", commissionerGet},
		{"mgmtset", commissionerSet},
		{"panid", commissionerPANID},
		{"provisioningurl", func(c *CLI, args []string) error {
			return c.node.Commissioner().SetProvisioningURL(word(args, 0))
		}},
		{"sessionid", show(func(c *CLI) string { return fmt.Sprint(c.node.Commissioner().SessionID()) })},
		{"start", func(c *CLI, _ []string) error { return c.node.Commissioner().Start() }},
		{"state", show(func(c *CLI) string { return c.node.Commissioner().State().String() })},
		{"stop", func(c *CLI, _ []string) error { return c.node.Commissioner().Stop() }},
	}
}

// CommissionerChanged shows a new state of the commissioner. It is meant for
// thread.Config.
func (c *CLI) CommissionerChanged(s joining.CommissionerState, _ error) {
	c.tell("Commissioner: %s", s)
}

// progressWords are what is told of a joiner's progress.
var progressWords = map[joining.Progress]string{
	joining.Connecting: "start", joining.Connected: "connect", joining.Finalized: "finalize",
	joining.Entrusted: "end", joining.Refused: "end", joining.Lost: "end",
	joining.Expired: "remove", joining.Removed: "remove",
}

// JoinerChanged shows how far a joiner got. It is meant for thread.Config.
func (c *CLI) JoinerChanged(e joining.Entry) {
	w, ok := progressWords[e.Progress]
	if !ok || c.node.Commissioner().State() != joining.Active {
		return
	}
	id := ""
	if n := len(e.Attempts); n > 0 && w != "remove" {
		id = e.Attempts[n-1].ID.String()
	} else if e.Who.Kind == joining.ByEUI64 {
		id = fmt.Sprintf("%x", meshcop.JoinerID(e.Who.EUI64))
	}
	c.tell("Commissioner: Joiner %s %s", w, id)
}

func commissionerID(c *CLI, args []string) error {
	if len(args) == 0 {
		c.line("%s", c.node.Commissioner().ID())
		return nil
	}
	return c.node.Commissioner().SetID(args[0])
}

func commissionerJoiner(c *CLI, args []string) error {
	if word(args, 0) == "table" {
		c.joinerTable()
		return nil
	}
	if len(args) < 2 {
		return InvalidArgs
	}
	who, err := parseWho(args[1])
	if err != nil {
		return err
	}
	cm := c.node.Commissioner()
	switch args[0] {
	case "add":
		if len(args) < 3 {
			return InvalidArgs
		}
		seconds := uint64(joinerTimeout)
		if len(args) > 3 {
			if seconds, err = parseUint(args[3], 32); err != nil {
				return err
			}
		}
		if cm.State() != joining.Active {
			return InvalidState
		}
		pskd, err := joining.ParsePSKd(args[2])
		if err != nil {
			return err
		}
		return cm.Add(who, pskd, duration(seconds, time.Second))
	case "remove":
		if cm.State() != joining.Active {
			return InvalidState
		}
		return cm.Remove(who, 0)
	}
	return InvalidArgs
}

func parseWho(s string) (joining.Who, error) {
	if s == "*" {
		return joining.Who{}, nil
	}
	d, is, err := parseDiscerner(s)
	if is {
		return joining.Discerned(d), err
	}
	e, err := parseExt(s)
	return joining.EUI64(e), err
}

func (c *CLI) joinerTable() {
	c.header(column{"ID", 23}, column{"PSKd", 34}, column{"Expiration", 12})
	for _, e := range c.node.Commissioner().List() {
		id := "*"
		switch e.Who.Kind {
		case joining.ByEUI64:
			id = e.Who.EUI64.String()
		case joining.ByDiscerner:
			id = fmt.Sprintf("0x%016x/%2d", e.Who.Discerner.Value, e.Who.Discerner.Bits)
		}
		c.line("| %21s | %32s | %10d |", id, e.PSKd.Reveal(), max(0, e.Expires.Sub(c.now()).Milliseconds()))
	}
}

// elements are the words for elements of the Commissioner Dataset.
var elements = map[string]meshcop.Type{
	"locator": meshcop.TypeBorderAgentLocator, "sessionid": meshcop.TypeCommissionerSessionID,
	"steeringdata": meshcop.TypeSteeringData, "joinerudpport": meshcop.TypeJoinerUDPPort,
}

// commissionerGet sends MGMT_COMMISSIONER_GET; the answer is not waited for.
func commissionerGet(c *CLI, args []string) error {
	var types []meshcop.Type
	for w := (wordList{args}); !w.empty(); {
		s := w.next()
		if t, ok := elements[s]; ok {
			types = append(types, t)
			continue
		}
		if s != "-x" {
			return InvalidArgs
		}
		b, err := parseHex(w.next(), 32)
		if err != nil {
			return err
		}
		for _, t := range b {
			types = append(types, meshcop.Type(t))
		}
	}
	return c.manage(tmf.CommissionerGet, c.leader(), meshcop.AppendGet(nil, types...))
}

// commissionerSet sends MGMT_COMMISSIONER_SET.
func commissionerSet(c *CLI, args []string) error {
	if len(args) == 0 {
		return InvalidArgs
	}
	var t []byte
	for w := (wordList{args}); !w.empty(); {
		s := w.next()
		switch s {
		case "locator", "sessionid", "joinerudpport":
			v, err := parseUint(w.next(), 16)
			if err != nil {
				return err
			}
			t = meshcop.AppendUint16(t, elements[s], uint16(v))
		case "steeringdata":
			b, err := parseHex(w.next(), 16)
			if err != nil {
				return err
			}
			t = meshcop.AppendTLV(t, elements[s], b)
		case "-x":
			b, err := parseHex(w.next(), 32)
			if err != nil {
				return err
			}
			t = append(t, b...)
		default:
			return InvalidArgs
		}
	}
	return c.manage(tmf.CommissionerSet, c.leader(), t)
}
