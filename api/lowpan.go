package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/gateway"
	"gatewayd/ieee802154"
	"gatewayd/wpan"
)

func (s *Server) handleLowpan() {
	s.handle("GET /pana/sessions", s.sessions)
	s.handle("DELETE /pana/sessions/{who}", s.disconnect)
	s.handle("POST /pana/sessions/{who}/reauth", s.reauthenticate)
	s.handle("GET /credentials", s.credentials)
	s.handle("POST /credentials", s.addCredential)
	s.handle("DELETE /credentials/{identity}", s.removeCredential)
	s.handle("POST /radius/test", s.testRADIUS)
	s.handle("GET /nd", s.registrations)
	s.handle("GET /routes", s.routes)
	s.handle("GET /leases", s.leases)
	s.handle("POST /permit", s.permit)
	s.handle("POST /rotate-key", s.rotateKey)
}

// lowpanStatus is the status of a gateway in that mode.
func (s *Server) lowpanStatus(st *Status, r *http.Request) error {
	return s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		n := l.Node
		rs := s.gw.Radio()
		nw := n.Network()
		st.Radio = radioOf(rs)
		st.Role = "coordinator"
		if !n.Attached() {
			st.Role = "waiting for its radio"
		}
		st.ExtAddress = n.Ext().String()
		st.Addresses, st.MulticastGroups = []string{}, []string{}
		for _, a := range n.Addresses() {
			st.Addresses = append(st.Addresses, a.String())
		}
		st.Network = &Network{Name: nw.ID.String(), Channel: uint16(nw.Channel), PANID: rloc16(nw.PANID)}
		st.Lowpan = &Lowpan{Secured: !nw.Open, Permit: n.Permitted(), KeyIndex: nw.Key.Index, Prefix: nw.Prefix.String(),
			Sessions: len(n.Sessions()), Registered: len(n.Registrations()), Routes: len(n.Routes())}
		st.Reach = s.reach()
		st.Children, st.Routers, st.Neighbors = []Child{}, []Router{}, []Neighbor{}
		st.Counters = map[string]map[string]uint64{
			"mac": counts(n.MAC().Counters), "ip": counts(n.Counters), "radio": counts(rs.Stats), "line": counts(rs.Line)}
		if p := n.PAA(); p != nil {
			st.Counters["pana"] = counts(p.Counters)
		}
	})
}

func (s *Server) sessions(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Session{}
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		now := l.Node.Clock().Now()
		for _, i := range l.Node.Sessions() {
			x := Session{ID: fmt.Sprintf("0x%08x", i.ID), Identity: printable(i.Identity), Method: i.Method.String(), Device: l.Station(i),
				State: i.State.String(), Age: age(i.Since, now)}
			if i.PRE.IsValid() {
				x.Relay = i.PRE.Addr().String()
			}
			if !i.Expires.IsZero() {
				x.Left = seconds(i.Expires.Sub(now))
			}
			out = append(out, x)
		}
	})
	return out, err
}

// printable is what a device calls itself, quoted if it would do something to a
// terminal: it has not proved anything yet.
func printable(identity string) string {
	if enrol.CheckIdentity(identity) != nil && identity != "" {
		return strconv.Quote(identity)
	}
	return identity
}

// withSession calls f with a session that is named in the path.
func (s *Server) withSession(r *http.Request, f func(l *gateway.Lowpan, id uint32) error) error {
	who := r.PathValue("who")
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		i, ok := l.Session(who)
		if !ok {
			failed = &Error{Code: http.StatusNotFound, Text: fmt.Sprintf("there is no session %q", who), Hint: "see `gatewayd pana sessions`"}
			return
		}
		failed = f(l, i.ID)
	})
	return errors.Join(err, failed)
}

