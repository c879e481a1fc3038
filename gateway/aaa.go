package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"gatewayd/eap"
	"gatewayd/pana"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

// buildRADIUS makes the client of RADIUS servers and the server for other
// authenticators, as far as they are configured.
func (l *Lowpan) buildRADIUS() error {
	cfg := &l.g.cfg.Lowpan
	if len(cfg.RADIUS.Servers) > 0 {
		if err := l.buildClient(&cfg.RADIUS); err != nil {
			return err
		}
	}
	if cfg.Serving.Listen != "" {
		return l.buildServer(&cfg.Serving)
	}
	return nil
}

func (l *Lowpan) buildClient(cfg *RADIUS) error {
	secret, err := readSecret(cfg.SecretFile)
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius.secret-file: %w", err)
	}
	sockets, err := udp.New(udp.Options{Deliver: l.g.deliver, Log: l.g.log})
	if err != nil {
		return err
	}
	auth, err := addrPorts(cfg.Servers)
	if err != nil {
		return err
	}
	acct, err := addrPorts(cfg.Accounting)
	if err != nil {
		return err
	}
	var servers []radius.Upstream
	for i, a := range auth {
		u := radius.Upstream{Auth: a, Secret: secret, Priority: i}
		if i < len(acct) {
			u.Acct = acct[i]
		}
		servers = append(servers, u)
	}
	l.client, err = radius.NewClient(radius.ClientConfig{
		Clock: l.Node.Clock(), Entropy: rand.Reader, Servers: servers, Send: sockets.Send, NASIdentifier: cfg.Identifier,
		Granted: func(p eap.Port, g radius.Grant) {
			if len(l.grants) < maxGrants {
				l.grants[p.CallingStation] = g
			}
		},
		ServerChanged: func(name, service string, alive bool) {
			l.g.log.Warn("RADIUS server", "id", "RADIUS-SERVER", "server", name, "service", service, "alive", alive)
		},
		Discarded: l.discarded,
	})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius: %w", err)
	}
	l.g.drivers = append(l.g.drivers, func(ctx context.Context) { l.drive(ctx, sockets, l.client.Receive) })
	if cfg.Dynamic == "" {
		return nil
	}
	return l.buildDynamic(cfg, secret, auth)
}

func (l *Lowpan) buildServer(cfg *Serving) error {
	secret, err := readSecret(cfg.SecretFile)
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius-server.secret-file: %w", err)
	}
	at, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius-server.listen: %w", err)
	}
	sockets, err := udp.New(udp.Options{Listen: []netip.AddrPort{at}, Deliver: l.g.deliver, Log: l.g.log})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius-server.listen: %w", err)
	}
	var clients []radius.Authorized
	for _, s := range cfg.Clients {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		clients = append(clients, radius.Authorized{Name: s, Prefix: p, Secret: secret})
	}
	l.server, err = radius.NewServer(radius.ServerConfig{
		Clock: l.Node.Clock(), Entropy: rand.Reader, Backend: l.auth.backend(), Clients: clients, Send: sockets.Send,
		Ended: func(a radius.Authentication) {
			level := slog.LevelInfo
			if a.Result.Outcome != eap.Success {
				level = slog.LevelWarn
			}
			if l.g.repeats.pass("RADIUS-"+a.Result.Outcome.String(), l.Node.Clock().Now()) {
				l.g.log.Log(context.Background(), level, "authenticated for another", "id", "RADIUS-AUTH", "result", a.String())
			}
		},
		Discarded: l.discarded,
	})
	if err != nil {
		return fmt.Errorf("gateway: lowpan.radius-server: %w", err)
	}
	l.g.drivers = append(l.g.drivers, func(ctx context.Context) { l.drive(ctx, sockets, l.server.Receive) })
	return nil
}

// drive runs a machine's sockets until ctx ends.
func (l *Lowpan) drive(ctx context.Context, s *udp.Sockets, receive func(int, netip.AddrPort, []byte)) {
	if err := s.Run(ctx, receive); err != nil && ctx.Err() == nil {
		l.g.log.Error("RADIUS sockets", "id", "RADIUS-SOCKET", "err", err)
	}
}

