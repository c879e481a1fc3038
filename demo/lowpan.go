package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/eap/tls"
	"gatewayd/enrol"
	"gatewayd/gateway"
	"gatewayd/pana"
	"gatewayd/radio/medium"
	"gatewayd/sim/plain"
	"gatewayd/wpan"
)

// lowpanShow is the performance of a plain 6LoWPAN network.
type lowpanShow struct {
	*stage
	world   *plain.World
	station *medium.Station // the gateway's
	ca      *authority
	devices []*plainDevice
}

// plainDevice is one of the simulated devices.
type plainDevice struct {
	name, what string
	role       wpan.Role
	method     string
	behind     string // the device by which it reaches the gateway; "": directly
	node       *plain.Node

	on, authorized, addressed time.Duration
	relay                     netip.Addr
	addr                      netip.Addr
	pings                     [len(pingSizes)]time.Duration
}

func newLowpanShow(s *stage, seed uint64) (*lowpanShow, error) {
	p := &lowpanShow{stage: s, world: plain.New(seed, time.Now())}
	p.station = p.world.Air().Add()
	s.air = newAir(seed, p.world, p.station)
	var err error
	p.ca, err = newAuthority()
	return p, err
}

const lowpanName = "gatewayd-demo"

// configure gives the gateway its certificate.
func (p *lowpanShow) configure(c *gateway.Config) error {
	c.Mode = gateway.ModeLowpan
	c.Lowpan.Name = lowpanName
	e := gateway.EAP{Certificate: filepath.Join(c.DataDir, "server.pem"), Key: filepath.Join(c.DataDir, "server.key"), CA: filepath.Join(c.DataDir, "ca.pem")}
	cert, key, err := p.ca.issue("gateway.demo", x509.ExtKeyUsageServerAuth)
	if err != nil {
		return err
	}
	c.Lowpan.EAP = e
	return errors.Join(os.WriteFile(e.Certificate, cert, 0o600), os.WriteFile(e.Key, key, 0o600), os.WriteFile(e.CA, p.ca.pem, 0o600))
}

func (p *lowpanShow) addresses() (all []netip.Addr) {
	for _, d := range p.devices {
		all = append(all, d.addr)
	}
	return all
}

// addDevices makes the devices, each with what it authenticates by, and lets
// the gateway know these.
func (p *lowpanShow) addDevices(ctx context.Context) error {
	for _, d := range []*plainDevice{
		{name: "valve", what: "a host beside the gateway", role: wpan.Host, method: "EAP-PSK"},
		{name: "meter", what: "a router beside the gateway", role: wpan.Router, method: "EAP-TLS"},
		{name: "probe", what: "a host that hears the meter only", role: wpan.Host, method: "EAP-PSK", behind: "meter"},
	} {
		methods, entry, err := p.credential(d)
		if err != nil {
			return err
		}
		entry.Identity = d.name
		var failed error
		if err := p.gate.DoLowpan(ctx, func(l *gateway.Lowpan) { failed = l.List.Add(entry, false) }); err != nil || failed != nil {
			return fmt.Errorf("demo: enrolling %s: %w", d.name, firstOf(failed, err))
		}
		err = p.air.do(func() {
			d.node, failed = p.world.Add(plain.Config{Name: d.name, Config: wpan.Config{
				Role: d.role, Channels: 1 << 15,
				Peer: func() (wpan.EAPPeer, error) {
					return eap.NewPeer(eap.PeerConfig{Identity: d.name, Methods: methods}), nil
				},
				Session: func(e pana.Event) { p.tell(d, e) },
			}})
			if failed != nil {
				return
			}
			at := p.station
			for _, x := range p.devices {
				if x.name == d.behind {
					at = x.node.Station
				}
			}
			p.world.Link(at, d.node.Station, 0)
		})
		if err != nil || failed != nil {
			return fmt.Errorf("demo: device %s: %w", d.name, firstOf(failed, err))
		}
		p.devices = append(p.devices, d)
	}
	return nil
}

// credential makes what a device authenticates by, and the gateway's half of it.
func (p *lowpanShow) credential(d *plainDevice) ([]eap.PeerMethodFactory, enrol.Entry, error) {
	if d.method == "EAP-PSK" {
		var b [enrol.PSKLen]byte
		crand.Read(b[:]) // cannot fail
		k, err := psk.NewKey(b[:])
		if err != nil {
			return nil, enrol.Entry{}, err
		}
		secret, err := enrol.ParsePSK(hex.EncodeToString(b[:]))
		return []eap.PeerMethodFactory{&psk.Peer{Key: k, Rand: crand.Reader}}, enrol.Entry{Method: eap.TypePSK, PSK: secret}, err
	}
	cert, key, err := p.ca.issue(d.name, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, enrol.Entry{}, err
	}
	pair, err := stdtls.X509KeyPair(cert, key)
	if err != nil {
		return nil, enrol.Entry{}, err
	}
	peer, err := tls.NewPeer(tls.PeerConfig{Options: tls.Options{Certificate: pair, Roots: []*x509.Certificate{p.ca.cert}, Rand: crand.Reader, Now: time.Now}})
	return []eap.PeerMethodFactory{peer}, enrol.Entry{Method: eap.TypeTLS}, err
}

