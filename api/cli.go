package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatewayd/otcli"
	"gatewayd/thread"
)

// Implementation constants of command lines.
const (
	maxCLISessions = 16
	cliAhead       = 1 << 20 // bytes that wait for a client; one further behind is left
	cliBlanks      = " \t\r\n"
)

// CLICommand is POST /cli, and each line of the body of POST /cli/session: a
// line for OpenThread's command line of the gateway's own node.
type CLICommand struct {
	Line string `json:"line"`
}

// CLILine is a line of the answer.
type CLILine struct {
	Line  string `json:"line"`
	Done  bool   `json:"done,omitempty"`  // the command has ended with this line
	Error uint8  `json:"error,omitempty"` // then: OpenThread's number for why it failed
}

// CLI executes one command, and calls f with every line of its output.
func (c *Client) CLI(ctx context.Context, line string, f func(CLILine) error) error {
	return c.stream(ctx, http.MethodPost, "/cli", CLICommand{line}, cliLines(f))
}

// CLISession executes the commands that in has lines of, one after the other,
// and calls f with every line of output, until in ends.
func (c *Client) CLISession(ctx context.Context, in io.Reader, f func(CLILine) error) error {
	body, out := io.Pipe()
	defer body.Close() // ends the goroutine, but for what in waits for
	go func() {
		e, s := json.NewEncoder(out), bufio.NewScanner(in)
		for s.Scan() {
			if e.Encode(CLICommand{s.Text()}) != nil {
				return
			}
		}
		out.CloseWithError(s.Err())
	}()
	return c.stream(ctx, http.MethodPost, "/cli/session", io.Reader(body), cliLines(f))
}

func cliLines(f func(CLILine) error) func([]byte) error {
	return func(line []byte) error {
		var l CLILine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("api: the gateway's answer makes no sense: %w", err)
		}
		return f(l)
	}
}

// cli executes one command.
func (s *Server) cli(w http.ResponseWriter, r *http.Request) (any, error) {
	var in CLICommand
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if strings.Trim(in.Line, cliBlanks) == "" {
		return nil, badRequest("there is no command in the line")
	}
	lines := make(chan string, 1)
	lines <- in.Line
	close(lines)
	return nil, s.serveCLI(r.Context(), w, lines)
}

// cliSession executes the commands that the body has lines of, as they come. The
// body has no bound, but each of its lines has.
func (s *Server) cliSession(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		s.fail(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	lines := make(chan string)
	ended := make(chan struct{})
	// A handler that has returned may not read any more: the deadline ends that.
	defer func() {
		cancel()
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		<-ended
	}()
	go func() {
		defer close(ended)
		if readCommands(ctx, r.Body, lines) != nil {
			cancel() // who sends nonsense, or is gone
		}
	}()
	if err := s.serveCLI(ctx, w, lines); err != nil {
		s.fail(w, err)
	}
}

// readCommands passes on what a body has lines of, and closes lines at its end.
func readCommands(ctx context.Context, body io.Reader, lines chan<- string) error {
	in := bufio.NewScanner(body)
	in.Buffer(nil, MaxBody)
	for in.Scan() {
		var c CLICommand
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		if strings.Trim(c.Line, cliBlanks) == "" {
			continue
		}
		select {
		case lines <- c.Line:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	close(lines)
	return nil
}

// serveCLI executes commands one after the other. The session ends with the last
// one, or with its client.
func (s *Server) serveCLI(ctx context.Context, w http.ResponseWriter, lines <-chan string) error {
	if s.clis.Add(1) > maxCLISessions {
		s.clis.Add(-1)
		return &Error{Code: http.StatusTooManyRequests, Text: "too many command lines are in use"}
	}
	defer s.clis.Add(-1)
	t := &teletype{wake: make(chan struct{}, 1)}
	var cli *otcli.CLI
	err := s.gw.Do(ctx, func(*thread.Node) {
		cli = s.gw.CLI().Session(otcli.SessionConfig{Out: t.print, Ended: t.ended, Exit: t.exit})
	})
	// However this ends, the session does too.
	defer s.gw.Do(context.WithoutCancel(ctx), func(*thread.Node) {
		if cli != nil {
			cli.Close()
		}
	})
	if err != nil {
		return err
	}
	out := newStream(w)
	if out.raw(nil) != nil { // the header: nothing more may come for long
		return nil
	}
	for in := lines; ; {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-in:
			if !ok {
				return nil
			}
			in = nil // until the command has ended
			if s.gw.Do(ctx, func(*thread.Node) { cli.Input(line) }) != nil {
				return nil
			}
		case <-t.wake:
			said, over := t.take()
			for _, l := range said {
				if out.line(l) != nil {
					return nil
				}
				if l.Done {
					in = lines
				}
			}
			if over {
				return nil
			}
		}
	}
}

// teletype passes lines from the gateway's goroutine, which never waits, to that
// of a request.
type teletype struct {
	wake chan struct{} // one token: there is something to take

	mu      sync.Mutex
	begun   string // of a line
	said    []CLILine
	waiting int // bytes of said
	over    bool
}

func (t *teletype) print(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		line, rest, ends := strings.Cut(text, "\n")
		t.begun += line
		if !ends {
			break
		}
		t.say(CLILine{Line: strings.TrimSuffix(t.begun, "\r")})
		t.begun, text = "", rest
	}
}

func (t *teletype) ended(e otcli.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := CLILine{Line: "Done", Done: true, Error: uint8(e)}
	if e != 0 {
		l.Line = fmt.Sprintf("Error %d: %s", l.Error, e.Word())
	}
	t.say(l)
}

func (t *teletype) exit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.signal()
}

// say is to be called with the lock.
func (t *teletype) say(l CLILine) {
	if t.over {
		return
	}
	t.waiting += len(l.Line) + 1
	t.over = t.waiting > cliAhead
	t.said = append(t.said, l)
	t.signal()
}

func (t *teletype) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take returns what was said, and whether nothing more will be.
func (t *teletype) take() ([]CLILine, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := t.said
	t.said, t.waiting = nil, 0
	return said, t.over
}
