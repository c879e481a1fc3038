package doctor

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/host"
	"gatewayd/host/firewall"
	"gatewayd/host/infra"
	"gatewayd/host/sysctl"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// A patient is a host with a gateway at work: infrastructure interface lan0,
// whose other end is rtr0, and the mesh's wpan0.
type patient struct {
	*testing.T
	Options
	files    map[string]string // instead of those there are; "-": there is none
	tun      *host.TUN
	now      time.Time
	unsynced bool
	programs []process
	stat     unix.Statfs_t
	tweak    func(*system) // faults of the case
}

var omr = netip.MustParsePrefix("fd34::/64")

func admit(t *testing.T) *patient {
	needNamespace(t)
	p := &patient{T: t, now: time.Now(), files: map[string]string{
		"/etc/resolv.conf": "nameserver 192.0.2.53\n", "/.dockerenv": "-", "/run/.containerenv": "-", "/proc/1/environ": "",
		"/proc/sys/net/netfilter/nf_conntrack_count": "10\n", "/proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
	}}
	p.stat = unix.Statfs_t{Type: unix.EXT4_SUPER_MAGIC, Bsize: 4096, Bavail: 1 << 20, Files: 1 << 20, Ffree: 1 << 20}
	do(t, `
		ip link add lan0 type veth peer name rtr0
		sysctl() { echo $2 > /proc/sys/net/$1; }
		for i in lan0 rtr0; do sysctl ipv6/conf/$i/accept_dad 0; done
		ip link set lo up
		ip link set lan0 up
		ip link set rtr0 up
		sysctl ipv6/conf/lan0/accept_ra_from_local 1
		ip -6 route add default via fe80::1 dev lan0
		sysctl ipv6/conf/all/forwarding 1
		sysctl ipv6/conf/lan0/accept_ra 2
		sysctl ipv6/conf/lan0/accept_ra_rt_info_max_plen 64`)
	t.Cleanup(func() {
		do(t, `ip link del rtr0; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; nft flush ruleset`)
	})
	tun, err := host.Open(host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.tun = tun
	t.Cleanup(func() { tun.Close() })
	if err := tun.Sync(host.Config{Addrs: []host.Address{{Prefix: netip.MustParsePrefix("fd34::1/64")}}, Routes: []host.Route{{Dst: omr}}}); err != nil {
		t.Fatal(err)
	}
	p.DataDir = t.TempDir()
	for range 300 { // until the kernel has the address ready
		l, err := infra.Read(infra.Options{Names: []string{"lan0"}})
		if err == nil && l[0].Ready() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return p
}

// examine runs the checks.
func (p *patient) examine() []Finding {
	s := realSystem()
	own := s.readFile
	s.readFile = func(name string) ([]byte, error) {
		if text, ok := p.files[name]; ok && text != "-" {
			return []byte(text), nil
		} else if ok {
			return nil, fs.ErrNotExist
		}
		return own(name)
	}
	s.initNetwork = func() bool { return true }
	s.processes = func() []process { return p.programs }
	s.clock = func() (time.Time, bool) { return p.now, !p.unsynced }
	s.statfs = func(string) (unix.Statfs_t, error) { return p.stat, nil }
	if !p.Probe {
		s.nftables = func() error { return nil } // which takes its time
	}
	if p.tweak != nil {
		p.tweak(s)
	}
	o := p.Options
	o.sys = s
	return Run(context.Background(), o)
}

func codes(list []Finding) (c []string) {
	for _, f := range list {
		c = append(c, f.Code)
	}
	slices.Sort(c)
	return slices.Compact(c)
}

func TestHealthy(t *testing.T) {
	p := admit(t)
	// Neither with a firewall of its own and a router on the link, nor without
	// a gateway at all.
	table, err := firewall.Open(firewall.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	private := netip.MustParsePrefix("fd33::/64") // before the other prefix, and never to be reached
	if err := p.tun.Sync(host.Config{Addrs: []host.Address{{Prefix: netip.MustParsePrefix("fd34::1/64")},
		{Prefix: netip.MustParsePrefix("fd33::1/64"), OnLink: true}}, Routes: []host.Route{{Dst: omr}}}); err != nil {
		t.Fatal(err)
	}
	if err := table.Apply(firewall.Policy{Mesh: "wpan0", Prefixes: []netip.Prefix{omr}, Private: []netip.Prefix{private}}); err != nil {
		t.Fatal(err)
	}
	advertise(p, "rtr0")
	p.Firewall, p.Probe, p.Wait, p.PD = true, true, 10*time.Second, true
	p.Advertised = map[string]time.Time{"lan0": p.now.Add(-time.Minute)}
	for _, f := range p.examine() {
		t.Errorf("healthy, and found %+v", f)
	}
	if n := len(lines(t, "ip -o link show")); n != 4 {
		t.Errorf("the probe has left interfaces: %v", lines(t, "ip -o link show"))
	}
	p.Firewall, p.Options.Probe = false, false
	table.Close()
	p.tun.Close()
	do(t, "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; echo 1 > /proc/sys/net/ipv6/conf/lan0/accept_ra")
	for _, f := range p.examine() {
		t.Errorf("no gateway runs, and found %+v", f)
	}
}

// lines runs a command and returns the lines that it prints.
func lines(t *testing.T, command string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(output(t, command)), "\n")
}

// advertise has a router at the interface that answers solicitations.
func advertise(p *patient, iface string) {
	p.Helper()
	var f *infra.Follower
	answer := func(link string, in ndp.In) {
		if in.Type != ndp.TypeRouterSolicit {
			return
		}
		ra := ndp.RouterAdvert{HopLimit: 64, Lifetime: time.Hour, Options: []ndp.Option{
			ndp.RouteInfo{Prefix: netip.MustParsePrefix("fd77::/64"), Lifetime: time.Hour}, // of another mesh
			ndp.RouteInfo{Prefix: omr, Lifetime: time.Hour},                                // of ours, by its other border router
		}}
		typ, code := ra.ICMP()
		_ = f.Send(link, ndp.Out{Src: f.Links()[0].LinkLocal, Dst: ipv6.AllNodesLinkLocal, Type: typ, Code: code, Body: ra.Append(nil)})
	}
	f, err := infra.New(infra.Options{Names: []string{iface}, Receive: answer})
	if err != nil {
		p.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	p.Cleanup(func() { cancel(); <-done })
	for range 300 {
		if l := f.Links(); l[0].Ready() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.Fatalf("%s is not ready", iface)
}

// conf sets an IPv6 setting of lan0.
func conf(setting, value string) func(*patient) {
	return func(p *patient) {
		p.Helper()
		do(p.T, fmt.Sprintf("echo %s > /proc/sys/net/ipv6/conf/lan0/%s", value, setting))
	}
}

func script(s string) func(*patient) {
	return func(p *patient) { p.Helper(); do(p.T, s) }
}

func running(names ...string) func(*patient) {
	return func(p *patient) {
		for _, name := range names {
			p.programs = append(p.programs, process{os.Getpid(), name})
		}
	}
}

// bind opens a UDP port in the name of programs.
func bind(port int, share bool, names ...string) func(*patient) {
	return func(p *patient) {
		p.Helper()
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				if share {
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
				}
			})
		}}
		c, err := lc.ListenPacket(context.Background(), "udp6", fmt.Sprintf("[::]:%d", port))
		if err != nil {
			p.Fatal(err)
		}
		p.Cleanup(func() { c.Close() })
		running(names...)(p)
	}
}

