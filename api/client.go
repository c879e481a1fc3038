package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// answerTimeout is how long an answer that is no stream may take.
const answerTimeout = 15 * time.Second

// maxAnswer bounds an answer, and maxLine a line of a stream, in bytes.
const (
	maxAnswer = 16 << 20
	maxLine   = 1 << 20
)

// UnreachableError says that no gateway answers on a socket.
type UnreachableError struct {
	Socket string
	Err    error
}

func (e *UnreachableError) Error() string {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("api: no permission for %s: be the user that the gateway runs as, or root", e.Socket)
	case errors.Is(e.Err, fs.ErrNotExist), errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("api: no gateway answers on %s: start it with `gatewayd run`, or name its socket with --socket", e.Socket)
	}
	return fmt.Sprintf("api: no gateway answers on %s: %v", e.Socket, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Client commands the gateway behind a socket.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a Client that has not connected yet.
func NewClient(socket string) *Client {
	c := &Client{socket: socket}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, &UnreachableError{Socket: socket, Err: err}
			}
			return conn, nil
		},
		DisableKeepAlives: true, // a command asks once
	}
	return c
}

// send returns a successful answer's body.
func (c *Client) send(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var reqBody io.Reader
	if r, ok := in.(io.Reader); ok {
		reqBody = r // as it comes
	} else if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		reqBody = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://gatewayd"+Base+path, reqBody)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *UnreachableError
		if errors.As(err, &u) {
			return nil, u
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("api: the gateway on %s did not answer: %w", c.socket, context.Cause(ctx))
		}
		return nil, &UnreachableError{Socket: c.socket, Err: err}
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	e := &Error{Code: resp.StatusCode}
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(e) != nil || e.Text == "" {
		e.Text = fmt.Sprintf("the gateway answered %s", resp.Status)
	}
	return nil, e
}

// call decodes the answer into out, if that is not nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	b, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer b.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(b, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("api: the gateway's answer makes no sense: %w", err)
	}
	return nil
}

// Status asks how the gateway is.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "/status", nil, &s)
	return s, err
}

// NewDataset makes a network.
func (c *Client) NewDataset(ctx context.Context, in NewDataset) (d Dataset, err error) {
	err = c.call(ctx, http.MethodPost, "/dataset/new", in, &d)
	return d, err
}

// Dataset asks for a dataset, which is "active" or "pending".
func (c *Client) Dataset(ctx context.Context, which string) (d Dataset, err error) {
	err = c.call(ctx, http.MethodGet, "/dataset/"+which, nil, &d)
	return d, err
}

// ExportDataset asks for a dataset with its secrets.
func (c *Client) ExportDataset(ctx context.Context, which string) (t TLVs, err error) {
	err = c.call(ctx, http.MethodGet, "/dataset/"+which+"/tlvs", nil, &t)
	return t, err
}

// ImportDataset sets a dataset.
func (c *Client) ImportDataset(ctx context.Context, which string, in TLVs) (d Dataset, err error) {
	err = c.call(ctx, http.MethodPut, "/dataset/"+which, in, &d)
	return d, err
}

// AddJoiner lets a device join.
func (c *Client) AddJoiner(ctx context.Context, in NewJoiner) (j Joiner, err error) {
	err = c.call(ctx, http.MethodPost, "/joiners", in, &j)
	return j, err
}

// Joiners asks who may join.
func (c *Client) Joiners(ctx context.Context) (j Joiners, err error) {
	err = c.call(ctx, http.MethodGet, "/joiners", nil, &j)
	return j, err
}

// RemoveJoiner takes a device from the list, by its Joiner.ID.
func (c *Client) RemoveJoiner(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/joiners/"+url.PathEscape(id), nil, nil)
}

// Ping lets the gateway's node ping, and calls f with every line of the answer.
func (c *Client) Ping(ctx context.Context, in Ping, f func(PingLine) error) error {
	return c.stream(ctx, http.MethodPost, "/ping", in, func(line []byte) error {
		var l PingLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("api: the gateway's answer makes no sense: %w", err)
		}
		return f(l)
	})
}

// Events calls f with every event, a JSON object, until ctx ends.
func (c *Client) Events(ctx context.Context, f func(json.RawMessage) error) error {
	return c.stream(ctx, http.MethodGet, "/events", nil, func(line []byte) error { return f(line) })
}

// stream calls f with every line of an answer.
func (c *Client) stream(ctx context.Context, method, path string, in any, f func([]byte) error) error {
	b, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer b.Close()
	s := bufio.NewScanner(b)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		if err := f(s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("api: the gateway ended its answer: %w", err)
	}
	return context.Cause(ctx)
}
