package rcp

import (
	"encoding/binary"
	"slices"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/radio/spinel"
)

// getter appends a property's value; updater takes a new one, or an element
// of it. An updater changes nothing if the Reader has an error.
type (
	getter  func(s *Server, b []byte) []byte
	updater func(s *Server, r *spinel.Reader) spinel.Status
)

// property is what can be done with a property: nil is what cannot.
type property struct {
	get                 getter
	set, insert, remove updater
}

// What the co-processor says of itself.
const (
	protocolMajor     = 4
	protocolMinor     = 3
	interfaceThread   = 3
	rcpAPIVersion     = 11
	minHostAPIVersion = 4

	cap2450MHzOQPSK spinel.Cap = 24
)

// maxMatches bounds each table of source addresses: Thread's children of one
// parent have 511 addresses.
const maxMatches = 511

func supportedChannels() []byte {
	var b []byte
	for c := medium.FirstChannel; c <= medium.LastChannel; c++ {
		b = append(b, c)
	}
	return b
}

// properties are those the Server has, but for PropStreamRaw.
var properties = map[spinel.Prop]property{
	spinel.PropLastStatus:      {get: func(s *Server, b []byte) []byte { return spinel.AppendPacked(b, uint32(s.status)) }},
	spinel.PropProtocolVersion: {get: constant(protocolMajor, protocolMinor)},
	spinel.PropNCPVersion:      {get: func(s *Server, b []byte) []byte { return spinel.AppendString(b, s.cfg.Version) }},
	spinel.PropInterfaceType:   {get: constant(interfaceThread)},
	spinel.PropVendorID:        {get: constant(0)},
	spinel.PropInterfaceCount:  {get: constant(1)},
	spinel.PropCaps: {get: func(_ *Server, b []byte) []byte {
		return spinel.AppendCaps(b, []spinel.Cap{cap2450MHzOQPSK, spinel.CapConfigRadio, spinel.CapMACRaw,
			spinel.CapRCPAPIVersion, spinel.CapRCPMinHostAPI})
	}},
	spinel.PropHWAddr:               {get: func(s *Server, b []byte) []byte { return append(b, s.cfg.EUI64[:]...) }},
	spinel.PropRCPAPIVersion:        {get: constant(rcpAPIVersion)},
	spinel.PropRCPMinHostAPIVersion: {get: constant(minHostAPIVersion)},
	spinel.PropRadioCaps:            {get: func(_ *Server, b []byte) []byte { return spinel.AppendPacked(b, uint32(Caps)) }},

	spinel.PropPhyEnabled: boolean(func(s *Server) *bool { return &s.set.Enabled }),
	spinel.PropPhyChan: {
		get: func(s *Server, b []byte) []byte { return append(b, s.set.Channel) },
		set: setChannel,
	},
	spinel.PropPhyChanSupported: {get: func(_ *Server, b []byte) []byte { return append(b, supportedChannels()...) }},
	spinel.PropPhyChanPreferred: {get: func(_ *Server, b []byte) []byte { return append(b, supportedChannels()...) }},
	spinel.PropPhyFreq: {get: func(s *Server, b []byte) []byte {
		// Channel 11 is at 2405 MHz, each next one 5 MHz higher.
		return binary.LittleEndian.AppendUint32(b, 2405_000+5_000*uint32(s.set.Channel-medium.FirstChannel))
	}},
	spinel.PropPhyCCAThreshold:  dBmProperty(func(s *Server) *int8 { return &s.radio.cfg.CCAThreshold }),
	spinel.PropPhyTxPower:       dBmProperty(func(s *Server) *int8 { return &s.radio.cfg.Power }),
	spinel.PropPhyFEMLNAGain:    dBmProperty(func(s *Server) *int8 { return &s.gain }),
	spinel.PropPhyRxSensitivity: {get: func(_ *Server, b []byte) []byte { return append(b, uint8(sensitivity&0xff)) }},
	spinel.PropPhyRSSI: {get: func(s *Server, b []byte) []byte {
		return append(b, byte(s.cfg.Port.Energy(s.now(), s.set.Channel)))
	}},
	spinel.PropPhyChanMaxPower: {set: setMaxPower},
	spinel.PropPhyRegionCode: {
		get: func(s *Server, b []byte) []byte { return binary.LittleEndian.AppendUint16(b, s.region) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.Uint16("region"); r.Err() == nil {
				s.region = v
			}
			return spinel.StatusOK
		},
	},

	spinel.PropMACScanState: {
		get: func(s *Server, b []byte) []byte {
			if s.scan.active {
				return append(b, scanEnergy)
			}
			return append(b, scanIdle)
		},
		set: setScanState,
	},
	spinel.PropMACScanMask: {
		get: func(s *Server, b []byte) []byte { return append(b, s.scan.mask...) },
		set: setScanMask,
	},
	spinel.PropMACScanPeriod: {
		get: func(s *Server, b []byte) []byte {
			return binary.LittleEndian.AppendUint16(b, uint16(s.scan.period/time.Millisecond))
		},
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.Uint16("scan period"); r.Err() == nil {
				s.scan.period = time.Duration(v) * time.Millisecond
			}
			return spinel.StatusOK
		},
	},
	spinel.PropMACLongAddr: {
		get: func(s *Server, b []byte) []byte { return append(b, s.set.Ext[:]...) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.ExtAddr("extended address"); r.Err() == nil {
				s.set.Ext = v
				s.configure()
			}
			return spinel.StatusOK
		},
	},
	spinel.PropMACShortAddr:        short(func(s *Server) *uint16 { return &s.set.Short }),
	spinel.PropMACAltShortAddr:     short(func(s *Server) *uint16 { return &s.set.AltShort }),
	spinel.PropMACPANID:            short(func(s *Server) *uint16 { return &s.set.PANID }),
	spinel.PropMACRawStreamEnabled: boolean(func(s *Server) *bool { return &s.set.Receiving }),
	spinel.PropMACPromiscuousMode: {
		get: func(s *Server, b []byte) []byte { return spinel.AppendBool(b, s.set.Promiscuous) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			// 0 off, 1 what is for the network, 2 everything: here the same.
			if v := r.Uint8("promiscuous mode"); r.Err() == nil {
				s.set.Promiscuous = v != 0
				s.configure()
			}
			return spinel.StatusOK
		},
	},
	spinel.PropMACSrcMatchEnabled: boolean(func(s *Server) *bool { return &s.set.SourceMatch }),
	spinel.PropMACSrcMatchShort: {
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			return replaceMatches(s, r, &s.set.SourceMatchShort, readShort)
		},
		insert: func(s *Server, r *spinel.Reader) spinel.Status {
			return insertMatch(s, &s.set.SourceMatchShort, readShort(r), r)
		},
		remove: func(s *Server, r *spinel.Reader) spinel.Status {
			return removeMatch(s, &s.set.SourceMatchShort, readShort(r), r)
		},
	},
	spinel.PropMACSrcMatchExt: {
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			return replaceMatches(s, r, &s.set.SourceMatchExt, readExt)
		},
		insert: func(s *Server, r *spinel.Reader) spinel.Status {
			return insertMatch(s, &s.set.SourceMatchExt, readExt(r), r)
		},
		remove: removeExt,
	},

	spinel.PropRCPMACKey: {set: setKeys},
	spinel.PropRCPMACFrameCounter: {set: func(s *Server, r *spinel.Reader) spinel.Status {
		// A second field says whether it may only rise. It may never fall:
		// no pair of key and counter occurs twice.
		if v := r.Uint32("frame counter"); r.Err() == nil {
			s.set.FrameCounter = v
			s.configure()
		}
		return spinel.StatusOK
	}},
	spinel.PropRCPTimestamp: {get: func(s *Server, b []byte) []byte {
		us, _ := s.radio.Clock(s.now())
		return binary.LittleEndian.AppendUint64(b, us)
	}},
	spinel.PropRCPEnhAckProbing:  {set: setProbing},
	spinel.PropRCPCSLAccuracy:    {get: func(s *Server, b []byte) []byte { return append(b, s.radio.Info().CSLAccuracy) }},
	spinel.PropRCPCSLUncertainty: {get: func(s *Server, b []byte) []byte { return append(b, s.radio.Info().CSLUncertain) }},
}

