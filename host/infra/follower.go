package infra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host/sysctl"
	"gatewayd/ndp"
)

// ErrNotReady is the error of sending on a link that cannot carry messages
// now.
var ErrNotReady = errors.New("infra: the link is not ready")

// Options configures a Follower. Every field may be left zero.
type Options struct {
	// Names are the interfaces to follow, whether they exist or not. Empty: the
	// one that the default route leads through is chosen, and another when
	// there is no default route through that anymore.
	Names []string
	Avoid []string // interfaces never chosen, as that of the mesh

	// Sysctl makes the settings that a border router's link needs; nil leaves
	// them alone.
	Sysctl *sysctl.Keeper
	// NAT64 has IPv4 packets that arrive on the links forwarded too.
	NAT64 bool

	// Changed is told the state of all links: once when Run begins and whenever
	// something about them is new. Receive is given each neighbor discovery
	// message that arrives; it may keep the body. Both are called by one
	// goroutine each and may block it.
	Changed func([]Link)
	Receive func(link string, in ndp.In)
	Log     *slog.Logger // default: discard
}

// A Follower follows interfaces. Its methods may be called concurrently.
type Follower struct {
	opt Options
	log *slog.Logger
	nl  *netlink.Handle

	mu          sync.Mutex
	links       []*followed
	unreachable []netip.Prefix
	closed      bool
	kick        chan struct{} // of capacity one: something may be new
	received    chan received
	readers     sync.WaitGroup
}

// followed is a link, and what is held of it.
type followed struct {
	Link
	named  bool
	socket *socket
	want   []Address
	onLink []netip.Prefix             // beside those of want
	set    map[netip.Prefix]bool      // of ours, put on the interface
	done   map[netip.Prefix]Address   // as it was put there
	checks map[netip.Prefix]bool      // of ours, looked for duplicates when last seen
	taken  map[netip.Prefix]time.Time // of ours, when another host was found to have it
	routes map[netip.Prefix]time.Time // on-link routes put there, until when
	said   string                     // last trouble that was logged
	known  int                        // index that was logged
}

func follow(id string, named bool) *followed {
	return &followed{
		Link: Link{ID: id}, named: named,
		set: map[netip.Prefix]bool{}, done: map[netip.Prefix]Address{}, routes: map[netip.Prefix]time.Time{},
		checks: map[netip.Prefix]bool{}, taken: map[netip.Prefix]time.Time{},
	}
}

type received struct {
	link string
	in   ndp.In
}

// New returns a Follower; Run makes it work. It fails where netlink cannot be
// had.
func New(o Options) (*Follower, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func([]Link) {}
	}
	if o.Receive == nil {
		o.Receive = func(string, ndp.In) {}
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("infra: opening netlink: %w", err)
	}
	f := &Follower{opt: o, log: o.Log, nl: nl, kick: make(chan struct{}, 1), received: make(chan received)}
	for _, name := range o.Names {
		f.links = append(f.links, follow(name, true))
	}
	return f, nil
}

// settle is how long after a notice of the kernel's all is looked at again:
// notices come in bunches.
const settle = 5 * time.Millisecond

// resync is how often all is looked at without a notice: settings that others
// change make none.
const resync = 30 * time.Second

// Run follows the interfaces until ctx ends, and then removes what
// SetAddresses, SetOnLink and SetUnreachable put into the kernel. The settings are the
// Keeper's to restore. Run can be called once.
func (f *Follower) Run(ctx context.Context) error {
	watch, err := openWatch()
	if err != nil {
		f.close()
		return err
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	wg.Go(func() { cancel(watch.run(f.again)) })
	wg.Go(func() {
		for r := range f.received {
			f.opt.Receive(r.link, r.in)
		}
	})
	f.clean()
	f.again()
	f.loop(ctx)
	watch.Close()
	f.close()
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}

func (f *Follower) loop(ctx context.Context) {
	first := true
	timer := time.NewTimer(resync)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.kick:
			if first {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
			select { // what came meanwhile is about to be seen
			case <-f.kick:
			default:
			}
		}
		if links, news := f.look(); news || first {
			f.opt.Changed(links)
		}
		first = false
		timer.Reset(resync)
	}
}

// again has the kernel looked at.
func (f *Follower) again() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// Links returns the links in order; those that were chosen and are no longer
// are gone.
func (f *Follower) Links() []Link {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot()
}

