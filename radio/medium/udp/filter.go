package udp

import (
	"fmt"
	"slices"
)

// filter is whom a node does not hear.
type filter struct {
	only  bool // the nodes are those that are heard
	nodes []int
}

func (f *filter) deaf(node int) bool {
	return slices.Contains(f.nodes, node) != f.only
}

// set adds a node to a list of one kind, which replaces one of the other.
func (f *filter) set(node int, only bool) error {
	if node < 1 || node > MaxNode {
		return fmt.Errorf("udp medium: node %d is not between 1 and %d", node, MaxNode)
	}
	if f.only != only {
		f.nodes = nil
	}
	f.only = only
	if !slices.Contains(f.nodes, node) {
		f.nodes = append(f.nodes, node)
		slices.Sort(f.nodes)
	}
	return nil
}

// Deny makes a node unheard, besides those denied before.
func (m *Medium) Deny(node int) error { return m.filter.set(node, false) }

// Allow makes a node one of those that alone are heard.
func (m *Medium) Allow(node int) error { return m.filter.set(node, true) }

// Clear lets every node be heard.
func (m *Medium) Clear() { m.filter = filter{} }

// Filtered returns the nodes that were denied or, if only is true, allowed.
func (m *Medium) Filtered() (nodes []int, only bool) { return m.filter.nodes, m.filter.only }
