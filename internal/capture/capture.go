// Package capture reads the recordings of OpenThread networks under
// testdata/captures for tests: a packet file of the air, and beside it a JSON
// file with every key and address that it takes to read it.
package capture

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/lowpan"
	"gatewayd/pcap"
	"gatewayd/thread/keys"
)

// A Capture is one recording.
type Capture struct {
	Name    string
	Packets []pcap.Packet
	// Contexts are all that the network had, the mesh-local prefix among them.
	Contexts    lowpan.Contexts
	NetworkKeys [][16]byte
	KEKs        [][16]byte
	// Masters are the DTLS master secrets by the random of the ClientHello.
	Masters map[[32]byte][48]byte

	// Began is what the events' times count from.
	Began  time.Time
	Nodes  []Node // that there were at the end, in the order of their ids
	Events []Event
	// Links are the ids of the nodes that heard each other; nil if all did.
	Links [][2]int

	senders []ieee802154.ExtAddr // of each packet; zero where nobody knows
	ids     string               // of each packet's sender
}

// Node is a node as it was when a recording ended.
type Node struct {
	Name      string
	ID        int    // in the simulation
	Kind      string // "daemon", "ftd" or "mtd"
	EUI64     ieee802154.ExtAddr
	Ext       ieee802154.ExtAddr
	Addresses []netip.Addr
}

// Event is a command that a node was given.
type Event struct {
	At      time.Duration
	Node    string
	Command string
}

type sidecar struct {
	Network struct {
		MeshLocal netip.Prefix `json:"mesh_local_prefix"`
	}
	Secrets struct {
		NetworkKeys []hexBytes `json:"network_keys"`
		KEKs        []hexBytes
		KeyLog      []string `json:"dtls_keylog"`
	}
	AddrMap  map[string]hexBytes `json:"addr_map"`
	Contexts map[uint8]netip.Prefix
	Nodes    map[string]struct {
		ID        int `json:"nodeid"`
		Kind      string
		EUI64     hexBytes
		ExtAddr   hexBytes
		Addresses []netip.Addr `json:"ipaddr"`
	} `json:"nodes_at_end"`
	Senders string  `json:"tx_node_per_frame"`
	Began   float64 `json:"t0_epoch"`
	Medium  string
	Events  []struct {
		T    float64
		Node string
		Cmd  string
	}
}

// hexBytes is hexadecimal in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// nodeChars are the senders' characters by node id.
const nodeChars = "0123456789abcdefghijklmnopqrstuvwxyz"

// LoadAll reads every recording of a folder, in the order of their names.
func LoadAll(dir string) ([]*Capture, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("capture: no recordings in %s", dir)
	}
	var all []*Capture
	for _, p := range paths {
		c, err := Load(p)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Load reads a packet file and the JSON file beside it.
func Load(path string) (*Capture, error) {
	c := &Capture{Name: strings.TrimSuffix(filepath.Base(path), ".pcap"), Masters: map[[32]byte][48]byte{}}
	b, err := os.ReadFile(strings.TrimSuffix(path, "pcap") + "json")
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	var s sidecar
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("capture: %s: %w", c.Name, err)
	}
	for _, k := range s.Secrets.NetworkKeys {
		c.NetworkKeys = append(c.NetworkKeys, [16]byte(k))
	}
	for _, k := range s.Secrets.KEKs {
		c.KEKs = append(c.KEKs, [16]byte(k))
	}
	for _, line := range s.Secrets.KeyLog {
		var label string
		var random, master []byte
		if _, err := fmt.Sscanf(line, "%s %x %x", &label, &random, &master); err != nil || len(random) != 32 || len(master) != 48 {
			return nil, fmt.Errorf("capture: %s: key log %q", c.Name, line)
		}
		c.Masters[[32]byte(random)] = [48]byte(master)
	}
	c.Contexts = lowpan.Contexts{{ID: lowpan.MeshLocalContext, Prefix: s.Network.MeshLocal, Compress: true}}
	for id, p := range s.Contexts {
		c.Contexts = append(c.Contexts, lowpan.Context{ID: id, Prefix: p, Compress: true})
	}
	if err := c.readPackets(path); err != nil {
		return nil, fmt.Errorf("capture: %s: %w", c.Name, err)
	}
	if len(s.Senders) != len(c.Packets) {
		return nil, fmt.Errorf("capture: %s: %d senders of %d packets", c.Name, len(s.Senders), len(c.Packets))
	}
	c.tell(&s)
	return c, c.findSenders(&s)
}

