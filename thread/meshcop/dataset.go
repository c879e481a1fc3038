package meshcop

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Limits of the elements of a Dataset.
const (
	MaxDatasetLen     = 254
	MaxNetworkNameLen = 16
)

// A Dataset is an Active or Pending Operational Dataset (Thread 1.4 Section
// 8.4.3). What is nil, empty or the zero netip.Prefix is absent.
type Dataset struct {
	ActiveTimestamp  *Timestamp
	PendingTimestamp *Timestamp
	Delay            *uint32 // milliseconds until a pending dataset takes effect
	Channel          *Channel
	WakeupChannel    *Channel
	ChannelMask      ChannelMask
	ExtPANID         *ExtPANID
	MeshLocalPrefix  netip.Prefix // a /64
	NetworkKey       *Key
	NetworkName      string // 1 to 16 bytes of UTF-8
	PANID            *uint16
	PSKc             *Key
	SecurityPolicy   *SecurityPolicy
	Unknown          []TLV

	order []Type // of decoding
}

// canonical is the order of a dataset's TLVs, but for those whose order is
// known from decoding.
var canonical = []Type{
	TypeActiveTimestamp, TypePendingTimestamp, TypeDelayTimer, TypeChannel, TypeWakeupChannel, TypeChannelMask,
	TypeExtPANID, TypeMeshLocalPrefix, TypeNetworkKey, TypeNetworkName, TypePANID, TypePSKc, TypeSecurityPolicy,
}

// Append appends the encoded dataset to b: first, in their old order, the
// elements that were decoded, then the others in the order in which OpenThread
// writes a new dataset, then what is unknown.
func (d *Dataset) Append(b []byte) []byte {
	var done [256]bool
	add := func(t Type) {
		if !done[t] {
			done[t] = true
			b = d.appendElement(b, t)
		}
	}
	for _, t := range d.order {
		add(t)
	}
	for _, t := range canonical {
		add(t)
	}
	for _, u := range d.Unknown {
		add(u.Type)
	}
	return b
}

// appendElement appends the TLV of type t, if there is one.
func (d *Dataset) appendElement(b []byte, t Type) []byte {
	if !d.Has(t) {
		return b
	}
	switch t {
	case TypeActiveTimestamp:
		return appendTimestamp(b, t, *d.ActiveTimestamp)
	case TypePendingTimestamp:
		return appendTimestamp(b, t, *d.PendingTimestamp)
	case TypeDelayTimer:
		return AppendUint32(b, t, *d.Delay)
	case TypeChannel:
		return AppendTLV(b, t, d.Channel.Append(nil))
	case TypeWakeupChannel:
		return AppendTLV(b, t, d.WakeupChannel.Append(nil))
	case TypeChannelMask:
		return AppendTLV(b, t, d.ChannelMask.Append(nil))
	case TypeExtPANID:
		return AppendTLV(b, t, d.ExtPANID[:])
	case TypeMeshLocalPrefix:
		return appendPrefix64(b, t, d.MeshLocalPrefix)
	case TypeNetworkKey:
		return AppendTLV(b, t, d.NetworkKey[:])
	case TypeNetworkName:
		return AppendString(b, t, d.NetworkName)
	case TypePANID:
		return AppendUint16(b, t, *d.PANID)
	case TypePSKc:
		return AppendTLV(b, t, d.PSKc[:])
	case TypeSecurityPolicy:
		return AppendTLV(b, t, d.SecurityPolicy.Append(nil))
	}
	return d.Unknown[d.unknown(t)].Append(b)
}

// unknown returns the index in Unknown of type t, or -1.
func (d *Dataset) unknown(t Type) int {
	return slices.IndexFunc(d.Unknown, func(u TLV) bool { return u.Type == t })
}

func appendTimestamp(b []byte, t Type, ts Timestamp) []byte {
	v := ts.Bytes()
	return AppendTLV(b, t, v[:])
}

// DecodeDataset reads a dataset. It must not be longer than 254 bytes, use an
// extended length, hold a type twice, or hold a value that is too short or
// invalid; the error is a *DecodeError with the offset. Unknown alias b.
func DecodeDataset(b []byte) (Dataset, error) {
	if len(b) > MaxDatasetLen {
		return Dataset{}, &DecodeError{What: "dataset", Offset: MaxDatasetLen, Err: fmt.Errorf("%w: %d bytes, at most %d", ErrLong, len(b), MaxDatasetLen)}
	}
	var seen [256]bool
	var order []Type
	for off := 0; off < len(b); {
		t, end, err := TLVs(b).next(off)
		if err != nil {
			return Dataset{}, err
		}
		if b[off+1] == extendedLength {
			return Dataset{}, &DecodeError{What: t.Type.String(), Offset: off + 1, Err: fmt.Errorf("%w: extended length", ErrInvalid)}
		}
		if seen[t.Type] {
			return Dataset{}, &DecodeError{What: t.Type.String(), Offset: off, Err: ErrDuplicate}
		}
		seen[t.Type] = true
		order = append(order, t.Type)
		off = end
	}

	f := newFields(b)
	d := Dataset{
		ActiveTimestamp:  f.timestamp(TypeActiveTimestamp),
		PendingTimestamp: f.timestamp(TypePendingTimestamp),
		Delay:            f.uint32(TypeDelayTimer),
		Channel:          f.channel(TypeChannel),
		WakeupChannel:    f.channel(TypeWakeupChannel),
		ChannelMask:      f.channelMask(),
		ExtPANID:         f.extPANID(TypeExtPANID),
		MeshLocalPrefix:  f.prefix64(TypeMeshLocalPrefix),
		NetworkKey:       f.key(TypeNetworkKey),
		NetworkName:      f.networkName(),
		PANID:            f.uint16(TypePANID),
		PSKc:             f.key(TypePSKc),
		SecurityPolicy:   f.securityPolicy(),
		order:            order,
	}
	var err error
	if d.Unknown, err = f.finish(); err != nil {
		return Dataset{}, err
	}
	return d, nil
}

