package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatewayd/thread"
	"gatewayd/thread/dataset"
	"gatewayd/thread/meshcop"
)

// ChangeDataset is POST /dataset/change: what is to be different in the whole
// network, when the delay is over.
type ChangeDataset struct {
	Name            string  `json:"name,omitempty"`
	Channel         uint16  `json:"channel,omitempty"`
	PANID           *uint16 `json:"pan_id,omitempty"`
	MeshLocalPrefix string  `json:"mesh_local_prefix,omitempty"`
	NetworkKey      string  `json:"network_key,omitempty"`
	NewNetworkKey   bool    `json:"new_network_key,omitempty"` // a random one
	Delay           float64 `json:"delay,omitempty"`           // seconds; 0 is 300
}

// Limits of a change.
const (
	defaultDelay = 300 * time.Second
	minDelay     = 30 * time.Second
	minKeyDelay  = 300 * time.Second
	maxDelay     = 72 * time.Hour
	leaderWait   = 8 * time.Second // for the leader to take it; an answer must come within writeTimeout
	leaderPoll   = 50 * time.Millisecond
)

// dataset is the change as a dataset.
func (in *ChangeDataset) dataset(supported meshcop.ChannelMask) (d meshcop.Dataset, err error) {
	if in.NetworkKey != "" && in.NewNetworkKey {
		return d, badRequest("a network key is given, and a random one asked for")
	}
	if err := (wishes{in.Name, in.Channel, in.PANID, in.MeshLocalPrefix, in.NetworkKey}).apply(&d, supported); err != nil {
		return d, err
	}
	if in.NewNetworkKey {
		d.NetworkKey = new(meshcop.Key)
		_, _ = rand.Read(d.NetworkKey[:]) // never fails
	}
	if len(d.Append(nil)) == 0 {
		return d, badRequest("nothing is to change")
	}
	if _, err := meshcop.DecodeDataset(d.Append(nil)); err != nil {
		return d, badRequest("the change makes no sense: %v", err) // a name that is not UTF-8
	}
	delay, least := defaultDelay, minDelay
	if in.Delay != 0 {
		delay = time.Duration(in.Delay * float64(time.Second))
	}
	if d.NetworkKey != nil {
		least = minKeyDelay
	}
	if delay < least || delay > maxDelay {
		return d, badRequest("the delay must be from %v to %v: every device must hear of the change in time, also those that sleep long", least, maxDelay)
	}
	d.Delay = new(uint32(delay.Milliseconds()))
	return d, nil
}

// changeDataset moves the whole network by a pending dataset, which the leader
// has when this returns.
func (s *Server) changeDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in ChangeDataset
	if err := body(r, &in); err != nil {
		return nil, err
	}
	supported, err := s.supported(r.Context())
	if err != nil {
		return nil, err
	}
	change, err := in.dataset(supported)
	if err != nil {
		return nil, err
	}
	return s.begin(r.Context(), func(n *thread.Node, done func(error)) error {
		if p := n.Datasets().Pending(); p != nil {
			return conflict(fmt.Sprintf("another change of the network is under way, and takes effect in %v",
				(time.Duration(*p.Delay)*time.Millisecond).Round(time.Second)),
				"wait until then, or take it back with `gatewayd dataset revoke`")
		}
		if a := n.Datasets().Active(); a != nil && change.Channel != nil && len(a.ChannelMask) > 0 && !a.ChannelMask.Contains(*change.Channel) {
			return badRequest("the network's channel mask does not have channel %d, but %d", change.Channel.Number, a.ChannelMask.Channels())
		}
		return n.Datasets().Update(&change, done)
	})
}

// revokeDataset takes the pending dataset back.
func (s *Server) revokeDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.begin(r.Context(), func(n *thread.Node, done func(error)) error { return n.Datasets().Revoke(done) })
}

// begin starts an update and waits until the network has it as its pending
// dataset, which it returns.
func (s *Server) begin(ctx context.Context, start func(n *thread.Node, done func(error)) error) (any, error) {
	var failed error
	var before meshcop.Timestamp
	ended := make(chan error, 1) // done is called once
	if err := s.gw.Do(ctx, func(n *thread.Node) {
		before, _ = n.Datasets().PendingTimestamp()
		failed = start(n, func(err error) { ended <- err })
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, updateError(failed)
	}
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	for {
		var out *Dataset
		if err := s.gw.Do(ctx, func(n *thread.Node) {
			if at, ok := n.Datasets().PendingTimestamp(); ok && at.Compare(before) > 0 {
				d := DatasetOf(n.Datasets().Pending(), false)
				out = &d
			}
		}); err != nil && ctx.Err() == nil {
			return nil, err
		}
		if out != nil {
			return *out, nil
		}
		select {
		case err := <-ended:
			return nil, updateError(err)
		case <-ctx.Done():
			return nil, s.giveUp()
		case <-time.After(leaderPoll):
		}
	}
}

// giveUp ends an update that the leader did not take in time.
func (s *Server) giveUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.gw.Do(ctx, func(n *thread.Node) { n.Datasets().CancelUpdate() }); err != nil {
		return err
	}
	return &Error{Code: http.StatusGatewayTimeout, Text: "the network's leader does not answer", Hint: "look at `gatewayd status`, and try again"}
}

// updateError says what an update failed of.
func updateError(err error) error {
	switch {
	case errors.Is(err, dataset.ErrDetached):
		return conflict("the gateway is not part of a network", "look at `gatewayd status`")
	case errors.Is(err, dataset.ErrUnchanged):
		return conflict("the network is like that already", "")
	case errors.Is(err, dataset.ErrBusy):
		return conflict("another change of the network is under way", "wait, or take it back with `gatewayd dataset revoke`")
	case errors.Is(err, dataset.ErrNoPending):
		return &Error{Code: http.StatusNotFound, Text: "no change of the network is under way"}
	case errors.Is(err, dataset.ErrRejected):
		return conflict("the network's leader refused the change", "look at `gatewayd dataset show --pending`: somebody else may have been faster")
	case errors.Is(err, dataset.ErrSuperseded):
		return conflict("somebody else changed the network at the same time", "look at `gatewayd dataset show --pending`")
	}
	return err
}

// ChangeDataset changes the whole network after a delay, and returns the pending
// dataset that does.
func (c *Client) ChangeDataset(ctx context.Context, in ChangeDataset) (d Dataset, err error) {
	err = c.call(ctx, http.MethodPost, "/dataset/change", in, &d)
	return d, err
}

// RevokeDataset takes the pending dataset back, by one that changes nothing,
// which it returns.
func (c *Client) RevokeDataset(ctx context.Context) (d Dataset, err error) {
	err = c.call(ctx, http.MethodDelete, "/dataset/pending", nil, &d)
	return d, err
}
