package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"gatewayd/gateway"
	"gatewayd/radio/spinel"
	"gatewayd/thread"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// DatasetOf is a dataset as it is shown, its secrets only if reveal is set.
func DatasetOf(d *meshcop.Dataset, reveal bool) Dataset {
	out := Dataset{Network: networkOf(d), Channels: channels(d.ChannelMask.Bits()), Unknown: len(d.Unknown)}
	secret := func(k *meshcop.Key) string {
		switch {
		case k == nil:
			return ""
		case reveal:
			b := k.Reveal()
			return hex.EncodeToString(b[:])
		}
		return k.String()
	}
	out.NetworkKey, out.PSKc = secret(d.NetworkKey), secret(d.PSKc)
	if d.ActiveTimestamp != nil {
		out.ActiveTimestamp = new(d.ActiveTimestamp.Seconds)
	}
	if d.PendingTimestamp != nil {
		out.PendingTimestamp = new(d.PendingTimestamp.Seconds)
	}
	if d.Delay != nil {
		out.Delay = float64(*d.Delay) / 1000
	}
	if d.WakeupChannel != nil {
		out.WakeupChannel = d.WakeupChannel.Number
	}
	if d.SecurityPolicy != nil {
		out.Policy = policyOf(d.SecurityPolicy)
	}
	return out
}

func policyOf(p *meshcop.SecurityPolicy) *Policy {
	out := &Policy{RotationHours: p.RotationHours, Flags: []string{}}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{p.ObtainNetworkKey, "obtain-network-key"}, {p.NativeCommissioning, "native-commissioning"},
		{p.Routers, "routers"}, {p.ExternalCommissioning, "external-commissioning"},
		{p.CommercialCommission, "commercial-commissioning"}, {p.AutonomousEnrollment, "autonomous-enrollment"},
		{p.NetworkKeyProvisioning, "network-key-provisioning"}, {p.TobleLink, "toble"},
		{p.NonCCMRouters, "non-ccm-routers"},
	} {
		if f.on {
			out.Flags = append(out.Flags, f.name)
		}
	}
	return out
}

// stored gets a dataset out of the node.
func (s *Server) stored(r *http.Request) (*meshcop.Dataset, error) {
	which := r.PathValue("which")
	get := func(n *thread.Node) *meshcop.Dataset { return n.Datasets().Active() }
	switch which {
	case "active":
	case "pending":
		get = func(n *thread.Node) *meshcop.Dataset { return n.Datasets().Pending() }
	default:
		return nil, noSuch(which)
	}
	var d *meshcop.Dataset
	if err := s.gw.Do(r.Context(), func(n *thread.Node) {
		if p := get(n); p != nil {
			d = new(p.Clone())
		}
	}); err != nil {
		return nil, err
	}
	if d == nil {
		e := &Error{Code: http.StatusNotFound, Text: "there is no " + which + " dataset"}
		if which == "active" {
			e.Hint = "make a network with `gatewayd dataset new`, or take one over with `gatewayd dataset import`"
		}
		return nil, e
	}
	return d, nil
}

func noSuch(which string) *Error {
	return &Error{Code: http.StatusNotFound, Text: fmt.Sprintf("there is no dataset %q, only active and pending", which)}
}

func (s *Server) dataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	d, err := s.stored(r)
	if err != nil {
		return nil, err
	}
	return DatasetOf(d, false), nil
}

func (s *Server) exportDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	d, err := s.stored(r)
	if err != nil {
		return nil, err
	}
	return TLVs{TLVs: hex.EncodeToString(d.Append(nil))}, nil
}

func (s *Server) importDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	which := r.PathValue("which")
	if which != "active" && which != "pending" {
		return nil, noSuch(which)
	}
	var in TLVs
	if err := body(r, &in); err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(in.TLVs))
	if err != nil {
		return nil, badRequest("the dataset is not hexadecimal: %v", err)
	}
	d, err := meshcop.DecodeDataset(b)
	if err != nil {
		return nil, badRequest("the dataset makes no sense: %v", err)
	}
	if which == "pending" {
		return s.usePending(r, &d)
	}
	if missing := d.MissingToAttach(); len(missing) > 0 {
		return nil, badRequest("the dataset lacks %s", meshcop.TypeNames(missing))
	}
	return s.use(r, &d, in.Force, s.gw.UseDataset)
}

