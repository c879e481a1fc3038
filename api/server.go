package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gatewayd/gateway"
)

// Implementation constants.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // of an answer; of a line of a stream
	idleTimeout  = time.Minute
	stopTimeout  = 2 * time.Second
	maxHeader    = 16 << 10
)

// ServerConfig is a Server's. Version may be empty, Log and Events nil.
type ServerConfig struct {
	Version string
	Log     *slog.Logger
	Events  *Events
}

// Server answers for one gateway.
type Server struct {
	gw  *gateway.Gateway
	cfg ServerConfig
	mux *http.ServeMux

	clis atomic.Int32 // command lines in use
}

// NewServer returns a Server that does not serve yet.
func NewServer(gw *gateway.Gateway, cfg ServerConfig) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{gw: gw, cfg: cfg, mux: http.NewServeMux()}
	s.handle("GET /status", s.status)
	s.handle("GET /dataset/{which}", s.dataset)
	s.handle("GET /dataset/{which}/tlvs", s.exportDataset)
	s.handle("PUT /dataset/{which}", s.importDataset)
	s.handle("POST /dataset/new", s.newDataset)
	s.handle("POST /dataset/change", s.changeDataset)
	s.handle("DELETE /dataset/pending", s.revokeDataset)
	s.handle("GET /joiners", s.joiners)
	s.handle("POST /joiners", s.addJoiner)
	s.handle("DELETE /joiners/{id}", s.removeJoiner)
	s.handle("POST /ping", s.ping)
	s.handle("GET /topology", s.topology)
	s.handle("GET /events", s.events)
	s.handle("POST /cli", s.cli)
	s.mux.HandleFunc("POST "+Base+"/cli/session", s.cliSession)
	s.handle("GET /health", s.health)
	s.handle("GET /metrics", s.metrics)
	s.handle("GET /border", s.border)
	s.handle("GET /services", s.services)
	s.handle("GET /nat64", s.nat64)
	s.handle("GET /trel", s.trel)
	s.handleLowpan()
	s.mux.HandleFunc("/", s.unknown)
	return s
}

// unknown answers what nobody else does.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, p := s.mux.Handler(other); p != "/" {
			allowed = append(allowed, m)
		}
	}
	if allowed == nil {
		s.fail(w, &Error{Code: http.StatusNotFound, Text: "there is no " + r.URL.Path})
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.fail(w, &Error{Code: http.StatusMethodNotAllowed,
		Text: fmt.Sprintf("%s does not take %s, only %s", r.URL.Path, r.Method, strings.Join(allowed, ", "))})
}

// handle answers pattern, without Base, with what f returns; if that is nil and
// there is no error, f has answered itself.
func (s *Server) handle(pattern string, f func(http.ResponseWriter, *http.Request) (any, error)) {
	method, path, _ := strings.Cut(pattern, " ")
	s.mux.HandleFunc(method+" "+Base+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		v, err := f(w, r)
		switch {
		case err != nil:
			s.fail(w, err)
		case v != nil:
			s.answer(w, http.StatusOK, v)
		}
	})
}

func (s *Server) answer(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.cfg.Log.Error("an answer cannot be encoded", "id", "API-ENCODE", "err", err)
		code, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // who does not read is gone
}

// fail answers with an error: an *Error as it is, others as what they are most
// likely to be.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var e *Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &tooLong):
		e = &Error{Code: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the body has more than %d bytes", tooLong.Limit)}
	case errors.Is(err, gateway.ErrMode):
		e = s.wrongMode()
	case errors.Is(err, gateway.ErrStopped), errors.Is(err, context.Canceled):
		e = &Error{Code: http.StatusServiceUnavailable, Text: "the gateway is stopping"}
	default:
		e = &Error{Code: http.StatusInternalServerError, Text: err.Error()}
	}
	s.answer(w, e.Code, e)
}

// wrongMode says what kind of network this gateway does run.
func (s *Server) wrongMode() *Error {
	if s.gw.Config().Mode == gateway.ModeLowpan {
		return conflict("this gateway runs a plain 6LoWPAN network", "this is for Thread networks, mode = \"thread\"")
	}
	return conflict("this gateway runs a Thread network", "this is for plain 6LoWPAN networks, mode = \"lowpan\"")
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Serve answers on l until ctx is cancelled; it closes l. When it returns, every
// request has been answered or given up.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler: s, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return ctx }, // ends streams
		ErrorLog:       slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
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
	err := srv.Serve(l)
	cancel()
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("api: %w", err)
}

// body decodes a request's body strictly.
func body(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	var tooLong *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLong):
		return err
	}
	return badRequest("the body makes no sense: %v", err)
}

func badRequest(format string, args ...any) *Error {
	return &Error{Code: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}

func conflict(text, hint string) *Error {
	return &Error{Code: http.StatusConflict, Text: text, Hint: hint}
}

// stream writes lines of JSON as they come.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := &stream{w: w, rc: http.NewResponseController(w)}
	// The request has been read; the limit on that must not end the stream.
	_ = s.rc.SetReadDeadline(time.Time{})
	return s
}

// raw writes one line, which ends with a newline.
func (s *stream) raw(line []byte) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(line); err != nil {
		return err
	}
	return s.rc.Flush()
}

func (s *stream) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.raw(append(b, '\n'))
}
