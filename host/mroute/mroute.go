package mroute

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/ipv6"
)

// Errors of Open.
var (
	ErrUnsupported = errors.New("mroute: this kernel does not route IPv6 multicast: it is built without CONFIG_IPV6_MROUTE")
	ErrInUse       = errors.New("mroute: another program routes IPv6 multicast here, such as smcroute, pim6sd or otbr-agent: only one can")
)

// Implementation constants.
const (
	// maxRoutes bounds what the kernel is told: each sender to each group is a
	// route.
	maxRoutes = 256
	// idle is how long a route stays that no datagram takes.
	idle = 5 * time.Minute
	// sweepEvery is how often routes are looked through for idle ones.
	sweepEvery = time.Minute
	// maxLinks is what the kernel has room for, less the mesh.
	maxLinks = maxMIFs - 1
)

// A Link is an infrastructure link.
type Link struct {
	Name  string
	Index int
}

// Want is what is to be routed.
type Want struct {
	Links []Link
	// Groups are those with listeners in the mesh.
	Groups []netip.Addr
	// Closed are prefixes of sources in the mesh whose datagrams stay there.
	Closed []netip.Prefix
}

// A Route is how datagrams of a sender to a group go.
type Route struct {
	Source, Group netip.Addr
	From          string   // the interface they come from
	To            []string // where they go; none: nowhere
}

// Router routes multicast. Its methods may be called by several goroutines.
type Router struct {
	log  *slog.Logger
	file *os.File
	wg   sync.WaitGroup

	mu     sync.Mutex
	mesh   Link
	want   Want
	mifs   map[int]Link // by number; 0 is the mesh
	joined map[membership]bool
	routes map[key]*route
	swept  time.Time
	closed bool
}

type membership struct {
	index int
	group netip.Addr
}

type key struct{ source, group netip.Addr }

type route struct {
	from    int
	to      []int
	packets uint
	used    time.Time
}

// Open begins to route for a mesh's interface. Until Set there is nowhere to.
// The error is ErrUnsupported, ErrInUse or that of a system call.
func Open(mesh Link, log *slog.Logger) (*Router, error) {
	fd, err := openSocket()
	if err != nil {
		return nil, err
	}
	r := &Router{log: log, file: os.NewFile(uintptr(fd), "mroute"), mesh: mesh, mifs: map[int]Link{},
		joined: map[membership]bool{}, routes: map[key]*route{}}
	if err := r.control(func(fd int) error { return addMIF(fd, 0, mesh.Index) }); err != nil {
		r.file.Close()
		return nil, fmt.Errorf("mroute: routing for %s: %w", mesh.Name, err)
	}
	r.mifs[0] = mesh
	r.wg.Go(r.read)
	return r, nil
}

// Probe reports why Open would fail; nil if it would not.
func Probe() error {
	fd, err := openSocket()
	if err == nil {
		unix.Close(fd) // the kernel ends what it began
	}
	return err
}

// Close ends routing. Nothing of it stays in the kernel.
func (r *Router) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	err := r.file.Close()
	r.wg.Wait()
	return err
}

func (r *Router) control(f func(fd int) error) error {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}

// Set changes what is routed. After an error the rest was done all the same.
func (r *Router) Set(w Want) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return os.ErrClosed
	}
	r.want = w
	errs := []error{r.setLinks(), r.setGroups()}
	for k, x := range r.routes {
		if to := r.outputs(k, x.from); !slices.Equal(to, x.to) {
			errs = append(errs, r.tell(k, x.from, to))
		}
	}
	return errors.Join(errs...)
}

// setLinks gives each link a number, and takes those back that are gone. The
// routes from there go too.
func (r *Router) setLinks() error {
	var errs []error
	for mif, l := range r.mifs {
		if mif == 0 || slices.Contains(r.want.Links, l) {
			continue
		}
		for k, x := range r.routes {
			if x.from == mif {
				r.forget(k)
			}
		}
		err := r.control(func(fd int) error { return delMIF(fd, mif) })
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) { // the kernel was first
			errs = append(errs, fmt.Errorf("mroute: not routing for %s: %w", l.Name, err))
		}
		delete(r.mifs, mif)
	}
	for _, l := range r.want.Links {
		if r.number(l) > 0 {
			continue
		}
		mif := 1
		for r.mifs[mif] != (Link{}) {
			mif++
		}
		if mif > maxLinks {
			errs = append(errs, fmt.Errorf("mroute: not routing for %s: more than %d links", l.Name, maxLinks))
			break
		}
		if err := r.control(func(fd int) error { return addMIF(fd, mif, l.Index) }); err != nil {
			errs = append(errs, fmt.Errorf("mroute: routing for %s: %w", l.Name, err))
			continue
		}
		r.mifs[mif] = l
	}
	return errors.Join(errs...)
}