func (f *Follower) snapshot() []Link {
	list := make([]Link, 0, len(f.links))
	for _, l := range f.links {
		c := l.Link
		c.Addrs = slices.Clone(l.Addrs)
		list = append(list, c)
	}
	return list
}

// look reads the kernel's state and makes ours fit: sockets, settings,
// addresses.
func (f *Follower) look() (links []Link, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, false
	}
	now, err := f.read()
	if err != nil {
		f.log.Warn("the interfaces cannot be read", "id", "INFRA-NETLINK", "err", err)
		return nil, false
	}
	news = f.choose(now)
	for _, l := range f.links {
		next := now.link(l)
		next.ID = l.ID
		if next.Index == l.Index && next.usable(l.LinkLocal) {
			next.LinkLocal = l.LinkLocal // for others, another address is another router
		}
		if l.Index != 0 && l.Index != next.Index {
			f.lost(l)
		} else if l.Name != "" && next.Name != l.Name && f.opt.Sysctl != nil {
			f.trouble(l, f.opt.Sysctl.Rename(l.Name, next.Name))
		}
		for p := range l.taken {
			next.Addrs = append(next.Addrs, Addr{Prefix: p, Duplicate: true, Ours: true})
		}
		if !l.equal(next) {
			news = true
			l.Link = next
		}
		f.trouble(l, errors.Join(f.settings(l), f.syncSocket(l), f.syncAddrs(l)))
	}
	return f.snapshot(), news
}

// lost lets go of an interface that no longer exists.
func (f *Follower) lost(l *followed) {
	l.socket.close()
	l.socket = nil
	if f.opt.Sysctl != nil {
		if _, err := os.Stat("/proc/sys/net/ipv6/conf/" + l.Name); err != nil {
			f.trouble(l, f.opt.Sysctl.Forget(l.Name))
		}
	}
	l.known = 0
	clear(l.set)
	clear(l.done)
	clear(l.routes)
	clear(l.checks)
	clear(l.taken)
}

// trouble logs what is wrong with a link once.
func (f *Follower) trouble(l *followed, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != l.said {
		f.log.Warn("infrastructure link in trouble", "id", "INFRA-LINK", "link", l.ID, "err", err)
	}
	l.said = text
}

// settings makes the kernel settings that the link needs.
func (f *Follower) settings(l *followed) error {
	k := f.opt.Sysctl
	if k == nil || l.Index == 0 {
		return nil
	}
	var errs []error
	set := func(key, value string) {
		if err := k.Set(key, value); err != nil && !errors.Is(err, sysctl.ErrMissing) {
			errs = append(errs, err)
		}
	}
	// First of all: forwarding makes the kernel drop the routes of an
	// interface with another accept_ra.
	if Manager(l.Index, l.Name).TakesRAs {
		f.log.Debug("router advertisements are left to the interface's manager", "id", "INFRA-MANAGED", "link", l.ID)
	} else {
		set(sysctl.Conf(l.Name, "accept_ra"), "2")
		set(sysctl.Conf(l.Name, "accept_ra_rt_info_max_plen"), "64")
	}
	if err := k.Forward(l.Name); err != nil && !errors.Is(err, sysctl.ErrMissing) {
		errs = append(errs, err)
	}
	if f.opt.NAT64 {
		set("net/ipv4/conf/"+l.Name+"/forwarding", "1")
	}
	if l.known != l.Index {
		l.known = l.Index
		f.log.Info("following an interface", "id", "INFRA-FOLLOW", "link", l.ID, "name", l.Name)
	}
	return errors.Join(errs...)
}

// close ends everything and cleans up.
func (f *Follower) close() {
	f.mu.Lock()
	f.closed = true
	for _, l := range f.links {
		l.want, l.onLink = nil, nil
		if err := f.syncAddrs(l); err != nil {
			f.log.Warn("an address stays behind", "id", "INFRA-CLEAN", "link", l.ID, "err", err)
		}
		l.socket.close()
		l.socket = nil
	}
	f.unreachable = nil
	if err := f.syncUnreachable(); err != nil {
		f.log.Warn("a route stays behind", "id", "INFRA-CLEAN", "err", err)
	}
	f.nl.Close()
	f.mu.Unlock()
	f.readers.Wait()
	close(f.received)
}