// disconnect ends a session. With ?rotate=true the network key is changed, too:
// until then the device knows it.
func (s *Server) disconnect(_ http.ResponseWriter, r *http.Request) (any, error) {
	rotate := false
	if v := r.URL.Query().Get("rotate"); v != "" {
		var err error
		if rotate, err = strconv.ParseBool(v); err != nil {
			return nil, badRequest("rotate: %q is neither true nor false", v)
		}
	}
	var out KeyRotation
	err := s.withSession(r, func(l *gateway.Lowpan, id uint32) error {
		if err := l.Node.PAA().Disconnect(id); err != nil || !rotate {
			return err
		}
		var ok bool
		if out.Index, ok = l.RotateKey(); !ok {
			return conflict("the session is over, but the network key is being changed already, and the device may have the next one",
				"change it once more in a minute, by `gatewayd pana rotate-key`")
		}
		return nil
	})
	return out, err
}

func (s *Server) reauthenticate(_ http.ResponseWriter, r *http.Request) (any, error) {
	err := s.withSession(r, func(l *gateway.Lowpan, id uint32) error { return l.Node.PAA().Reauthenticate(id) })
	return struct{}{}, err
}

// methodNames are EAP methods as commands name them.
var methodNames = map[string]eap.Type{"psk": eap.TypePSK, "tls": eap.TypeTLS}

func credentialOf(e enrol.Entry, now time.Time) Credential {
	c := Credential{Identity: e.Identity}
	for name, m := range methodNames {
		if m == e.Method {
			c.Method = name
		}
	}
	if e.EUI64 != nil {
		c.EUI64 = e.EUI64.String()
	}
	if !e.Until.IsZero() {
		c.Left, c.Ended = seconds(max(0, e.Until.Sub(now))), !now.Before(e.Until)
	}
	if a := e.Last; !a.At.IsZero() {
		c.Tried, c.Ago, c.Device = "ok", age(a.At, now), a.Device
		if !a.OK {
			c.Tried = "refused: " + a.Reason
		}
	}
	return c
}

func (s *Server) credentials(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Credential{}
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		for _, e := range l.List.Entries() {
			out = append(out, credentialOf(e, l.Node.Clock().Now()))
		}
	})
	return out, err
}

// entry checks a credential.
func (in *NewCredential) entry() (e enrol.Entry, err error) {
	m, ok := methodNames[in.Method]
	if !ok {
		return e, badRequest("%q is neither psk nor tls", in.Method)
	}
	e = enrol.Entry{Identity: in.Identity, Method: m}
	if m == eap.TypePSK || in.PSK != "" {
		if e.PSK, err = enrol.ParsePSK(in.PSK); err != nil {
			return e, badRequest("%s", strings.TrimPrefix(err.Error(), "enrol: "))
		}
	}
	if in.EUI64 != "" {
		a, err := ieee802154.ParseExtAddr(strings.NewReplacer(":", "", "-", "").Replace(in.EUI64))
		if err != nil {
			return e, badRequest("%q is no EUI-64 of 16 hexadecimal digits", in.EUI64)
		}
		e.EUI64 = &a
	}
	if !(in.Lifetime >= 0 && in.Lifetime <= maxCredentialTime.Seconds()) {
		return e, badRequest("the lifetime is not between 0 and %v", maxCredentialTime)
	}
	return e, nil
}

const maxCredentialTime = 100 * 365 * 24 * time.Hour

func (s *Server) addCredential(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in NewCredential
	if err := body(r, &in); err != nil {
		return nil, err
	}
	e, err := in.entry()
	if err != nil {
		return nil, err
	}
	var out Credential
	var failed error
	err = s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		now := l.Node.Clock().Now()
		e.Added = now
		if in.Lifetime > 0 {
			e.Until = now.Add(time.Duration(in.Lifetime * float64(time.Second)))
		}
		if failed = l.List.Add(e, in.Replace); failed == nil {
			failed = l.SaveList()
			out = credentialOf(e, now)
		}
	})
	return out, errors.Join(err, enrolError(failed))
}

func (s *Server) removeCredential(_ http.ResponseWriter, r *http.Request) (any, error) {
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		if _, failed = l.List.Remove(r.PathValue("identity")); failed == nil {
			failed = l.SaveList()
		}
	})
	return struct{}{}, errors.Join(err, enrolError(failed))
}

