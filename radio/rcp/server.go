package rcp

import (
	"time"

	"gatewayd/radio"
	"gatewayd/radio/hdlc"
	"gatewayd/radio/spinel"
)

// ServerConfig is a Server's: the Radio's, and Send, which is required.
type ServerConfig struct {
	Config
	// Send takes bytes for the host, one HDLC frame a call. The slice is the
	// Server's again when it returns.
	Send func(b []byte)
}

// Server is a radio co-processor as its host sees it: bytes in and out. It is
// its Radio's handler.
type Server struct {
	cfg   ServerConfig
	radio *Radio
	dec   hdlc.Decoder
	out   []byte

	set    radio.Settings
	status spinel.Status // of the last command that failed, or OK
	region uint16
	gain   int8 // of the amplifier in front of the receiver; nothing is behind it

	tx   rawTransmit
	scan rawScan
}

// rawTransmit is the frame the host waits for.
type rawTransmit struct {
	tid     uint8 // 0: none, or one that needs no answer
	request spinel.TxRequest
	secured bool
	// Of the frame as the host gave it.
	keyIndex uint8
	counter  uint32
}

// rawScan is the energy scan.
type rawScan struct {
	active bool
	mask   []byte // channels
	period time.Duration
	next   int // in mask
}

// NewServer returns a Server that says nothing before Start.
func NewServer(cfg ServerConfig) *Server {
	s := &Server{cfg: cfg, radio: New(cfg.Config)}
	s.forget()
	return s
}

// Start powers the co-processor on. It does not say so: a host that has just
// started it resets it anyway, and would take two resets for a crash.
func (s *Server) Start(now time.Time) { s.radio.Start(now, s) }

// Restart resets the co-processor and tells the host why: any of the reset
// statuses. This is how one behaves that crashed or lost its power.
func (s *Server) Restart(now time.Time, why spinel.Status) {
	s.cfg.Clock.Set(now)
	s.forget()
	s.radio.Reset(now)
	s.write(spinel.Frame{
		Cmd: spinel.CmdIs, Prop: spinel.PropLastStatus, Value: spinel.AppendPacked(nil, uint32(why)),
	})
}

// Receive takes bytes from the host.
func (s *Server) Receive(now time.Time, chunk []byte) {
	s.cfg.Clock.Set(now)
	for b := range s.dec.Frames(chunk) {
		f, err := spinel.DecodeFrame(b)
		if err != nil {
			continue // nobody to answer to
		}
		s.command(f)
	}
}

func (s *Server) now() time.Time { return s.cfg.Clock.Now() }

// command handles one frame.
func (s *Server) command(f spinel.Frame) {
	if f.IID != 0 {
		s.answerStatus(f, spinel.StatusInvalidInterface)
		return
	}
	switch f.Cmd {
	case spinel.CmdNoop:
		s.answerStatus(f, spinel.StatusOK)
	case spinel.CmdReset:
		s.reset(f)
	case spinel.CmdGet:
		s.get(f)
	case spinel.CmdSet:
		if f.Prop == spinel.PropStreamRaw {
			s.transmit(f)
			return
		}
		s.update(f, properties[f.Prop].set, spinel.CmdIs)
	case spinel.CmdInsert:
		s.update(f, properties[f.Prop].insert, spinel.CmdInserted)
	case spinel.CmdRemove:
		s.update(f, properties[f.Prop].remove, spinel.CmdRemoved)
	default:
		s.answerStatus(f, spinel.StatusInvalidCommand)
	}
}

// reset handles the command. What was under way is forgotten, not answered.
func (s *Server) reset(f spinel.Frame) {
	kind := spinel.ResetStack
	if len(f.Value) > 0 {
		kind = spinel.ResetType(f.Value[0])
	}
	if kind != spinel.ResetStack && kind != spinel.ResetPlatform {
		s.answerStatus(f, spinel.StatusInvalidArgument)
		return
	}
	s.Restart(s.now(), spinel.StatusResetSoftware)
}

// forget makes the settings what they were at the start.
func (s *Server) forget() {
	s.set = radio.Settings{
		Channel:  uint8(firstScanned),
		PANID:    0xffff,
		Short:    0xfffe,
		AltShort: 0xfffe,
	}
	s.status = spinel.StatusOK
	s.region, s.gain = 0, 0
	s.tx = rawTransmit{}
	s.scan = rawScan{mask: supportedChannels(), period: defaultScanPeriod}
}

// get answers with a property's value.
func (s *Server) get(f spinel.Frame) {
	p := properties[f.Prop]
	if p.get == nil {
		s.answerStatus(f, spinel.StatusPropNotFound)
		return
	}
	s.answer(f, spinel.CmdIs, p.get(s, nil))
}

// update changes a property. It is answered with its value; with what was
// inserted or removed; or with a status if the property cannot be read.
func (s *Server) update(f spinel.Frame, change updater, reply spinel.Command) {
	if change == nil {
		s.answerStatus(f, spinel.StatusPropNotFound)
		return
	}
	r := spinel.NewReader(f.Value, 0)
	status := change(s, r)
	if r.Err() != nil {
		status = spinel.StatusParseError
	}
	if status != spinel.StatusOK {
		s.answerStatus(f, status)
		return
	}
	get := properties[f.Prop].get
	switch {
	case reply != spinel.CmdIs:
		s.answer(f, reply, f.Value)
	case get == nil:
		s.answerStatus(f, spinel.StatusOK)
	default:
		s.answer(f, spinel.CmdIs, get(s, nil))
	}
}

// configure makes the radio what the host wants it to be.
func (s *Server) configure() { s.radio.Configure(s.now(), s.set) }

// answer replies to a command.
func (s *Server) answer(to spinel.Frame, cmd spinel.Command, value []byte) {
	s.write(spinel.Frame{TID: to.TID, Cmd: cmd, Prop: to.Prop, Value: value})
}

func (s *Server) answerStatus(to spinel.Frame, status spinel.Status) {
	s.status = status
	to.Prop = spinel.PropLastStatus
	s.answer(to, spinel.CmdIs, spinel.AppendPacked(nil, uint32(status)))
}

func (s *Server) write(f spinel.Frame) {
	s.out = hdlc.AppendFrame(s.out[:0], f.Append(nil))
	s.cfg.Send(s.out)
}
