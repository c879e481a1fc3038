package rpl

// Defaults of this implementation for what RFC 6550 Section 17 leaves or sets
// for wires: its smallest interval, 8 ms, would fill an 802.15.4 channel.
const (
	defaultIntervalMin   = 10 // 1.024 s
	defaultDoublings     = 10 // to 17.5 min
	defaultRedundancy    = 10 // DEFAULT_DIO_REDUNDANCY_CONSTANT
	defaultMinHopOF0     = 256
	defaultMinHopMRHOF   = ETXUnit // rank is ETX: a hop is one transmission or more
	defaultRankIncrease  = 24      // in hops' worth of rank
	defaultLifetime      = 30
	defaultLifetimeUnit  = 60 // seconds
	infiniteLifetimeByte = 0xff
)

// withDefaults fills in what is zero.
func (o DODAGConfig) withDefaults() DODAGConfig {
	set := func(v *uint8, d uint8) {
		if *v == 0 {
			*v = d
		}
	}
	if o.MinHopRankIncrease == 0 {
		o.MinHopRankIncrease = defaultMinHopOF0
		if o.OCP == OCPMRHOF {
			o.MinHopRankIncrease = defaultMinHopMRHOF
		}
	}
	if o.MaxRankIncrease == 0 {
		o.MaxRankIncrease = clampRank(uint32(o.MinHopRankIncrease) * defaultRankIncrease)
	}
	set(&o.IntervalMin, defaultIntervalMin)
	set(&o.IntervalDoublings, defaultDoublings)
	set(&o.Redundancy, defaultRedundancy)
	set(&o.DefaultLifetime, defaultLifetime)
	if o.LifetimeUnit == 0 {
		o.LifetimeUnit = defaultLifetimeUnit
	}
	return o
}
