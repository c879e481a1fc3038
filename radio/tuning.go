package radio

// RSSIInvalid is the RSSI of nothing: what EnergyScanned reports when the scan
// did not take place.
const RSSIInvalid int8 = 127

// Tuning is what a site decides about its radio once, apart from any network.
// The zero value leaves everything to the radio.
type Tuning struct {
	Region       string // ISO 3166-1 alpha-2 code, or ""
	CCAThreshold *int8  // dBm at the antenna connector
	FEMLNAGain   *int8  // dBm, of an external front end
	Coex         *bool  // coexistence arbitration with other 2.4 GHz radios
	// MaxPower is the transmit power limit of each supported channel in
	// ascending order, dBm; the last one holds for the rest.
	MaxPower []int8
}
