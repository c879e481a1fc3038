package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/border"
	"gatewayd/gateway"
	"gatewayd/nat64"
	"gatewayd/radio/spinel"
	"gatewayd/thread"
	"gatewayd/thread/mle"
	"gatewayd/thread/trel"
)

// maxMetrics bounds the text of a gateway with all the neighbours there can be.
const maxMetrics = 4 << 20

// Metrics asks for everything that is counted, in Prometheus's text format.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	b, err := c.send(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(io.LimitReader(b, maxMetrics))
}

// metrics is GET /metrics.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) (any, error) {
	var x exposition
	x.gauge("gatewayd_build_info", "1; the version is a label.", 1, label{"version", s.cfg.Version})
	processMetrics(&x, s.gw.Started())
	health, err := s.gw.Health(r.Context())
	if err != nil {
		return nil, err
	}
	x.health(&health)
	err = s.gw.Do(r.Context(), func(n *thread.Node) {
		x.radio(s.gw.Radio())
		x.node(n)
		x.mesh(n)
		x.routing(s.gw)
		if c, ok := s.gw.ServiceCounters(); ok {
			x.services(&c)
		}
		if t := s.gw.NAT64(); t != nil {
			x.translator(t)
		}
		if l := s.gw.TREL(); l != nil {
			x.trel(l)
		}
	})
	if errors.Is(err, gateway.ErrMode) {
		err = s.gw.DoLowpan(r.Context(), func(l *gateway.Lowpan) {
			x.radio(s.gw.Radio())
			x.plain(l)
			x.routing(s.gw)
		})
	}
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", MetricsType)
	_, _ = w.Write(x.Append(nil)) // who does not read is gone
	return nil, nil
}

// processMetrics are those that every program's exposition has, by their usual
// names.
func processMetrics(x *exposition, started time.Time) {
	x.gauge("process_start_time_seconds", "Start of the gateway, since the Unix epoch.", float64(started.UnixMilli())/1000)
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		cpu := time.Duration(u.Utime.Nano() + u.Stime.Nano())
		x.counter("process_cpu_seconds_total", "User and system CPU time spent.", cpu.Seconds())
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				x.gauge("process_resident_memory_bytes", "Resident memory.", float64(pages)*float64(os.Getpagesize()))
			}
		}
	}
	x.gauge("go_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
}

func (x *exposition) health(h *gateway.Health) {
	of := healthOf(h, time.Now())
	x.gauge("gatewayd_healthy", "1 if the radio is ready and the host's examination finds no problem.", boolean(of.Healthy))
	if !h.Examined.IsZero() {
		x.gauge("gatewayd_examined_timestamp_seconds", "Latest examination of the host, since the Unix epoch.", float64(h.Examined.UnixMilli())/1000)
	}
	for _, f := range h.Findings {
		x.gauge("gatewayd_finding", "1 for each finding of the host's examination.", 1,
			label{"code", f.Code}, label{"level", fmt.Sprint(f.Level)}, label{"subject", f.Subject})
	}
}

// stateNames are those of states that are numbered from 0.
func stateNames[S interface {
	~uint8
	fmt.Stringer
}](last S) (out []string) {
	for s := range last + 1 {
		out = append(out, s.String())
	}
	return out
}

func (x *exposition) radio(r gateway.Radio) {
	x.states("gatewayd_radio_state", "1 for the radio's state.", "state", stateNames(spinel.Unusable), r.State.String())
	x.counters("gatewayd_radio_", "Link to the co-processor", counts(r.Stats))
	x.counters("gatewayd_line_", "Serial line to the co-processor", counts(r.Line))
	x.counter("gatewayd_radio_queue_full_total", "Frames that found the queue to the radio full.", float64(r.Dropped))
}

