package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/dhcp6"
	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/host"
	"gatewayd/pana"
	"gatewayd/radius"
	"gatewayd/store"
	"gatewayd/wpan"
)

// ErrMode is returned for what the gateway's mode does not have.
var ErrMode = errors.New("gateway: not in this mode")

// Lowpan is a gateway's plain 6LoWPAN network. Only functions that DoLowpan
// runs may use it.
type Lowpan struct {
	g        *Gateway
	Node     *wpan.Node
	List     *enrol.List
	auth     *authority
	client   *radius.Client  // nil: the embedded EAP server authenticates
	server   *radius.Server  // nil: nobody else uses that
	dynamic  *radius.Dynamic // nil: nobody orders anything
	sessions map[uint32]*granted
	grants   map[string]radius.Grant // by calling station, until its session opens
	Leases   *dhcp6.Server           // nil: no DHCPv6
	table    *store.Table
	saving   *alarm.Timer
	rotating *alarm.Timer
}

// lowpanStore is where the coordinator keeps its state. It tells a value that
// cannot be read from one that never was: frame counters depend on it.
type lowpanStore struct{ nodeStore }

// Load implements wpan.Store.
func (s lowpanStore) Load(name string) (value []byte, lost int, ok bool) {
	value, lost, ok = s.nodeStore.Load(name)
	if _, err := s.g.store.Load(name); !ok && !isAbsent(err) {
		lost = 1
	}
	return value, lost, ok
}

// DoLowpan runs f in the goroutine that owns the network and waits for it; the
// error is ErrMode if the gateway runs a Thread network.
func (g *Gateway) DoLowpan(ctx context.Context, f func(*Lowpan)) error {
	if g.lowpan == nil {
		return ErrMode
	}
	return g.do(ctx, func() { f(g.lowpan) })
}

// storeIdentity holds what a network was given when it was made.
const storeIdentity = "lowpan-identity"

// identity completes the network of the configuration by what was made before,
// or is made now.
func (g *Gateway) identity() (wpan.Network, error) {
	cfg := &g.cfg.Lowpan
	id, err := wpan.ParseNetworkID(cfg.Name)
	if err != nil {
		return wpan.Network{}, err
	}
	nw := wpan.Network{Channel: uint8(cfg.Channel), ID: id, Open: cfg.Open}
	var kept struct {
		PANID  uint16       `json:"pan_id"`
		Prefix netip.Prefix `json:"prefix"`
	}
	b, err := g.store.Load(storeIdentity)
	have := err == nil && json.Unmarshal(b, &kept) == nil && kept.Prefix.IsValid()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nw, err
	}
	if have {
		nw.PANID, nw.Prefix = kept.PANID, kept.Prefix
	} else if nw, err = wpan.NewNetwork(rand.Reader, nw, false); err != nil {
		return nw, err
	}
	if pan, _ := cfg.pan(); pan != nil { // Validate has seen both
		nw.PANID = *pan
	}
	if p, _ := cfg.prefix(); p.IsValid() {
		nw.Prefix = p
	}
	kept.PANID, kept.Prefix = nw.PANID, nw.Prefix
	if b, err = json.Marshal(kept); err != nil {
		return nw, err
	}
	return nw, g.store.Save(storeIdentity, b)
}