func (l *Lowpan) discarded(from netip.AddrPort, why error) {
	if l.g.repeats.pass("RADIUS-DISCARDED", l.Node.Clock().Now()) {
		l.g.log.Warn("RADIUS datagram discarded", "id", "RADIUS-DISCARDED", "from", from, "err", why)
	}
}

// readSecret reads a shared secret from a file, without the end of its line.
func readSecret(file string) (radius.Secret, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return radius.Secret(s), nil
}

// maxGrants bounds the grants whose sessions are not open yet.
const maxGrants = 4096

// account reports sessions to the RADIUS server.
func (l *Lowpan) account(e pana.Event, station string) {
	if l.client == nil {
		return
	}
	s := e.Session
	switch e.Kind {
	case pana.SessionAuthorized:
		g := l.grants[station]
		delete(l.grants, station)
		id := fmt.Sprintf("%x-%08x", l.g.started.Unix(), s.ID)
		l.sessions[s.ID] = &granted{id: id, userName: cmp.Or(g.UserName, s.Identity), class: g.Class,
			account: l.client.Account(radius.AccountConfig{
				ID: id, Port: eap.Port{CallingStation: station}, UserName: g.UserName, Class: g.Class, Interim: g.Interim,
			})}
	case pana.SessionTerminated:
		if x := l.sessions[s.ID]; x != nil {
			delete(l.sessions, s.ID)
			x.account.Stop(cause(e))
		}
	case pana.SessionRefused, pana.SessionReauthenticated:
		delete(l.grants, station)
	}
}

// cause is why a session ended, in RADIUS's terms.
func cause(e pana.Event) radius.TerminateCause {
	switch {
	case e.Cause == pana.Logout:
		return radius.UserRequest
	case errors.Is(e.Reason, pana.ErrLifetime):
		return radius.SessionExpired
	case errors.Is(e.Reason, pana.ErrTimeout):
		return radius.LostCarrier
	case errors.Is(e.Reason, pana.ErrClosed):
		return radius.AdminReset
	}
	return radius.NASRequest
}

// RADIUSTest is what came of asking the RADIUS servers about an identity.
type RADIUSTest struct {
	Servers []radius.ServerState
	Outcome eap.Outcome
	Reason  error
	Elapsed time.Duration
}

// TestRADIUS asks the servers to begin a conversation with an identity, and
// tells what came of it. Whether the identity may join is not found out: that
// takes its credential.
func (l *Lowpan) TestRADIUS(identity string, done func(RADIUSTest)) error {
	if l.client == nil {
		return errors.New("gateway: no RADIUS servers are configured: the embedded EAP server authenticates")
	}
	began := l.Node.Clock().Now()
	var c eap.Conversation
	asked := false
	c = l.client.Converse(eap.Port{CallingStation: "test", CalledStation: l.g.cfg.Lowpan.Name}, func(r eap.Result) {
		if !asked && r.Outcome == eap.Continue {
			asked = true // the request for the identity, which is the client's own
			p, err := eap.Decode(r.Packet)
			if err != nil {
				return
			}
			id := p.Identifier
			l.Node.Clock().After(0, func() {
				c.Receive(eap.Packet{Code: eap.CodeResponse, Identifier: id, Type: eap.TypeIdentity, Data: []byte(identity)}.Append(nil))
			})
			return
		}
		done(RADIUSTest{Servers: l.client.Alive(), Outcome: r.Outcome, Reason: r.Reason, Elapsed: l.Node.Clock().Now().Sub(began)})
		l.Node.Clock().After(0, c.Close)
	})
	c.Begin()
	return nil
}

// RADIUSCounters are those of the client of RADIUS servers and of the server for
// other authenticators; nil: there is none.
func (l *Lowpan) RADIUSCounters() (client *radius.ClientCounters, server *radius.ServerCounters) {
	if l.client != nil {
		client = &l.client.Counters
	}
	if l.server != nil {
		server = &l.server.Counters
	}
	return client, server
}
