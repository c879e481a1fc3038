package otcli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/dnssd"
	"gatewayd/dnssd/register"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/registrar"
)

// srpClient is the node's SRP client.
type srpClient struct {
	c        *CLI
	client   *register.Client
	auto     bool
	callback bool
	looking  bool
	port     uint16
}

// storeSRPKey holds the key that names are registered with.
const storeSRPKey = "srp-client-key"

// srpLook is how often a client looks whether the network has another server,
// or the node other addresses.
const srpLook = time.Second

// srpClient makes the node's client when the first command needs it.
func (c *CLI) srpClient() (*srpClient, error) {
	if c.srp != nil {
		return c.srp, nil
	}
	key, err := c.srpKey()
	if err != nil {
		return nil, err
	}
	s := &srpClient{c: c, port: 49152 + uint16(c.node.Rand().Uint32N(1<<14))}
	s.client = register.New(register.Config{
		Clock: c.node.Clock(), Rand: c.node.Rand(), Random: c.cfg.Rand, Key: key,
		Addresses: s.addresses, Send: s.send, Changed: s.changed,
	})
	c.node.IP().HandleUDP(s.port, func(d *ip.Datagram) { s.client.Receive(d.Src, d.Payload) })
	c.srp = s
	return s, nil
}

// srpKey is the key that is stored, or a new one.
func (c *CLI) srpKey() (*ecdsa.PrivateKey, error) {
	if c.cfg.Store != nil {
		if b, _, ok := c.cfg.Store.Load(storeSRPKey); ok {
			if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b); err == nil {
				return key, nil
			}
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), c.cfg.Rand)
	if err != nil || c.cfg.Store == nil {
		return key, err
	}
	b, err := key.Bytes()
	if err == nil {
		err = c.cfg.Store.Save(storeSRPKey, b)
	}
	return key, err
}

func (s *srpClient) send(to netip.AddrPort, b []byte) {
	_ = s.c.node.IP().SendUDP(ip.Datagram{Src: netip.AddrPortFrom(netip.Addr{}, s.port), Dst: to, Payload: b}, link.Options{})
}

// addresses are the node's that others can use: those of the mesh's prefixes, or
// else its mesh-local one.
func (s *srpClient) addresses() (list []netip.Addr) {
	n := s.c.node
	for _, a := range n.IP().Addresses() {
		if a.Preferred && !a.Locator && !a.Addr.IsLinkLocalUnicast() && !n.MeshLocalPrefix().Contains(a.Addr) {
			list = append(list, a.Addr)
		}
	}
	if id := n.MLEID(); len(list) == 0 && id.IsValid() {
		list = append(list, id)
	}
	return list
}

// look follows the network data and the node's addresses.
func (s *srpClient) look() {
	if s.client.AddressesChanged(); s.auto {
		if at := s.choose(); at.IsValid() {
			s.client.Start(at)
		} else {
			s.client.Stop()
		}
	}
	s.looking = s.auto || s.client.Host().Auto
	if s.looking {
		s.c.node.Clock().After(srpLook, s.look)
	}
}

// follow has look called from now on.
func (s *srpClient) follow() {
	if !s.looking {
		s.look()
	}
}

// choose is the server that the network data tell of: one with its address in
// the service, an anycast one, or one by its address; the present one if there
// is a choice.
func (s *srpClient) choose() (best netip.AddrPort) {
	n := s.c.node
	if !n.MLE().Attached() {
		return best
	}
	d := n.MLE().NetData()
	for _, inService := range []bool{true, false} {
		for _, u := range d.SRPUnicasts() {
			if u.InServiceData != inService {
				continue
			}
			a := u.Addr
			if !a.IsValid() {
				a = n.MLE().Locator(u.RLOC16)
			}
			at := netip.AddrPortFrom(a, u.Port)
			if at == s.client.Server() {
				return at
			}
			if !best.IsValid() || a.Less(best.Addr()) {
				best = at
			}
		}
		if best.IsValid() || !inService {
			return best
		}
		if all := d.SRPAnycasts(); len(all) > 0 {
			newest := all[0]
			for _, x := range all[1:] {
				if int8(x.Sequence-newest.Sequence) > 0 {
					newest = x
				}
			}
			return netip.AddrPortFrom(n.MLE().Locator(serviceLocator+uint16(newest.ServiceID)), registrar.AnycastPort)
		}
	}
	return best
}