func constant(v ...byte) getter {
	return func(_ *Server, b []byte) []byte { return append(b, v...) }
}

// boolean is a setting that is on or off.
func boolean(field func(*Server) *bool) property {
	return property{
		get: func(s *Server, b []byte) []byte { return spinel.AppendBool(b, *field(s)) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.Bool("flag"); r.Err() == nil {
				*field(s) = v
				s.configure()
			}
			return spinel.StatusOK
		},
	}
}

// short is a setting of 16 bits.
func short(field func(*Server) *uint16) property {
	return property{
		get: func(s *Server, b []byte) []byte { return binary.LittleEndian.AppendUint16(b, *field(s)) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.Uint16("address or PAN ID"); r.Err() == nil {
				*field(s) = v
				s.configure()
			}
			return spinel.StatusOK
		},
	}
}

// dBmProperty is a number of dB or dBm.
func dBmProperty(field func(*Server) *int8) property {
	return property{
		get: func(s *Server, b []byte) []byte { return append(b, byte(*field(s))) },
		set: func(s *Server, r *spinel.Reader) spinel.Status {
			if v := r.Int8("dBm"); r.Err() == nil {
				*field(s) = v
			}
			return spinel.StatusOK
		},
	}
}

func validChannel(c uint8) bool { return c >= medium.FirstChannel && c <= medium.LastChannel }

