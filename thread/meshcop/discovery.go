package meshcop

import "fmt"

// DiscoveryVersion is the protocol version in discovery messages, that of
// Thread 1.4.
const DiscoveryVersion = 5

// MaxDomainNameLen is the longest Thread domain name, in bytes.
const MaxDomainNameLen = 16

// MaxAdvertisementLen is the longest data of a JoinerAdvertisement, in bytes.
const MaxAdvertisementLen = 64

// Bits of the first byte of the Discovery Request and Response TLVs, below the
// version.
const (
	discoveryJoiner = 0x08
	discoveryNative = 0x08
	discoveryCCM    = 0x04
)

// A JoinerAdvertisement is what a joiner tells of itself while it discovers
// (Thread 1.4 Section 8.10.1.26).
type JoinerAdvertisement struct {
	OUI  uint32 // 24 bits
	Data []byte
}

// A DiscoveryRequest is the value of the MLE Discovery TLV in a Discovery
// Request (Thread 1.4 Section 8.4.4.1.1).
type DiscoveryRequest struct {
	Version       uint8 // protocol version; 4 bits
	Joiner        bool  // asks only those who let somebody join
	Advertisement *JoinerAdvertisement
	ExtPANID      *ExtPANID // nodes of this network do not answer
	Unknown       []TLV
}

// Append appends the encoded value to b.
func (m *DiscoveryRequest) Append(b []byte) []byte {
	flags := m.Version << 4
	if m.Joiner {
		flags |= discoveryJoiner
	}
	b = AppendTLV(b, TypeDiscoveryRequest, []byte{flags, 0})
	if a := m.Advertisement; a != nil {
		b = appendHeader(b, TypeJoinerAdvertisement, 3+len(a.Data))
		b = append(b, byte(a.OUI>>16), byte(a.OUI>>8), byte(a.OUI))
		b = append(b, a.Data...)
	}
	if m.ExtPANID != nil {
		b = AppendTLV(b, TypeExtPANID, m.ExtPANID[:])
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeDiscoveryRequest reads a Discovery Request.
func DecodeDiscoveryRequest(b []byte) (DiscoveryRequest, error) {
	f := newFields(b)
	f.require(TypeDiscoveryRequest)
	m := DiscoveryRequest{ExtPANID: f.extPANID(TypeExtPANID)}
	if v, ok := f.fixed(TypeDiscoveryRequest, 2); ok {
		m.Version, m.Joiner = v[0]>>4, v[0]&discoveryJoiner != 0
	}
	if v, off, ok := f.raw(TypeJoinerAdvertisement); ok {
		switch {
		case len(v) < 3:
			f.fail(TypeJoinerAdvertisement, off, ErrShort)
		case len(v) > 3+MaxAdvertisementLen:
			f.fail(TypeJoinerAdvertisement, off, fmt.Errorf("%w: %d bytes, at most %d", ErrLong, len(v), 3+MaxAdvertisementLen))
		default:
			m.Advertisement = &JoinerAdvertisement{
				OUI:  uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2]),
				Data: v[3:],
			}
		}
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return DiscoveryRequest{}, err
	}
	return m, nil
}

// A DiscoveryResponse is the value of the MLE Discovery TLV in a Discovery
// Response (Thread 1.4 Section 8.4.4.1.2). What is nil or empty is absent.
type DiscoveryResponse struct {
	CommissionerUDPPort *uint16 // of the responder's Border Agent
	Version             uint8   // protocol version; 4 bits
	Native              bool    // native commissioning is allowed
	CCM                 bool    // a network with commercial commissioning
	ExtPANID            *ExtPANID
	NetworkName         string
	SteeringData        SteeringData
	JoinerUDPPort       *uint16
	DomainName          string // if it is not the default one
	Unknown             []TLV
}

// Append appends the encoded value to b.
func (m *DiscoveryResponse) Append(b []byte) []byte {
	if m.CommissionerUDPPort != nil {
		b = AppendUint16(b, TypeCommissionerUDPPort, *m.CommissionerUDPPort)
	}
	flags := m.Version << 4
	if m.Native {
		flags |= discoveryNative
	}
	if m.CCM {
		flags |= discoveryCCM
	}
	b = AppendTLV(b, TypeDiscoveryResponse, []byte{flags, 0})
	if m.ExtPANID != nil {
		b = AppendTLV(b, TypeExtPANID, m.ExtPANID[:])
	}
	if m.NetworkName != "" {
		b = AppendString(b, TypeNetworkName, m.NetworkName)
	}
	if len(m.SteeringData) != 0 {
		b = AppendTLV(b, TypeSteeringData, m.SteeringData)
	}
	if m.JoinerUDPPort != nil {
		b = AppendUint16(b, TypeJoinerUDPPort, *m.JoinerUDPPort)
	}
	if m.DomainName != "" {
		b = AppendString(b, TypeThreadDomainName, m.DomainName)
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeDiscoveryResponse reads a Discovery Response. Only the Discovery
// Response TLV itself is required.
func DecodeDiscoveryResponse(b []byte) (DiscoveryResponse, error) {
	f := newFields(b)
	f.require(TypeDiscoveryResponse)
	m := DiscoveryResponse{
		CommissionerUDPPort: f.uint16(TypeCommissionerUDPPort),
		ExtPANID:            f.extPANID(TypeExtPANID),
		NetworkName:         f.networkName(),
		SteeringData:        f.steering(),
		JoinerUDPPort:       f.uint16(TypeJoinerUDPPort),
		DomainName:          f.text(TypeThreadDomainName, MaxDomainNameLen),
	}
	if v, ok := f.fixed(TypeDiscoveryResponse, 2); ok {
		m.Version, m.Native, m.CCM = v[0]>>4, v[0]&discoveryNative != 0, v[0]&discoveryCCM != 0
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return DiscoveryResponse{}, err
	}
	return m, nil
}
