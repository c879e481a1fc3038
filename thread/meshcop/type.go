package meshcop

import "strconv"

// Type is a MeshCoP TLV type (Thread 1.4 Section 8.10.1).
type Type uint8

// MeshCoP TLV types.
const (
	TypeChannel                 Type = 0
	TypePANID                   Type = 1
	TypeExtPANID                Type = 2
	TypeNetworkName             Type = 3
	TypePSKc                    Type = 4
	TypeNetworkKey              Type = 5
	TypeNetworkKeySequence      Type = 6
	TypeMeshLocalPrefix         Type = 7
	TypeSteeringData            Type = 8
	TypeBorderAgentLocator      Type = 9
	TypeCommissionerID          Type = 10
	TypeCommissionerSessionID   Type = 11
	TypeSecurityPolicy          Type = 12
	TypeGet                     Type = 13
	TypeActiveTimestamp         Type = 14
	TypeCommissionerUDPPort     Type = 15
	TypeState                   Type = 16
	TypeJoinerDTLSEncapsulation Type = 17
	TypeJoinerUDPPort           Type = 18
	TypeJoinerIID               Type = 19
	TypeJoinerRouterLocator     Type = 20
	TypeJoinerRouterKEK         Type = 21
	TypeProvisioningURL         Type = 32
	TypeVendorName              Type = 33
	TypeVendorModel             Type = 34
	TypeVendorSWVersion         Type = 35
	TypeVendorData              Type = 36
	TypeVendorStackVersion      Type = 37
	TypeUDPEncapsulation        Type = 48
	TypeIPv6Address             Type = 49
	TypePendingTimestamp        Type = 51
	TypeDelayTimer              Type = 52
	TypeChannelMask             Type = 53
	TypeCount                   Type = 54
	TypePeriod                  Type = 55
	TypeScanDuration            Type = 56
	TypeEnergyList              Type = 57
	TypeThreadDomainName        Type = 59
	TypeWakeupChannel           Type = 74
	TypeDiscoveryRequest        Type = 128
	TypeDiscoveryResponse       Type = 129
	TypeJoinerAdvertisement     Type = 241
)

var typeNames = map[Type]string{
	TypeChannel:                 "Channel",
	TypePANID:                   "PAN ID",
	TypeExtPANID:                "Extended PAN ID",
	TypeNetworkName:             "Network Name",
	TypePSKc:                    "PSKc",
	TypeNetworkKey:              "Network Key",
	TypeNetworkKeySequence:      "Network Key Sequence",
	TypeMeshLocalPrefix:         "Mesh-Local Prefix",
	TypeSteeringData:            "Steering Data",
	TypeBorderAgentLocator:      "Border Agent Locator",
	TypeCommissionerID:          "Commissioner ID",
	TypeCommissionerSessionID:   "Commissioner Session ID",
	TypeSecurityPolicy:          "Security Policy",
	TypeGet:                     "Get",
	TypeActiveTimestamp:         "Active Timestamp",
	TypeCommissionerUDPPort:     "Commissioner UDP Port",
	TypeState:                   "State",
	TypeJoinerDTLSEncapsulation: "Joiner DTLS Encapsulation",
	TypeJoinerUDPPort:           "Joiner UDP Port",
	TypeJoinerIID:               "Joiner IID",
	TypeJoinerRouterLocator:     "Joiner Router Locator",
	TypeJoinerRouterKEK:         "Joiner Router KEK",
	TypeProvisioningURL:         "Provisioning URL",
	TypeVendorName:              "Vendor Name",
	TypeVendorModel:             "Vendor Model",
	TypeVendorSWVersion:         "Vendor SW Version",
	TypeVendorData:              "Vendor Data",
	TypeVendorStackVersion:      "Vendor Stack Version",
	TypeUDPEncapsulation:        "UDP Encapsulation",
	TypeIPv6Address:             "IPv6 Address",
	TypePendingTimestamp:        "Pending Timestamp",
	TypeDelayTimer:              "Delay Timer",
	TypeChannelMask:             "Channel Mask",
	TypeCount:                   "Count",
	TypePeriod:                  "Period",
	TypeScanDuration:            "Scan Duration",
	TypeEnergyList:              "Energy List",
	TypeThreadDomainName:        "Thread Domain Name",
	TypeWakeupChannel:           "Wake-up Channel",
	TypeDiscoveryRequest:        "Discovery Request",
	TypeDiscoveryResponse:       "Discovery Response",
	TypeJoinerAdvertisement:     "Joiner Advertisement",
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "TLV " + strconv.Itoa(int(t))
}
