package firewall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// DefaultTable is the name of the table.
const DefaultTable = "gatewayd"

// ErrUnsupported means that this kernel cannot do it: the gateway is then
// without a firewall, and must decide what it does without.
var ErrUnsupported = errors.New("this kernel has no nftables, or not all of it: it takes CONFIG_NF_TABLES_INET, NFT_CT, NFT_NAT and NFT_MASQ")

// ErrTaken means that another process has a table of that name.
var ErrTaken = errors.New("another process has the table: is another gateway running?")

// Options configures a Table. Every field may be left zero.
type Options struct {
	Name string // default: DefaultTable
}

// A Table is the gateway's table in the kernel. Its methods may be called
// concurrently.
type Table struct {
	mu     sync.Mutex
	conn   *nftables.Conn // one socket: the kernel keeps the table for it
	table  *nftables.Table
	chains map[string]*nftables.Chain // nil until the first Apply
	owned  bool
}

// Counters count packets that were dropped.
type Counters struct {
	Spoofed uint64 // source says mesh and is not, or the other way round
	Inbound uint64 // unsolicited, to devices
	Egress  uint64 // from devices that may not
	Other   uint64 // between interfaces that are not the mesh's (OnlyMesh)
}

const (
	counterSpoofed = "spoofed"
	counterInbound = "inbound"
	counterEgress  = "egress"
	counterOther   = "other"
)

var counterNames = []string{counterSpoofed, counterInbound, counterEgress, counterOther}

const (
	tableFlagOwner = 2       // NFT_TABLE_F_OWNER
	socketBuffer   = 8 << 20 // a batch goes out, and its acknowledgements come, at once
)

// Open makes the table, empty: everything passes until Apply. What a killed
// process has left is replaced.
func Open(o Options) (*Table, error) {
	if o.Name == "" {
		o.Name = DefaultTable
	}
	t := &Table{table: &nftables.Table{Name: o.Name, Family: nftables.TableFamilyINet}}
	var raw *netlink.Conn
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		raw = c
		return errors.Join(c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer))
	}))
	if err != nil {
		return nil, explain("opening nftables", err)
	}
	t.conn = conn
	if err := t.create(raw); err != nil {
		conn.CloseLasting()
		return nil, err
	}
	return t, nil
}

func (t *Table) create(raw *netlink.Conn) error {
	there, err := t.exists()
	if err != nil {
		return err
	}
	if there {
		t.conn.DelTable(t.table)
		if err := t.conn.Flush(); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("firewall: table %s: %w", t.table.Name, ErrTaken)
			}
			return explain("removing what was left of table "+t.table.Name, err)
		}
	}
	err = newTable(raw, t.table, tableFlagOwner)
	if t.owned = err == nil; t.owned {
		return nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = newTable(raw, t.table, 0) // before Linux 5.12
	}
	if err != nil {
		return explain("making table "+t.table.Name, err)
	}
	return nil
}

func (t *Table) exists() (bool, error) {
	list, err := t.conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, explain("listing tables", err)
	}
	for _, have := range list {
		if have.Name == t.table.Name {
			return true, nil
		}
	}
	return false, nil
}

// newTable makes a table with flags, which the nftables package does not.
func newTable(c *netlink.Conn, t *nftables.Table, flags uint32) error {
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(t.Name), 0)},
		{Type: unix.NFTA_TABLE_FLAGS, Data: []byte{0, 0, 0, byte(flags)}},
	})
	if err != nil {
		return err
	}
	message := func(typ uint16, flags netlink.HeaderFlags, family, resource byte, data []byte) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | flags},
			Data:   append([]byte{family, unix.NFNETLINK_V0, 0, resource}, data...),
		}
	}
	_, err = c.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Acknowledge|netlink.Create|netlink.Excl, byte(t.Family), 0, attrs),
		message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	if err != nil {
		return err
	}
	_, err = c.Receive()
	return err
}

