package infra

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host"
	"gatewayd/host/sysctl"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// A kernel is what was read of all interfaces.
type kernel struct {
	links    []Link // in order of index; without ID
	altNames map[int][]string
	noLAN    map[int]bool // tunnels and the like: nobody there takes advertisements
	defaults []int        // indexes of interfaces with a default route, best first
}

// read reads it.
func (f *Follower) read() (*kernel, error) {
	list, err := dump(f.nl.LinkList)
	if err != nil {
		return nil, err
	}
	addrs, err := readAddrs()
	if err != nil {
		return nil, err
	}
	k := &kernel{altNames: map[int][]string{}, noLAN: map[int]bool{}}
	for _, n := range list {
		a := n.Attrs()
		l := Link{Name: a.Name, Index: a.Index, MTU: a.MTU, Addrs: addrs[a.Index]}
		// Some drivers never say that they are up, but unknown.
		carrier := a.RawFlags&unix.IFF_RUNNING != 0
		l.Up = a.RawFlags&unix.IFF_UP != 0 && carrier && a.MTU >= ipv6.MinMTU
		if len(a.HardwareAddr) == 6 {
			l.MAC = ndp.EUI48([6]byte(a.HardwareAddr))
		}
		for _, addr := range l.Addrs {
			if !l.LinkLocal.IsValid() && l.usable(addr.Prefix.Addr()) {
				l.LinkLocal = addr.Prefix.Addr()
			}
		}
		if len(a.AltNames) > 0 {
			k.altNames[a.Index] = a.AltNames
		}
		k.noLAN[a.Index] = a.RawFlags&unix.IFF_MULTICAST == 0 || a.RawFlags&(unix.IFF_POINTOPOINT|unix.IFF_LOOPBACK) != 0
		k.links = append(k.links, l)
	}
	k.defaults, err = f.defaultRoutes()
	return k, err
}

// defaultRoutes lists the interfaces with a default route: IPv6 before IPv4,
// then by metric.
func (f *Follower) defaultRoutes() ([]int, error) {
	type route struct{ family, metric, index int }
	var routes []route
	for rank, family := range []int{netlink.FAMILY_V6, netlink.FAMILY_V4} {
		list, err := dump(func() ([]netlink.Route, error) {
			return f.nl.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		})
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, err
		}
		for _, r := range list {
			if r.Dst != nil && !isDefault(r) || r.Protocol == host.RouteProtocol || r.Type != unix.RTN_UNICAST {
				continue
			}
			routes = append(routes, route{rank, r.Priority, r.LinkIndex})
			for _, hop := range r.MultiPath {
				routes = append(routes, route{rank, r.Priority, hop.LinkIndex})
			}
		}
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.metric, b.metric))
	})
	var list []int
	for _, r := range routes {
		if r.index != 0 && !slices.Contains(list, r.index) {
			list = append(list, r.index)
		}
	}
	return list, nil
}

func isDefault(r netlink.Route) bool {
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

func (k *kernel) byIndex(index int) (Link, bool) {
	i := slices.IndexFunc(k.links, func(l Link) bool { return l.Index == index })
	if i < 0 {
		return Link{}, false
	}
	return k.links[i], true
}

func (k *kernel) byName(name string) (Link, bool) {
	i := slices.IndexFunc(k.links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		i = slices.IndexFunc(k.links, func(l Link) bool { return slices.Contains(k.altNames[l.Index], name) })
	}
	if i < 0 {
		return Link{}, false
	}
	return k.links[i], true
}

// link returns the interface that a followed link is now: the one of its name,
// or else the one it was, which has been renamed.
func (k *kernel) link(l *followed) Link {
	same, exists := k.byIndex(l.Index)
	if n, ok := k.byName(l.ID); ok && (l.named || !exists) {
		return n
	}
	return same
}

// choose takes up the interface of the default route, if none is named.
func (f *Follower) choose(k *kernel) (changed bool) {
	if len(f.opt.Names) > 0 {
		return false
	}
	var usable []int
	for _, i := range k.defaults {
		l, ok := k.byIndex(i)
		if ok && !slices.Contains(f.opt.Avoid, l.Name) && !k.noLAN[i] {
			usable = append(usable, i)
		}
	}
	if len(f.links) > 0 {
		// That no default route is left is no reason to leave a link: the mesh
		// and the link's hosts go on without one.
		if len(usable) == 0 || slices.Contains(usable, f.links[0].Index) {
			return false
		}
		f.drop(f.links[0])
		f.links = nil
	}
	if len(usable) == 0 {
		return false
	}
	l, _ := k.byIndex(usable[0])
	f.links = []*followed{follow(l.Name, false)}
	return true
}

// drop gives up a link that is no longer the chosen one.
func (f *Follower) drop(l *followed) {
	l.want = nil
	f.trouble(l, f.syncAddrs(l))
	name := l.Name
	f.lost(l)
	if f.opt.Sysctl != nil && name != "" {
		f.trouble(l, f.opt.Sysctl.Release(name))
	}
}

// dump asks the kernel for a list again while it changes under the question.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil // it is a busy host; the next notice has it read again
	}
	return all, err
}

// A Management says who configures an interface besides the kernel.
type Management struct {
	By string // NetworkManager, systemd-networkd, dhcpcd, or empty
	// TakesRAs: it has turned off the kernel's listening to router
	// advertisements, to do it itself.
	TakesRAs bool
}

// Manager finds out who configures an interface.
func Manager(index int, name string) (m Management) {
	if m.By = managedBy(strconv.Itoa(index), name); m.By != "" {
		accept, err := sysctl.Get(sysctl.Conf(name, "accept_ra"))
		m.TakesRAs = err == nil && accept == "0"
	}
	return m
}

func managedBy(index, name string) string {
	if b, err := os.ReadFile("/run/NetworkManager/devices/" + index); err == nil && keyValue(b, "managed") == "true" {
		return "NetworkManager"
	}
	if b, err := os.ReadFile("/run/systemd/netif/links/" + index); err == nil {
		if s := keyValue(b, "ADMIN_STATE"); s == "configured" || s == "configuring" {
			return "systemd-networkd"
		}
	}
	for _, file := range []string{"/run/dhcpcd/" + name + ".pid", "/run/dhcpcd-" + name + ".pid", "/run/dhcpcd/pid", "/run/dhcpcd.pid"} {
		if _, err := os.Stat(file); err == nil {
			return "dhcpcd"
		}
	}
	return ""
}

// keyValue reads a setting of a file of lines KEY=VALUE.
func keyValue(file []byte, key string) string {
	for line := range strings.Lines(string(file)) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Read returns the links that a Follower of the same options would begin with.
// It changes nothing.
func Read(o Options) ([]Link, error) {
	f, err := New(o)
	if err != nil {
		return nil, err
	}
	defer f.nl.Close()
	k, err := f.read()
	if err != nil {
		return nil, err
	}
	f.choose(k)
	for _, l := range f.links {
		id := l.ID
		l.Link = k.link(l)
		l.ID = id
	}
	return f.snapshot(), nil
}
