package meshcop

import "encoding/binary"

// Bits of the Security Policy flags. Those marked inverted mean "enabled" when
// they are 0.
const (
	policyObtainNetworkKey       = 0x80
	policyNativeCommissioning    = 0x40
	policyRouters                = 0x20
	policyExternalCommissioning  = 0x10
	policyBeacons                = 0x08
	policyCommercial             = 0x04 // inverted
	policyAutonomousEnrollment   = 0x02 // inverted
	policyNetworkKeyProvisioning = 0x01 // inverted

	policyTobleLink        = 0x80
	policyNonCCMRouters    = 0x40 // inverted
	policyReserved         = 0x38 // sent as ones
	policyVersionThreshold = 0x07
)

// Limits of SecurityPolicy.RotationHours.
const (
	DefaultRotationHours = 672
	MinRotationHours     = 2
)

// A SecurityPolicy says what the network allows and how long a key lives
// (Thread 1.4 Section 8.10.1.15). A true flag always means "allowed".
type SecurityPolicy struct {
	RotationHours uint16

	ObtainNetworkKey       bool
	NativeCommissioning    bool
	Routers                bool // of Thread 1.x, before the version threshold
	ExternalCommissioning  bool
	Beacons                bool // without meaning since Thread 1.2
	CommercialCommission   bool // CCM
	AutonomousEnrollment   bool
	NetworkKeyProvisioning bool
	TobleLink              bool
	NonCCMRouters          bool  // as routers of a commercial network
	VersionThreshold       uint8 // lowest protocol version of a router, minus 3; 3 bits
}

// DefaultSecurityPolicy is the policy of a new network.
func DefaultSecurityPolicy() SecurityPolicy {
	return SecurityPolicy{
		RotationHours:         DefaultRotationHours,
		ObtainNetworkKey:      true,
		NativeCommissioning:   true,
		Routers:               true,
		ExternalCommissioning: true,
		TobleLink:             true,
	}
}

// Append appends the four bytes of the value to b.
func (p SecurityPolicy) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.RotationHours)
	var f0, f1 byte
	set := func(f *byte, bit byte, on bool) {
		if on {
			*f |= bit
		}
	}
	set(&f0, policyObtainNetworkKey, p.ObtainNetworkKey)
	set(&f0, policyNativeCommissioning, p.NativeCommissioning)
	set(&f0, policyRouters, p.Routers)
	set(&f0, policyExternalCommissioning, p.ExternalCommissioning)
	set(&f0, policyBeacons, p.Beacons)
	set(&f0, policyCommercial, !p.CommercialCommission)
	set(&f0, policyAutonomousEnrollment, !p.AutonomousEnrollment)
	set(&f0, policyNetworkKeyProvisioning, !p.NetworkKeyProvisioning)
	set(&f1, policyTobleLink, p.TobleLink)
	set(&f1, policyNonCCMRouters, !p.NonCCMRouters)
	f1 |= policyReserved | p.VersionThreshold&policyVersionThreshold
	return append(b, f0, f1)
}

// DecodeSecurityPolicy reads the value of a Security Policy TLV. The second
// flags byte, new in Thread 1.2, takes its default when it is absent.
func DecodeSecurityPolicy(b []byte) (SecurityPolicy, error) {
	if len(b) < 3 {
		return SecurityPolicy{}, &DecodeError{What: "security policy", Offset: len(b), Err: ErrShort}
	}
	f0, f1 := b[2], byte(policyTobleLink|policyNonCCMRouters)
	if len(b) > 3 {
		f1 = b[3]
	}
	return SecurityPolicy{
		RotationHours:          binary.BigEndian.Uint16(b),
		ObtainNetworkKey:       f0&policyObtainNetworkKey != 0,
		NativeCommissioning:    f0&policyNativeCommissioning != 0,
		Routers:                f0&policyRouters != 0,
		ExternalCommissioning:  f0&policyExternalCommissioning != 0,
		Beacons:                f0&policyBeacons != 0,
		CommercialCommission:   f0&policyCommercial == 0,
		AutonomousEnrollment:   f0&policyAutonomousEnrollment == 0,
		NetworkKeyProvisioning: f0&policyNetworkKeyProvisioning == 0,
		TobleLink:              f1&policyTobleLink != 0,
		NonCCMRouters:          f1&policyNonCCMRouters == 0,
		VersionThreshold:       f1 & policyVersionThreshold,
	}, nil
}
