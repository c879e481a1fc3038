package api

import (
	"log/slog"
	"net/http"
	"sync"
)

// Events passes what is logged to those who listen on GET /events.
type Events struct {
	mu   sync.Mutex
	subs map[chan []byte]struct{}
}

// Bounds of the listeners, and of the events that wait for a slow one.
const (
	maxListeners = 16
	eventsAhead  = 256
)

// Handler returns a handler for a logger whose records are the events.
func (e *Events) Handler(level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(e, &slog.HandlerOptions{Level: level})
}

// Write takes one event, as a line. A listener that is behind misses it.
func (e *Events) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.subs) > 0 {
		shared := append([]byte(nil), line...)
		for c := range e.subs {
			select {
			case c <- shared:
			default:
			}
		}
	}
	return len(line), nil
}

// listen returns nil if there are too many already.
func (e *Events) listen() chan []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.subs) >= maxListeners {
		return nil
	}
	if e.subs == nil {
		e.subs = map[chan []byte]struct{}{}
	}
	c := make(chan []byte, eventsAhead)
	e.subs[c] = struct{}{}
	return c
}

func (e *Events) leave(c chan []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.subs, c)
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) (any, error) {
	if s.cfg.Events == nil {
		return nil, &Error{Code: http.StatusNotFound, Text: "this gateway keeps no events"}
	}
	c := s.cfg.Events.listen()
	if c == nil {
		return nil, &Error{Code: http.StatusTooManyRequests, Text: "too many listen already"}
	}
	defer s.cfg.Events.leave(c)
	out := newStream(w)
	if out.raw(nil) != nil { // the header: nothing more may come for long
		return nil, nil
	}
	for {
		select {
		case <-r.Context().Done():
			return nil, nil
		case line := <-c:
			if out.raw(line) != nil {
				return nil, nil
			}
		}
	}
}
