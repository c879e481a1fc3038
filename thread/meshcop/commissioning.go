package meshcop

// CommissioningData is the Commissioner Dataset: what the leader publishes in
// the network data, and the body of MGMT_COMMISSIONER_SET.req and of the answer
// to MGMT_COMMISSIONER_GET (c/cs, c/cg; Thread 1.4 Section 8.7.3). Nil is
// absent.
type CommissioningData struct {
	BorderAgentLocator *uint16 // RLOC16; there is one only while a commissioner is active
	SessionID          *uint16
	SteeringData       SteeringData
	JoinerUDPPort      *uint16 // of joiner routers, if it is not DefaultJoinerPort
	Unknown            []TLV
}

// Append appends the encoded data to b.
func (m *CommissioningData) Append(b []byte) []byte {
	if m.BorderAgentLocator != nil {
		b = AppendUint16(b, TypeBorderAgentLocator, *m.BorderAgentLocator)
	}
	if m.SessionID != nil {
		b = AppendUint16(b, TypeCommissionerSessionID, *m.SessionID)
	}
	if len(m.SteeringData) != 0 {
		b = AppendTLV(b, TypeSteeringData, m.SteeringData)
	}
	if m.JoinerUDPPort != nil {
		b = AppendUint16(b, TypeJoinerUDPPort, *m.JoinerUDPPort)
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeCommissioningData reads commissioning data.
func DecodeCommissioningData(b []byte) (CommissioningData, error) {
	f := newFields(b)
	m := CommissioningData{
		BorderAgentLocator: f.uint16(TypeBorderAgentLocator),
		SessionID:          f.uint16(TypeCommissionerSessionID),
		SteeringData:       f.steering(),
		JoinerUDPPort:      f.uint16(TypeJoinerUDPPort),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return CommissioningData{}, err
	}
	return m, nil
}

func (f *fields) steering() SteeringData {
	v, off, ok := f.raw(TypeSteeringData)
	if !ok {
		return nil
	}
	s, err := DecodeSteeringData(v)
	if err != nil {
		f.inValue(TypeSteeringData, off, err)
	}
	return s
}

// JoiningAllowed reports whether a commissioner is active and lets at least
// one joiner in: joiner routers then serve joiners.
func (m *CommissioningData) JoiningAllowed() bool {
	return m.BorderAgentLocator != nil && len(m.SteeringData) != 0 && !m.SteeringData.IsEmpty()
}

// JoinerPort returns the UDP port of joiner routers.
func (m *CommissioningData) JoinerPort() uint16 {
	if m.JoinerUDPPort == nil {
		return DefaultJoinerPort
	}
	return *m.JoinerUDPPort
}