// inValue shifts the offset of an error inside a value to the whole input and
// names the TLV.
func (f *fields) inValue(t Type, off int, err error) {
	if de, ok := err.(*DecodeError); ok {
		off, err = off+de.Offset, de.Err
	}
	f.fail(t, off, err)
}

func (f *fields) channel(t Type) *Channel {
	v, off, ok := f.raw(t)
	if !ok {
		return nil
	}
	c, err := DecodeChannel(v)
	if err != nil {
		f.inValue(t, off, err)
		return nil
	}
	return &c
}

func (f *fields) channelMask() ChannelMask {
	v, off, ok := f.raw(TypeChannelMask)
	if !ok {
		return nil
	}
	m, err := DecodeChannelMask(v)
	if err != nil {
		f.inValue(TypeChannelMask, off, err)
	}
	return m
}

func (f *fields) securityPolicy() *SecurityPolicy {
	v, off, ok := f.raw(TypeSecurityPolicy)
	if !ok {
		return nil
	}
	p, err := DecodeSecurityPolicy(v)
	if err != nil {
		f.inValue(TypeSecurityPolicy, off, err)
		return nil
	}
	return &p
}

// networkName returns a name, which has at least one byte: an empty one could
// not be told from an absent one and names no network.
func (f *fields) networkName() string {
	v, off, ok := f.raw(TypeNetworkName)
	if ok && len(v) == 0 {
		f.fail(TypeNetworkName, off, ErrShort)
	}
	return f.text(TypeNetworkName, MaxNetworkNameLen)
}

// requiredActive are the elements of a complete Active Operational Dataset;
// a pending one has two more.
var (
	requiredActive = []Type{
		TypeActiveTimestamp, TypeChannel, TypeChannelMask, TypeExtPANID, TypeMeshLocalPrefix,
		TypeNetworkKey, TypeNetworkName, TypePANID, TypePSKc, TypeSecurityPolicy,
	}
	requiredPending      = append(slices.Clone(requiredActive), TypePendingTimestamp, TypeDelayTimer)
	requiredCommissioned = []Type{TypeNetworkKey, TypeNetworkName, TypeExtPANID, TypePANID, TypeChannel}
	requiredToAttach     = append(slices.Clone(requiredCommissioned), TypeMeshLocalPrefix)
)

// Has reports whether the dataset holds a TLV of type t.
func (d *Dataset) Has(t Type) bool {
	switch t {
	case TypeActiveTimestamp:
		return d.ActiveTimestamp != nil
	case TypePendingTimestamp:
		return d.PendingTimestamp != nil
	case TypeDelayTimer:
		return d.Delay != nil
	case TypeChannel:
		return d.Channel != nil
	case TypeWakeupChannel:
		return d.WakeupChannel != nil
	case TypeChannelMask:
		return len(d.ChannelMask) != 0
	case TypeExtPANID:
		return d.ExtPANID != nil
	case TypeMeshLocalPrefix:
		return d.MeshLocalPrefix.IsValid()
	case TypeNetworkKey:
		return d.NetworkKey != nil
	case TypeNetworkName:
		return d.NetworkName != ""
	case TypePANID:
		return d.PANID != nil
	case TypePSKc:
		return d.PSKc != nil
	case TypeSecurityPolicy:
		return d.SecurityPolicy != nil
	}
	return d.unknown(t) >= 0
}

func (d *Dataset) missing(types []Type) []Type {
	var out []Type
	for _, t := range types {
		if !d.Has(t) {
			out = append(out, t)
		}
	}
	return out
}

// MissingActive returns the elements a complete Active Operational Dataset
// needs and d does not have.
func (d *Dataset) MissingActive() []Type { return d.missing(requiredActive) }

// TypeNames lists elements as people do: "Channel, PAN ID".
func TypeNames(types []Type) string {
	var list []string
	for _, t := range types {
		list = append(list, t.String())
	}
	return strings.Join(list, ", ")
}