func (x *exposition) node(n *thread.Node) {
	m := n.MLE()
	x.states("gatewayd_thread_role", "1 for the role in the Thread network.", "role", stateNames(mle.Leader), m.Role().String())
	c := m.Counters()
	all := counts(c)
	for role := range mle.Leader + 1 {
		name := role.String()
		x.counter("gatewayd_thread_role_changes_total", "Times that a role was taken.", float64(all[name]), label{"role", name})
		delete(all, name)
		x.counter("gatewayd_thread_role_seconds_total", "Time in a role until its last end.", c.Time[role].Seconds(), label{"role", name})
	}
	for i, v := range c.Refused {
		x.counter("gatewayd_mle_refused_total", "MLE messages that were refused.", float64(v), label{"reason", mle.Refusal(i).String()})
	}
	x.counters("gatewayd_mle_", "MLE", all)
	x.counters("gatewayd_mac_", "MAC frames, by the names of OpenThread's `counters mac`", counts(n.MAC().Counters))
	x.counters("gatewayd_ip_", "IPv6 datagrams received, by the names of OpenThread's `counters ip`", counts(n.IP().Counters))
	x.counters("gatewayd_mesh_", "Datagrams forwarded or sent in the mesh", counts(n.Mesh().Counters))
	b := &n.IP().Border
	for _, t := range []struct {
		direction, cast string
		packets, bytes  uint64
	}{
		{"in", "unicast", b.InUnicast.Packets, b.InUnicast.Bytes}, {"in", "multicast", b.InMulticast.Packets, b.InMulticast.Bytes},
		{"out", "unicast", b.OutUnicast.Packets, b.OutUnicast.Bytes}, {"out", "multicast", b.OutMulticast.Packets, b.OutMulticast.Bytes},
	} {
		labels := []label{{"direction", t.direction}, {"cast", t.cast}}
		x.counter("gatewayd_border_packets_total", "Datagrams that entered or left the mesh here.", float64(t.packets), labels...)
		x.counter("gatewayd_border_bytes_total", "Bytes of datagrams that entered or left the mesh here.", float64(t.bytes), labels...)
	}
}

// mesh is what is around the node.
func (x *exposition) mesh(n *thread.Node) {
	var st Status
	mesh(&st, n)
	x.gauge("gatewayd_thread_children", "Children of this node.", float64(len(st.Children)))
	x.gauge("gatewayd_thread_routers", "Routers of the network.", float64(len(st.Routers)))
	for _, v := range st.Neighbors {
		labels := []label{{"kind", v.Kind}, {"ext_address", v.ExtAddress}}
		x.gauge("gatewayd_neighbor_rssi_dbm", "Average strength of what is received from a neighbour.", float64(v.RSSI), labels...)
		x.gauge("gatewayd_neighbor_link_quality", "Quality of what is received from a neighbour, 0 to 3.", float64(v.QualityIn), labels...)
		x.gauge("gatewayd_neighbor_silent_seconds", "Time since a neighbour was heard.", v.Age, labels...)
	}
	queued := 0
	for _, c := range st.Children {
		queued += c.Queued
	}
	x.gauge("gatewayd_thread_indirect_queue_datagrams", "Datagrams that wait for children to wake.", float64(queued))
	if n.MLE().Role() < mle.Child {
		return
	}
	d := n.MLE().NetData()
	x.gauge("gatewayd_thread_partition_id", "Partition of the network that this node is in.", float64(n.MLE().Partition()))
	x.gauge("gatewayd_netdata_bytes", "Length of the network data.", float64(d.Len()))
	x.gauge("gatewayd_netdata_prefixes", "Prefixes in the network data.", float64(len(d.Prefixes)))
	x.gauge("gatewayd_netdata_services", "Services in the network data.", float64(len(d.Services)))
	x.gauge("gatewayd_netdata_border_routers", "Border routers in the network data.", float64(len(d.BorderRouters())))
}

// routing is border routing and the packet filter.
func (x *exposition) routing(gw *gateway.Gateway) {
	if st, _, ok := gw.Border(); ok {
		x.gauge("gatewayd_border_running", "1 while the mesh and the links are routed.", boolean(st.State == border.Running))
		x.gauge("gatewayd_border_peers", "Other border routers of the mesh.", float64(len(st.Peers)))
		x.gauge("gatewayd_border_translates", "1 while this gateway is the mesh's NAT64.", boolean(st.Published.Translate.IsValid()))
		x.links(st.Links)
	}
	if d, _, ok := gw.Delegation(); ok {
		x.gauge("gatewayd_delegated_prefixes", "Prefixes that are delegated to the mesh.", float64(len(d.Prefixes)))
	}
	if f, ok := gw.Filter(); ok {
		x.filter(&f)
	}
}

func (x *exposition) links(links []border.LinkStatus) {
	for _, l := range links {
		name := label{"link", l.Name}
		x.gauge("gatewayd_border_link_up", "1 while an infrastructure link is up.", boolean(l.Up), name)
		reachable := 0
		for _, r := range l.Routers {
			if r.Reachable {
				reachable++
			}
		}
		x.gauge("gatewayd_border_link_routers", "Routers heard on a link.", float64(len(l.Routers)), name)
		x.gauge("gatewayd_border_link_routers_reachable", "Routers on a link that answer.", float64(reachable), name)
	}
}

