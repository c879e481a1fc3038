package diag

import "fmt"

// Type is the type of a diagnostic TLV (Thread 1.4 Section 10.11.4).
type Type uint8

// The types, and the values they have.
const (
	TypeExtAddress      Type = 0
	TypeAddress16       Type = 1
	TypeMode            Type = 2
	TypePollTimeout     Type = 3 // of devices that sleep
	TypeConnectivity    Type = 4
	TypeRoute           Type = 5
	TypeLeaderData      Type = 6
	TypeNetworkData     Type = 7
	TypeAddresses       Type = 8
	TypeMACCounters     Type = 9
	TypeBatteryLevel    Type = 14
	TypeSupplyVoltage   Type = 15
	TypeChildTable      Type = 16 // of routers
	TypeChannelPages    Type = 17
	TypeTypes           Type = 18 // of requests
	TypeMaxChildTimeout Type = 19 // of routers with minimal children
	TypeEUI64           Type = 23
	TypeVersion         Type = 24
	TypeVendorName      Type = 25
	TypeVendorModel     Type = 26
	TypeVendorVersion   Type = 27 // of the software
	TypeStackVersion    Type = 28
	TypeChild           Type = 29 // 29 to 31 are answers to queries only
	TypeChildAddresses  Type = 30
	TypeRouterNeighbor  Type = 31
	TypeAnswer          Type = 32
	TypeQueryID         Type = 33
	TypeMLECounters     Type = 34
	TypeVendorAppURL    Type = 35
)

// typeNames are for errors.
var typeNames = map[Type]string{
	TypeExtAddress: "extended address", TypeAddress16: "address16", TypeMode: "mode", TypePollTimeout: "timeout",
	TypeConnectivity: "connectivity", TypeRoute: "route", TypeLeaderData: "leader data", TypeNetworkData: "network data",
	TypeAddresses: "address list", TypeMACCounters: "mac counters", TypeBatteryLevel: "battery level",
	TypeSupplyVoltage: "supply voltage", TypeChildTable: "child table", TypeChannelPages: "channel pages",
	TypeTypes: "type list", TypeMaxChildTimeout: "max child timeout", TypeEUI64: "eui-64", TypeVersion: "version",
	TypeVendorName: "vendor name", TypeVendorModel: "vendor model", TypeVendorVersion: "vendor software version",
	TypeStackVersion: "stack version", TypeChild: "child", TypeChildAddresses: "child address list",
	TypeRouterNeighbor: "router neighbor", TypeAnswer: "answer", TypeQueryID: "query id", TypeMLECounters: "mle counters",
	TypeVendorAppURL: "vendor app url",
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("tlv %d", uint8(t))
}

// List reports whether a query is answered with one TLV for each of something,
// and an empty one behind the last.
func (t Type) List() bool {
	return t == TypeChild || t == TypeChildAddresses || t == TypeRouterNeighbor
}
