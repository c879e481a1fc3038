package meshcop

import "fmt"

// Longest values of the vendor and provisioning TLVs, in bytes.
const (
	MaxProvisioningURLLen = 64
	MaxVendorNameLen      = 32
	MaxVendorModelLen     = 32
	MaxVendorSWVersionLen = 16
	MaxVendorDataLen      = 64
)

// A JoinerFinalize is the body of JOIN_FIN.req (c/jf), the joiner's
// introduction inside DTLS (Thread 1.4 Section 8.4.4.5). The answer is a
// State TLV. Empty strings and nil are absent; a peer may leave any out.
type JoinerFinalize struct {
	State           State
	VendorName      string
	VendorModel     string
	VendorSWVersion string
	StackVersion    *StackVersion
	VendorData      string
	ProvisioningURL string
	Unknown         []TLV
}

// Append appends the encoded message to b. The three TLVs a joiner must send
// are there even when they are empty.
func (m *JoinerFinalize) Append(b []byte) []byte {
	b = AppendState(b, m.State)
	b = AppendString(b, TypeVendorName, m.VendorName)
	b = AppendString(b, TypeVendorModel, m.VendorModel)
	b = AppendString(b, TypeVendorSWVersion, m.VendorSWVersion)
	if m.StackVersion != nil {
		b = AppendTLV(b, TypeVendorStackVersion, m.StackVersion.Append(nil))
	}
	if m.VendorData != "" {
		b = AppendString(b, TypeVendorData, m.VendorData)
	}
	if m.ProvisioningURL != "" {
		b = AppendString(b, TypeProvisioningURL, m.ProvisioningURL)
	}
	return appendTLVs(b, m.Unknown)
}

// DecodeJoinerFinalize reads a JOIN_FIN.req. Only the State TLV is required.
func DecodeJoinerFinalize(b []byte) (JoinerFinalize, error) {
	f := newFields(b)
	m := JoinerFinalize{
		State:           f.state(),
		VendorName:      f.text(TypeVendorName, MaxVendorNameLen),
		VendorModel:     f.text(TypeVendorModel, MaxVendorModelLen),
		VendorSWVersion: f.text(TypeVendorSWVersion, MaxVendorSWVersionLen),
		VendorData:      f.text(TypeVendorData, MaxVendorDataLen),
		ProvisioningURL: f.text(TypeProvisioningURL, MaxProvisioningURLLen),
	}
	if v, ok := f.fixed(TypeVendorStackVersion, stackVersionLen); ok {
		m.StackVersion = new(stackVersionFrom(v))
	}
	var err error
	if m.Unknown, err = f.finish(); err != nil {
		return JoinerFinalize{}, err
	}
	return m, nil
}

const stackVersionLen = 6

// A StackVersion says which stack a joiner runs (Thread 1.4 Section
// 8.10.2.6).
type StackVersion struct {
	OUI      uint32 // of the stack's vendor; 24 bits
	Build    uint16 // 12 bits
	Revision uint8  // 4 bits
	Minor    uint8  // 4 bits
	Major    uint8  // 4 bits
}

// Append appends the six bytes of the value to b.
func (v StackVersion) Append(b []byte) []byte {
	br := v.Build<<4 | uint16(v.Revision&0x0f)
	return append(b, byte(v.OUI>>16), byte(v.OUI>>8), byte(v.OUI), byte(br>>8), byte(br), v.Minor<<4|v.Major&0x0f)
}

func stackVersionFrom(b []byte) StackVersion {
	br := uint16(b[3])<<8 | uint16(b[4])
	return StackVersion{
		OUI:      uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		Build:    br >> 4,
		Revision: uint8(br & 0x0f),
		Minor:    b[5] >> 4,
		Major:    b[5] & 0x0f,
	}
}

func (v StackVersion) String() string {
	return fmt.Sprintf("%06x %d.%d.%d build %d", v.OUI, v.Major, v.Minor, v.Revision, v.Build)
}