func (x *exposition) filter(f *gateway.Filter) {
	x.gauge("gatewayd_firewall_in_force", "1 while the packet filter's table is in the kernel.", boolean(f.InForce))
	x.gauge("gatewayd_firewall_closed", "1 while nothing passes for want of a packet filter.", boolean(f.Closed))
	x.counter("gatewayd_firewall_refused_packets_total", "Packets that did not pass for want of a packet filter.", float64(f.Refused))
	if f.Dropped == nil {
		return
	}
	dropped := counts(*f.Dropped)
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		x.counter("gatewayd_firewall_dropped_packets_total", "Packets that the packet filter dropped.", float64(dropped[reason]), label{"reason", reason})
	}
}

func (x *exposition) trel(l *trel.Link) {
	x.gauge("gatewayd_trel_up", "1 while TREL is on and has an interface.", boolean(l.Up()))
	x.gauge("gatewayd_trel_peers", "Nodes that TREL reaches.", float64(len(l.Peers())))
	x.counters("gatewayd_trel_", "TREL", counts(l.Counters))
}

func (x *exposition) services(c *gateway.ServiceCounters) {
	x.gauge("gatewayd_srp_hosts", "Hosts that are registered by SRP.", float64(c.Hosts))
	x.gauge("gatewayd_srp_services", "Services that are registered by SRP.", float64(c.Services))
	x.counters("gatewayd_srp_", "SRP updates", counts(c.SRP))
	x.counters("gatewayd_dns_", "Queries of devices", counts(c.DNS))
	x.gauge("gatewayd_mdns_names", "Names that are established by multicast DNS.", float64(c.MDNSNames))
	x.counters("gatewayd_mdns_", "Multicast DNS", counts(c.MDNS))
}

func (x *exposition) translator(t *nat64.Translator) {
	u, c := t.Usage(), t.Counters()
	x.gauge("gatewayd_nat64_hosts", "Devices with mappings.", float64(u.Hosts))
	x.gauge("gatewayd_nat64_mappings", "Mappings.", float64(u.Mappings))
	x.gauge("gatewayd_nat64_sessions", "Sessions.", float64(u.Sessions))
	x.gauge("gatewayd_nat64_sessions_limit", "Sessions that there is room for.", float64(t.Limits().Sessions))
	for proto := range c.Out {
		for _, way := range []struct {
			name string
			of   nat64.Traffic
		}{{"out", c.Out[proto]}, {"in", c.In[proto]}} {
			labels := []label{{"direction", way.name}, {"protocol", nat64.Proto(proto).String()}}
			x.counter("gatewayd_nat64_packets_total", "Packets that were translated.", float64(way.of.Packets), labels...)
			x.counter("gatewayd_nat64_bytes_total", "Bytes of packets that were translated.", float64(way.of.Bytes), labels...)
		}
	}
	for reason := range c.FromMesh {
		name := nat64.Reason(reason).String()
		x.counter("gatewayd_nat64_results_total", "Packets given to the translator by what became of them.", float64(c.FromMesh[reason]), label{"from", "mesh"}, label{"result", name})
		x.counter("gatewayd_nat64_results_total", "", float64(c.FromIPv4[reason]), label{"from", "ipv4"}, label{"result", name})
	}
	x.counters("gatewayd_nat64_", "NAT64", counts(c))
}

// plain is a plain 6LoWPAN network.
func (x *exposition) plain(l *gateway.Lowpan) {
	n := l.Node
	x.gauge("gatewayd_lowpan_attached", "1 while the network runs.", boolean(n.Attached()))
	x.gauge("gatewayd_lowpan_permit", "1 while new devices may join.", boolean(n.Permitted()))
	x.gauge("gatewayd_lowpan_key_index", "Index of the network key.", float64(n.Network().Key.Index))
	x.gauge("gatewayd_nd_registrations", "Addresses that are registered.", float64(len(n.Registrations())))
	x.gauge("gatewayd_rpl_routes", "Targets that RPL knows.", float64(len(n.Routes())))
	x.counters("gatewayd_lowpan_mac_", "Frames of the plain network", counts(n.MAC().Counters))
	x.counters("gatewayd_lowpan_ip_", "Datagrams of the plain network", counts(n.Counters))
	if p := n.PAA(); p != nil {
		x.gauge("gatewayd_pana_sessions", "Sessions of devices.", float64(len(n.Sessions())))
		x.counters("gatewayd_pana_", "PANA authentication agent", counts(p.Counters))
	}
	client, server := l.RADIUSCounters()
	if client != nil {
		x.counters("gatewayd_radius_client_", "RADIUS client", counts(*client))
	}
	if server != nil {
		x.counters("gatewayd_radius_server_", "RADIUS server", counts(*server))
	}
	if l.Leases != nil {
		x.counters("gatewayd_dhcp6_", "DHCPv6 messages", counts(l.Leases.Stats()))
	}
}
