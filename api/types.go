package api

import (
	"fmt"

	"gatewayd/host/doctor"
)

// Error is the body of every answer that is not a success.
type Error struct {
	Code int    `json:"-"` // HTTP status
	Text string `json:"error"`
	Hint string `json:"hint,omitempty"` // what to do about it
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return fmt.Sprintf("%s: %s", e.Text, e.Hint)
}

// Status is GET /status.
type Status struct {
	Version string  `json:"version"`
	Uptime  float64 `json:"uptime"` // seconds
	Radio   Radio   `json:"radio"`

	// What stands in the way on this host, as `gatewayd doctor` finds it.
	Findings []doctor.Finding `json:"findings,omitempty"`

	Role            string   `json:"role"` // disabled, detached, child, router, leader
	RoleSeconds     float64  `json:"role_seconds"`
	ExtAddress      string   `json:"ext_address"`
	RLOC16          string   `json:"rloc16,omitempty"` // "0x4400"; attached only, as is what follows
	Mode            string   `json:"mode,omitempty"`
	PartitionID     *uint32  `json:"partition_id,omitempty"`
	LeaderRLOC16    string   `json:"leader_rloc16,omitempty"`
	OnMeshPrefixes  []string `json:"on_mesh_prefixes,omitempty"` // of the whole network
	Network         *Network `json:"network,omitempty"`          // without a dataset there is none
	Interface       string   `json:"interface,omitempty"`        // the mesh's interface on the host
	Reach           *Reach   `json:"reach,omitempty"`            // with infrastructure links
	Addresses       []string `json:"addresses"`
	MulticastGroups []string `json:"multicast_groups"`

	Commissioner Commissioner `json:"commissioner"`
	Lowpan       *Lowpan      `json:"lowpan,omitempty"` // in that mode
	Parent       *Neighbor    `json:"parent,omitempty"`
	Children     []Child      `json:"children"`
	Routers      []Router     `json:"routers"`
	Neighbors    []Neighbor   `json:"neighbors"`

	// Counters by where they are counted: mac, ip, mle, refused (MLE messages
	// by reason), radio, line.
	Counters map[string]map[string]uint64 `json:"counters"`
}

