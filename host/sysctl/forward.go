package sysctl

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

const (
	confIPv6   = "net/ipv6/conf"
	forwardAll = confIPv6 + "/all/forwarding"
)

// Conf is the key of an IPv6 setting of an interface.
func Conf(iface, setting string) string { return confIPv6 + "/" + iface + "/" + setting }

// Forward makes the host forward IPv6 packets, and a router towards the links
// of the interfaces named: there it says so in its neighbor advertisements
// (RFC 4861 Section 7.2.4), without which hosts give up the routes through it
// (Section 7.2.5). Interfaces not named stay what they are, with their default
// routes.
func (k *Keeper) Forward(routers ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, err := Get(forwardAll)
	if err != nil {
		return err
	}
	needed := all != "1"
	for _, iface := range routers {
		now, err := Get(Conf(iface, "forwarding"))
		if err != nil {
			return err
		}
		needed = needed || now != "1"
	}
	if !needed {
		// Still to be claimed, if a predecessor did it.
		for _, iface := range routers {
			_ = k.set(Conf(iface, "forwarding"), "1")
		}
		return k.set(forwardAll, "1")
	}
	unguard, err := k.guardDefaultRoutes()
	if err != nil {
		return errors.Join(err, unguard())
	}
	if all != "1" {
		others := k.forwarding()
		if err := k.set(forwardAll, "1"); err != nil {
			return errors.Join(err, unguard())
		}
		for iface, was := range others {
			if was == "0" && !slices.Contains(routers, iface) {
				err = errors.Join(err, ignoreMissing(put(Conf(iface, "forwarding"), "0")))
			}
		}
		// The setting for all has set these too; they were 0 before.
		for _, iface := range routers {
			if others[iface] == "0" {
				err = errors.Join(err, put(Conf(iface, "forwarding"), "0"))
			}
		}
	}
	for _, iface := range routers {
		err = errors.Join(err, k.set(Conf(iface, "forwarding"), "1"))
	}
	return errors.Join(err, unguard())
}

// forwardAll sets the setting for all and leaves the single interfaces as they
// are.
func (k *Keeper) forwardAll(value string) error {
	was := k.forwarding()
	if err := put(forwardAll, value); err != nil {
		return err
	}
	var errs []error
	for iface, v := range was {
		errs = append(errs, ignoreMissing(put(Conf(iface, "forwarding"), v)))
	}
	return errors.Join(errs...)
}

// forwarding reads the setting of each interface, and that of new ones.
func (k *Keeper) forwarding() map[string]string {
	m := map[string]string{}
	for _, iface := range interfaces() {
		if v, err := Get(Conf(iface, "forwarding")); err == nil {
			m[iface] = v
		}
	}
	return m
}

// guardDefaultRoutes keeps the kernel from dropping the default routes learned
// from router advertisements: it does so on all interfaces with accept_ra 1
// whenever one becomes a router's.
func (k *Keeper) guardDefaultRoutes() (unguard func() error, err error) {
	var guarded []string
	unguard = func() error {
		return k.restore(func(key string) bool { return slices.Contains(guarded, key) })
	}
	for _, iface := range interfaces() {
		key := Conf(iface, "accept_ra")
		if v, err := Get(key); err != nil || v != "1" || iface == "default" {
			continue
		}
		if err := k.set(key, "2"); err != nil && !errors.Is(err, ErrMissing) {
			return unguard, err
		}
		guarded = append(guarded, key)
	}
	return unguard, nil
}

func interfaces() (names []string) {
	dirs, _ := os.ReadDir(filepath.Join(root, confIPv6))
	for _, d := range dirs {
		if d.Name() != "all" {
			names = append(names, d.Name())
		}
	}
	return names
}

func ignoreMissing(err error) error {
	if errors.Is(err, ErrMissing) {
		return nil
	}
	return err
}
