package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gatewayd/dnssd"
	"gatewayd/dnssd/multicast"
	"gatewayd/internal/durable"
)

// listenPort is the port of an address to listen on.
func listenPort(addr string) (uint16, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port", port)
	}
	return uint16(n), nil
}

// suffix is what a port adds to the address of a page.
func suffix(port uint16) string {
	if port == 80 {
		return ""
	}
	return fmt.Sprintf(":%d", port)
}

// named publishes the host's name with its page while serve runs. A host on
// which that cannot be done still has its page.
func (a *app) named(ctx context.Context, file string, port uint16, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := slog.New(slog.NewTextHandler(a.err, nil))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := multicast.Publish(ctx, multicast.Host{Name: hostname(), Log: log,
			Services: []dnssd.Service{{Type: "_http._tcp", Port: port, TXT: []byte("\x06path=/")}},
			Named: func(name string) {
				fmt.Fprintf(a.err, "gatewayd: the page is at http://%s.local%s\n", name, suffix(port))
				if err := renamed(file, name); err != nil {
					log.Warn("the host's new name is not kept", "id", "PAGE-NAME", "name", name, "err", err)
				}
			}})
		if ctx.Err() == nil {
			log.Error("the page is not found by name", "id", "PAGE-NAME", "err", err)
		}
	}()
	err := serve(ctx)
	cancel()
	<-ended
	return err
}

// renamed gives the host the name that it has got, and keeps in file the name
// that it had before the first conflict and this one, for the next start.
func renamed(file, name string) error {
	was := hostname()
	if name == was {
		return nil
	}
	asked := was
	if b, err := os.ReadFile(file); err == nil {
		if f := strings.Fields(string(b)); len(f) == 2 && f[1] == was {
			asked = f[0]
		}
	}
	return errors.Join(os.NewSyscallError("sethostname", unix.Sethostname([]byte(name))),
		durable.WriteFile(file, fmt.Appendf(nil, "%s %s\n", asked, name), 0o644))
}
