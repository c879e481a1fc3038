package backbone

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"

	"gatewayd/ndp"
)

// A Link is an infrastructure link.
type Link struct {
	Name      string
	Index     int
	LinkLocal netip.Addr   // messages come from it
	MAC       ndp.LinkAddr // what neighbours are answered with; none: they are not
}

// Want is what a Host is to do.
type Want struct {
	Links []Link
	// Groups are those in which TMF is heard.
	Groups []netip.Addr
	// Proxied are the addresses to answer for.
	Proxied []netip.Addr
}

// Options is what a Host needs.
type Options struct {
	// Receive is given what comes to TMF's port: from and to have the link's
	// name as zone if they are link-local unicast ones. It is called by one
	// goroutine for each link, may keep the datagram, and must not wait for who
	// calls the Host.
	Receive func(from, to netip.Addr, datagram []byte)
	Log     *slog.Logger // default: discard
}

// A Host is on the backbone links. Its methods may be called concurrently.
type Host struct {
	opt     Options
	wg      sync.WaitGroup
	mu      sync.Mutex
	ends    []*end
	proxied map[netip.Addr]bool
	closed  bool
}

// end is what is open on a link.
type end struct {
	Link
	host   *Host
	tmf    *tmfSocket
	ndp    *ndpSocket
	frames *frameSocket
}

// New returns a Host that is on no link.
func New(o Options) *Host {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Host{opt: o, proxied: map[netip.Addr]bool{}}
}

// Set changes what is done. After an error the rest was done all the same.
func (h *Host) Set(w Want) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return os.ErrClosed
	}
	h.proxied = map[netip.Addr]bool{}
	for _, a := range w.Proxied {
		h.proxied[a] = true
	}
	var errs []error
	h.ends = slices.DeleteFunc(h.ends, func(e *end) bool {
		gone := !slices.Contains(w.Links, e.Link)
		if gone {
			e.close()
		}
		return gone
	})
	for _, l := range w.Links {
		if slices.ContainsFunc(h.ends, func(e *end) bool { return e.Link == l }) {
			continue
		}
		e, err := h.open(l)
		if err != nil {
			errs = append(errs, fmt.Errorf("backbone: on %s: %w", l.Name, err))
			continue
		}
		h.ends = append(h.ends, e)
	}
	var solicited []netip.Addr
	for _, a := range w.Proxied {
		if s := ndp.SolicitedNode(a); !slices.Contains(solicited, s) {
			solicited = append(solicited, s)
		}
	}
	for _, e := range h.ends {
		errs = append(errs, e.tmf.join(w.Groups), e.ndp.join(solicited))
	}
	return errors.Join(errs...)
}

func (h *Host) open(l Link) (e *end, err error) {
	e = &end{Link: l, host: h}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.tmf, err = openTMF(l); err != nil {
		return e, err
	}
	if e.ndp, err = openNDP(l); err != nil {
		return e, err
	}
	if e.frames, err = openFrames(l); err != nil {
		return e, err
	}
	h.wg.Go(func() { e.tmf.read(h.opt) })
	h.wg.Go(func() { e.frames.read(e.solicited, h.opt.Log) })
	return e, nil
}

func (e *end) close() {
	if e.tmf != nil {
		e.tmf.conn.Close()
	}
	if e.ndp != nil {
		e.ndp.conn.Close()
	}
	if e.frames != nil {
		e.frames.file.Close()
	}
}

// Send sends a datagram from TMF's port to TMF's port: to a link-local address
// with the link's name as zone, or to a group, on all links. What cannot be sent
// is lost, as anything may be on the way.
func (h *Host) Send(to netip.Addr, datagram []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.ends {
		if to.IsMulticast() || to.Zone() == e.Name {
			if err := e.tmf.send(to, datagram); err != nil {
				h.opt.Log.Debug("a message to other Backbone Routers is lost", "id", "BACKBONE-SEND", "link", e.Name, "err", err)
			}
		}
	}
}

// Announce tells all neighbours that an address is reached here (RFC 4861
// Section 7.2.6): whatever they believed before.
func (h *Host) Announce(a netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.ends {
		if o, ok := e.advert(a, netip.Addr{}); ok {
			e.advertise(o)
		}
	}
}

// solicited takes a frame of the link and answers it if it is a solicitation for
// an address that is proxied.
func (e *end) solicited(packet []byte) {
	e.host.mu.Lock()
	defer e.host.mu.Unlock()
	if o, ok := e.answer(packet, func(a netip.Addr) bool { return e.host.proxied[a] }); ok {
		e.advertise(o)
	}
}

func (e *end) advertise(o ndp.Out) {
	if err := e.ndp.send(o); err != nil {
		e.host.opt.Log.Debug("a neighbour is not answered", "id", "BACKBONE-NDP", "link", e.Name, "err", err)
	}
}

// Close ends it all. When it returns, all goroutines have ended.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	for _, e := range h.ends {
		e.close()
	}
	h.ends = nil
	h.mu.Unlock()
	h.wg.Wait()
}
