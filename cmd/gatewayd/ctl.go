package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"gatewayd/api"
)

func (a *app) ctlCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ctl [COMMAND...]",
		Short: "Use OpenThread's command line of the gateway's node",
		Long: `Execute a command of OpenThread's command line on the gateway's own node, until
it is done. It fails if the command does. Without one, commands are read from the
standard input, a line each. Interrupt ends a command that goes on.

` + "`gatewayd ctl help`" + ` lists the commands. Some print secrets, as OpenThread's do.
reset and factoryreset are refused.`,
		Example: `  gatewayd ctl state
  gatewayd ctl ping fd00::1 64 3
  gatewayd ctl`,
	}
	c.Flags().SetInterspersed(false) // what follows is the command's
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client(c)
		if err != nil {
			return err
		}
		l := ctl{out: a.out}
		if len(args) > 0 {
			err = cl.CLI(c.Context(), commandLine(args), l.show)
		} else {
			err = l.session(c.Context(), cl, a.in)
		}
		switch {
		case err != nil:
			return err
		case len(args) > 0 && !l.done:
			return errors.New("the gateway ended the command")
		case l.failed:
			return &failure{}
		}
		return nil
	}
	return c
}

// commandLine joins words so that blanks in them stay there.
func commandLine(args []string) string {
	if len(args) == 1 {
		return args[0] // may be a whole line
	}
	escape := strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t")
	words := make([]string, len(args))
	for i, s := range args {
		words[i] = escape.Replace(s)
	}
	return strings.Join(words, " ")
}

// ctl shows what a command line says.
type ctl struct {
	out    io.Writer
	prompt string
	done   bool // a command
	failed bool // the last one
}

func (l *ctl) show(x api.CLILine) error {
	text := printable(x.Line) + "\n"
	if x.Done {
		l.done, l.failed = true, x.Error != 0
		text += l.prompt
	}
	_, err := io.WriteString(l.out, text)
	return err
}

// printable is a line without what a terminal would obey: names that others
// have chosen, and their datagrams, are shown in it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\t' {
			return '?'
		}
		return r
	}, s)
}

// session executes what is typed, after a prompt if that is on a terminal.
func (l *ctl) session(ctx context.Context, cl *api.Client, in io.Reader) error {
	if f, ok := in.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode()&fs.ModeCharDevice != 0 {
			l.prompt = "> "
		}
	}
	if l.prompt == "" {
		return cl.CLISession(ctx, in, l.show)
	}
	// A blank line gets its prompt here: the gateway says nothing to it.
	lines, typed := io.Pipe()
	defer lines.Close()
	fmt.Fprint(l.out, l.prompt)
	go func() {
		s := bufio.NewScanner(in)
		for s.Scan() {
			if strings.TrimSpace(s.Text()) == "" {
				fmt.Fprint(l.out, l.prompt)
				continue
			}
			if _, err := fmt.Fprintln(typed, s.Text()); err != nil {
				return
			}
		}
		typed.CloseWithError(s.Err())
	}()
	return cl.CLISession(ctx, lines, l.show)
}