// buildLowpan makes the stack of a plain 6LoWPAN network.
func (g *Gateway) buildLowpan(now time.Time) (err error) {
	nw, err := g.identity()
	if err != nil {
		return fmt.Errorf("gateway: the network's identity: %w", err)
	}
	l := &Lowpan{g: g, sessions: map[uint32]*granted{}, grants: map[string]radius.Grant{}}
	cfg := &g.cfg.Lowpan
	defer func() {
		if err != nil && l.table != nil {
			l.table.Close()
		}
	}()
	if l.List, err = g.loadList(); err != nil {
		return err
	}
	if l.auth, err = newAuthority(cfg.EAP, cfg.Name, l.List, time.Now); err != nil {
		return err
	}
	w := wpan.Config{
		Role: wpan.Coordinator, Random: rand.Reader, Store: lowpanStore{nodeStore{g}}, Network: nw, Storing: cfg.Storing,
		Backend: l, SessionLifetime: time.Duration(cfg.SessionLifetime), Session: l.session, Managed: cfg.DHCP,
		Log: l.event, Changed: func() { g.dirty = true },
	}
	if cfg.ZigBee {
		w.Profile = pana.ZigBeeIP
	}
	if g.tun != nil {
		w.Host = g.toHost
	}
	if l.Node, err = wpan.New(w, now); err != nil {
		return err
	}
	l.Node.Permit(l.permitted())
	l.saving = l.Node.Clock().NewTimer(l.saveList)
	l.rotating = l.Node.Clock().NewTimer(l.rotate)
	if period := time.Duration(cfg.KeyRotation); period > 0 && !nw.Open {
		l.rotating.StartAt(l.rotated(now).Add(period))
	}
	if err := l.buildRADIUS(); err != nil {
		return err
	}
	if cfg.DHCP {
		if err := l.buildDHCP(nw); err != nil {
			return err
		}
	}
	g.lowpan, g.stack = l, l.Node
	return nil
}

// Converse implements eap.Backend: peers go to the RADIUS servers, if there are
// any, or else to the embedded server.
func (l *Lowpan) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	if l.client != nil {
		return l.client.Converse(port, answer)
	}
	return l.auth.backend().Converse(port, answer)
}

// session follows the devices' sessions.
func (l *Lowpan) session(e pana.Event) {
	s := e.Session
	station := l.station(s)
	attrs := []slog.Attr{slog.String("id", "PANA-SESSION"), slog.String("event", e.Kind.String()),
		slog.String("identity", s.Identity), slog.String("device", station), slog.String("method", s.Method.String())}
	if s.PRE.IsValid() {
		attrs = append(attrs, slog.String("relay", s.PRE.Addr().String()))
	}
	level := slog.LevelInfo
	if e.Reason != nil {
		attrs = append(attrs, slog.Any("err", e.Reason))
	}
	if e.Kind == pana.SessionRefused {
		level = slog.LevelWarn
	}
	if e.Kind != pana.SessionOpened && l.g.repeats.pass("PANA-"+e.Kind.String(), l.Node.Clock().Now()) {
		l.g.log.LogAttrs(context.Background(), level, "device", attrs...)
	}
	switch e.Kind {
	case pana.SessionAuthorized, pana.SessionReauthenticated, pana.SessionRefused:
		a := enrol.Attempt{At: l.Node.Clock().Now(), Device: station, OK: e.Kind != pana.SessionRefused}
		if e.Reason != nil {
			a.Reason = e.Reason.Error()
		}
		l.List.Tried(s.Identity, s.Method, a)
		l.saving.StartEarlier(saveListDelay)
	}
	l.account(e, station)
}

// station is a session's device as RADIUS writes it.
func (l *Lowpan) station(s pana.Info) string {
	b := s.PaC.Addr().As16()
	return enrol.Station([8]byte{b[8] ^ 2, b[9], b[10], b[11], b[12], b[13], b[14], b[15]})
}

// event logs what the node says, each kind at a bounded rate.
func (l *Lowpan) event(e wpan.Event) {
	now := time.Now()
	if l.Node != nil { // it is being made otherwise
		now = l.Node.Clock().Now()
	}
	if !l.g.repeats.pass(e.ID, now) {
		return
	}
	attrs := []slog.Attr{slog.String("id", e.ID)}
	for _, a := range e.Attrs {
		attrs = append(attrs, slog.Any(a.Key, a.Value))
	}
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	if n := l.g.repeats.missed(e.ID); n > 0 {
		attrs = append(attrs, slog.Int("unsaid", n))
	}
	l.g.log.LogAttrs(context.Background(), level, e.Text, attrs...)
}

// saveListDelay gathers what became of attempts; changes of the list itself are
// stored at once.
const saveListDelay = 30 * time.Second

func (l *Lowpan) saveList() {
	if err := l.SaveList(); err != nil {
		l.g.log.Error("credentials cannot be stored", "id", "ENROL-STORE", "err", err)
	}
}

