package meshcop

import "net/netip"

// A JoinerEntrust is the body of JOIN_ENT.ntf (c/je), by which a joiner router
// hands the network over to a joiner (Thread 1.4 Section 8.4.4.6). What is
// nil, empty or the zero netip.Prefix is absent.
type JoinerEntrust struct {
	NetworkKey      *Key
	MeshLocalPrefix netip.Prefix
	ExtPANID        *ExtPANID
	NetworkName     string
	ActiveTimestamp *Timestamp
	ChannelMask     ChannelMask
	PSKc            *Key
	SecurityPolicy  *SecurityPolicy
	KeySequence     *uint32
	Unknown         []TLV
}

// Entrust returns the message for a network with the given active dataset and
// current key sequence.
func Entrust(d *Dataset, keySequence uint32) JoinerEntrust {
	return JoinerEntrust{
		NetworkKey:      d.NetworkKey,
		MeshLocalPrefix: d.MeshLocalPrefix,
		ExtPANID:        d.ExtPANID,
		NetworkName:     d.NetworkName,
		ActiveTimestamp: d.ActiveTimestamp,
		ChannelMask:     d.ChannelMask,
		PSKc:            d.PSKc,
		SecurityPolicy:  d.SecurityPolicy,
		KeySequence:     &keySequence,
	}
}

// Append appends the encoded message to b.
func (m *JoinerEntrust) Append(b []byte) []byte {
	if m.NetworkKey != nil {
		b = AppendTLV(b, TypeNetworkKey, m.NetworkKey[:])
	}
	if m.MeshLocalPrefix.IsValid() {
		b = appendPrefix64(b, TypeMeshLocalPrefix, m.MeshLocalPrefix)
	}
	if m.ExtPANID != nil {
		b = AppendTLV(b, TypeExtPANID, m.ExtPANID[:])
	}
	if m.NetworkName != "" {
		b = AppendString(b, TypeNetworkName, m.NetworkName)
	}
	if m.ActiveTimestamp != nil {
		b = appendTimestamp(b, TypeActiveTimestamp, *m.ActiveTimestamp)
	}
	if len(m.ChannelMask) != 0 {
		b = AppendTLV(b, TypeChannelMask, m.ChannelMask.Append(nil))
	}
	if m.PSKc != nil {
		b = AppendTLV(b, TypePSKc, m.PSKc[:])
	}
	if m.SecurityPolicy != nil {
		b = AppendTLV(b, TypeSecurityPolicy, m.SecurityPolicy.Append(nil))
	}
	if m.KeySequence != nil {
		b = AppendUint32(b, TypeNetworkKeySequence, *m.KeySequence)
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeJoinerEntrust reads a JOIN_ENT.ntf. Only the network key is required:
// the rest of the dataset also comes when the joiner attaches.
func DecodeJoinerEntrust(b []byte) (JoinerEntrust, error) {
	f := newFields(b)
	f.require(TypeNetworkKey)
	m := JoinerEntrust{
		NetworkKey:      f.key(TypeNetworkKey),
		MeshLocalPrefix: f.prefix64(TypeMeshLocalPrefix),
		ExtPANID:        f.extPANID(TypeExtPANID),
		NetworkName:     f.networkName(),
		ActiveTimestamp: f.timestamp(TypeActiveTimestamp),
		ChannelMask:     f.channelMask(),
		PSKc:            f.key(TypePSKc),
		SecurityPolicy:  f.securityPolicy(),
		KeySequence:     f.uint32(TypeNetworkKeySequence),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return JoinerEntrust{}, err
	}
	return m, nil
}
