package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gatewayd/host/doctor"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// Config is what the gateway was started with.
func (g *Gateway) Config() Config { return g.cfg }

// Started is when the gateway was started.
func (g *Gateway) Started() time.Time { return g.started }

// Radio is what the gateway knows of its radio.
type Radio struct {
	URL      radio.URL
	State    spinel.State
	Why      string       // of the state, or ""
	Err      error        // why there is no connection; nil while there is one
	Guess    spinel.Guess // while it is suspect or unusable
	Identity spinel.Identity
	Stats    spinel.Stats
	Line     hdlc.Stats
	Dropped  uint64 // writes that found the queue to the radio full
}

// Radio tells about the radio. Only a function that Do runs may call it.
func (g *Gateway) Radio() Radio {
	r := Radio{URL: g.url, State: g.link.State(), Why: g.radioWhy, Err: g.lastErr,
		Identity: g.link.Identity(), Stats: g.link.Stats(), Line: g.link.LineStats(), Dropped: g.port.Dropped()}
	if g.dialer != nil {
		r.URL = g.dialer.URL()
	}
	var unfit *transport.UnfitError
	switch {
	case r.State == spinel.Suspect || r.State == spinel.Unusable:
		r.Guess = g.guess()
	case errors.As(r.Err, &unfit) && unfit.Problem == "":
		r.Guess = unfit.Guess
		r.Guess.Looks = fmt.Sprintf("%s, %v: %s", unfit.Port.Path, unfit.Port, r.Guess.Looks)
	}
	return r
}

// UseDataset attaches to the network of a complete active dataset, or forms it.
// What is stored of another network is forgotten. Only a function that Do runs
// may call it.
func (g *Gateway) UseDataset(d *meshcop.Dataset) error {
	old := g.node.Datasets().Active()
	leaving := old != nil && !SameNetwork(old, d)
	if leaving {
		if err := g.node.Commissioner().Stop(); err != nil && !errors.Is(err, joining.ErrAlready) {
			return err
		}
	}
	g.node.Stop()
	if leaving {
		g.node.MLE().Forget()
	}
	g.node.SetActiveDataset(d)
	if err := g.publishPrefix(); err != nil {
		return err
	}
	return g.node.Start()
}

// NewDataset is a random one, of a new network on one of the channels.
func NewDataset(supported meshcop.ChannelMask) (meshcop.Dataset, error) {
	d, err := meshcop.NewRandom(rand.Reader, supported, supported)
	if err == nil {
		d.NetworkName = NetworkName(*d.PANID)
	}
	return d, err
}

// NetworkName is that of a network to which nobody gave another.
func NetworkName(panID uint16) string { return fmt.Sprintf("gatewayd-%04x", panID) }

// FormNetwork is UseDataset for one whose key was made just now: nobody else can
// have it, so there is nobody to look for and the gateway leads at once.
func (g *Gateway) FormNetwork(d *meshcop.Dataset) error {
	if err := g.UseDataset(d); err != nil {
		return err
	}
	// A node that may not be a router attaches as others do, when there are any.
	if err := g.node.MLE().BecomeLeader(); !errors.Is(err, mle.ErrNotCapable) {
		return err
	}
	return nil
}

// NetworkNew is what Config.Network says to form a network.
const NetworkNew = "new"

// configured reads the dataset that the configuration names, if it names one.
func (g *Gateway) configured() error {
	if g.cfg.Network == "" || g.cfg.Network == NetworkNew {
		return nil
	}
	d, err := readDataset(g.cfg.Network)
	switch {
	case err == nil:
		g.wanted = &d
	case g.node.Datasets().Active() == nil:
		return err
	default: // it can do without
		g.log.Warn(err.Error(), "id", doctor.OtherNetwork)
	}
	return nil
}

// firstNetwork is for a gateway that belongs to no network: it does as the
// configuration says.
func (g *Gateway) firstNetwork() error {
	switch {
	case g.wanted != nil:
		return g.UseDataset(g.wanted)
	case g.cfg.Network == NetworkNew:
		d, err := NewDataset(meshcop.AllChannels())
		if err != nil {
			return err
		}
		return g.FormNetwork(&d)
	}
	g.log.Info("no network yet: make one with `gatewayd dataset new`, or take one over with `gatewayd dataset import`",
		"id", "GW-NO-DATASET")
	return nil
}

// otherNetwork finds that the gateway belongs to another network than the
// configuration names: it leaves none by itself.
func (g *Gateway) otherNetwork() []doctor.Finding {
	if g.node == nil || g.wanted == nil || g.wanted.ExtPANID == nil {
		return nil
	}
	d := g.node.Datasets().Active()
	if d == nil || d.ExtPANID != nil && *d.ExtPANID == *g.wanted.ExtPANID {
		return nil
	}
	return []doctor.Finding{{Code: doctor.OtherNetwork, Level: doctor.Warning,
		Text: fmt.Sprintf("The settings name the network %q, and this gateway belongs to %q already, which it does not leave by itself.", g.wanted.NetworkName, d.NetworkName),
		Fix:  "gatewayd dataset import --force - <" + g.cfg.Network}}
}

// readDataset reads the dataset of a network to be in, from a file of
// hexadecimal digits.
func readDataset(file string) (d meshcop.Dataset, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return d, fmt.Errorf("gateway: network: %w", err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return d, fmt.Errorf("gateway: network: %s: want hexadecimal digits, as `gatewayd dataset export` prints them: %w", file, err)
	}
	if d, err = meshcop.DecodeDataset(b); err != nil {
		return d, fmt.Errorf("gateway: network: %s: the dataset makes no sense: %w", file, err)
	}
	if missing := d.MissingToAttach(); len(missing) > 0 {
		return d, fmt.Errorf("gateway: network: %s: the dataset lacks %s", file, meshcop.TypeNames(missing))
	}
	return d, nil
}

// SameNetwork reports whether two active datasets are an earlier and a later
// one of the same network.
func SameNetwork(a, b *meshcop.Dataset) bool {
	return a.ExtPANID != nil && b.ExtPANID != nil && *a.ExtPANID == *b.ExtPANID &&
		a.NetworkKey != nil && b.NetworkKey != nil && *a.NetworkKey == *b.NetworkKey
}