// SaveList stores who may join. It is on the disk when that returns nil.
func (l *Lowpan) SaveList() error {
	b, err := l.List.Marshal()
	if err != nil {
		return err
	}
	return l.g.store.Save(storeCredentials, b)
}

// storePermit holds that new devices may not join.
const storePermit = "lowpan-permit"

// Permit lets new devices join, or not, until it is told otherwise.
func (l *Lowpan) Permit(on bool) error {
	b, err := json.Marshal(on)
	if err != nil {
		return err
	}
	if err := l.g.store.Save(storePermit, b); err != nil {
		return err
	}
	l.Node.Permit(on)
	return nil
}

// permitted is what Permit was told last. What cannot be read lets nobody in.
func (l *Lowpan) permitted() bool {
	b, err := l.g.store.Load(storePermit)
	if isAbsent(err) {
		return true
	}
	on := false
	return err == nil && json.Unmarshal(b, &on) == nil && on
}

// storeRotated holds when the network key was changed last.
const storeRotated = "lowpan-rotated"

// rotated is when the key was changed last, or was seen first.
func (l *Lowpan) rotated(now time.Time) time.Time {
	var at time.Time
	if b, err := l.g.store.Load(storeRotated); err == nil && json.Unmarshal(b, &at) == nil && !at.After(now) {
		return at
	}
	l.noteRotation(now)
	return now
}

func (l *Lowpan) noteRotation(now time.Time) {
	b, err := json.Marshal(now)
	if err == nil {
		err = l.g.store.Save(storeRotated, b)
	}
	if err != nil {
		l.g.log.Error("the time of the key's change cannot be stored", "id", "LOWPAN-STORE", "err", err)
	}
}

// RotateKey changes the network key; see wpan.Node.
func (l *Lowpan) RotateKey() (uint8, bool) {
	index, ok := l.Node.RotateKey()
	if ok {
		l.noteRotation(l.Node.Clock().Now())
		if period := time.Duration(l.g.cfg.Lowpan.KeyRotation); period > 0 {
			l.rotating.Start(period)
		}
	}
	return index, ok
}

// rotate changes the network key when its time is over. If that cannot be done
// now, it is tried again.
func (l *Lowpan) rotate() {
	if _, ok := l.RotateKey(); !ok {
		l.rotating.Start(rotateAgain)
	}
}

const rotateAgain = 2 * time.Second

// renumber gives the network another prefix.
func (l *Lowpan) renumber(p netip.Prefix) {
	l.Node.Renumber(p)
	if l.Leases == nil {
		return
	}
	if err := l.Leases.SetPools(pools(p)); err != nil {
		l.g.log.Error("there are no addresses by DHCPv6", "id", "DHCP6-POOL", "prefix", p, "err", err)
	}
}

// hostConfig is what the host's interface should have.
func (l *Lowpan) hostConfig() host.Config {
	var c host.Config
	for _, a := range l.Node.Addresses() {
		c.Addrs = append(c.Addrs, host.Address{Prefix: netip.PrefixFrom(a, 64), OnLink: !a.IsLinkLocalUnicast()})
	}
	return c
}

// Session finds a session by its number, its identity or its device.
func (l *Lowpan) Session(who string) (pana.Info, bool) {
	for _, s := range l.Node.Sessions() {
		if fmt.Sprint(s.ID) == who || fmt.Sprintf("0x%08x", s.ID) == who || s.Identity == who || l.station(s) == who || s.PaC.Addr().String() == who {
			return s, true
		}
	}
	return pana.Info{}, false
}

// Station is a session's device.
func (l *Lowpan) Station(s pana.Info) string { return l.station(s) }

// stop ends what buildLowpan began. The node's farewell is on its way then.
func (l *Lowpan) stop() {
	l.Node.Leave()
	for _, s := range l.sessions {
		s.account.Stop(radius.NASReboot)
	}
	l.saveList()
	if l.table != nil {
		l.table.Close()
	}
}

func isDamaged(err error) bool { return errors.Is(err, store.ErrDamaged) }

// isAbsent reports a value that there never was: a damaged one is none.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) && !isDamaged(err) }
