package spinel

// Prop is a property's number (draft Section 5, and OpenThread's ranges).
type Prop uint32

// The properties that matter between a host and an RCP.
const (
	PropLastStatus      Prop = 0x00
	PropProtocolVersion Prop = 0x01
	PropNCPVersion      Prop = 0x02
	PropInterfaceType   Prop = 0x03
	PropVendorID        Prop = 0x04
	PropCaps            Prop = 0x05
	PropInterfaceCount  Prop = 0x06
	PropHWAddr          Prop = 0x08

	PropPhyEnabled       Prop = 0x20
	PropPhyChan          Prop = 0x21
	PropPhyChanSupported Prop = 0x22
	PropPhyFreq          Prop = 0x23
	PropPhyCCAThreshold  Prop = 0x24
	PropPhyTxPower       Prop = 0x25
	PropPhyRSSI          Prop = 0x26
	PropPhyRxSensitivity Prop = 0x27
	PropPhyPcapEnabled   Prop = 0x28
	PropPhyChanPreferred Prop = 0x29
	PropPhyFEMLNAGain    Prop = 0x2a
	PropPhyChanMaxPower  Prop = 0x2b
	PropPhyRegionCode    Prop = 0x2c

	PropMACScanState        Prop = 0x30
	PropMACScanMask         Prop = 0x31
	PropMACScanPeriod       Prop = 0x32
	PropMACScanBeacon       Prop = 0x33
	PropMACLongAddr         Prop = 0x34
	PropMACShortAddr        Prop = 0x35
	PropMACPANID            Prop = 0x36
	PropMACRawStreamEnabled Prop = 0x37
	PropMACPromiscuousMode  Prop = 0x38
	PropMACEnergyScanResult Prop = 0x39
	PropMACRxOnWhenIdleMode Prop = 0x3b
	PropMACAltShortAddr     Prop = 0x3c
	PropMACRxAt             Prop = 0x3d

	PropStreamDebug Prop = 0x70
	PropStreamRaw   Prop = 0x71
	PropStreamNet   Prop = 0x72
	PropStreamLog   Prop = 0x74

	PropRCPAPIVersion        Prop = 0xb0
	PropRCPMinHostAPIVersion Prop = 0xb1
	PropRCPLogCrashDump      Prop = 0xb2

	PropRCPMACKey          Prop = 0x800
	PropRCPMACFrameCounter Prop = 0x801
	PropRCPTimestamp       Prop = 0x802
	PropRCPEnhAckProbing   Prop = 0x803
	PropRCPCSLAccuracy     Prop = 0x804
	PropRCPCSLUncertainty  Prop = 0x805

	PropMultipanActiveInterface Prop = 0x900

	PropRadioCaps       Prop = 0x120b
	PropRadioCoexEnable Prop = 0x120d

	PropMACSrcMatchEnabled Prop = 0x1303
	PropMACSrcMatchShort   Prop = 0x1304
	PropMACSrcMatchExt     Prop = 0x1305
)

// propUnknown stands for the property of a frame that cannot be read so far.
const propUnknown Prop = 0xffffffff

var propNames = map[Prop]string{
	propUnknown: "frame",

	PropLastStatus:      "LAST_STATUS",
	PropProtocolVersion: "PROTOCOL_VERSION",
	PropNCPVersion:      "NCP_VERSION",
	PropInterfaceType:   "INTERFACE_TYPE",
	PropVendorID:        "VENDOR_ID",
	PropCaps:            "CAPS",
	PropInterfaceCount:  "INTERFACE_COUNT",
	PropHWAddr:          "HWADDR",

	PropPhyEnabled:       "PHY_ENABLED",
	PropPhyChan:          "PHY_CHAN",
	PropPhyChanSupported: "PHY_CHAN_SUPPORTED",
	PropPhyFreq:          "PHY_FREQ",
	PropPhyCCAThreshold:  "PHY_CCA_THRESHOLD",
	PropPhyTxPower:       "PHY_TX_POWER",
	PropPhyRSSI:          "PHY_RSSI",
	PropPhyRxSensitivity: "PHY_RX_SENSITIVITY",
	PropPhyPcapEnabled:   "PHY_PCAP_ENABLED",
	PropPhyChanPreferred: "PHY_CHAN_PREFERRED",
	PropPhyFEMLNAGain:    "PHY_FEM_LNA_GAIN",
	PropPhyChanMaxPower:  "PHY_CHAN_MAX_POWER",
	PropPhyRegionCode:    "PHY_REGION_CODE",

	PropMACScanState:        "MAC_SCAN_STATE",
	PropMACScanMask:         "MAC_SCAN_MASK",
	PropMACScanPeriod:       "MAC_SCAN_PERIOD",
	PropMACScanBeacon:       "MAC_SCAN_BEACON",
	PropMACLongAddr:         "MAC_15_4_LADDR",
	PropMACShortAddr:        "MAC_15_4_SADDR",
	PropMACPANID:            "MAC_15_4_PANID",
	PropMACRawStreamEnabled: "MAC_RAW_STREAM_ENABLED",
	PropMACPromiscuousMode:  "MAC_PROMISCUOUS_MODE",
	PropMACEnergyScanResult: "MAC_ENERGY_SCAN_RESULT",
	PropMACRxOnWhenIdleMode: "MAC_RX_ON_WHEN_IDLE_MODE",
	PropMACAltShortAddr:     "MAC_15_4_ALT_SADDR",
	PropMACRxAt:             "MAC_RX_AT",

	PropStreamDebug: "STREAM_DEBUG",
	PropStreamRaw:   "STREAM_RAW",
	PropStreamNet:   "STREAM_NET",
	PropStreamLog:   "STREAM_LOG",

	PropRCPAPIVersion:        "RCP_API_VERSION",
	PropRCPMinHostAPIVersion: "RCP_MIN_HOST_API_VERSION",
	PropRCPLogCrashDump:      "RCP_LOG_CRASH_DUMP",

	PropRCPMACKey:          "RCP_MAC_KEY",
	PropRCPMACFrameCounter: "RCP_MAC_FRAME_COUNTER",
	PropRCPTimestamp:       "RCP_TIMESTAMP",
	PropRCPEnhAckProbing:   "RCP_ENH_ACK_PROBING",
	PropRCPCSLAccuracy:     "RCP_CSL_ACCURACY",
	PropRCPCSLUncertainty:  "RCP_CSL_UNCERTAINTY",

	PropMultipanActiveInterface: "MULTIPAN_ACTIVE_INTERFACE",

	PropRadioCaps:       "RADIO_CAPS",
	PropRadioCoexEnable: "RADIO_COEX_ENABLE",

	PropMACSrcMatchEnabled: "MAC_SRC_MATCH_ENABLED",
	PropMACSrcMatchShort:   "MAC_SRC_MATCH_SHORT_ADDRESSES",
	PropMACSrcMatchExt:     "MAC_SRC_MATCH_EXTENDED_ADDRESSES",
}

