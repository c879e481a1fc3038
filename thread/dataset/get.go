package dataset

import (
	"gatewayd/coap"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// get answers MGMT_ACTIVE_GET and MGMT_PENDING_GET: the TLVs that were asked
// for, or all; of a pending dataset always the delay that is left. The network
// key stays here if the security policy does not let it be obtained.
func (m *Manager) get(r *tmf.Request, d *meshcop.Dataset) {
	if d == nil {
		r.Respond(coap.Changed, nil)
		return
	}
	out := d.Clone()
	if v, ok := meshcop.TLVs(r.Payload).Find(meshcop.TypeGet); ok && len(v) > 0 {
		types := []meshcop.Type{meshcop.TypeDelayTimer}
		for _, t := range v[:min(len(v), meshcop.MaxGetTypes)] {
			types = append(types, meshcop.Type(t))
		}
		out = out.Only(types)
	}
	if m.active != nil && m.active.SecurityPolicy != nil && !m.active.SecurityPolicy.ObtainNetworkKey {
		out.Remove(meshcop.TypeNetworkKey)
	}
	r.Respond(coap.Changed, out.Append(nil))
}
