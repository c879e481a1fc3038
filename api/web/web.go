package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatewayd/api"
)

// Implementation constants.
const (
	statusTimeout = 3 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second
	maxHeader     = 8 << 10
	stopTimeout   = time.Second

	// What the whole LAN may ask costs the gateway no more than one viewer.
	statusAge = 500 * time.Millisecond // of a status that is shown once more
	maxConns  = 64
)

// Options are what a Page shows. Every function is called for each view, by
// several goroutines.
type Options struct {
	Version  string
	Log      *slog.Logger                              // default: discard
	Status   func(context.Context) (api.Status, error) // of the gateway
	Links    func() []Link                             // towards the home's or plant's network
	Problems func() []string                           // with the settings; nil: none
	Notices  func() []string                           // of the system below the gateway; nil: none
	NoTime   func() []string                           // time servers of which none answers; nil: not known
	SSH      func() string                             // fingerprint of its key, "" if it is off; nil: nothing is said of it
	Local    bool                                      // the host's name is found in "local."
	Hostname func() string
	// Metrics asks the gateway for GET /metrics; nil: there is no such page.
	Metrics func(context.Context) ([]byte, error)
}

// A Page answers GET / with the page, and GET /metrics.
type Page struct {
	opt Options

	mu    sync.Mutex // of what follows
	asked time.Time  // when the gateway answered last
	last  api.Status
	err   error
}

// New returns a Page.
func New(opt Options) *Page {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	none := func() []string { return nil }
	if opt.Problems == nil {
		opt.Problems = none
	}
	if opt.NoTime == nil {
		opt.NoTime = none
	}
	if opt.Notices == nil {
		opt.Notices = none
	}
	return &Page{opt: opt}
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.URL.Path == "/metrics" && r.Method == http.MethodGet && p.opt.Metrics != nil:
		p.metrics(w, r)
		return
	case r.URL.Path != "/":
		http.Error(w, "There is only one page here, /.", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "This page changes nothing.", http.StatusMethodNotAllowed)
		return
	}
	var v view
	notices := p.opt.Notices()
	st, err := p.status(r.Context())
	if err != nil {
		v = away(err)
	} else {
		v = present(&st, notices)
	}
	v.Hostname, v.Version, v.Problems = p.opt.Hostname(), p.opt.Version, p.opt.Problems()
	v.Notices, v.Local = append(notices, v.Notices...), p.opt.Local
	if p.opt.SSH != nil {
		v.SSH = new(p.opt.SSH())
	}
	v.Uplink = uplink(p.opt.Links())
	if servers := p.opt.NoTime(); len(servers) > 0 && v.Uplink.Good {
		v.Uplink.Advice = "No time server answers (" + strings.Join(servers, ", ") + "): is there a way to the internet? The devices' network needs none, but the times in the log may be wrong."
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(v.Append(nil)) // who does not read is gone
}

// status asks the gateway, unless it has just been asked. Who comes meanwhile
// waits for the same answer.
func (p *Page) status(ctx context.Context) (api.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked.IsZero() || time.Since(p.asked) >= statusAge {
		// Others want the answer, too, if this one goes away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
		defer cancel()
		p.last, p.err = p.opt.Status(ctx)
		p.asked = time.Now()
	}
	return p.last, p.err
}

// metrics passes on what the gateway counts.
func (p *Page) metrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	b, err := p.opt.Metrics(ctx)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", api.MetricsType)
	_, _ = w.Write(b) // who does not read is gone
}

// ListenAndServe answers on addr until ctx is cancelled. When it returns, every
// request has been answered or given up.
func (p *Page) ListenAndServe(ctx context.Context, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{Addr: addr, Handler: p, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: writeTimeout,
		MaxHeaderBytes: maxHeader, ConnState: new(conns).changed, ErrorLog: slog.NewLogLogger(p.opt.Log.Handler(), slog.LevelDebug)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if srv.Shutdown(limit) != nil {
			srv.Close()
		}
	}()
	err := srv.ListenAndServe()
	cancel()
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