// use makes a dataset the active one by start, if that leaves no other network
// and takes back no change of this one, or force is set.
func (s *Server) use(r *http.Request, d *meshcop.Dataset, force bool, start func(*meshcop.Dataset) error) (any, error) {
	var failed error
	err := s.gw.Do(r.Context(), func(n *thread.Node) {
		old := n.Datasets().Active()
		switch {
		case old == nil || force:
		case !gateway.SameNetwork(old, d):
			failed = conflict(fmt.Sprintf("this gateway belongs to the network %q", old.NetworkName),
				"export its dataset if it is still needed, then say --force (\"force\": true) to leave it")
			return
		case old.ActiveTimestamp != nil && d.ActiveTimestamp != nil && d.ActiveTimestamp.Compare(*old.ActiveTimestamp) < 0:
			failed = conflict(fmt.Sprintf("the network %q has been changed since this dataset was exported", old.NetworkName),
				"this gateway has the newer one; say --force (\"force\": true) to go back all the same")
			return
		}
		failed = start(d)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return DatasetOf(d, false), nil
}

// usePending makes a dataset the network's pending one. Only the leader can:
// others would have to be its commissioner.
func (s *Server) usePending(r *http.Request, d *meshcop.Dataset) (any, error) {
	if missing := d.MissingPending(); len(missing) > 0 {
		return nil, badRequest("the dataset lacks %s", meshcop.TypeNames(missing))
	}
	var failed error
	err := s.gw.Do(r.Context(), func(n *thread.Node) {
		if role := n.MLE().Role(); role != mle.Leader {
			failed = conflict(fmt.Sprintf("a pending dataset is set at the network's leader, and this gateway is %v", role),
				"set it there, or with the network's commissioner")
			return
		}
		n.Datasets().SetPending(d)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return DatasetOf(d, false), nil
}

func (s *Server) newDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in NewDataset
	if err := body(r, &in); err != nil {
		return nil, err
	}
	supported, err := s.supported(r.Context())
	if err != nil {
		return nil, err
	}
	d, err := in.dataset(supported)
	if err != nil {
		return nil, err
	}
	start := s.gw.UseDataset
	if in.NetworkKey == "" {
		start = s.gw.FormNetwork
	}
	return s.use(r, &d, in.Force, start)
}

// supported are the channels that the radio can use, all while it is not known.
func (s *Server) supported(ctx context.Context) (meshcop.ChannelMask, error) {
	mask := meshcop.AllChannels()
	err := s.gw.Do(ctx, func(*thread.Node) {
		if radio := s.gw.Radio(); radio.State == spinel.Ready && radio.Identity.Channels != 0 {
			mask = meshcop.MaskOf(radio.Identity.Channels)
		}
	})
	return mask, err
}

// meshLocal reads a mesh-local prefix.
func meshLocal(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Bits() != 64 || p != p.Masked() || p.Addr().As16()[0] != 0xfd {
		return p, badRequest("mesh-local prefix %q is not one like fd12:3456:789a::/64", s)
	}
	return p, nil
}

// dataset makes a new network's, on one of the radio's channels.
func (in *NewDataset) dataset(supported meshcop.ChannelMask) (meshcop.Dataset, error) {
	d, err := gateway.NewDataset(supported)
	if err != nil {
		return d, err
	}
	if err := (wishes{in.Name, in.Channel, in.PANID, in.MeshLocalPrefix, in.NetworkKey}).apply(&d, supported); err != nil {
		return d, err
	}
	if in.Name == "" {
		d.NetworkName = gateway.NetworkName(*d.PANID) // which may be a wish
	}
	if in.ExtPANID != "" {
		b, err := digits("extended PAN ID", in.ExtPANID, len(meshcop.ExtPANID{}))
		if err != nil {
			return d, err
		}
		d.ExtPANID = new(meshcop.ExtPANID(b))
	}
	if in.PSKc != "" {
		b, err := digits("PSKc", in.PSKc, len(meshcop.Key{}))
		if err != nil {
			return d, err
		}
		d.PSKc = new(meshcop.Key(b))
	}
	if _, err := meshcop.DecodeDataset(d.Append(nil)); err != nil {
		return d, badRequest("the dataset makes no sense: %v", err) // a name that is not UTF-8
	}
	return d, nil
}