// MissingToAttach returns the elements that a device cannot do without to find
// and attach to a network, which tells it the others.
func (d *Dataset) MissingToAttach() []Type { return d.missing(requiredToAttach) }

// MissingPending returns the elements a complete Pending Operational Dataset
// needs and d does not have.
func (d *Dataset) MissingPending() []Type { return d.missing(requiredPending) }

// Commissioned reports whether d is enough to attach to its network: key,
// name, Extended PAN ID, PAN ID and channel.
func (d *Dataset) Commissioned() bool { return len(d.missing(requiredCommissioned)) == 0 }

// Remove takes the element of type t out of the dataset.
func (d *Dataset) Remove(t Type) {
	switch t {
	case TypeActiveTimestamp:
		d.ActiveTimestamp = nil
	case TypePendingTimestamp:
		d.PendingTimestamp = nil
	case TypeDelayTimer:
		d.Delay = nil
	case TypeChannel:
		d.Channel = nil
	case TypeWakeupChannel:
		d.WakeupChannel = nil
	case TypeChannelMask:
		d.ChannelMask = nil
	case TypeExtPANID:
		d.ExtPANID = nil
	case TypeMeshLocalPrefix:
		d.MeshLocalPrefix = netip.Prefix{}
	case TypeNetworkKey:
		d.NetworkKey = nil
	case TypeNetworkName:
		d.NetworkName = ""
	case TypePANID:
		d.PANID = nil
	case TypePSKc:
		d.PSKc = nil
	case TypeSecurityPolicy:
		d.SecurityPolicy = nil
	default:
		d.Unknown = slices.DeleteFunc(slices.Clone(d.Unknown), func(u TLV) bool { return u.Type == t })
	}
}

// Only returns the dataset reduced to the given types, the answer to a
// MGMT_ACTIVE_GET or MGMT_PENDING_GET that lists them.
func (d *Dataset) Only(types []Type) Dataset {
	out := *d
	for _, t := range canonical {
		if !slices.Contains(types, t) {
			out.Remove(t)
		}
	}
	out.Unknown = slices.DeleteFunc(slices.Clone(d.Unknown), func(u TLV) bool { return !slices.Contains(types, u.Type) })
	return out
}

// Merge replaces in d every element that src holds, as a commissioner's
// MGMT_ACTIVE_SET and MGMT_PENDING_SET do (Thread 1.4 Section 8.7.4).
func (d *Dataset) Merge(src *Dataset) {
	d.ActiveTimestamp = cmp.Or(src.ActiveTimestamp, d.ActiveTimestamp)
	d.PendingTimestamp = cmp.Or(src.PendingTimestamp, d.PendingTimestamp)
	d.Delay = cmp.Or(src.Delay, d.Delay)
	d.Channel = cmp.Or(src.Channel, d.Channel)
	d.WakeupChannel = cmp.Or(src.WakeupChannel, d.WakeupChannel)
	if len(src.ChannelMask) != 0 {
		d.ChannelMask = src.ChannelMask
	}
	d.ExtPANID = cmp.Or(src.ExtPANID, d.ExtPANID)
	d.MeshLocalPrefix = cmp.Or(src.MeshLocalPrefix, d.MeshLocalPrefix)
	d.NetworkKey = cmp.Or(src.NetworkKey, d.NetworkKey)
	d.NetworkName = cmp.Or(src.NetworkName, d.NetworkName)
	d.PANID = cmp.Or(src.PANID, d.PANID)
	d.PSKc = cmp.Or(src.PSKc, d.PSKc)
	d.SecurityPolicy = cmp.Or(src.SecurityPolicy, d.SecurityPolicy)
	d.Unknown = slices.Clone(d.Unknown)
	for _, u := range src.Unknown {
		if i := d.unknown(u.Type); i >= 0 {
			d.Unknown[i] = u
		} else {
			d.Unknown = append(d.Unknown, u)
		}
	}
}

// Clone returns a copy that shares no memory with d, nor with what d was
// decoded from.
func (d *Dataset) Clone() Dataset {
	c := *d
	c.ActiveTimestamp = clonePtr(d.ActiveTimestamp)
	c.PendingTimestamp = clonePtr(d.PendingTimestamp)
	c.Delay = clonePtr(d.Delay)
	c.Channel = clonePtr(d.Channel)
	c.WakeupChannel = clonePtr(d.WakeupChannel)
	c.ChannelMask = d.ChannelMask.Clone()
	c.ExtPANID = clonePtr(d.ExtPANID)
	c.NetworkKey = clonePtr(d.NetworkKey)
	c.PANID = clonePtr(d.PANID)
	c.PSKc = clonePtr(d.PSKc)
	c.SecurityPolicy = clonePtr(d.SecurityPolicy)
	c.Unknown = slices.Clone(d.Unknown)
	for i := range c.Unknown {
		c.Unknown[i].Value = slices.Clone(c.Unknown[i].Value)
	}
	c.order = slices.Clone(d.order)
	return c
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
