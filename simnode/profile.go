package simnode

import (
	"fmt"
	"time"

	"gatewayd/thread"
	"gatewayd/thread/addr"
)

// Profile is what a build of OpenThread fixes and its tests take for granted.
type Profile struct {
	ChildTimeout time.Duration // 0: that of package mle
	// MaxChildAddresses is how many addresses a child registers and a parent
	// keeps; 0: those of package mle.
	MaxChildAddresses int
	PendingDelay      time.Duration // shortest one of a pending dataset; 0: that of package dataset
	ParentSearch      time.Duration // between searches for a better parent; 0: that of package mle
	// InformParent tells a child's previous parent that it is gone.
	InformParent bool
	Addresses    addr.Limits
}

// ProfileOf finds a profile by name: "toranj" is that of OpenThread's tests of
// this name, "" none.
func ProfileOf(name string) (Profile, error) {
	switch name {
	case "":
		return Profile{}, nil
	case "toranj":
		return Profile{
			ChildTimeout: 120 * time.Second, MaxChildAddresses: 10, PendingDelay: time.Second, ParentSearch: 120 * time.Second, InformParent: true,
			Addresses: addr.Limits{QueryTimeout: 6 * time.Second, FirstRetry: 4 * time.Second,
				MaxRetry: 120 * time.Second, SnoopHold: 3 * time.Second, Entries: 16, Snooped: 2},
		}, nil
	}
	return Profile{}, fmt.Errorf("simnode: no profile %q, only toranj", name)
}

func (p Profile) tune(n *thread.Node) {
	m := n.MLE()
	if p.PendingDelay > 0 {
		n.Datasets().MinDelay, n.Datasets().KeyDelay = p.PendingDelay, p.PendingDelay
	}
	if p.ChildTimeout > 0 {
		m.Tuning.ChildTimeout = p.ChildTimeout
	}
	if p.MaxChildAddresses > 0 {
		m.Tuning.MaxChildAddresses, m.Tuning.MaxRegistered = p.MaxChildAddresses, p.MaxChildAddresses
	}
	if p.ParentSearch > 0 {
		m.Tuning.ParentSearch = p.ParentSearch
	}
	m.Tuning.InformParent = p.InformParent
}
