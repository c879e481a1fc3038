package meshcop

// MaxCommissionerIDLen is the longest Commissioner ID, in bytes.
const MaxCommissionerIDLen = 64

// A Petition is the body of LEAD_PET.req and COMM_PET.req (c/lp, c/cp): a
// candidate asks to become the commissioner (Thread 1.4 Section 8.4.3.1).
type Petition struct {
	CommissionerID string
	Unknown        []TLV
}

// Append appends the encoded message to b.
func (m *Petition) Append(b []byte) []byte {
	b = AppendString(b, TypeCommissionerID, m.CommissionerID)
	return appendTLVs(b, m.Unknown)
}

// DecodePetition reads a petition.
func DecodePetition(b []byte) (Petition, error) {
	f := newFields(b)
	f.require(TypeCommissionerID)
	m := Petition{CommissionerID: f.text(TypeCommissionerID, MaxCommissionerIDLen)}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return Petition{}, err
	}
	return m, nil
}

// A PetitionResponse is the answer to a Petition.
type PetitionResponse struct {
	State          State
	CommissionerID string  // of the active commissioner; empty if there is none
	SessionID      *uint16 // only when accepted
	Unknown        []TLV
}

// Append appends the encoded message to b.
func (m *PetitionResponse) Append(b []byte) []byte {
	b = AppendState(b, m.State)
	if m.CommissionerID != "" {
		b = AppendString(b, TypeCommissionerID, m.CommissionerID)
	}
	if m.SessionID != nil {
		b = AppendUint16(b, TypeCommissionerSessionID, *m.SessionID)
	}
	return appendTLVs(b, m.Unknown)
}

// DecodePetitionResponse reads an answer to a petition.
func DecodePetitionResponse(b []byte) (PetitionResponse, error) {
	f := newFields(b)
	m := PetitionResponse{
		State:          f.state(),
		CommissionerID: f.text(TypeCommissionerID, MaxCommissionerIDLen),
		SessionID:      f.uint16(TypeCommissionerSessionID),
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return PetitionResponse{}, err
	}
	return m, nil
}

// A KeepAlive is the body of LEAD_KA.req and COMM_KA.req (c/la, c/ca). State
// is StateAccept to go on and StateReject to resign.
type KeepAlive struct {
	State     State
	SessionID uint16
	Unknown   []TLV
}

// Append appends the encoded message to b.
func (m *KeepAlive) Append(b []byte) []byte {
	b = AppendState(b, m.State)
	b = AppendUint16(b, TypeCommissionerSessionID, m.SessionID)
	return appendTLVs(b, m.Unknown)
}

// DecodeKeepAlive reads a keep-alive.
func DecodeKeepAlive(b []byte) (KeepAlive, error) {
	f := newFields(b)
	m := KeepAlive{State: f.state(), SessionID: f.sessionID()}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return KeepAlive{}, err
	}
	return m, nil
}