// tell copies what the JSON says of the nodes.
func (c *Capture) tell(s *sidecar) {
	seconds := func(t float64) time.Duration { return time.Duration(t * float64(time.Second)) }
	c.Began, c.ids = time.Unix(0, 0).UTC().Add(seconds(s.Began)), s.Senders
	for name, n := range s.Nodes {
		c.Nodes = append(c.Nodes, Node{Name: name, ID: n.ID, Kind: n.Kind, EUI64: ieee802154.ExtAddr(n.EUI64),
			Ext: ieee802154.ExtAddr(n.ExtAddr), Addresses: n.Addresses})
	}
	slices.SortFunc(c.Nodes, func(a, b Node) int { return a.ID - b.ID })
	for _, e := range s.Events {
		c.Events = append(c.Events, Event{At: seconds(e.T), Node: e.Node, Command: e.Cmd})
	}
	_, links, _ := strings.Cut(s.Medium, "links ")
	for i := 1; links == "line" && i < len(c.Nodes); i++ {
		c.Links = append(c.Links, [2]int{c.Nodes[i-1].ID, c.Nodes[i].ID})
	}
	for l := range strings.SplitSeq(links, ",") {
		var a, b int
		if n, _ := fmt.Sscanf(l, "%d-%d", &a, &b); n == 2 {
			c.Links = append(c.Links, [2]int{a, b})
		}
	}
}

// Sender is the id of the node that sent packet i, Ext the extended address it
// had then, zero where nobody knows.
func (c *Capture) Sender(i int) (id int, ext ieee802154.ExtAddr) {
	return strings.IndexByte(nodeChars, c.ids[i]), c.senders[i]
}

func (c *Capture) readPackets(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := pcap.NewReader(f)
	if err != nil {
		return err
	}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		c.Packets = append(c.Packets, p)
	}
}

// findSenders finds the extended address of each packet's sender, which goes
// into the nonce. A node may have changed it, or have gone, before the JSON was
// written: what it last sent with an extended source tells.
func (c *Capture) findSenders(s *sidecar) error {
	shorts := make(map[uint16]ieee802154.ExtAddr)
	for rloc16, ext := range s.AddrMap {
		b, err := hex.DecodeString(rloc16)
		if err != nil || len(b) != 2 {
			return fmt.Errorf("capture: %s: address %q", c.Name, rloc16)
		}
		shorts[binary.BigEndian.Uint16(b)] = ieee802154.ExtAddr(ext)
	}
	nodes := make(map[byte]ieee802154.ExtAddr)
	for _, n := range s.Nodes {
		nodes[nodeChars[n.ID]] = ieee802154.ExtAddr(n.ExtAddr)
	}
	c.senders = make([]ieee802154.ExtAddr, len(c.Packets))
	for i, p := range c.Packets {
		f, err := ieee802154.Decode(p.PSDU)
		if err == nil && f.Src.Mode == ieee802154.AddrExtended && f.Security.KeyIDMode != ieee802154.KeyIDSource4 {
			nodes[s.Senders[i]] = f.Src.Ext
		}
		ext, ok := nodes[s.Senders[i]]
		if !ok && f.Src.Mode == ieee802154.AddrShort {
			ext = shorts[f.Src.Short]
		}
		c.senders[i] = ext
	}
	return nil
}

// wellKnownKey is Thread's key for key id mode 2, the same for everybody.
var wellKnownKey = [16]byte{0x78, 0x58, 0x16, 0x86, 0xfd, 0xb4, 0x58, 0x0f, 0xb0, 0x92, 0x54, 0x6a, 0xec, 0xbd, 0x15, 0x66}

// Keys are the keys that may have secured frame f, which was packet i, and the
// address of its sender. In these recordings no key sequence exceeds 127, so
// that a key index means only one.
func (c *Capture) Keys(i int, f *ieee802154.Frame) ([][16]byte, ieee802154.ExtAddr) {
	switch f.Security.KeyIDMode {
	case ieee802154.KeyIDImplicit:
		return c.KEKs, c.senders[i]
	case ieee802154.KeyIDIndex:
		var macs [][16]byte
		for _, k := range c.NetworkKeys {
			_, mac := keys.Derive(k, uint32(f.Security.KeyIndex-1))
			macs = append(macs, mac)
		}
		return macs, c.senders[i]
	case ieee802154.KeyIDSource4:
		return [][16]byte{wellKnownKey}, keys.WellKnownExt
	}
	return nil, c.senders[i]
}

// Open decodes packet i, out of memory of its own, and opens it if it is
// secured. The error of a frame that no key opens is the last key's.
func (c *Capture) Open(i int) (f ieee802154.Frame, key *ieee802154.CCM, ext ieee802154.ExtAddr, err error) {
	psdu := slices.Clone(c.Packets[i].PSDU)
	f, err = ieee802154.Decode(psdu)
	if err != nil || !f.Secured {
		return f, nil, ext, err
	}
	err = errors.New("capture: no key for this key id mode")
	candidates, ext := c.Keys(i, &f)
	for _, k := range candidates {
		key = ieee802154.NewCCM(k)
		if err = f.Open(psdu, key, ext); err == nil {
			break
		}
	}
	return f, key, ext, err
}
