package meshcop

// MaxGetTypes is how many types of a Get TLV are honoured.
const MaxGetTypes = 64

// AppendGet appends the body of a MGMT get request (c/ag, c/pg, c/cg). Without
// types it is empty and asks for all.
func AppendGet(b []byte, types ...Type) []byte {
	if len(types) == 0 {
		return b
	}
	b = appendHeader(b, TypeGet, len(types))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

// DecodeGet reads the types of a MGMT get request, at most MaxGetTypes; nil
// means all.
func DecodeGet(b []byte) ([]Type, error) {
	f := newFields(b)
	v := f.bytes(TypeGet, MaxTLVLength)
	if _, err := f.finish(); err != nil {
		return nil, err
	}
	var types []Type
	for _, t := range v[:min(len(v), MaxGetTypes)] {
		types = append(types, Type(t))
	}
	return types, nil
}

// A DatasetSet is the body of MGMT_ACTIVE_SET, MGMT_ACTIVE_REPLACE and
// MGMT_PENDING_SET (c/as, c/ar, c/ps): a dataset and, from a commissioner, its
// session (Thread 1.4 Section 8.7.4).
type DatasetSet struct {
	Dataset   Dataset
	SessionID *uint16
}

// Append appends the encoded message to b.
func (m *DatasetSet) Append(b []byte) []byte {
	if m.SessionID != nil {
		b = AppendUint16(b, TypeCommissionerSessionID, *m.SessionID)
	}
	return m.Dataset.Append(b)
}

// DecodeDatasetSet reads a set request under the rules of DecodeDataset.
func DecodeDatasetSet(b []byte) (DatasetSet, error) {
	d, err := DecodeDataset(b)
	if err != nil {
		return DatasetSet{}, err
	}
	m := DatasetSet{Dataset: d}
	if d.Has(TypeCommissionerSessionID) {
		f := newFields(b)
		m.SessionID = f.uint16(TypeCommissionerSessionID)
		if _, err := f.finish(); err != nil {
			return DatasetSet{}, err
		}
		m.Dataset.Remove(TypeCommissionerSessionID)
	}
	return m, nil
}

// An AnnounceBegin is the body of MGMT_ANNOUNCE_BEGIN (c/ab): send MLE
// Announces Count times on every channel, Period milliseconds apart (Thread
// 1.4 Section 8.7.8).
type AnnounceBegin struct {
	SessionID   uint16
	ChannelMask ChannelMask
	Count       uint8
	Period      uint16 // ms
	Unknown     []TLV
}

// Append appends the encoded message to b.
func (m *AnnounceBegin) Append(b []byte) []byte {
	b = AppendUint16(b, TypeCommissionerSessionID, m.SessionID)
	b = AppendTLV(b, TypeChannelMask, m.ChannelMask.Append(nil))
	b = AppendUint8(b, TypeCount, m.Count)
	b = AppendUint16(b, TypePeriod, m.Period)
	return appendTLVs(b, m.Unknown)
}

// DecodeAnnounceBegin reads a MGMT_ANNOUNCE_BEGIN.
func DecodeAnnounceBegin(b []byte) (AnnounceBegin, error) {
	f := newFields(b)
	f.require(TypeChannelMask, TypeCount, TypePeriod)
	m := AnnounceBegin{
		SessionID:   f.sessionID(),
		ChannelMask: f.channelMask(),
		Count:       value(f.uint8(TypeCount)),
		Period:      value(f.uint16(TypePeriod)),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return AnnounceBegin{}, err
	}
	return m, nil
}

// An EnergyScan is the body of MGMT_ED_SCAN (c/es): measure the energy on every
// channel Count times (Thread 1.4 Section 8.7.10).
type EnergyScan struct {
	SessionID    uint16
	ChannelMask  ChannelMask
	Count        uint8
	Period       uint16 // ms
	ScanDuration uint16 // ms
	Unknown      []TLV
}

// Append appends the encoded message to b.
func (m *EnergyScan) Append(b []byte) []byte {
	b = AppendUint16(b, TypeCommissionerSessionID, m.SessionID)
	b = AppendTLV(b, TypeChannelMask, m.ChannelMask.Append(nil))
	b = AppendUint8(b, TypeCount, m.Count)
	b = AppendUint16(b, TypePeriod, m.Period)
	b = AppendUint16(b, TypeScanDuration, m.ScanDuration)
	return appendTLVs(b, m.Unknown)
}

// DecodeEnergyScan reads a MGMT_ED_SCAN.
func DecodeEnergyScan(b []byte) (EnergyScan, error) {
	f := newFields(b)
	f.require(TypeChannelMask, TypeCount, TypePeriod, TypeScanDuration)
	m := EnergyScan{
		SessionID:    f.sessionID(),
		ChannelMask:  f.channelMask(),
		Count:        value(f.uint8(TypeCount)),
		Period:       value(f.uint16(TypePeriod)),
		ScanDuration: value(f.uint16(TypeScanDuration)),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return EnergyScan{}, err
	}
	return m, nil
}

// An EnergyReport is the body of MGMT_ED_REPORT (c/er): the measured energy in
// dBm, by round and channel.
type EnergyReport struct {
	ChannelMask ChannelMask
	Energy      []int8
	Unknown     []TLV
}

// Append appends the encoded message to b.
func (m *EnergyReport) Append(b []byte) []byte {
	b = AppendTLV(b, TypeChannelMask, m.ChannelMask.Append(nil))
	b = appendHeader(b, TypeEnergyList, len(m.Energy))
	for _, e := range m.Energy {
		b = append(b, byte(e))
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeEnergyReport reads a MGMT_ED_REPORT.
func DecodeEnergyReport(b []byte) (EnergyReport, error) {
	f := newFields(b)
	f.require(TypeChannelMask, TypeEnergyList)
	m := EnergyReport{ChannelMask: f.channelMask()}
	for _, e := range f.bytes(TypeEnergyList, MaxTLVLength) {
		m.Energy = append(m.Energy, int8(e))
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return EnergyReport{}, err
	}
	return m, nil
}

// A PANIDQuery is the body of MGMT_PANID_QUERY and, without a session, of
// MGMT_PANID_CONFLICT (c/pq, c/pc): is a PAN ID in use by others (Thread 1.4
// Section 8.7.9)?
type PANIDQuery struct {
	SessionID   *uint16
	ChannelMask ChannelMask
	PANID       uint16
	Unknown     []TLV
}

// Append appends the encoded message to b.
func (m *PANIDQuery) Append(b []byte) []byte {
	if m.SessionID != nil {
		b = AppendUint16(b, TypeCommissionerSessionID, *m.SessionID)
	}
	b = AppendTLV(b, TypeChannelMask, m.ChannelMask.Append(nil))
	b = AppendUint16(b, TypePANID, m.PANID)
	return appendTLVs(b, m.Unknown)
}

// DecodePANIDQuery reads a MGMT_PANID_QUERY or MGMT_PANID_CONFLICT.
func DecodePANIDQuery(b []byte) (PANIDQuery, error) {
	f := newFields(b)
	f.require(TypeChannelMask, TypePANID)
	m := PANIDQuery{
		SessionID:   f.uint16(TypeCommissionerSessionID),
		ChannelMask: f.channelMask(),
		PANID:       value(f.uint16(TypePANID)),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return PANIDQuery{}, err
	}
	return m, nil
}