// tell words what happens to a device's session.
func (p *lowpanShow) tell(d *plainDevice, e pana.Event) {
	switch e.Kind {
	case pana.SessionOpened:
		p.story.say(d.name, "found the network, and answers the gateway's first question by PANA")
	case pana.SessionAuthorized:
		d.authorized = p.story.elapsed()
		p.story.say(d.name, "authenticated by %s: got the network key, encrypted for it alone", d.method)
	case pana.SessionRefused:
		p.story.say(d.name, "was refused: %v", e.Reason)
	}
}

func (p *lowpanShow) script(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("demo: not done after %v", limit))
	defer cancel()
	at := func(f func(*gateway.Lowpan) bool) func() bool {
		return func() (ok bool) {
			_ = p.gate.DoLowpan(ctx, func(l *gateway.Lowpan) { ok = f(l) })
			return ok
		}
	}
	here := func(f func()) error { f(); return nil }
	if err := until(ctx, "the gateway's network", here, at(func(l *gateway.Lowpan) bool { return l.Node.Attached() })); err != nil {
		return err
	}
	err := p.gate.DoLowpan(ctx, func(l *gateway.Lowpan) {
		nw := l.Node.Network()
		p.story.say("gateway", "makes the network %q on channel %d, PAN 0x%04x, prefix %v: 6LBR, RPL root and PANA agent", nw.ID, nw.Channel, nw.PANID, nw.Prefix)
	})
	if err != nil {
		return err
	}
	if err := p.addDevices(ctx); err != nil {
		return err
	}
	p.story.say("gateway", "knows the keys of valve and probe, and the authority of meter's certificate")
	for _, d := range p.devices {
		d.on = p.story.elapsed()
		p.story.say(d.name, "is turned on: %s, with %s", d.what, d.method)
		if err := p.air.do(func() { d.node.Do(d.node.Start) }); err != nil {
			return err
		}
		if err := until(ctx, d.name+" registering its address", p.air.do, func() bool { return len(d.node.Addresses()) > 1 }); err != nil {
			return err
		}
		if err := p.arrived(ctx, d); err != nil {
			return err
		}
	}
	for _, d := range p.devices {
		// A host behind a router is reached when its router has announced it.
		err := until(ctx, "the way to "+d.name, here, at(func(l *gateway.Lowpan) bool { return l.Node.Reaches(d.addr) }))
		if err != nil {
			return err
		}
		if d.pings, err = p.pingDevice(ctx, d.name, d.addr); err != nil {
			return err
		}
	}
	p.summary()
	return nil
}

// arrived tells what the gateway knows of a device that is in the network.
func (p *lowpanShow) arrived(ctx context.Context, d *plainDevice) error {
	d.addressed = p.story.elapsed()
	if err := p.air.do(func() { all := d.node.Addresses(); d.addr = all[len(all)-1] }); err != nil {
		return err
	}
	p.story.say(d.name, "registered the address %v", d.addr)
	return p.gate.DoLowpan(ctx, func(l *gateway.Lowpan) {
		if s, ok := l.Session(d.name); ok && s.PRE.IsValid() {
			d.relay = s.PRE.Addr()
			p.story.say("gateway", "has authenticated %s through the relay at %v", d.name, d.relay)
		}
	})
}

func (p *lowpanShow) summary() {
	rows := [][]string{{"device", "by", "authenticated", "address after", "address", "ping 16", "500", "1232 bytes"}}
	for _, d := range p.devices {
		by := d.method
		if d.relay.IsValid() {
			by += ", relayed"
		}
		row := []string{d.name, by, seconds(d.authorized - d.on), seconds(d.addressed - d.authorized), d.addr.String()}
		for _, rtt := range d.pings {
			row = append(row, millis(rtt))
		}
		rows = append(rows, row)
	}
	p.story.table(fmt.Sprintf("All %d devices authenticated, registered and answered, in %s:", len(p.devices), seconds(p.story.elapsed())), rows)
}

// own pings with the gateway's IPv6 stack.
func (p *lowpanShow) own() pinger { return ownPlainPing{p} }

type ownPlainPing struct{ p *lowpanShow }

func (o ownPlainPing) ping(ctx context.Context, dst netip.Addr, size int) (time.Duration, error) {
	answer := make(chan time.Duration, 1)
	ended := make(chan struct{})
	err := o.p.gate.DoLowpan(ctx, func(l *gateway.Lowpan) {
		ok := l.Node.Ping(&wpan.Ping{Dst: dst, Size: size, Count: 1, Interval: pingTimeout, Timeout: pingTimeout,
			Reply: func(r wpan.Reply) { answer <- r.RTT },
			Done:  func(int, int) { close(ended) }})
		if !ok {
			close(ended)
		}
	})
	if err != nil {
		return 0, err
	}
	return awaitReply(ctx, answer, ended)
}

// authority is a certificate authority for one performance.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

const certificateTime = 24 * time.Hour

func newAuthority() (*authority, error) {
	a := &authority{}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), crand.Reader); err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "demo authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateTime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(crand.Reader, t, t, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// issue makes a certificate and its key, in PEM.
func (a *authority) issue(name string, usage x509.ExtKeyUsage) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := crand.Int(crand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	der, err := x509.CreateCertificate(crand.Reader, t, a.cert, &k.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
