package appliance

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"gatewayd/internal/durable"
	"gatewayd/sntp"
)

// Implementation constants of KeepTime.
const (
	answerTime = 3 * time.Second
	firstRetry = 2 * time.Second // the network may only be coming up
	lastRetry  = 10 * time.Minute
	pollEvery  = time.Hour
	saveEvery  = 10 * time.Minute
	stepFrom   = 128 * time.Millisecond // what is less is slewed
)

// fallbackServer is asked if nothing names another.
const fallbackServer = "pool.ntp.org"

// Time is what KeepTime works with.
type Time struct {
	Servers func() []string // names or addresses, with a port or without; asked in order; none: the pool
	Save    string          // file to which the time is written now and then, in seconds of Unix's
	Trouble string          // file that says, while it is there, which servers do not answer
	Log     *slog.Logger

	set func(offset, maxError time.Duration) error // of the clock; nil: the system's
}

// KeepTime sets the system's clock by time servers until ctx is cancelled, and
// saves the time, from which a board without a clock of its own starts.
func KeepTime(ctx context.Context, o Time) error {
	if o.set == nil {
		o.set = setClock
	}
	retry, said := firstRetry, ""
	poll, save := time.NewTimer(0), time.NewTicker(saveEvery)
	defer poll.Stop()
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-save.C:
			o.save()
			continue
		case <-poll.C:
		}
		err := o.once(ctx)
		switch {
		case err == nil:
			retry, said = firstRetry, ""
			_ = os.Remove(o.Trouble) // most often there is none
			poll.Reset(pollEvery)
			continue
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			o.Log.Warn("no time server answers, trying again", "id", "TIME-SERVER", "err", err)
			if err := renameio.WriteFile(o.Trouble, []byte(strings.Join(o.servers(), ", ")+"\n"), 0o644); err != nil {
				o.Log.Warn("this is not told to others", "id", "TIME-SERVER", "err", err)
			}
		}
		poll.Reset(retry)
		retry = min(2*retry, lastRetry)
	}
}

// once asks until one server answers, and sets the clock.
func (o *Time) once(ctx context.Context) error {
	var errs []error
	for _, server := range o.servers() {
		s, err := ask(ctx, server)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", server, err))
			continue
		}
		if err := o.set(s.Offset, s.Delay/2); err != nil {
			return fmt.Errorf("appliance: setting the clock: %w", err)
		}
		if s.Offset.Abs() >= stepFrom {
			o.Log.Info("the clock was set", "id", "TIME-SET", "server", server, "offset", s.Offset)
			o.save()
		}
		return nil
	}
	return errors.Join(errs...)
}

func (o *Time) servers() []string {
	if l := o.Servers(); len(l) > 0 {
		return l
	}
	return []string{fallbackServer}
}

func (o *Time) save() {
	if err := durable.WriteFile(o.Save, fmt.Appendf(nil, "%d\n", time.Now().Unix()), 0o644); err != nil {
		o.Log.Warn("the time is not saved", "id", "TIME-SAVE", "err", err)
	}
}

// ask asks one server.
func ask(ctx context.Context, server string) (sntp.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	addr := server
	if _, err := netip.ParseAddrPort(server); err != nil {
		addr = net.JoinHostPort(strings.Trim(server, "[]"), strconv.Itoa(sntp.Port))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", addr)
	if err != nil {
		return sntp.Sample{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var random [8]byte
	if _, err := crand.Read(random[:]); err != nil {
		return sntp.Sample{}, err
	}
	nonce := sntp.Timestamp(binary.BigEndian.Uint64(random[:]) | 1)
	sent := time.Now()
	if _, err := conn.Write(sntp.Request(nonce).Append(nil)); err != nil {
		return sntp.Sample{}, err
	}
	b := make([]byte, 1024)
	for {
		n, err := conn.Read(b)
		came := time.Now()
		if err != nil {
			if ctx.Err() != nil {
				err = errors.New("no answer")
			}
			return sntp.Sample{}, err
		}
		p, err := sntp.Decode(b[:n])
		if err != nil {
			continue // somebody guesses
		}
		s, err := sntp.Check(p, nonce, sent, came)
		if errors.Is(err, sntp.ErrNotAsked) {
			continue
		}
		return s, err
	}
}

// setClock puts the system's clock forward by offset, at once if it is much,
// and tells the kernel that it is set (adjtimex(2)).
func setClock(offset, maxError time.Duration) error {
	if offset.Abs() >= stepFrom {
		ts, err := unix.TimeToTimespec(time.Now().Add(offset))
		if err != nil {
			return err
		}
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
			return err
		}
	} else {
		slew := unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT}
		microseconds(&slew.Offset, offset)
		if _, err := unix.Adjtimex(&slew); err != nil {
			return err
		}
	}
	good := unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR} // and no STA_UNSYNC
	microseconds(&good.Maxerror, maxError)
	microseconds(&good.Esterror, maxError)
	_, err := unix.Adjtimex(&good)
	return err
}

// microseconds sets a field whose size is the processor's.
func microseconds[T int32 | int64](field *T, d time.Duration) { *field = T(d.Microseconds()) }
