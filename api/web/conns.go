package web

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// conns are the connections of a server, in the order in which they were
// opened. One more than maxConns closes the oldest: who opens many and says
// nothing, or little at a time, keeps nobody else from the page.
type conns struct {
	mu   sync.Mutex
	open []net.Conn
}

// changed is a server's ConnState.
func (c *conns) changed(conn net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch to {
	case http.StateNew:
		c.open = append(c.open, conn)
		if len(c.open) > maxConns {
			c.open[0].Close() // the server hears of it, and says so here
			c.open = slices.Delete(c.open, 0, 1)
		}
	case http.StateClosed, http.StateHijacked:
		if i := slices.Index(c.open, conn); i >= 0 {
			c.open = slices.Delete(c.open, i, i+1)
		}
	}
}