func (p Prop) String() string { return named(propNames, p, "PROP") }

// Cap is an element of PropCaps (draft Section 5.4.6).
type Cap uint32

// The capabilities that tell an RCP from something else, or one RCP from the
// next.
const (
	CapConfigFTD          Cap = 32
	CapConfigMTD          Cap = 33
	CapConfigRadio        Cap = 34
	CapRCPAPIVersion      Cap = 64
	CapRCPMinHostAPI      Cap = 65
	CapRCPResetBootloader Cap = 66
	CapRCPLogCrashDump    Cap = 67
	CapMACRaw             Cap = 513
	CapLogMetadata        Cap = 518
	CapRadioCoex          Cap = 523
)

var capNames = map[Cap]string{
	1: "LOCK", 2: "NET_SAVE", 3: "HBO", 4: "POWER_SAVE", 5: "COUNTERS", 6: "JAM_DETECT",
	7: "PEEK_POKE", 8: "WRITABLE_RAW_STREAM", 9: "GPIO", 10: "TRNG", 11: "CMD_MULTI",
	12: "UNSOL_UPDATE_FILTER", 13: "MCU_POWER_STATE", 14: "PCAP",
	16: "802_15_4_2003", 17: "802_15_4_2006", 18: "802_15_4_2011", 21: "802_15_4_PIB",
	24: "802_15_4_2450MHZ_OQPSK", 25: "802_15_4_915MHZ_OQPSK", 26: "802_15_4_868MHZ_OQPSK",
	CapConfigFTD: "CONFIG_FTD", CapConfigMTD: "CONFIG_MTD", CapConfigRadio: "CONFIG_RADIO",
	48: "ROLE_ROUTER", 49: "ROLE_SLEEPY",
	52: "NET_THREAD_1_0", 53: "NET_THREAD_1_1", 54: "NET_THREAD_1_2",
	CapRCPAPIVersion: "RCP_API_VERSION", CapRCPMinHostAPI: "RCP_MIN_HOST_API_VERSION",
	CapRCPResetBootloader: "RCP_RESET_TO_BOOTLOADER", CapRCPLogCrashDump: "RCP_LOG_CRASH_DUMP",
	512: "MAC_ALLOWLIST", CapMACRaw: "MAC_RAW", 514: "OOB_STEERING_DATA", 515: "CHANNEL_MONITOR",
	516: "ERROR_RATE_TRACKING", 517: "CHANNEL_MANAGER", CapLogMetadata: "OPENTHREAD_LOG_METADATA",
	519: "TIME_SYNC", 520: "CHILD_SUPERVISION", 521: "POSIX", 522: "SLAAC",
	CapRadioCoex: "RADIO_COEX", 524: "MAC_RETRY_HISTOGRAM", 525: "MULTI_RADIO", 526: "SRP_CLIENT",
	527: "DUA", 528: "REFERENCE_DEVICE",
}

func (c Cap) String() string { return named(capNames, c, "CAP") }

// DecodeCaps decodes the value of PropCaps. Unknown capabilities are kept.
func DecodeCaps(b []byte) ([]Cap, error) {
	r := NewReader(b, 0)
	var caps []Cap
	for r.Len() > 0 {
		caps = append(caps, Cap(r.Packed("capability")))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return caps, nil
}

// AppendCaps encodes the value of PropCaps.
func AppendCaps(b []byte, caps []Cap) []byte {
	for _, c := range caps {
		b = AppendPacked(b, uint32(c))
	}
	return b
}
