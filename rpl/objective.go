package rpl

// Objective code points (RFC 6552 Section 7, RFC 6719 Section 7).
const (
	OCPOF0   uint16 = 0
	OCPMRHOF uint16 = 1
)

// ETXUnit is an expected transmission count of one: ETX values are in 1/128
// transmissions (RFC 6551 Section 4.3.2).
const ETXUnit = 128

// An objective turns a neighbour's rank and the link to it into the rank a
// node would have by it.
type objective interface {
	// rankVia is the rank by a neighbour, or InfiniteRank when the link or
	// the path must not be used. An etx of zero is unknown.
	rankVia(c DODAGConfig, rank, etx uint16) uint16
	// better reports whether the rank by another parent is so much lower than
	// by the present one that it is worth changing.
	better(c DODAGConfig, other, present uint16) bool
}

// objectiveFor returns the objective function of a code point. A node may
// join a DODAG whose function it does not know, but only as a leaf (RFC 6550
// Section 8.5): known is false then.
func objectiveFor(ocp uint16) (o objective, known bool) {
	switch ocp {
	case OCPOF0:
		return of0{}, true
	case OCPMRHOF:
		return mrhof{}, true
	}
	return of0{}, false
}

// of0 is Objective Function Zero (RFC 6552) with a rank factor of one and no
// stretch.
type of0 struct{}

// Steps of rank (RFC 6552 Section 6.3).
const (
	minStep     = 1
	maxStep     = 9
	defaultStep = 3
)

// rankVia adds step_of_rank hops' worth of rank (RFC 6552 Section 4.1). The
// step follows the ETX as RFC 8180 Section 5.1.1 has it: 3*ETX - 2.
func (of0) rankVia(c DODAGConfig, rank, etx uint16) uint16 {
	step := uint32(defaultStep)
	if etx != 0 {
		s := (3*int(etx)+ETXUnit/2)/ETXUnit - 2
		if s > maxStep {
			return InfiniteRank // worse than the worst link that may be used
		}
		step = uint32(max(s, minStep))
	}
	return clampRank(uint32(rank) + step*uint32(c.MinHopRankIncrease))
}

// better wants the gain of a transmission, so that a link's wavering does not
// change the parent (RFC 6552 Section 4.2.1 rule 10 leaves the hysteresis to
// us).
func (of0) better(c DODAGConfig, other, present uint16) bool {
	return uint32(other)+defaultStep*uint32(c.MinHopRankIncrease) <= uint32(present)
}

// mrhof is the Minimum Rank with Hysteresis Objective Function (RFC 6719) with
// ETX, which travels as rank and not in a metric container (Section 3.4).
type mrhof struct{}

// Parameters of RFC 6719 Section 5.
const (
	maxLinkMetric         = 512
	maxPathCost           = 32768
	parentSwitchThreshold = 192
)

// rankVia is the path cost by the neighbour, at least a hop's worth of rank
// more than its own (RFC 6719 Section 3.3).
func (mrhof) rankVia(c DODAGConfig, rank, etx uint16) uint16 {
	if etx == 0 {
		etx = 2 * ETXUnit // not measured yet: neither good nor bad
	}
	cost := uint32(rank) + uint32(etx)
	if etx > maxLinkMetric || cost > maxPathCost {
		return InfiniteRank
	}
	return clampRank(max(cost, uint32(rank)+uint32(c.MinHopRankIncrease)))
}

func (mrhof) better(_ DODAGConfig, other, present uint16) bool {
	return uint32(other)+parentSwitchThreshold <= uint32(present)
}

func clampRank(r uint32) uint16 {
	if r >= uint32(InfiniteRank) {
		return InfiniteRank
	}
	return uint16(r)
}

// dagRank is the integer part of a rank, by which nodes compare (RFC 6550
// Section 3.5.1).
func (c DODAGConfig) dagRank(rank uint16) uint16 {
	if c.MinHopRankIncrease == 0 {
		return rank
	}
	return rank / c.MinHopRankIncrease
}

// A link's ETX follows what is measured by an exponentially weighted moving
// average; a failed transmission counts as etxPenalty.
const (
	etxWeight  = 9 // of the old value, in a sum of 10
	etxPenalty = 8 * ETXUnit
	etxLimit   = 32 * ETXUnit
)

// measureETX feeds one datagram's transmissions into an ETX; zero is unknown.
func measureETX(etx uint16, ok bool, transmissions int) uint16 {
	sample := min(max(transmissions, 1), 16) * ETXUnit
	if !ok {
		sample = max(sample, etxPenalty)
	}
	if etx == 0 {
		if !ok { // one loss says little about a link that is new
			sample = 3 * ETXUnit
		}
		return uint16(sample)
	}
	return uint16(min((int(etx)*etxWeight+sample)/(etxWeight+1), etxLimit))
}
