package radius

import "strconv"

// Code is what a packet is (RFC 2865 Section 3).
type Code uint8

// The codes (RFC 2865, RFC 2866, RFC 5176, RFC 5997).
const (
	AccessRequest      Code = 1
	AccessAccept       Code = 2
	AccessReject       Code = 3
	AccountingRequest  Code = 4
	AccountingResponse Code = 5
	AccessChallenge    Code = 11
	StatusServer       Code = 12
	DisconnectRequest  Code = 40
	DisconnectACK      Code = 41
	DisconnectNAK      Code = 42
	CoARequest         Code = 43
	CoAACK             Code = 44
	CoANAK             Code = 45
)

var codeNames = map[Code]string{
	AccessRequest: "Access-Request", AccessAccept: "Access-Accept", AccessReject: "Access-Reject",
	AccountingRequest: "Accounting-Request", AccountingResponse: "Accounting-Response",
	AccessChallenge: "Access-Challenge", StatusServer: "Status-Server",
	DisconnectRequest: "Disconnect-Request", DisconnectACK: "Disconnect-ACK", DisconnectNAK: "Disconnect-NAK",
	CoARequest: "CoA-Request", CoAACK: "CoA-ACK", CoANAK: "CoA-NAK",
}

func (c Code) String() string {
	if s := codeNames[c]; s != "" {
		return s
	}
	return "code " + strconv.Itoa(int(c))
}

// Type is an attribute's (RFC 2865 Section 5).
type Type uint8

// The attributes used here, by their names in RFC 2865, 2866, 2869, 3162,
// 3579, 4072, 5176 and 6911.
const (
	UserName             Type = 1
	NASIPAddress         Type = 4
	NASPort              Type = 5
	ServiceType          Type = 6
	FramedIPAddress      Type = 8
	FramedMTU            Type = 12
	ReplyMessage         Type = 18
	State                Type = 24
	Class                Type = 25
	VendorSpecific       Type = 26
	SessionTimeout       Type = 27
	TerminationAction    Type = 29
	CalledStationID      Type = 30
	CallingStationID     Type = 31
	NASIdentifier        Type = 32
	ProxyState           Type = 33
	AcctStatusType       Type = 40
	AcctInputOctets      Type = 42
	AcctOutputOctets     Type = 43
	AcctSessionID        Type = 44
	AcctAuthentic        Type = 45
	AcctSessionTime      Type = 46
	AcctInputPackets     Type = 47
	AcctOutputPackets    Type = 48
	AcctTerminateCause   Type = 49
	AcctInputGigawords   Type = 52
	AcctOutputGigawords  Type = 53
	EventTimestamp       Type = 55
	NASPortType          Type = 61
	EAPMessage           Type = 79
	MessageAuthenticator Type = 80
	AcctInterimInterval  Type = 85
	NASIPv6Address       Type = 95
	ErrorCauseAttr       Type = 101
	EAPKeyName           Type = 102
	FramedIPv6Address    Type = 168
)

// Values of Service-Type, NAS-Port-Type and Termination-Action (RFC 2865
// Sections 5.6, 5.29, 5.41; RFC 5176 Section 3.2).
const (
	serviceFramed        = 2
	serviceAuthorizeOnly = 17

	portEthernet      = 15
	portWirelessOther = 18
	portWireless80211 = 19

	actionRADIUSRequest = 1
)

// Vendor is an SMI network management private enterprise code.
type Vendor uint32

// Microsoft's numbers (RFC 2548 Section 2.4).
const (
	VendorMicrosoft Vendor = 311

	msMPPESendKey = 16
	msMPPERecvKey = 17
)