func setChannel(s *Server, r *spinel.Reader) spinel.Status {
	c := r.Uint8("channel")
	if r.Err() == nil && !validChannel(c) {
		return spinel.StatusInvalidArgument
	}
	if r.Err() == nil {
		s.set.Channel = c
		s.configure()
	}
	return spinel.StatusOK
}

func setMaxPower(s *Server, r *spinel.Reader) spinel.Status {
	c, limit := r.Uint8("channel"), r.Int8("power limit")
	if r.Err() == nil && !validChannel(c) {
		return spinel.StatusInvalidArgument
	}
	if r.Err() == nil {
		s.radio.LimitPower(c, limit)
	}
	return spinel.StatusOK
}

func setScanState(s *Server, r *spinel.Reader) spinel.Status {
	switch state := r.Uint8("scan state"); {
	case r.Err() != nil || state == scanIdle:
		return spinel.StatusOK
	case state == scanEnergy:
		return s.startScan()
	default:
		return spinel.StatusUnimplemented
	}
}

func setScanMask(s *Server, r *spinel.Reader) spinel.Status {
	var mask []byte
	for r.Len() > 0 {
		c := r.Uint8("channel")
		if !validChannel(c) {
			return spinel.StatusInvalidArgument
		}
		if !slices.Contains(mask, c) {
			mask = append(mask, c)
		}
	}
	if s.scan.active {
		return spinel.StatusInvalidState
	}
	s.scan.mask = mask
	return spinel.StatusOK
}

func readShort(r *spinel.Reader) uint16           { return r.Uint16("short address") }
func readExt(r *spinel.Reader) ieee802154.ExtAddr { return r.ExtAddr("extended address") }

// replaceMatches sets a whole table of source addresses.
func replaceMatches[A comparable](s *Server, r *spinel.Reader, table *[]A, read func(*spinel.Reader) A) spinel.Status {
	var fresh []A
	for r.Len() > 0 {
		a := read(r)
		if r.Err() != nil {
			return spinel.StatusParseError
		}
		if len(fresh) == maxMatches {
			return spinel.StatusNoMem
		}
		fresh = append(fresh, a)
	}
	*table = fresh
	s.configure()
	return spinel.StatusOK
}

func insertMatch[A comparable](s *Server, table *[]A, a A, r *spinel.Reader) spinel.Status {
	switch {
	case r.Err() != nil || slices.Contains(*table, a):
		return spinel.StatusOK
	case len(*table) >= maxMatches:
		return spinel.StatusNoMem
	}
	*table = append(*table, a)
	s.configure()
	return spinel.StatusOK
}

func removeMatch[A comparable](s *Server, table *[]A, a A, r *spinel.Reader) spinel.Status {
	if r.Err() != nil {
		return spinel.StatusOK
	}
	i := slices.Index(*table, a)
	if i < 0 {
		return statusNativeNoAddress
	}
	*table = slices.Delete(*table, i, i+1)
	s.configure()
	return spinel.StatusOK
}

// removeExt removes an address. OpenThread's hosts send it in reverse, others
// may not: it is looked for both ways.
func removeExt(s *Server, r *spinel.Reader) spinel.Status {
	a := readExt(r)
	if r.Err() == nil && !slices.Contains(s.set.SourceMatchExt, a) {
		slices.Reverse(a[:])
	}
	return removeMatch(s, &s.set.SourceMatchExt, a, r)
}

func setKeys(s *Server, r *spinel.Reader) spinel.Status {
	k, err := spinel.DecodeMACKeys(r.Rest())
	if err != nil {
		return spinel.StatusInvalidArgument
	}
	keys := radio.Keys{Index: k.Index, Previous: k.Previous, Current: k.Current, Next: k.Next}
	if keys.Current != s.set.Keys.Current {
		s.set.FrameCounter = 0
	}
	s.set.Keys = keys
	s.configure()
	return spinel.StatusOK
}

// setProbing says which metrics acknowledgements to a neighbour carry; none
// ends it.
func setProbing(s *Server, r *spinel.Reader) spinel.Status {
	p := radio.Probe{Short: r.Uint16("short address"), Ext: r.ExtAddr("extended address"), Metrics: radio.Metrics(r.Uint8("metrics"))}
	if r.Err() != nil {
		return spinel.StatusOK
	}
	probes := slices.DeleteFunc(slices.Clone(s.set.Probes), func(q radio.Probe) bool { return q.Ext == p.Ext })
	if p.Metrics != 0 {
		if len(probes) >= maxProbes {
			return spinel.StatusNoMem
		}
		probes = append(probes, p)
	}
	s.set.Probes = probes
	s.configure()
	return spinel.StatusOK
}