// Radio is the radio's part of a Status.
type Radio struct {
	URL          string   `json:"url"`
	State        string   `json:"state"`
	Problem      string   `json:"problem,omitempty"`
	Looks        string   `json:"looks,omitempty"` // what seems to be there
	Hint         string   `json:"hint,omitempty"`
	EUI64        string   `json:"eui64,omitempty"`
	Version      string   `json:"version,omitempty"`
	Spinel       string   `json:"spinel,omitempty"` // protocol version
	API          uint32   `json:"rcp_api,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	Channels     []int    `json:"channels,omitempty"`
	Sensitivity  int8     `json:"sensitivity,omitempty"` // dBm
}

// Reach is whether hosts of the infrastructure reach devices.
type Reach struct {
	Ready  bool   `json:"ready"`            // they are told the way
	Prefix string `json:"prefix,omitempty"` // of the devices' addresses that they reach
}

// Network is what a dataset says about a network, without its secrets.
type Network struct {
	Name            string `json:"name"`
	Channel         uint16 `json:"channel"`
	PANID           string `json:"pan_id"`
	ExtPANID        string `json:"ext_pan_id"`
	MeshLocalPrefix string `json:"mesh_local_prefix"`
}

// Commissioner is the native commissioner of the gateway.
type Commissioner struct {
	State   string `json:"state"` // disabled, petitioning, active
	Joiners int    `json:"joiners"`
}

// Neighbor is a node that the gateway has a radio link with.
type Neighbor struct {
	Kind       string  `json:"kind"` // parent, child, router
	RLOC16     string  `json:"rloc16"`
	ExtAddress string  `json:"ext_address"`
	Mode       string  `json:"mode"`
	Version    uint16  `json:"version"` // as in MLE: 4 is Thread 1.3
	Age        float64 `json:"age"`     // seconds since it was heard
	RSSI       int8    `json:"rssi"`    // average, dBm
	LastRSSI   int8    `json:"last_rssi"`
	QualityIn  uint8   `json:"quality_in"` // 0 to 3
}

// Child is a line of the child table.
type Child struct {
	Neighbor
	State     string   `json:"state"`
	Timeout   float64  `json:"timeout"` // seconds
	Queued    int      `json:"queued"`  // datagrams that wait for it to wake
	Addresses []string `json:"addresses"`
}

// Router is a line of the router table.
type Router struct {
	ID         uint8   `json:"id"`
	RLOC16     string  `json:"rloc16"`
	NextHop    string  `json:"next_hop,omitempty"` // RLOC16
	PathCost   int     `json:"path_cost,omitempty"`
	QualityIn  uint8   `json:"quality_in"`
	QualityOut uint8   `json:"quality_out"`
	ExtAddress string  `json:"ext_address,omitempty"` // neighbours only
	Age        float64 `json:"age,omitempty"`
	Self       bool    `json:"self,omitempty"`
	Leader     bool    `json:"leader,omitempty"`
}

// Dataset is GET /dataset/active and /dataset/pending. Secrets are "redacted".
type Dataset struct {
	Network
	ActiveTimestamp  *uint64 `json:"active_timestamp,omitempty"` // seconds
	PendingTimestamp *uint64 `json:"pending_timestamp,omitempty"`
	Delay            float64 `json:"delay,omitempty"` // seconds until a pending one is active
	Channels         []int   `json:"channels,omitempty"`
	WakeupChannel    uint16  `json:"wakeup_channel,omitempty"`
	NetworkKey       string  `json:"network_key,omitempty"`
	PSKc             string  `json:"pskc,omitempty"`
	Policy           *Policy `json:"security_policy,omitempty"`
	Unknown          int     `json:"unknown_tlvs,omitempty"`
}

// Policy is the security policy.
type Policy struct {
	RotationHours uint16   `json:"rotation_hours"`
	Flags         []string `json:"flags"` // of what is allowed
}

// TLVs is the body of a dataset's import and of its export.
type TLVs struct {
	TLVs  string `json:"tlvs"`            // hexadecimal
	Force bool   `json:"force,omitempty"` // replace another network's
}

// NewDataset is POST /dataset/new. What is left out is random.
type NewDataset struct {
	Name            string  `json:"name,omitempty"`
	Channel         uint16  `json:"channel,omitempty"`
	PANID           *uint16 `json:"pan_id,omitempty"`
	ExtPANID        string  `json:"ext_pan_id,omitempty"`
	MeshLocalPrefix string  `json:"mesh_local_prefix,omitempty"`
	NetworkKey      string  `json:"network_key,omitempty"`
	PSKc            string  `json:"pskc,omitempty"`
	Force           bool    `json:"force,omitempty"`
}

// NewJoiner is POST /joiners.
type NewJoiner struct {
	EUI64   string  `json:"eui64"` // or "*" for anybody
	PSKd    string  `json:"pskd"`
	Timeout float64 `json:"timeout,omitempty"` // seconds; 0 is 120
}

// Joiners is GET /joiners.
type Joiners struct {
	Commissioner string   `json:"commissioner"` // its state
	Joiners      []Joiner `json:"joiners"`
	History      []Joiner `json:"history"` // off the list, the oldest first
}

// Joiner is a line of the commissioner's list.
type Joiner struct {
	ID       string        `json:"id"` // EUI-64, discerner, or *
	Progress string        `json:"progress"`
	Expires  float64       `json:"expires,omitempty"` // in so many seconds
	Refused  int           `json:"refused"`           // attempts
	Attempts []JoinAttempt `json:"attempts,omitempty"`
}

// JoinAttempt is one session of a joiner with the commissioner.
type JoinAttempt struct {
	JoinerID string  `json:"joiner_id"`
	Router   string  `json:"router"` // RLOC16 of its joiner router
	Progress string  `json:"progress"`
	Reason   string  `json:"reason,omitempty"`
	Age      float64 `json:"age"`              // seconds since it came this far
	Vendor   string  `json:"vendor,omitempty"` // name and model, as the joiner says
}

// Ping is POST /ping.
type Ping struct {
	Address  string  `json:"address"`
	Size     int     `json:"size"`  // bytes of echo data
	Count    int     `json:"count"` // 0 is 1
	Interval float64 `json:"interval,omitempty"`
	Timeout  float64 `json:"timeout,omitempty"` // after the last request; seconds, 0 is 3
	HopLimit uint8   `json:"hop_limit,omitempty"`
}

// PingLine is a line of the answer to a Ping: a reply, or the last one, Done.
type PingLine struct {
	From     string  `json:"from,omitempty"`
	Seq      uint16  `json:"seq,omitempty"`
	Size     int     `json:"size,omitempty"`
	HopLimit uint8   `json:"hop_limit,omitempty"`
	RTT      float64 `json:"rtt,omitempty"` // milliseconds

	Done     bool `json:"done,omitempty"`
	Sent     int  `json:"sent,omitempty"`
	Received int  `json:"received,omitempty"`
}