func index(t *testing.T, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

var faults = []struct {
	name  string
	codes string // what is to be found, and nothing else
	make  func(*patient)
}{
	{"no IPv6", "HOST-IPV6", func(p *patient) {
		p.tun.Close()
		mount(p.T, "none", "/proc/sys/net/ipv6", "tmpfs", 0)
	}},
	{"no rights", "HOST-CAP", func(p *patient) {
		p.tweak = func(s *system) { s.capabilities = func() (uint64, error) { return 1 << unix.CAP_NET_ADMIN, nil } }
	}},
	{"no TUN", "HOST-TUN", func(p *patient) { mount(p.T, "none", "/dev/net", "tmpfs", 0) }},
	{"TUN denied", "HOST-TUN", func(p *patient) { p.tweak = func(s *system) { s.openTUN = func() error { return unix.EPERM } } }},
	{"settings read-only", "HOST-RA HOST-SYSRO", func(p *patient) {
		conf("accept_ra", "1")(p)
		mount(p.T, "/proc/sys", "/proc/sys", "", unix.MS_BIND)
		if err := unix.Mount("none", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			p.Fatal(err)
		}
	}},
	{"settings read-only but right", "", func(p *patient) {
		mount(p.T, "/proc/sys", "/proc/sys", "", unix.MS_BIND)
		if err := unix.Mount("none", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			p.Fatal(err)
		}
	}},
	{"no nftables", "HOST-NFT", func(p *patient) {
		p.tweak = func(s *system) { s.nftables = func() error { return fmt.Errorf("x: %w", firewall.ErrUnsupported) } }
	}},
	{"no route information", "HOST-RTINFO", func(p *patient) {
		mount(p.T, "none", "/proc/sys/net/ipv6/conf/all", "tmpfs", 0)
		file(p.T, "/proc/sys/net/ipv6/conf/all/forwarding", "1\n")
		file(p.T, "/proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n")
	}},
	{"no multicast routing", "HOST-MROUTE", func(p *patient) { p.files["/proc/net/ip6_mr_vif"] = "-" }},
	{"too many connections", "HOST-CONNTRACK", func(p *patient) { p.files["/proc/sys/net/netfilter/nf_conntrack_count"] = "60000\n" }},
	{"bridged container", "HOST-CONTAINER", func(p *patient) { p.files["/.dockerenv"] = "" }},
	{"bridged container of LXC", "HOST-CONTAINER", func(p *patient) { p.files["/proc/1/environ"] = "A=b\x00container=lxc\x00" }},
	{"clock of 1970", "HOST-TIME", func(p *patient) { p.now = time.Unix(1000, 0) }},
	{"clock not synchronized", "HOST-SYNC", func(p *patient) { p.unsynced = true }},

	{"no default route", "HOST-IFNONE", script("ip -6 route del default")},
	{"named interface missing", "HOST-IFNONE", func(p *patient) { p.Infra = []string{"lan0", "eth7"} }},
	{"two default routes", "HOST-MULTI", func(p *patient) {
		do(p.T, `ip link add lan1 type veth peer name rtr1; ip link set lan1 up; ip link set rtr1 up
			ip addr add 192.0.2.1/24 dev lan1; ip route add default via 192.0.2.9`)
		p.Cleanup(func() { do(p.T, "ip link del lan1") })
	}},
	{"two default routes, one named", "", func(p *patient) {
		p.Infra = []string{"lan0"}
		do(p.T, `ip link add lan1 type veth peer name rtr1; ip link set lan1 up; ip link set rtr1 up
			ip addr add 192.0.2.1/24 dev lan1; ip route add default via 192.0.2.9`)
		p.Cleanup(func() { do(p.T, "ip link del lan1") })
	}},
	{"interface down", "HOST-IFDOWN", func(p *patient) { p.Infra = []string{"lan0"}; do(p.T, "ip link set lan0 down") }},
	{"no carrier", "HOST-IFDOWN", func(p *patient) { p.Infra = []string{"lan0"}; do(p.T, "ip link set rtr0 down") }},
	{"IPv6 off", "HOST-IF6OFF", func(p *patient) { p.Infra = []string{"lan0"}; conf("disable_ipv6", "1")(p) }},
	{"IPv6 off on the mesh", "HOST-IF6OFF HOST-ROUTE", func(p *patient) {
		p.Prefixes = []netip.Prefix{omr}
		do(p.T, "echo 1 > /proc/sys/net/ipv6/conf/wpan0/disable_ipv6")
	}},
	{"MTU", "HOST-MTU", func(p *patient) { p.Infra = []string{"lan0"}; do(p.T, "ip link set lan0 mtu 1000") }},
	{"bridge port", "HOST-PORT", func(p *patient) {
		p.Infra = []string{"lan0"}
		do(p.T, "ip link add br0 type bridge; ip link set lan0 master br0")
		p.Cleanup(func() { do(p.T, "ip link del br0") })
	}},
	{"no link-local address", "HOST-LL", script("ip -6 addr flush dev lan0 scope link")},
	{"duplicate address", "HOST-DAD", func(p *patient) {
		conf("accept_dad", "1")(p)
		do(p.T, `ip addr add fd99::1/64 dev rtr0 nodad; ip addr add fd99::1/64 dev lan0
			for i in $(seq 60); do ip -6 addr show dev lan0 | grep -q dadfailed && exit; sleep 0.1; done; exit 1`)
	}},
	{"bridge without querier", "HOST-SNOOP", func(p *patient) {
		p.Infra = []string{"br0"}
		do(p.T, `ip link add br0 type bridge; echo 0 > /proc/sys/net/ipv6/conf/br0/accept_dad; ip link set br0 up; ip link set lan0 master br0
			echo 2 > /proc/sys/net/ipv6/conf/br0/accept_ra; echo 64 > /proc/sys/net/ipv6/conf/br0/accept_ra_rt_info_max_plen
			for i in $(seq 60); do ip -6 addr show dev br0 scope link -tentative | grep -q fe80 && exit; sleep 0.1; done; exit 1`)
		p.Cleanup(func() { do(p.T, "ip link del br0") })
	}},

	{"no forwarding", "HOST-FWD6", script("echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; echo 2 > /proc/sys/net/ipv6/conf/lan0/accept_ra")},
	{"no forwarding, by a gateway that needs none", "", func(p *patient) {
		p.Alone = true
		do(p.T, "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; ip -6 route del default")
	}},
	{"a host on the link", "HOST-FWDIF", conf("forwarding", "0")},
	{"router advertisements ignored", "HOST-RA", conf("accept_ra", "1")},
	{"router advertisements off", "HOST-RA", conf("accept_ra", "0")},
	{"router advertisements are NetworkManager's", "", func(p *patient) {
		conf("accept_ra", "0")(p)
		do(p.T, "mkdir -p /run/NetworkManager/devices")
		file(p.T, fmt.Sprintf("/run/NetworkManager/devices/%d", index(p.T, "lan0")), "[device]\nmanaged=true\n")
	}},
	{"routes too long", "HOST-RIOLEN", conf("accept_ra_rt_info_max_plen", "0")},
	{"no prefixes taken", "HOST-RAPFX", conf("accept_ra_pinfo", "0")},
	{"no addresses made", "HOST-RAPFX", conf("autoconf", "0")},
	{"no IPv4 forwarding", "HOST-FWD4", func(p *patient) {
		p.NAT64 = "rtr0"
		do(p.T, "echo 0 > /proc/sys/net/ipv4/conf/rtr0/forwarding; echo 1 > /proc/sys/net/ipv4/conf/lan0/forwarding")
	}},

	{"route elsewhere", "HOST-ROUTE", script("ip -6 route add fd34::/64 dev lan0 metric 1")},
	{"no route", "HOST-ROUTE", func(p *patient) {
		p.Prefixes = []netip.Prefix{netip.MustParsePrefix("fd35::/64")}
		do(p.T, "ip -6 route add unreachable fd35::/64")
		p.Cleanup(func() { do(p.T, "ip -6 route del unreachable fd35::/64") })
	}},
	{"left route", "HOST-STALE", func(p *patient) {
		p.tun.Close()
		do(p.T, "ip -6 route add fd35::/64 dev lan0 proto 154")
	}},
	{"route to all private addresses", "HOST-WIDE", script("ip -6 route add fc00::/7 dev lan0 metric 2000")},

	{"forward chain drops", "HOST-FWDROP", script(`nft "add table ip6 filter; add chain ip6 filter FORWARD { type filter hook forward priority 0; policy drop; }"`)},
	{"firewalld rejects", "HOST-FWDROP", script(`nft "add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }
		add rule inet firewalld filter_FORWARD ct state established accept; add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited"`)},
	{"forward chain drops, but not the mesh", "", script(`nft "add table inet fw; add chain inet fw f { type filter hook forward priority 0; policy drop; }
		add rule inet fw f iifname wpan0 accept; add rule inet fw f oifname wpan0 accept"`)},
	{"forward chain drops, but a set has the mesh", "", script(`nft "add table inet fw; add set inet fw trusted { type ifname; elements = { lan0, wpan0 }; }; add chain inet fw f { type filter hook forward priority 0; policy drop; }
		add rule inet fw f iifname @trusted accept; add rule inet fw f oifname @trusted accept"`)},
	{"IPv4 only drops", "", script(`nft "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"`)},
	{"own table gone", "HOST-TABLE", func(p *patient) { p.Firewall = true }},
	{"own table left", "HOST-TABLE", func(p *patient) { p.tun.Close(); do(p.T, "nft add table inet gatewayd") }},

	{"NetworkManager has the mesh", "HOST-MESHOWNER", func(p *patient) {
		do(p.T, "mkdir -p /run/NetworkManager/devices")
		file(p.T, fmt.Sprintf("/run/NetworkManager/devices/%d", p.tun.Index()), "[device]\nmanaged=true\n")
	}},
	{"systemd-networkd has the mesh", "HOST-MESHOWNER", func(p *patient) {
		do(p.T, "mkdir -p /run/systemd/netif/links")
		file(p.T, fmt.Sprintf("/run/systemd/netif/links/%d", p.tun.Index()), "ADMIN_STATE=configured\nOPER_STATE=routable\n")
	}},
	{"dhcpcd listens in the kernel's place", "HOST-OWNER", func(p *patient) {
		conf("accept_ra", "0")(p)
		do(p.T, "mkdir -p /run/dhcpcd")
		file(p.T, "/run/dhcpcd/pid", "1\n")
	}},
	{"another advertises", "HOST-RASENDER", running("radvd")},
	{"mDNS port taken", "HOST-MDNS", bind(5353, false, "mdnsd")},
	{"mDNS port shared", "", bind(5353, true, "avahi-daemon")},
	{"two responders", "HOST-MDNS2", bind(5353, true, "avahi-daemon", "systemd-resolve")},
	{"the gateway's own DHCPv6 client", "", func(p *patient) {
		p.PD = true
		p.files["/proc/self/comm"] = "gatewayd\n"
		bind(546, true, "gatewayd")(p)
	}},
	{"bridged container, in a namespace of it", "", func(p *patient) {
		p.files["/.dockerenv"] = ""
		p.tweak = func(s *system) { s.initNetwork = func() bool { return false } }
	}},
	{"another DHCPv6 client", "HOST-DHCP6", func(p *patient) { p.PD = true; bind(546, true, "dhclient")(p) }},
	{"another border router", "HOST-OTBR", running("otbr-agent")},
	{"ModemManager", "HOST-MODEM HOST-RADIO", func(p *patient) {
		p.Radio = "spinel+hdlc+uart:///dev/ttyACM7?uart-baudrate=460800"
		running("ModemManager")(p)
	}},

	{"data on a read-only disk", "HOST-DATA", func(p *patient) {
		mount(p.T, "none", p.DataDir, "tmpfs", unix.MS_RDONLY)
	}},
	{"data directory to be made", "", func(p *patient) { p.DataDir += "/a/b" }},
	{"data in memory", "HOST-DATATMP", func(p *patient) {
		mount(p.T, "none", p.DataDir, "tmpfs", 0)
		p.tweak = func(s *system) { s.statfs = statfs }
	}},
	{"data in little memory", "HOST-DATATMP", func(p *patient) {
		mount(p.T, "none", p.DataDir, "tmpfs", 0)
		p.tweak = func(s *system) {
			s.statfs = func(dir string) (unix.Statfs_t, error) {
				st, err := statfs(dir)
				st.Bavail = 100
				return st, err
			}
		}
	}},
	{"disk full", "HOST-DATAFULL", func(p *patient) { p.stat.Bavail = 100 }},
	{"no files left", "HOST-DATAFULL", func(p *patient) { p.stat.Ffree = 3 }},
	{"no radio", "HOST-RADIO", func(p *patient) { p.Radio = "spinel+hdlc+uart:///dev/serial/by-id/usb-none" }},
	{"no resolver", "HOST-DNS", func(p *patient) { p.files["/etc/resolv.conf"] = "search example.net\n" }},
	{"no advertisement sent for long", "HOST-RASEND", func(p *patient) { p.Advertised = map[string]time.Time{"lan0": p.now.Add(-time.Hour)} }},
	{"no advertisement ever sent", "HOST-RASEND", func(p *patient) { p.Advertised = map[string]time.Time{"lan0": {}} }},
	{"an advertisement sent", "", func(p *patient) { p.Advertised = map[string]time.Time{"lan0": p.now.Add(-3 * time.Minute)} }},
	{"what is published is not seen", "HOST-MDNSOUT", func(p *patient) { p.Unseen = []Unseen{{Link: "lan0", Name: "lamp.local.", Family: "IPv6"}} }},

	{"advertisements dropped", "HOST-RADROP", func(p *patient) {
		advertise(p, "rtr0")
		p.Probe = true
		do(p.T, `nft "add table ip6 fw; add chain ip6 fw input { type filter hook input priority 0; }
			add rule ip6 fw input iifname lan0 icmpv6 type nd-router-advert drop"`)
	}},
	{"routes not taken", "HOST-RIO", func(p *patient) {
		advertise(p, "rtr0")
		conf("accept_ra_rt_info_min_plen", "65")(p)
		p.Probe = true
	}},
	{"packets to the mesh dropped", "HOST-PATH", func(p *patient) {
		p.Probe = true
		p.Wait = 500 * time.Millisecond
		do(p.T, `nft "add table ip6 fw; add chain ip6 fw forward { type filter hook forward priority 0; }
			add rule ip6 fw forward oifname wpan0 drop"`)
	}},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			p := admit(t)
			f.make(p)
			found := p.examine()
			if got := strings.Join(codes(found), " "); got != f.codes {
				t.Errorf("found %q, want %q", got, f.codes)
			}
			for _, x := range found {
				if x.Text == "" || x.Fix == "" || !strings.HasSuffix(x.Text, ".") || x.Level != Problem && x.Level != Warning {
					t.Errorf("not fit to be read: %+v", x)
				}
				t.Logf("%s %s: %s [%s]", x.Code, x.Level, x.Text, x.Fix)
			}
		})
	}
}

