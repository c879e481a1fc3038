package gateway

import (
	"crypto/rand"
	"errors"

	"gatewayd/otcli"
	"gatewayd/thread"
	"gatewayd/thread/netdata"
)

// CLI returns OpenThread's command line of the gateway's node, of which a user
// makes a session. Only a function that Do runs may call it or use what it
// returns.
func (g *Gateway) CLI() *otcli.CLI { return g.cli }

func newCLI(g *Gateway, n *thread.Node, version string) *otcli.CLI {
	return otcli.New(n, otcli.Config{
		Border: borderCommands{g}, Store: nodeStore{g},
		Rand: rand.Reader, Version: version, Platform: "POSIX",
		Instead: map[string]string{
			"reset":        "the gateway is not restarted from here: restart its service",
			"factoryreset": "the gateway keeps what it has: `gatewayd dataset new --force` makes another network of its own",
		},
	})
}

// nodeEvent passes on what the node says.
func (g *Gateway) nodeEvent(e thread.Event) {
	g.logEvent(e)
	if g.cli != nil && errors.Is(e.Err, netdata.ErrFull) {
		g.cli.NetDataFull()
	}
}