// Apply makes a policy the one in force, instead of the one before, from one
// packet to the next. After an error the one before is still in force.
func (t *Table) Apply(p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	rules, err := compile(&p)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return fmt.Errorf("firewall: %w", os.ErrClosed)
	}
	chains := t.chains
	if chains == nil {
		chains = t.addChains()
	} else {
		t.conn.FlushTable(t.table)
	}
	for _, r := range rules {
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: chains[r.chain], Exprs: r.exprs})
	}
	if err := t.conn.Flush(); err != nil {
		return explain("replacing the rules", err)
	}
	t.chains = chains
	return nil
}

// addChains puts the chains and counters, which stay, into the next batch.
func (t *Table) addChains() map[string]*nftables.Chain {
	for _, name := range counterNames {
		t.conn.AddObj(&nftables.NamedObj{Table: t.table, Name: name, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
	}
	chains := map[string]*nftables.Chain{}
	for _, name := range []string{chainOutbound, chainEgress, chainInbound} {
		chains[name] = t.conn.AddChain(&nftables.Chain{Table: t.table, Name: name})
	}
	accept := nftables.ChainPolicyAccept
	for _, c := range []struct {
		name     string
		kind     nftables.ChainType
		hook     *nftables.ChainHook
		priority nftables.ChainPriority
	}{
		{chainAntispoof, nftables.ChainTypeFilter, nftables.ChainHookPrerouting, *nftables.ChainPriorityRaw - 10},
		{chainForward, nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter - 10},
		{chainNAT64, nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource},
	} {
		chains[c.name] = t.conn.AddChain(&nftables.Chain{
			Table: t.table, Name: c.name, Type: c.kind, Hooknum: c.hook, Priority: &c.priority, Policy: &accept,
		})
	}
	return chains
}

// Counters reads how many packets were dropped since Open.
func (t *Table) Counters() (c Counters, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return c, fmt.Errorf("firewall: %w", os.ErrClosed)
	}
	list, err := t.conn.GetNamedObjects(t.table)
	if err != nil {
		return c, explain("reading the counters", err)
	}
	for _, o := range list {
		n, ok := o.(*nftables.NamedObj)
		if !ok {
			continue
		}
		count, ok := n.Obj.(*expr.Counter)
		if !ok {
			continue
		}
		switch n.Name {
		case counterSpoofed:
			c.Spoofed = count.Packets
		case counterInbound:
			c.Inbound = count.Packets
		case counterEgress:
			c.Egress = count.Packets
		case counterOther:
			c.Other = count.Packets
		}
	}
	return c, nil
}

// Intact reports whether the rules of the last Apply are there: before Linux
// 5.12 others can remove them. If not, Close and Open anew.
func (t *Table) Intact() (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil || t.chains == nil {
		return false, nil
	}
	there, err := t.exists()
	if err != nil || !there {
		return false, err
	}
	rules, err := t.conn.GetRules(t.table, t.chains[chainForward])
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, explain("reading the rules", err)
	}
	return len(rules) > 0, nil
}

// Close removes the table.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	t.conn.DelTable(t.table)
	err := t.conn.Flush()
	t.conn.CloseLasting()
	t.conn = nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain("removing the table", err)
	}
	return nil
}

// Probe reports whether this kernel can do what the table needs, or else
// ErrUnsupported. It makes a table of another name and removes it.
func Probe() error {
	t, err := Open(Options{Name: fmt.Sprintf("%s-probe-%d", DefaultTable, os.Getpid())})
	if err != nil {
		return err
	}
	return errors.Join(t.Apply(probePolicy), t.Close())
}

// explain says what an error of the kernel's means.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("firewall: %s: run as root or with CAP_NET_ADMIN: %w", what, err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT),
		errors.Is(err, unix.EINVAL), errors.Is(err, fs.ErrNotExist):
		// nfnetlink answers EINVAL for a subsystem that it does not have, and
		// nftables ENOENT for an expression.
		return fmt.Errorf("firewall: %s: %w: %w", what, ErrUnsupported, err)
	}
	return fmt.Errorf("firewall: %s: %w", what, err)
}