func (r *Router) number(l Link) int {
	for mif, x := range r.mifs {
		if x == l {
			return mif
		}
	}
	return -1
}

// setGroups joins the groups on all links, so that switches and routers there
// send them here.
func (r *Router) setGroups() error {
	want := map[membership]bool{}
	for mif, l := range r.mifs {
		if mif == 0 {
			continue
		}
		for _, g := range r.want.Groups {
			want[membership{l.Index, g}] = true
		}
	}
	set := func(m membership, option int) error {
		return r.control(func(fd int) error {
			return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option, &unix.IPv6Mreq{Multiaddr: m.group.As16(), Interface: uint32(m.index)})
		})
	}
	var errs []error
	for m := range r.joined {
		if !want[m] {
			_ = set(m, unix.IPV6_LEAVE_GROUP) // gone with its link already, if that is
			delete(r.joined, m)
		}
	}
	for m := range want {
		if r.joined[m] {
			continue
		}
		if err := set(m, unix.IPV6_JOIN_GROUP); err != nil && !errors.Is(err, unix.EADDRINUSE) {
			errs = append(errs, fmt.Errorf("mroute: joining %v on link %d: %w", m.group, m.index, err))
			continue
		}
		r.joined[m] = true
	}
	return errors.Join(errs...)
}

// outputs are where datagrams go, ascending.
func (r *Router) outputs(k key, from int) (to []int) {
	if ipv6.Scope(k.group) <= ipv6.ScopeRealm || k.source.IsLinkLocalUnicast() {
		return nil
	}
	if from != 0 {
		if slices.Contains(r.want.Groups, k.group) {
			to = append(to, 0)
		}
		return to
	}
	for _, p := range r.want.Closed {
		if p.Contains(k.source) {
			return nil
		}
	}
	for mif := range r.mifs {
		if mif != 0 {
			to = append(to, mif)
		}
	}
	slices.Sort(to)
	return to
}

// read takes the kernel's questions until the socket is closed.
func (r *Router) read() {
	b := make([]byte, 2048)
	for {
		n, err := r.file.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			r.log.Error("multicast is not routed any more", "id", "MROUTE", "err", err)
			return
		}
		if k, from, ok := question(b[:n]); ok {
			r.answer(k, from)
		}
	}
}

// answer tells the kernel a route, to nowhere too: it would ask again for each
// datagram.
func (r *Router) answer(k key, from int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := time.Now()
	if len(r.routes) >= maxRoutes || now.Sub(r.swept) >= sweepEvery {
		r.sweep(now)
	}
	if err := r.tell(k, from, r.outputs(k, from)); err != nil {
		r.log.Debug("a multicast route could not be made", "id", "MROUTE", "group", k.group, "err", err)
	}
}

func (r *Router) tell(k key, from int, to []int) error {
	if err := r.control(func(fd int) error { return addMFC(fd, k, from, to) }); err != nil {
		return fmt.Errorf("mroute: route of %v to %v: %w", k.source, k.group, err)
	}
	x := r.routes[k]
	if x == nil {
		x = &route{used: time.Now()}
		r.routes[k] = x
	}
	x.from, x.to = from, to
	return nil
}

func (r *Router) forget(k key) {
	_ = r.control(func(fd int) error { return delMFC(fd, k, r.routes[k].from) })
	delete(r.routes, k)
}

// sweep forgets routes that nothing takes, and of too many the one that was
// not taken for longest.
func (r *Router) sweep(now time.Time) {
	r.swept = now
	for k, x := range r.routes {
		_ = r.control(func(fd int) error {
			n, err := packets(fd, k)
			if err == nil && n != x.packets {
				x.packets, x.used = n, now
			}
			return err
		})
		if now.Sub(x.used) >= idle {
			r.forget(k)
		}
	}
	for len(r.routes) >= maxRoutes {
		var oldest key
		for k, x := range r.routes {
			if o := r.routes[oldest]; o == nil || x.used.Before(o.used) {
				oldest = k
			}
		}
		r.forget(oldest)
	}
}

// Routes are what the kernel was told, ordered by group and source.
func (r *Router) Routes() (all []Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, x := range r.routes {
		out := Route{Source: k.source, Group: k.group, From: r.mifs[x.from].Name}
		for _, mif := range x.to {
			out.To = append(out.To, r.mifs[mif].Name)
		}
		all = append(all, out)
	}
	slices.SortFunc(all, func(a, b Route) int {
		x, y := a.Group.As16(), b.Group.As16()
		if c := bytes.Compare(x[:], y[:]); c != 0 {
			return c
		}
		return a.Source.Compare(b.Source)
	})
	return all
}