// Each check has a fault that it finds.
func TestAllChecksHaveFaults(t *testing.T) {
	tested := map[string]bool{}
	for _, f := range faults {
		for _, c := range strings.Fields(f.codes) {
			tested[c] = true
		}
	}
	seen := map[string]bool{}
	for _, c := range Checks() {
		if !tested[c.Code] {
			t.Errorf("no fault is tested for %s", c.Code)
		}
		if seen[c.Code] || c.About == "" {
			t.Errorf("check %s is there twice, or without a word", c.Code)
		}
		seen[c.Code] = true
	}
	for c := range tested {
		if !seen[c] {
			t.Errorf("no check is called %s", c)
		}
	}
}

// The command that mends it does.
func TestFixes(t *testing.T) {
	for _, setting := range []string{"forwarding=0", "accept_ra=1", "accept_ra_rt_info_max_plen=0", "accept_ra_pinfo=0", "disable_ipv6=1"} {
		t.Run(setting, func(t *testing.T) {
			p := admit(t)
			p.Infra = []string{"lan0"}
			key, value, _ := strings.Cut(setting, "=")
			conf(key, value)(p)
			found := p.examine()
			if len(found) != 1 {
				t.Fatalf("found %+v", found)
			}
			args, ok := strings.CutPrefix(found[0].Fix, "sysctl -w ")
			name, value, ok2 := strings.Cut(args, "=")
			if !ok || !ok2 {
				t.Fatalf("fix %q", found[0].Fix)
			}
			// As sysctl(8) reads names.
			name = strings.NewReplacer("/", ".", ".", "/").Replace(name)
			do(t, "echo "+value+" > /proc/sys/"+name)
			if got, err := sysctl.Get(sysctl.Conf("lan0", key)); err != nil || got != value {
				t.Errorf("the fix sets %q, %v", got, err)
			}
		})
	}
}

// A program that has ended is nobody's rival, whether or not its parent has
// taken note of it.
func TestEndedProcess(t *testing.T) {
	cmd := exec.Command("true")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(stdout); err != nil { // ends with the program
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for sameNetwork(cmd.Process.Pid) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if sameNetwork(cmd.Process.Pid) {
		t.Error("a zombie counts as running")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if sameNetwork(cmd.Process.Pid) {
		t.Error("a process that is gone counts as running")
	}
	if !sameNetwork(unix.Gettid()) { // other tests may have left the first thread elsewhere
		t.Error("a process of this namespace does not count")
	}
}
