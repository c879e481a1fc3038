package eap

import (
	"errors"
	"fmt"
	"strings"
)

// Why a conversation failed.
var (
	// ErrNoMethod means that policy has no method for the identity.
	ErrNoMethod = errors.New("eap: no method for this identity")
	// ErrRejected means an EAP-Failure of the server that says no more.
	ErrRejected = errors.New("eap: the server rejected the authentication")
	// ErrRounds means a conversation with too many round trips.
	ErrRounds = errors.New("eap: too many round trips")
	// ErrLowerLayer means that the lower layer gave up.
	ErrLowerLayer = errors.New("eap: the lower layer reports failure")
)

// NakError means that peer and server have no method in common.
type NakError struct {
	Offered []Type // what the server has for this peer
	Wanted  []Type // what the peer asked for
}

func (e *NakError) Error() string {
	return fmt.Sprintf("eap: the peer refuses %s and wants %s", typeList(e.Offered), typeList(e.Wanted))
}

func typeList(ts []Type) string {
	if len(ts) == 0 {
		return "nothing"
	}
	var names []string
	for _, t := range ts {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}
