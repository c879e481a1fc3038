package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path"

	"gatewayd/sim"
)

// names are those of a group's nodes.
func (g *Group) names() []string {
	if !g.many {
		return []string{g.Name}
	}
	names := make([]string, g.Count*max(1, len(g.Origins)))
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", g.Name, i+1)
	}
	return names
}

// match returns the indices, in order, of the names that any pattern matches.
// It is an error if one matches none.
func match(patterns, names []string) ([]int, error) {
	chosen := make([]bool, len(names))
	for _, p := range patterns {
		found := false
		for i, n := range names {
			ok, err := path.Match(p, n)
			if err != nil {
				return nil, fmt.Errorf("%q is no pattern", p)
			}
			if ok {
				found, chosen[i] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no node %q", p)
		}
	}
	var list []int
	for i, ok := range chosen {
		if ok {
			list = append(list, i)
		}
	}
	return list, nil
}

// place is where the i-th of a group is; nil for nowhere.
func (g *Group) place(i int, r *rand.Rand) *sim.Place {
	origin := g.Origin
	if len(g.Origins) > 0 {
		origin = g.Origins[i/g.Count]
		i %= g.Count
	}
	p := sim.Place{X: origin[0], Y: origin[1]}
	switch g.Placement {
	case Nowhere:
		return nil
	case InLine:
		p.X += float64(i) * g.Spacing
	case InGrid:
		columns := g.Columns
		if columns == 0 {
			columns = int(math.Ceil(math.Sqrt(float64(g.Count))))
		}
		p.X += float64(i%columns) * g.Spacing
		p.Y += float64(i/columns) * g.Spacing
	case AtRandom:
		p.X += r.Float64() * g.Area[0]
		p.Y += r.Float64() * g.Area[1]
	case Explicit:
		p.X += g.At[i][0]
		p.Y += g.At[i][1]
	}
	return &p
}
