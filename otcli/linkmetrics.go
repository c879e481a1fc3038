package otcli

import (
	"errors"
	"net/netip"

	"gatewayd/radio"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// unknownNeighbor is OpenThread's error for an address that is no neighbour's.
const unknownNeighbor Error = 19

func linkMetricsCommands() []command {
	return []command{
		{"config", linkMetricsConfig},
		{"mgmt", replaced("mgmt", "config")},
		{"probe", linkMetricsProbe},
		{"query", replaced("query", "request")},
		{"request", linkMetricsRequest},
	}
}

// replaced is a command that has another name now.
func replaced(name, by string) func(*CLI, []string) error {
	return func(c *CLI, _ []string) error {
		c.line("The command \"linkmetrics %s\" has been replaced by the command \"linkmetrics %s\".", name, by)
		return InvalidCommand
	}
}

func metricsError(err error) error {
	if errors.Is(err, mle.ErrUnknownNeighbor) {
		return unknownNeighbor
	}
	return err
}

// parseMetrics reads letters: p PDUs, q LQI, m margin, r RSSI.
func parseMetrics(s string) (radio.Metrics, error) {
	return parseLetters(s, map[rune]radio.Metrics{
		'p': radio.MetricPDUs, 'q': radio.MetricLQI, 'm': radio.MetricMargin, 'r': radio.MetricRSSI})
}

// parseFrames reads letters: l link probes, d data, r data requests, a
// acknowledgements; or X alone for none.
func parseFrames(s string) (linkmetrics.Flags, error) {
	if s == "X" {
		return 0, nil
	}
	return parseLetters(s, map[rune]linkmetrics.Flags{
		'l': linkmetrics.LinkProbes, 'd': linkmetrics.Data, 'r': linkmetrics.DataRequests, 'a': linkmetrics.Acks})
}

// subject takes "async" and the address off the arguments. With async the command
// does not wait for the answer.
func subject(args []string) (to netip.Addr, rest []string, sync bool, err error) {
	sync = word(args, 0) != "async"
	if !sync {
		args = args[1:]
	}
	to, err = parseAddr(word(args, 0))
	if err != nil {
		return to, nil, sync, err
	}
	return to, args[1:], sync, nil
}

// waitIf is how a command ends that has asked a neighbour.
func waitIf(sync bool, err error) error {
	if err == nil && sync {
		return Pending
	}
	return metricsError(err)
}

func linkMetricsRequest(c *CLI, args []string) error {
	to, args, sync, err := subject(args)
	if err != nil {
		return err
	}
	var q linkmetrics.Query
	switch word(args, 0) {
	case "single":
		q.Metrics, err = parseMetrics(word(args, 1))
	case "forward":
		var id uint64
		id, err = parseUint(word(args, 1), 8)
		q.Series = uint8(id)
	default:
		err = InvalidArgs
	}
	if err != nil {
		return err
	}
	return waitIf(sync, c.node.MLE().QueryMetrics(to, q, func(from netip.Addr, r linkmetrics.Report) {
		if r.Status == linkmetrics.NoAnswer {
			c.endIf(sync, ResponseTimeout)
			return
		}
		c.line("Received Link Metrics Report from: %s", address(from))
		if r.Status == linkmetrics.Success {
			c.showMetrics(r.Values)
		} else {
			c.line("Link Metrics Report, status: %s", metricsStatus(r.Status))
		}
		c.endIf(sync, nil)
	}))
}

// endIf ends a command that has waited.
func (c *CLI) endIf(sync bool, err error) {
	if sync {
		c.finish(err)
	}
}

func (c *CLI) showMetrics(v linkmetrics.Values) {
	if v.Metrics&radio.MetricPDUs != 0 {
		c.line(" - PDU Counter: %d (Count/Summation)", v.PDUs)
	}
	if v.Metrics&radio.MetricLQI != 0 {
		c.line(" - LQI: %d (Exponential Moving Average)", v.LQI)
	}
	if v.Metrics&radio.MetricMargin != 0 {
		c.line(" - Margin: %d (dB) (Exponential Moving Average)", v.Margin)
	}
	if v.Metrics&radio.MetricRSSI != 0 {
		c.line(" - RSSI: %d (dBm) (Exponential Moving Average)", v.RSSI)
	}
}

func linkMetricsConfig(c *CLI, args []string) error {
	to, args, sync, err := subject(args)
	if err != nil {
		return err
	}
	answered := func(from netip.Addr, s linkmetrics.Status) {
		if s == linkmetrics.NoAnswer {
			c.endIf(sync, ResponseTimeout)
			return
		}
		c.line("Received Link Metrics Management Response from: %s", address(from))
		c.line("Status: %s", metricsStatus(s))
		c.endIf(sync, nil)
	}
	switch word(args, 0) {
	case "forward":
		f, err := parseForward(args[1:])
		if err != nil {
			return err
		}
		return waitIf(sync, c.node.MLE().ConfigureSeries(to, f, answered))
	case "enhanced-ack":
		var e linkmetrics.EnhAck
		switch word(args, 1) {
		case "clear":
		case "register":
			e.Register = true
			if e.Metrics, err = parseMetrics(word(args, 2)); err != nil {
				return err
			}
		default:
			return InvalidArgs
		}
		c.node.MLE().MetricsHeard = c.metricsHeard
		return waitIf(sync, c.node.MLE().ConfigureProbing(to, e, answered))
	}
	return InvalidArgs
}

// parseForward reads a series id, flags, and unless they are X metrics.
func parseForward(args []string) (f linkmetrics.Forward, err error) {
	id, err := parseUint(word(args, 0), 8)
	if err != nil {
		return f, err
	}
	f.Series = uint8(id)
	if f.Flags, err = parseFrames(word(args, 1)); err != nil {
		return f, err
	}
	if f.Flags == 0 {
		if len(args) > 2 {
			return f, InvalidArgs
		}
		return f, nil
	}
	if len(args) > 3 {
		return f, InvalidArgs
	}
	f.Metrics, err = parseMetrics(word(args, 2))
	return f, err
}

func (c *CLI) metricsHeard(n *neighbor.Neighbor, v linkmetrics.Values) {
	c.line("Received Link Metrics data in Enh Ack from neighbor, short address:0x%02x , extended address:%s", n.RLOC16, n.Ext)
	c.showMetrics(v)
}

func linkMetricsProbe(c *CLI, args []string) error {
	to, err := parseAddr(word(args, 0))
	if err != nil {
		return err
	}
	series, err := parseUint(word(args, 1), 8)
	if err != nil {
		return err
	}
	length, err := parseUint(word(args, 2), 8)
	if err != nil {
		return err
	}
	return metricsError(c.node.MLE().SendLinkProbe(to, uint8(series), int(length)))
}

func metricsStatus(s linkmetrics.Status) string {
	switch s {
	case linkmetrics.Success:
		return "Success"
	case linkmetrics.NoRoom:
		return "Cannot support new series"
	case linkmetrics.Registered:
		return "Series ID already registered"
	case linkmetrics.UnknownSeries:
		return "Series ID not recognized"
	case linkmetrics.NoFrames:
		return "No matching series ID"
	case linkmetrics.OtherError:
		return "Other error"
	}
	return "Unknown error"
}