// serviceLocator is the anycast locator of the first service (Thread 1.4 Section
// 5.2.2.2).
const serviceLocator = 0xfc10

func (s *srpClient) changed(err error, removed []register.Service) {
	if !s.callback {
		return
	}
	word := "OK"
	if err != nil {
		word = errorOf(err).Word()
	}
	s.c.tell("SRP client callback - error:%s", word)
	s.c.tell("Host info:")
	s.c.tell("%s", indent+s.hostInfo())
	s.c.tell("Service list:")
	for _, x := range s.client.Services() {
		s.c.tell("%s", indent+serviceInfo(&x))
	}
	if len(removed) > 0 {
		s.c.tell("Removed service list:")
		for _, x := range removed {
			s.c.tell("%s", indent+serviceInfo(&x))
		}
	}
}

func (s *srpClient) hostInfo() string {
	h := s.client.Host()
	name, addrs := "(null)", addresses(h.Addrs)
	if h.Name != "" {
		name = `"` + h.Name + `"`
	}
	if h.Auto {
		addrs = "auto"
	}
	return "name:" + name + ", state:" + h.State.String() + ", addrs:" + addrs
}

func serviceInfo(s *register.Service) string {
	return fmt.Sprintf(`instance:"%s", name:"%s", state:%v, port:%d, priority:%d, weight:%d`,
		s.Instance, strings.Join(append([]string{s.Type}, s.Subtypes...), ","), s.State, s.Port, s.Priority, s.Weight)
}

// onClient is a command about the client.
func onClient(f func(s *srpClient, args []string) error) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		s, err := c.srpClient()
		if err != nil {
			return err
		}
		s.c = c // whose command it is shows it
		return f(s, args)
	}
}

// interval is a command about a time in seconds.
func interval(of func(*register.Client) *time.Duration) func(*CLI, []string) error {
	return onClient(func(s *srpClient, args []string) error {
		d := of(s.client)
		if len(args) == 0 {
			s.c.line("%d", *d/time.Second)
			return nil
		}
		v, err := parseUint(args[0], 32)
		if err != nil || len(args) > 1 {
			return InvalidArgs
		}
		*d = time.Duration(v) * time.Second
		return nil
	})
}

func srpClientCommands() []command {
	return []command{
		{"autostart", onClient((*srpClient).autostart)},
		{"callback", onOff(func(c *CLI) bool { return c.srp != nil && c.srp.callback }, func(c *CLI, on bool) error {
			s, err := c.srpClient()
			if err == nil {
				s.callback = on
			}
			return err
		})},
		{"host", onClient((*srpClient).host)},
		{"keyleaseinterval", interval(func(c *register.Client) *time.Duration { return &c.KeyLease })},
		{"leaseinterval", interval(func(c *register.Client) *time.Duration { return &c.Lease })},
		{"server", onClient((*srpClient).server)},
		{"service", onClient((*srpClient).service)},
		{"start", onClient((*srpClient).start)},
		{"state", onClient(func(s *srpClient, _ []string) error { s.c.line("%s", enabled(s.client.Server().IsValid())); return nil })},
		{"stop", onClient(func(s *srpClient, _ []string) error { s.auto = false; s.client.Stop(); return nil })},
		{"ttl", interval(func(c *register.Client) *time.Duration { return &c.TTL })},
	}
}

// autostart is
//
//	srp client autostart [enable|disable]
func (s *srpClient) autostart(args []string) error {
	switch word(args, 0) {
	case "":
		s.c.line("%s", enabled(s.auto))
	case "enable":
		s.auto = true
		s.look()
	case "disable":
		s.auto = false
	default:
		return InvalidCommand
	}
	return nil
}