// enrolError says what is wrong with a change of the list.
func enrolError(err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "enrol: ")
	switch {
	case errors.Is(err, enrol.ErrExists):
		return conflict(text, "replace it with --replace")
	case errors.Is(err, enrol.ErrUnknown):
		return &Error{Code: http.StatusNotFound, Text: text}
	case errors.Is(err, enrol.ErrFull):
		return conflict(text, "remove some")
	case strings.HasPrefix(err.Error(), "enrol: "):
		return badRequest("%s", text)
	}
	return err
}

// radiusWait is how long a test of the RADIUS servers may take: each that does
// not answer is given its time.
const radiusWait = 40 * time.Second

func (s *Server) testRADIUS(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(radiusWait + writeTimeout)); err != nil {
		return nil, err
	}
	var in RADIUSTest
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if err := enrol.CheckIdentity(in.Identity); err != nil {
		return nil, badRequest("%s", strings.TrimPrefix(err.Error(), "enrol: "))
	}
	done := make(chan RADIUSTest, 1)
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		failed = l.TestRADIUS(in.Identity, func(t gateway.RADIUSTest) {
			out := RADIUSTest{Identity: in.Identity, Outcome: t.Outcome.String(), Elapsed: seconds(t.Elapsed)}
			for _, x := range t.Servers {
				out.Servers = append(out.Servers, RADIUSServer{Name: x.Name, Alive: x.Alive})
			}
			if t.Reason != nil {
				out.Reason = t.Reason.Error()
			}
			select {
			case done <- out:
			default:
			}
		})
	})
	if failed != nil {
		failed = conflict(strings.TrimPrefix(failed.Error(), "gateway: "), "set lowpan.radius.servers in the configuration")
	}
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	select {
	case out := <-done:
		return out, nil
	case <-time.After(radiusWait):
		return RADIUSTest{Identity: in.Identity, Outcome: "no answer"}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (s *Server) registrations(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Registration{}
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		now := l.Node.Clock().Now()
		for _, x := range l.Node.Registrations() {
			reg := Registration{Address: x.Addr.String(), Owner: x.ROVR.String(), Left: seconds(x.Expires.Sub(now))}
			if x.Router.IsValid() {
				reg.Router = x.Router.String()
			}
			out = append(out, reg)
		}
	})
	return out, err
}

func (s *Server) routes(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Route{}
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		for _, x := range l.Node.Routes() {
			route := Route{Target: x.Target.String()}
			for _, p := range x.Parents {
				route.Parents = append(route.Parents, p.String())
			}
			for _, h := range x.Hops {
				route.Hops = append(route.Hops, h.String())
			}
			if x.Next.IsValid() {
				route.Hops = append(route.Hops, x.Next.String())
			}
			if x.Left != wpan.Forever {
				route.Left = seconds(x.Left)
			}
			out = append(out, route)
		}
	})
	return out, err
}

func (s *Server) leases(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := []Lease{}
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		if l.Leases == nil {
			failed = conflict("this gateway hands out no addresses", "set lowpan.dhcp in the configuration")
			return
		}
		now := l.Node.Clock().Now()
		for _, x := range l.Leases.Leases() {
			out = append(out, Lease{Address: x.Addr.String(), DUID: fmt.Sprintf("%x", x.DUID), IAID: x.IAID, State: x.State.String(),
				Left: seconds(x.Valid.Sub(now))})
		}
	})
	return out, errors.Join(err, failed)
}

func (s *Server) permit(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in Permit
	if err := body(r, &in); err != nil {
		return nil, err
	}
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) { failed = l.Permit(in.Permit) })
	return in, errors.Join(err, failed)
}

func (s *Server) rotateKey(_ http.ResponseWriter, r *http.Request) (any, error) {
	var out KeyRotation
	var failed error
	err := s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
		var ok bool
		if out.Index, ok = l.RotateKey(); !ok {
			failed = conflict("the network key is being changed already, or there is none", "wait a minute")
		}
	})
	return out, errors.Join(err, failed)
}
