package eap

import (
	"fmt"
	"io"
)

// Local is the Backend that authenticates peers itself, with a Server for
// each conversation.
type Local struct {
	// Methods is the policy, see ServerConfig.
	Methods func(identity string, port Port) []ServerMethodFactory
	// Rand gives the first identifiers.
	Rand io.Reader
	// Rounds is as in ServerConfig.
	Rounds int
}

var _ Backend = (*Local)(nil)

// Converse opens a conversation. Every result is given before the call
// returns that asked for it.
func (l *Local) Converse(port Port, answer func(Result)) Conversation {
	c := &localConversation{answer: answer}
	var id [1]byte
	if _, err := io.ReadFull(l.Rand, id[:]); err != nil {
		c.broken = fmt.Errorf("eap: random source: %w", err)
	}
	c.server = NewServer(ServerConfig{
		Methods:         l.Methods,
		Port:            port,
		FirstIdentifier: id[0],
		Rounds:          l.Rounds,
	})
	return c
}

type localConversation struct {
	server *Server
	answer func(Result)
	broken error
}

func (c *localConversation) Begin() {
	if c.broken != nil && !c.server.Ended() {
		c.pass(c.server.fail(c.broken))
		return
	}
	c.pass(c.server.Begin())
}

func (c *localConversation) Receive(response []byte) { c.pass(c.server.Receive(response)) }

func (c *localConversation) Close() { c.server.Close() }

// pass gives a result on, unless a response was discarded.
func (c *localConversation) pass(r Result) {
	if r.Packet != nil {
		c.answer(r)
	}
}