// start is
//
//	srp client start address port
func (s *srpClient) start(args []string) error {
	if len(args) != 2 {
		return InvalidArgs
	}
	a, err := parseAddr(args[0])
	if err != nil {
		return err
	}
	port, err := parseUint(args[1], 16)
	if err != nil {
		return err
	}
	at := netip.AddrPortFrom(a, uint16(port))
	if now := s.client.Server(); now.IsValid() && now != at {
		return Busy
	}
	s.client.Start(at)
	return nil
}

// server is
//
//	srp client server [address|port]
func (s *srpClient) server(args []string) error {
	at := s.client.Server()
	a := at.Addr()
	if !a.IsValid() {
		a = netip.IPv6Unspecified()
	}
	switch word(args, 0) {
	case "":
		s.c.line("[%s]:%d", address(a), at.Port())
	case "address":
		s.c.line("%s", address(a))
	case "port":
		s.c.line("%d", at.Port())
	default:
		return InvalidCommand
	}
	return nil
}

// host is
//
//	srp client host
//	srp client host name [name]
//	srp client host address [auto|address...]
//	srp client host state|clear
//	srp client host remove [name-too [even-if-not-registered]]
func (s *srpClient) host(args []string) error {
	h := s.client.Host()
	w := wordList{args}
	switch w.next() {
	case "":
		s.c.line("%s", s.hostInfo())
	case "name":
		if w.empty() {
			if h.Name == "" {
				h.Name = "(null)"
			}
			s.c.line("%s", h.Name)
			return nil
		}
		return s.client.SetHostName(w.next())
	case "state":
		s.c.line("%s", h.State)
	case "address":
		return s.hostAddress(w, &h)
	case "clear":
		s.client.ClearHost()
	case "remove":
		name, always := w.next(), w.next()
		if !w.empty() || !isBool(name) || !isBool(always) {
			return InvalidArgs
		}
		return s.client.RemoveHost(name == "1", always == "1")
	default:
		return InvalidCommand
	}
	return nil
}

func isBool(s string) bool { return s == "" || s == "0" || s == "1" }

func (s *srpClient) hostAddress(w wordList, h *register.Host) error {
	switch {
	case w.empty() && h.Auto:
		s.c.line("auto")
	case w.empty():
		for _, a := range h.Addrs {
			s.c.line("%s", address(a))
		}
	case w.peek() == "auto":
		if err := s.client.SetAutoAddress(); err != nil {
			return err
		}
		s.follow()
	default:
		var list []netip.Addr
		for !w.empty() {
			a, err := parseAddr(w.next())
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return s.client.SetAddresses(list)
	}
	return nil
}

// service is
//
//	srp client service
//	srp client service add instance type[,subtype...] port [priority [weight [txt [lease [key-lease]]]]]
//	srp client service remove|clear instance type
//
// All of a host has the client's leases.
func (s *srpClient) service(args []string) error {
	switch word(args, 0) {
	case "":
		for _, x := range s.client.Services() {
			s.c.line("%s", serviceInfo(&x))
		}
		return nil
	case "add":
		return s.addService(wordList{args[1:]})
	case "remove", "clear":
		if len(args) != 3 {
			return InvalidArgs
		}
		if args[0] == "clear" {
			return s.client.ClearService(args[1], args[2])
		}
		return s.client.RemoveService(args[1], args[2])
	}
	return InvalidCommand
}

func (s *srpClient) addService(w wordList) error {
	x := dnssd.Service{Instance: w.next()}
	labels := strings.Split(w.next(), ",")
	x.Type, x.Subtypes = labels[0], labels[1:]
	numbers := [3]uint64{}
	for i := range numbers {
		if i > 0 && w.empty() {
			break
		}
		v, err := parseUint(w.next(), 16)
		if err != nil {
			return err
		}
		numbers[i] = v
	}
	x.Port, x.Priority, x.Weight = uint16(numbers[0]), uint16(numbers[1]), uint16(numbers[2])
	if t := w.next(); t != "" && t != "-" {
		b, err := parseHex(t, 255)
		if err != nil {
			return err
		}
		x.TXT = b
	}
	for range 2 { // leases
		if !w.empty() {
			if _, err := parseUint(w.next(), 32); err != nil {
				return err
			}
		}
	}
	if !w.empty() {
		return InvalidArgs
	}
	return s.client.AddService(x)
}
