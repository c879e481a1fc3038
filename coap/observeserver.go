package coap

import (
	"slices"
	"time"
)

// Observers is the list of observers of one resource (RFC 7641 Section 4).
// Its notifications are confirmable. A handler answers its GET requests with
// Respond, and whoever changes the resource calls Notify.
type Observers[P comparable] struct {
	e    *Endpoint[P]
	max  int
	seq  uint32
	list []*observer[P] // oldest first
}

const defaultMaxObservers = 32

// observer is an entry of the list, identified by peer and token.
type observer[P comparable] struct {
	r    *Request[P]
	x    *Exchange[P] // the notification under way, or nil
	next *body        // state to notify of after it
	gone bool
}

// NewObservers returns an empty list for at most max observers; zero means 32.
// When it is full, requests to observe get an answer without notifications.
func NewObservers[P comparable](e *Endpoint[P], max int) *Observers[P] {
	orDefault(&max, defaultMaxObservers)
	return &Observers[P]{e: e, max: max}
}

// Len returns the number of observers.
func (l *Observers[P]) Len() int { return len(l.list) }

// Respond answers a request like Request.Respond, and first registers or
// deregisters its sender as its Observe option asks (RFC 7641 Section 4.1).
func (l *Observers[P]) Respond(r *Request[P], code Code, payload []byte, opts ...Option) {
	v, ok := r.Observe()
	if ok && (r.Code == GET || r.Code == FETCH) && !r.Multicast {
		l.remove(l.find(r))
		if v == 0 && code.IsSuccess() && len(l.list) < l.max {
			l.list = append(l.list, &observer[P]{r: r})
			opts = append([]Option{UintOption(OptionObserve, l.seq)}, opts...)
		}
	}
	r.Respond(code, payload, opts...)
}

// Notify sends the resource's new state to every observer. Observers that have
// not acknowledged the one before get only the newest afterwards (RFC 7641
// Section 4.5.2). An error code ends all observations (Section 4.2).
func (l *Observers[P]) Notify(now time.Time, code Code, payload []byte, opts ...Option) {
	l.e.now = now
	l.seq = (l.seq + 1) & 0xffffff
	state := &body{code: code, payload: payload, opts: opts}
	for _, o := range slices.Clone(l.list) {
		if o.x == nil {
			l.send(o, state)
		} else {
			o.next = state
		}
	}
}

func (l *Observers[P]) send(o *observer[P], state *body) {
	code, payload, opts := state.code, state.payload, state.opts
	if code.IsSuccess() {
		opts = append([]Option{UintOption(OptionObserve, l.seq)}, opts...)
	}
	if o.r.shape != nil {
		code, payload, opts = o.r.shape(code, payload, opts)
	}
	m := Message{Type: Confirmable, Code: code, Token: o.r.Token, Options: opts, Payload: payload}
	x, err := l.e.send(o.r.From, m, RequestOptions{}, func(_ Response[P], err error) { l.sent(o, err) })
	if err != nil || !code.IsSuccess() {
		// Told nothing more: the observer asks again when Max-Age is over.
		l.remove(o)
		return
	}
	o.x = x
}

// sent learns what became of a notification. A reset or no answer at all ends
// the observation.
func (l *Observers[P]) sent(o *observer[P], err error) {
	o.x = nil
	if o.gone {
		return
	}
	if err != nil {
		l.remove(o)
		return
	}
	if state := o.next; state != nil {
		o.next = nil
		l.send(o, state)
	}
}

func (l *Observers[P]) find(r *Request[P]) *observer[P] {
	for _, o := range l.list {
		if o.r.From == r.From && string(o.r.Token) == string(r.Token) {
			return o
		}
	}
	return nil
}

// remove forgets an observer. A notification under way goes on, so that its
// receiver can end the observation on its side.
func (l *Observers[P]) remove(o *observer[P]) {
	for i := range l.list {
		if l.list[i] == o {
			o.gone = true
			l.list = append(l.list[:i], l.list[i+1:]...)
			return
		}
	}
}
