// Command gatewayd is the gateway, and the commands that talk to a running one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"gatewayd/api"
)

// version is set when a release is built.
var version = "unknown"

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3 // no gateway answers
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are the standard ones.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// execute runs one command and returns its exit code.
func execute(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	var said *failure
	if code == exitOK || errors.As(err, &said) {
		return code
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(s.err, "gatewayd: %s\n", printable(plain(strings.TrimSuffix(line, "\n"))))
	}
	if code == exitUsage {
		fmt.Fprintf(s.err, "try `%s --help`\n", cmd.CommandPath())
	}
	return code
}

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A failure has been explained already, in the command's own output.
type failure struct{}

func (*failure) Error() string { return "failed" }

func exitCode(err error) int {
	var usage usageError
	var gone *api.UnreachableError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &gone):
		return exitUnreachable
	}
	return exitFailed
}

// plain leaves out the package's name that an error begins with: who runs the
// command knows no packages.
func plain(line string) string {
	for _, p := range []string{"api: ", "gateway: ", "transport: ", "scenario: ", "pacd: ", "appliance: ", "update: ", "multicast: ", "host: "} {
		line = strings.TrimPrefix(line, p)
	}
	return line
}
