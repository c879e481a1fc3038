package joining

import (
	"slices"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// entrust lets a joiner wait for its turn: the link layer has room for one KEK.
// A KEK that came before is not set again, since its frame counter would begin
// anew. While it is in use, its coming again tells that the joiner asked again,
// and was not ready for what it was sent meanwhile.
func (j *JoinerRouter) entrust(e entrust) {
	if c := j.current; c != nil && c.iid == e.iid && c.kek == e.kek && e.at.Sub(c.at) >= entrustRepeat {
		j.again, j.ends = true, e.at
		j.timer.StartAt(e.at)
		return
	}
	if slices.Contains(j.used, e.kek) || len(j.waiting) >= maxEntrusts {
		j.Counters.Dropped++
		return
	}
	if len(j.used) >= maxUsedKEKs {
		j.used = slices.Delete(j.used, 0, 1)
	}
	j.used = append(j.used, e.kek)
	j.waiting = append(j.waiting, e)
	j.next()
}

// next hands the network over to the joiner whose turn it is, when it is due,
// and ends what takes too long.
func (j *JoinerRouter) next() {
	now := j.cfg.Clock.Now()
	if j.current != nil {
		if ends := j.patience(); now.Before(ends) {
			j.timer.StartAt(ends)
			return
		}
		x := j.sent
		if j.again {
			j.send(*j.current, true)
		}
		x.Cancel() // calls answered, which calls next
		return
	}
	if len(j.waiting) == 0 {
		j.timer.Stop()
		return
	}
	if e := j.waiting[0]; now.Before(e.at) {
		j.timer.StartAt(e.at)
		return
	}
	e := j.waiting[0]
	j.waiting = slices.Delete(j.waiting, 0, 1)
	j.send(e, false)
}

// patience is when the joiner that is being entrusted has had its time.
func (j *JoinerRouter) patience() time.Time {
	soon := j.current.at.Add(entrustPatience)
	if len(j.waiting) > 0 && soon.Before(j.ends) {
		return soon
	}
	return j.ends
}

// send sends JOIN_ENT.ntf under the KEK, which is the one set already if again.
func (j *JoinerRouter) send(e entrust, again bool) {
	d := j.cfg.Active()
	if d == nil || d.NetworkKey == nil {
		j.finish(e.iid, ErrInvalidState.because("no network key to hand over"))
		return
	}
	now := j.cfg.Clock.Now()
	e.at = now
	j.current, j.ends = &e, now.Add(entrustLimit)
	j.again = false
	if !again {
		j.cfg.Keys.SetKEK(e.kek.Reveal())
	}
	m := meshcop.Entrust(d, j.cfg.KeySequence())
	j.timer.StartAt(j.patience())
	x := j.cfg.TMF.Send(tmf.JoinerEntrust, linkLocal(e.iid), m.Append(nil),
		tmf.Options{Security: link.JoinerKEK, Priority: link.Net},
		func(r tmf.Response, err error) { j.answered(&e, r, err) })
	if j.current == &e {
		j.sent = x
	}
}

func (j *JoinerRouter) answered(e *entrust, r tmf.Response, err error) {
	if j.current != e {
		return
	}
	j.current, j.sent = nil, nil
	j.cfg.Keys.ClearKEK()
	switch {
	case err != nil:
		err = ErrResponseTimeout.because("JOIN_ENT: %w", err)
	case r.Code != coap.Changed:
		err = ErrRejected.because("JOIN_ENT answered with %v", r.Code)
	}
	j.finish(e.iid, err)
}

func (j *JoinerRouter) finish(iid [8]byte, err error) {
	if err != nil {
		j.Counters.Failed++
	} else {
		j.Counters.Entrusted++
	}
	if j.cfg.Entrusted != nil {
		j.cfg.Entrusted(iid, err)
	}
	j.next()
}
