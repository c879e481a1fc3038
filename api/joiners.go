package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
)

// Bounds and defaults of a joiner's time.
const (
	joinerTimeout    = 120 * time.Second
	maxJoinerTimeout = 30 * 24 * time.Hour
	// petitionWait is how long adding a joiner waits for the commissioner;
	// its petition is answered, or fails, sooner if there is a leader.
	petitionWait = 8 * time.Second
	petitionPoll = 50 * time.Millisecond
)

func commissionerOf(n *thread.Node) Commissioner {
	c := n.Commissioner()
	return Commissioner{State: c.State().String(), Joiners: len(c.List())}
}

// ParseWho reads who may join: an EUI-64, with or without separators, a
// discerner as 0xabc/12, or * for anybody.
func ParseWho(s string) (joining.Who, error) {
	if s == "*" {
		return joining.Who{}, nil
	}
	if value, bits, ok := strings.Cut(s, "/"); ok {
		v, err1 := strconv.ParseUint(value, 0, 64)
		n, err2 := strconv.ParseUint(bits, 10, 8)
		d := meshcop.Discerner{Value: v, Bits: uint8(n)}
		if err1 != nil || err2 != nil || !d.Valid() {
			return joining.Who{}, fmt.Errorf("api: %q is not a discerner like 0xabc/12", s)
		}
		return joining.Discerned(d), nil
	}
	e, err := ieee802154.ParseExtAddr(strings.NewReplacer(":", "", "-", "").Replace(s))
	if err != nil {
		return joining.Who{}, fmt.Errorf("api: %q is neither an EUI-64 of 16 hexadecimal digits nor *", s)
	}
	return joining.EUI64(e), nil
}

func joinerOf(e joining.Entry, now time.Time) Joiner {
	j := Joiner{ID: e.Who.String(), Progress: e.Progress.String(), Refused: e.Refused}
	if e.Removed.IsZero() {
		j.Expires = seconds(max(0, e.Expires.Sub(now)))
	}
	for _, a := range e.Attempts {
		at := JoinAttempt{JoinerID: a.ID.String(), Router: rloc16(a.Router), Progress: a.Progress.String(), Age: age(a.Changed, now)}
		if a.Reason != nil {
			at.Reason = a.Reason.Error()
		}
		if a.Device != nil {
			at.Vendor = strings.TrimSpace(a.Device.VendorName + " " + a.Device.VendorModel)
		}
		j.Attempts = append(j.Attempts, at)
	}
	return j
}

func (s *Server) joiners(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := Joiners{Joiners: []Joiner{}, History: []Joiner{}}
	err := s.gw.Do(r.Context(), func(n *thread.Node) {
		c, now := n.Commissioner(), n.Clock().Now()
		out.Commissioner = c.State().String()
		for _, e := range c.List() {
			out.Joiners = append(out.Joiners, joinerOf(e, now))
		}
		for _, e := range c.History() {
			out.History = append(out.History, joinerOf(e, now))
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// addJoiner makes the gateway the network's commissioner if it is not yet, and
// puts a joiner on the list.
func (s *Server) addJoiner(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in NewJoiner
	if err := body(r, &in); err != nil {
		return nil, err
	}
	who, err := ParseWho(in.EUI64)
	if err != nil {
		return nil, badRequest("%v", strings.TrimPrefix(err.Error(), "api: "))
	}
	if err := meshcop.ValidPSKd(in.PSKd); err != nil {
		return nil, badRequest("%v", strings.TrimPrefix(err.Error(), "meshcop: "))
	}
	pskd, err := joining.ParsePSKd(in.PSKd)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	timeout := joinerTimeout
	if in.Timeout != 0 {
		if !(in.Timeout >= 1 && in.Timeout <= maxJoinerTimeout.Seconds()) {
			return nil, badRequest("the timeout is not between 1 s and %v", maxJoinerTimeout)
		}
		timeout = time.Duration(in.Timeout * float64(time.Second))
	}
	if err := s.startCommissioner(r.Context()); err != nil {
		return nil, err
	}
	var out Joiner
	var failed error
	err = s.gw.Do(r.Context(), func(n *thread.Node) {
		c := n.Commissioner()
		if failed = c.Add(who, pskd, timeout); failed != nil {
			return
		}
		for _, e := range c.List() {
			if e.Who == who {
				out = joinerOf(e, n.Clock().Now())
			}
		}
	})
	if err == nil && failed != nil {
		err = joiningError(failed)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// startCommissioner returns when the commissioner is active.
func (s *Server) startCommissioner(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, petitionWait)
	defer cancel()
	for first := true; ; first = false {
		var state joining.CommissionerState
		var failed error
		if err := s.gw.Do(ctx, func(n *thread.Node) {
			c := n.Commissioner()
			switch {
			case !n.MLE().Attached():
				failed = conflict("the gateway is "+n.MLE().Role().String()+", nobody can join it now",
					"make a network with `gatewayd dataset new`, or wait until it is attached")
			case first && c.State() == joining.Disabled:
				failed = c.Start()
			}
			state = c.State()
		}); err != nil {
			return err
		}
		switch {
		case failed != nil:
			return joiningError(failed)
		case state == joining.Active:
			return nil
		case state == joining.Disabled:
			return conflict("the network's leader refused this gateway as commissioner", "another commissioner may be active: end its session first")
		}
		select {
		case <-ctx.Done():
			return &Error{Code: http.StatusGatewayTimeout, Text: "the network's leader did not answer the commissioner's petition"}
		case <-time.After(petitionPoll):
		}
	}
}

func (s *Server) removeJoiner(_ http.ResponseWriter, r *http.Request) (any, error) {
	who, err := ParseWho(r.PathValue("id"))
	if err != nil {
		return nil, badRequest("%v", strings.TrimPrefix(err.Error(), "api: "))
	}
	var failed error
	err = s.gw.Do(r.Context(), func(n *thread.Node) { failed = n.Commissioner().Remove(who, 0) })
	if err == nil && failed != nil {
		err = joiningError(failed)
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// joiningError gives an error its HTTP status.
func joiningError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, joining.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, joining.ErrInvalidArgs):
		code = http.StatusBadRequest
	case errors.Is(err, joining.ErrInvalidState), errors.Is(err, joining.ErrAlready), errors.Is(err, joining.ErrBusy):
		code = http.StatusConflict
	case errors.Is(err, joining.ErrNoBufs):
		code = http.StatusInsufficientStorage
	}
	return &Error{Code: code, Text: strings.TrimPrefix(err.Error(), "joining: ")}
}
