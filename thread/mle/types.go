package mle

import (
	"fmt"
)

// Command is what an MLE message is (Thread 1.4 Section 4.5).
type Command uint8

// The commands.
const (
	LinkRequest          Command = 0
	LinkAccept           Command = 1
	LinkAcceptAndRequest Command = 2
	LinkReject           Command = 3
	Advertisement        Command = 4
	Update               Command = 5
	UpdateRequest        Command = 6
	DataRequest          Command = 7
	DataResponse         Command = 8
	ParentRequest        Command = 9
	ParentResponse       Command = 10
	ChildIDRequest       Command = 11
	ChildIDResponse      Command = 12
	ChildUpdateRequest   Command = 13
	ChildUpdateResponse  Command = 14
	Announce             Command = 15
	DiscoveryRequest     Command = 16
	DiscoveryResponse    Command = 17
	LinkMetricsRequest   Command = 18 // Link Metrics Management Request
	LinkMetricsResponse  Command = 19
	LinkProbe            Command = 20
	TimeSync             Command = 99
)

var commandNames = map[Command]string{
	LinkRequest: "link request", LinkAccept: "link accept", LinkAcceptAndRequest: "link accept and request",
	LinkReject: "link reject", Advertisement: "advertisement", Update: "update", UpdateRequest: "update request",
	DataRequest: "data request", DataResponse: "data response", ParentRequest: "parent request",
	ParentResponse: "parent response", ChildIDRequest: "child id request", ChildIDResponse: "child id response",
	ChildUpdateRequest: "child update request", ChildUpdateResponse: "child update response", Announce: "announce",
	DiscoveryRequest: "discovery request", DiscoveryResponse: "discovery response",
	LinkMetricsRequest: "link metrics management request", LinkMetricsResponse: "link metrics management response",
	LinkProbe: "link probe", TimeSync: "time sync",
}

func (c Command) String() string {
	if s, ok := commandNames[c]; ok {
		return s
	}
	return fmt.Sprintf("command %d", uint8(c))
}

// Type is the type of a TLV (Thread 1.4 Section 4.5.5).
type Type uint8

// The types.
const (
	TypeSource           Type = 0  // u16
	TypeMode             Type = 1  // u8
	TypeTimeout          Type = 2  // u32, seconds
	TypeChallenge        Type = 3  // 4 to 8 bytes
	TypeResponse         Type = 4  // 4 to 8 bytes
	TypeLinkCounter      Type = 5  // u32
	TypeLinkQuality      Type = 6  // not used by Thread
	TypeNetworkParam     Type = 7  // not used by Thread
	TypeMLECounter       Type = 8  // u32
	TypeRoute            Type = 9  // Route
	TypeAddress16        Type = 10 // u16
	TypeLeaderData       Type = 11 // LeaderData
	TypeNetworkData      Type = 12 // netdata.Data
	TypeRequest          Type = 13 // types
	TypeScanMask         Type = 14 // u8
	TypeConnectivity     Type = 15 // Connectivity
	TypeLinkMargin       Type = 16 // u8, dB
	TypeStatus           Type = 17 // u8
	TypeVersion          Type = 18 // u16
	TypeAddresses        Type = 19 // Address Registration
	TypeChannel          Type = 20 // meshcop.Channel
	TypePANID            Type = 21 // u16
	TypeActiveTimestamp  Type = 22 // meshcop.Timestamp
	TypePendingTimestamp Type = 23
	TypeActiveDataset    Type = 24 // meshcop.TLVs
	TypePendingDataset   Type = 25
	TypeDiscovery        Type = 26 // meshcop.TLVs
	TypeSupervision      Type = 27 // u16, seconds
	TypeCSLChannel       Type = 80 // meshcop.Channel
	TypeCSLTimeout       Type = 85 // u32, seconds
	TypeCSLAccuracy      Type = 86 // ppm, uncertainty in 10 us
	TypeMetricsQuery     Type = 87
	TypeMetricsManage    Type = 88
	TypeMetricsReport    Type = 89
	TypeMetricsProbe     Type = 90
)

// LeaderData says which partition this is and how new its network data (Thread
// 1.4 Section 4.5.5.12).
type LeaderData struct {
	Partition     uint32
	Weight        uint8
	DataVersion   uint8
	StableVersion uint8
	LeaderID      uint8 // router id
}
