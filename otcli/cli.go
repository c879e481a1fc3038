package otcli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
)

// Config is what a CLI needs. Without Reset, FactoryReset or Exit the command
// of that name fails.
type Config struct {
	// Out takes what is to be shown; lines end with CR LF. Without it only
	// sessions show anything.
	Out func(text string)
	// Ended, if set, is told the error that a command ended with, or 0, in
	// place of a line that says so and a prompt.
	Ended func(e Error)
	// Reset restarts the node, FactoryReset also forgets everything. Neither
	// has to return to this CLI.
	Reset, FactoryReset func()
	// Rand gives random bytes for the keys of new networks.
	Rand io.Reader
	// Instead is what to say of a command, by its name, for which there is no
	// function here.
	Instead map[string]string
	// Exit ends the program.
	Exit func()
	// Version is what `version` shows, Platform what `platform` does.
	Version, Platform string
	// Store, if set, keeps the key that the SRP client registers names with.
	Store thread.Store
	// Border, if set, is what the node has of a border router.
	Border BorderRouter
	// NodeFilter, if set, is the medium's choice of nodes that are not heard.
	NodeFilter NodeFilter
}

// CLI is the command line of one node.
type CLI struct {
	node *thread.Node
	cfg  Config

	pending bool // a command has not ended
	ping    *ip.Ping
	*shared
}

// settings are what commands leave for others.
type settings struct {
	dataset meshcop.Dataset
	filter  macFilter
	udp     udpSocket
	coap    *coapService
	srp     *srpClient // nil until a command needs it
	device  device
	level   uint64
	started time.Time
	full    bool // network data did not fit, since `netdata full reset`
}

// Line length and number of words of a command, as OpenThread limits them.
const (
	maxLine  = 384
	maxWords = 32
)

// New returns a command line for a node. Start shows the first prompt.
func New(node *thread.Node, cfg Config) *CLI {
	c := &CLI{node: node, cfg: cfg, shared: &shared{settings: settings{level: defaultLogLevel, started: node.Clock().Now()}}}
	c.udp.secured = true
	c.device.supply = external
	c.coap = newCoAP(c)
	if cfg.Out != nil {
		c.open = append(c.open, c)
	}
	return c
}

// Start shows the prompt.
func (c *CLI) Start() { c.prompt() }

// Input executes a line, without its end. Lines are ignored while a command is
// going on.
func (c *CLI) Input(line string) {
	if c.pending {
		return
	}
	args, err := words(line)
	if err == nil && len(args) == 0 {
		c.prompt()
		return
	}
	c.pending = true
	if err == nil {
		err = c.run(args)
	}
	if err != Pending {
		c.finish(err)
	}
}

func (c *CLI) run(args []string) error {
	if args[0] == "help" {
		c.list(commands())
		return nil
	}
	return dispatch(c, commands(), args)
}

// finish ends a command.
func (c *CLI) finish(err error) {
	if !c.pending {
		return
	}
	c.pending = false
	var e Error
	if err != nil {
		e = errorOf(err)
	}
	switch {
	case c.cfg.Ended != nil:
		c.cfg.Ended(e)
		return
	case e == 0:
		c.line("Done")
	default:
		c.line("Error %d: %s", uint8(e), e.Word())
	}
	c.prompt()
}

func (c *CLI) prompt() {
	if c.cfg.Ended == nil {
		c.print("> ")
	}
}

// print shows text that does not end its line, line text that does.
func (c *CLI) print(format string, args ...any) {
	if c.cfg.Out != nil {
		c.cfg.Out(fmt.Sprintf(format, args...))
	}
}
func (c *CLI) line(format string, args ...any) { c.print(format+"\r\n", args...) }

func (c *CLI) now() time.Time { return c.node.Clock().Now() }

// words takes a line apart. A backslash makes a blank or another backslash part
// of a word.
func words(line string) ([]string, error) {
	if len(line) >= maxLine {
		return nil, Parse
	}
	var out []string
	var word strings.Builder
	begun := false
	end := func() {
		if begun {
			out = append(out, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		b := line[i]
		switch {
		case b == '\\' && i+1 < len(line) && strings.IndexByte(" \t\r\n\\", line[i+1]) >= 0:
			i++
			b = line[i]
		case strings.IndexByte(" \t\r\n", b) >= 0:
			end()
			continue
		}
		begun = true
		word.WriteByte(b)
	}
	end()
	if len(out) > maxWords {
		return nil, InvalidArgs
	}
	return out, nil
}

// command is one command, or one of a group.
type command struct {
	name string
	run  func(c *CLI, args []string) error
}

func dispatch(c *CLI, table []command, args []string) error {
	i := slices.IndexFunc(table, func(x command) bool { return x.name == args[0] })
	if i < 0 {
		return InvalidCommand
	}
	return table[i].run(c, args[1:])
}

// list shows the names of commands.
func (c *CLI) list(table []command) {
	for _, x := range table {
		c.line("%s", x.name)
	}
}

// group is a command whose first word is a command of a table. Without one it
// lists them and fails.
func group(table func() []command) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		switch word(args, 0) {
		case "":
			c.list(table())
			return InvalidCommand
		case "help":
			c.list(table())
			return nil
		}
		return dispatch(c, table(), args)
	}
}

// show is a command that only shows a value.
func show(get func(c *CLI) string) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		if len(args) > 0 {
			return InvalidArgs
		}
		c.line("%s", get(c))
		return nil
	}
}

// setting is a command that shows a value, or takes one.
func setting(get func(c *CLI) string, set func(c *CLI, value string) error) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		switch len(args) {
		case 0:
			c.line("%s", get(c))
			return nil
		case 1:
			return set(c, args[0])
		}
		return InvalidArgs
	}
}

// number is a setting that is a number of so many bits.
func number(bits int, get func(c *CLI) uint64, set func(c *CLI, v uint64) error) func(*CLI, []string) error {
	return setting(func(c *CLI) string { return fmt.Sprint(get(c)) },
		func(c *CLI, value string) error {
			v, err := parseUint(value, bits)
			if err != nil {
				return err
			}
			return set(c, v)
		})
}

// onOff is a setting that is Enabled or Disabled.
func onOff(get func(c *CLI) bool, set func(c *CLI, on bool) error) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		switch word(args, 0) {
		case "":
			c.line("%s", enabled(get(c)))
			return nil
		case "enable":
			return set(c, true)
		case "disable":
			return set(c, false)
		}
		return InvalidCommand
	}
}

func enabled(on bool) string {
	if on {
		return "Enabled"
	}
	return "Disabled"
}

// word is the argument at i, "" if there is none.
func word(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}
